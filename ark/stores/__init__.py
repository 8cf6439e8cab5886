"""Where rows end up: one port, several stores.

`Store` is the port. `HBaseStore` (real, through Thrift) and `EmbeddedStore` (SQLite under ARK_HOME) answer the same
contract suite; `FileStore` and `NullStore` only take rows. All methods block and are called from worker threads;
a store may be called from `writers` threads at once.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from ark.errors import ConfigError, InputDataError, ServiceDownError, TableMissingError, UsageError
from ark.rows import MAX_KEY_BYTES, Row, compact
from ark.stores.tables import catalog, check_name

if TYPE_CHECKING:
    from ark.settings import Settings

EMBEDDED = "embedded:"
"""The address of the embedded tables, where an hbase.url may stand."""


class Cell(NamedTuple):
    """One stored cell, as `ark rows` prints it; `timestamp` in milliseconds."""

    row: bytes
    column: bytes
    timestamp: int
    value: bytes


class RowsRefusedError(InputDataError):
    """Some rows of a put are not stored, `reasons` says why by row key; all the others of it are."""

    def __init__(self, reasons: Mapping[bytes, str]) -> None:
        super().__init__(next(iter(reasons.values())))
        self.reasons = reasons


class UnclearError(ServiceDownError):
    """A put is refused although the table answers: a row may be at fault, or the store cannot write just now."""


class Sink(Protocol):
    """What a run needs of a store: look before the first call, then put batches."""

    writers: int
    """How many threads may put at once."""

    def check(self, table: str) -> None:
        """Raise TableMissingError unless `table` can be written to, ServiceDownError if nobody answers."""

    def put(self, table: str, rows: Sequence[Row], timestamp: int) -> None:
        """Store all rows in `info:data` with this explicit timestamp (ms); returns when they are acknowledged.

        Idempotent: the same rows with the same timestamp change nothing; an older timestamp never covers a newer
        one. Raises ServiceDownError when the store is away (UnclearError where it may be a row), InputDataError when
        it refuses a row; after an error any of the rows may be stored or not, unless it is a RowsRefusedError.
        """

    def close(self) -> None:
        """Let go of every connection and file."""


class Store(Sink, Protocol):
    """A sink that can be read back."""

    name: str
    """What messages call it, without any password: "HBase at host:port"."""

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

    def read(self, table: str, keys: Sequence[bytes]) -> Iterator[Cell]:
        """The newest `info:data` of each of these rows that has one, in the order of `keys`."""

    def keys(self, table: str, start: bytes, stop: bytes, *, limit: int | None = None) -> Iterator[bytes]:
        """The row keys of `scan` without their cells: what counting and seeking need."""


def open_store(url: str, settings: "Settings") -> Store:
    """The store behind an hbase.url; empty or `embedded:` is the embedded tables under ARK_HOME.

    Connects to nothing yet. Raises ConfigError where `url` is neither.
    """
    if url in ("", EMBEDDED):
        from ark.stores.embedded import EmbeddedStore

        return EmbeddedStore(settings.home / "tables", catalog())
    from ark.stores.hbase import HBaseStore
    from ark.urls import check_thrift, masked

    try:
        check_thrift(url)
    except ValueError as error:
        raise ConfigError(f"{masked(url)!r} is no store: expected {EMBEDDED} or {error}") from None
    hbase = settings.hbase
    return HBaseStore(url, catalog(), batch=hbase.batch, batch_bytes=hbase.batch_bytes, timeout=hbase.timeout)


def open_table(reference: str, settings: "Settings") -> tuple[Store, str]:
    """The store and the table's name of TABLE or TABLE@STORE; STORE is an hbase.url or `embedded:`."""
    table, at, url = reference.partition("@")
    check_name(table)
    if at and not url:
        raise UsageError(f"{reference!r} names no store after '@': an hbase.url or {EMBEDDED}")
    return open_store(url or settings.hbase.url, settings), table


def open_sink(output: str, settings: "Settings", *, tenant: str, day: date, read_back: bool = False) -> Sink:
    """Where a job's `output` goes: HBASE (or the embedded tables), FILE or NONE; `read_back` as `--verify read`."""
    if read_back:
        from ark.stores.read_back import ReadBack

        check_readable(output)
        return ReadBack(open_store(settings.hbase.url, settings))
    if output == "HBASE":
        return open_store(settings.hbase.url, settings)
    from ark.stores.files import FileStore, NullStore

    if output == "FILE":
        folder = Path(settings.file.dir).expanduser() if settings.file.dir else settings.home / "files"
        return FileStore(folder, tenant, compact(day))
    if output == "NONE":
        return NullStore()
    raise UsageError(f"output is {output!r}: HBASE, FILE or NONE")


def check_readable(output: str) -> None:
    """Raise UsageError for an output from which nothing can be read back."""
    if output != "HBASE":
        raise UsageError(f"rows of output {output} cannot be read back: leave --verify out, or take -o HBASE")


def missing(table: str, where: str, other_way: str = "") -> TableMissingError:
    """The error of a table that does not exist in the store called `where`."""
    return TableMissingError(f"table {table} does not exist in {where}: `ark tables create {table}`{other_way}")


def check_rows(rows: Sequence[Row]) -> None:
    """Raise InputDataError for a row key that HBase does not take: empty, or longer than 32,767 bytes."""
    for row in rows:
        if not 0 < len(row.key) <= MAX_KEY_BYTES:
            raise InputDataError(f"row key of {len(row.key)} bytes, {row.key[:40]!r}: HBase takes 1 to {MAX_KEY_BYTES}")


def batches(rows: Sequence[Row], most: int, most_bytes: int) -> Iterator[Sequence[Row]]:
    """`rows` in pieces that close at `most` rows or before `most_bytes`; a larger row travels alone."""
    start = size = 0
    for index, row in enumerate(rows):
        grown = size + len(row.key) + len(row.value)
        if index > start and (index - start >= most or grown > most_bytes):
            yield rows[start:index]
            start, grown = index, len(row.key) + len(row.value)
        size = grown
    if start < len(rows):
        yield rows[start:]
