"""Where rows end up: one port, several stores.

`Store` is the port. `HBaseStore` (real, through Thrift) and `EmbeddedStore` (SQLite under ARK_HOME) answer the same
contract suite; `FileStore` and `NullStore` only take rows. All methods block and are called from worker threads;
a store may be called from `writers` threads at once.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from ark.rows import Row


class Cell(NamedTuple):
    """One stored cell, as `ark rows` prints it; `timestamp` in milliseconds."""

    row: bytes
    column: bytes
    timestamp: int
    value: bytes


class Sink(Protocol):
    """What a run needs of a store: look before the first call, then put batches."""

    writers: int
    """How many threads may put at once."""

    def check(self, table: str) -> None:
        """Raise TableMissingError unless `table` can be written to, ServiceDownError if nobody answers."""

    def put(self, table: str, rows: Sequence[Row], timestamp: int) -> None:
        """Store all rows in `info:data` with this explicit timestamp (ms); returns when they are acknowledged.

        Idempotent: the same rows with the same timestamp change nothing; an older timestamp never covers a newer
        one. Raises ServiceDownError when the store is away; any row may then be stored or not.
        """

    def close(self) -> None:
        """Let go of every connection and file."""


class Store(Sink, Protocol):
    """A sink that can be read back."""

    def tables(self) -> list[str]:
        """Names of the tables that exist, sorted."""

    def create(self, table: str) -> bool:
        """Create the table as conf/tables.toml describes it; False if it was there already."""

    def scan(
        self, table: str, start: bytes, stop: bytes, *, versions: int = 1, limit: int | None = None
    ) -> Iterator[Cell]:
        """Cells of the rows with start <= key < stop (empty stop: to the end), in the order of keys, newest first.

        `limit` counts rows. Raises TableMissingError at the first step where the table does not exist.
        """
