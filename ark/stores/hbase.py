"""HBase through its Thrift gateway (happybase), the original Thrift interface."""

import logging
import math
import sys
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, suppress
from typing import Any, NoReturn

import happybase  # noqa: F401  # makes Hbase_thrift
from Hbase_thrift import (  # made by happybase from its Hbase.thrift
    AlreadyExists,
    BatchMutation,
    ColumnDescriptor,
    Mutation,
    TRowResult,
    TScan,
)
from Hbase_thrift import IOError as HBaseError

from ark.errors import ConfigError, InputDataError, ServiceDownError
from ark.rows import COLUMN, Row
from ark.stores import Cell, UnclearError, batches, check_rows, missing
from ark.stores.gateway import Broken, Gateway, Refused, is_broken, message_of
from ark.stores.tables import Catalog, check_name

logger = logging.getLogger(__name__)

FAMILY = COLUMN.partition(b":")[0].decode()
FIRST_LOOK = 3.5
"""Seconds for the look before the first media call, all of it: who hangs then is as good as away."""
KEY_ONLY = b"FirstKeyOnlyFilter() AND KeyOnlyFilter()"
MOST_ROWS = 5_000
FIRST_ROWS = 500
CHUNK_BYTES = 8 * 1024 * 1024
"""A scan asks for so many rows at once that their cells take about this much: the gateway holds a chunk in memory."""

NO_TABLE = "TableNotFoundException"
NO_FAMILY = "NoSuchColumnFamilyException"
TOO_LARGE = "KeyValue size too large"
FOR_GOOD = "DoNotRetryIOException"
"""What HBase says where trying again is of no use."""


class HBaseStore:
    """Tables of an HBase. One retry on a fresh connection for each call whose stream broke: all are idempotent."""

    writers = 4
    """More connections than 4 gain nothing against one region server; 1 gives 70 % of what 4 give."""

    def __init__(self, url: str, catalog: Catalog, *, batch: int, batch_bytes: int, timeout: float) -> None:
        self._gateway = Gateway(url, timeout)
        self.name = self._gateway.name
        self._catalog = catalog
        self._batch = batch
        self._batch_bytes = batch_bytes

    def check(self, table: str) -> None:
        """Raise TableMissingError, or ConfigError for a table that is disabled or has no family `info`.

        Raises ServiceDownError after FIRST_LOOK seconds at the latest, however long a call may take later on.
        """
        until = time.monotonic() + FIRST_LOOK
        if FAMILY not in self._families(table, until):
            raise self._unfit(table, f"has no family {FAMILY}")
        if not self._call(table, "isTableEnabled", table.encode(), until=until):
            raise ConfigError(f"table {table} in {self.name} is disabled: enable '{table}' in the HBase shell")

    def put(self, table: str, rows: Sequence[Row], timestamp: int) -> None:
        """Store all rows, in batches of `hbase.batch` rows or `hbase.batch_bytes` bytes whatever the caller gives."""
        check_rows(rows)
        name = check_name(table).encode()
        for some in batches(rows, self._batch, self._batch_bytes):
            mutations = [BatchMutation(key, [Mutation(False, COLUMN, value)]) for key, value in some]
            try:
                self._call(table, "mutateRowsTs", name, mutations, timestamp, {})
            except InputDataError as error:
                largest = max(some, key=lambda row: len(row.value))
                key = largest.key.decode(errors="replace")
                raise InputDataError(f"{error}; the largest cell, row {key}, has {len(largest.value)} bytes") from error
            except ServiceDownError as error:
                if isinstance(error.__cause__, Refused) and not is_broken(error.__cause__):
                    self._judge(table, some[0].key, error)
                raise

    def close(self) -> None:
        """Close the connections; a call under way in another thread fails at once."""
        self._gateway.close()

    def tables(self) -> list[str]:
        """Names of the tables that exist, sorted."""
        return sorted(name.decode() for name in self._call("", "getTableNames"))

    def create(self, table: str) -> bool:
        """Create the table with its families, in one region: only the shell can split it (`ark tables ddl`)."""
        spec = self._catalog.spec(table)
        families = [
            ColumnDescriptor(
                name=f"{name}:".encode(),
                maxVersions=spec.versions,
                compression=spec.compression.encode(),
                bloomFilterType=b"ROW",  # as the shell makes it; so is the block cache
                blockCacheEnabled=True,
            )
            for name in spec.families
        ]
        try:
            self._call(table, "createTable", table.encode(), families)
        except AlreadyExists:
            return False
        if spec.splits:
            logger.warning("%s starts in one region; `ark tables ddl %s` in the HBase shell splits it", table, table)
        return True

    def scan(
        self, table: str, start: bytes, stop: bytes, *, versions: int = 1, limit: int | None = None
    ) -> Iterator[Cell]:
        """Cells in the order of keys. More than one version costs a call per column of each row.

        The gateway's scans know only the newest version; `getVer` gives the older ones, newest first.
        """
        for found in self._rows(table, TScan(startRow=start, stopRow=stop or None), limit):
            for column, cell in sorted(found.columns.items()):
                cells = [cell]
                if versions > 1:
                    cells = self._call(table, "getVer", table.encode(), found.row, column, versions, {})
                for each in cells:
                    yield Cell(found.row, column, each.timestamp, each.value)

    def read(self, table: str, keys: Sequence[bytes]) -> Iterator[Cell]:
        """The newest cell of each row, asked for in pieces of about CHUNK_BYTES."""
        name, start, most = check_name(table).encode(), 0, FIRST_ROWS
        while some := keys[start : start + most]:
            found = self._call(table, "getRowsWithColumns", name, some, [COLUMN], {})
            for each in found:
                cell = each.columns[COLUMN]
                yield Cell(each.row, COLUMN, cell.timestamp, cell.value)
            start, most = start + most, _next_size(found)

    def keys(self, table: str, start: bytes, stop: bytes, *, limit: int | None = None) -> Iterator[bytes]:
        """Row keys in order; the region server leaves the values out."""
        query = TScan(startRow=start, stopRow=stop or None, filterString=KEY_ONLY)
        for found in self._rows(table, query, limit):
            yield found.row

    def _rows(self, table: str, query: TScan, limit: int | None) -> Iterator[TRowResult]:
        """The rows of a scan. A scanner that broke or expired is opened again behind the last row it gave."""
        check_name(table)
        if query.stopRow and query.startRow >= query.stopRow:
            self._families(table)  # HBase takes start == stop for a read of that row
            return
        stuck = False
        left = limit
        while True:
            try:
                with (
                    self._gateway.client(fresh=stuck) as client,
                    closing(_chunks(client, table.encode(), query, left)) as chunks,
                ):
                    for chunk in chunks:
                        stuck = False
                        query.startRow = chunk[-1].row + b"\x00"
                        left = None if left is None else left - len(chunk)
                        yield from chunk
            except (*Broken, *Refused) as error:
                if stuck or _unfit_table(error):
                    self._fail(table, error)
                stuck = True
            else:
                return

    def _judge(self, table: str, key: bytes, error: ServiceDownError) -> None:
        """Raise what a refused put of rows, the one of `key` among them, means; nothing where the store is away.

        A gateway that answers a row with an error, while it reads the table's layout and that very row, has trouble
        with rows: for good (InputDataError) if it did not even ask HBase or HBase says so, else perhaps for a while.
        Raises TableMissingError, which the gateway does not tell of a put.
        """
        self._families(table)
        if not isinstance(error.__cause__, HBaseError):
            raise InputDataError(f"{self.name} refuses a row of {table}: {error}") from error
        try:
            list(self.read(table, [key]))
        except ServiceDownError:
            return
        if FOR_GOOD in message_of(error.__cause__):
            raise InputDataError(f"{self.name} refuses a row of {table}: {error}") from error
        raise UnclearError(str(error)) from error

    def _families(self, table: str, until: float = math.inf) -> set[str]:
        """Names of the table's column families; raises TableMissingError."""
        families = self._call(table, "getColumnDescriptors", check_name(table).encode(), until=until)
        return {name.decode().rstrip(":") for name in families}

    def _call(self, table: str, method: str, *args: object, until: float = math.inf) -> Any:  # noqa: ANN401  # as many results as methods
        """Ask, and once more on a fresh connection if the stream broke before `until`, which bounds both."""
        try:
            return self._once(method, args, until, fresh=False)
        except (*Broken, *Refused) as error:
            if not is_broken(error) or time.monotonic() >= until:
                self._fail(table, error)
        try:
            return self._once(method, args, until, fresh=True)
        except (*Broken, *Refused) as error:
            self._fail(table, error)

    def _once(self, method: str, args: Sequence[object], until: float, *, fresh: bool) -> Any:  # noqa: ANN401
        with self._gateway.client(fresh=fresh, timeout=until - time.monotonic()) as client:
            return getattr(client, method)(*args)

    def _fail(self, table: str, error: Exception) -> NoReturn:
        """Raise what an exception of the Thrift client means, in one line."""
        where, said = self.name, message_of(error).strip().partition("\n")[0][:300]
        unfit = _unfit_table(error)
        if unfit == NO_TABLE:
            raise missing(table, where, f", or paste `ark tables ddl {table}` into the HBase shell") from error
        if unfit == NO_FAMILY:
            raise self._unfit(table, f"has no family {FAMILY}") from error
        if TOO_LARGE in said:
            raise InputDataError(f"{where} refuses a row of {table}: {said}") from error
        if isinstance(error, Refused):
            raise ServiceDownError(f"{where} failed{f' on table {table}' if table else ''}: {said}") from error
        raise ServiceDownError(
            f"{where} broke off: {said}; try again, and check transport and protocol in hbase.url"
        ) from error

    def _unfit(self, table: str, what: str) -> ConfigError:
        return ConfigError(f"table {table} in {self.name} {what}: compare it with `ark tables ddl {table}`")


def _chunks(client: Any, table: bytes, query: TScan, limit: int | None) -> Generator[list[TRowResult], None, None]:  # noqa: ANN401
    """The rows of one scanner, in lists of about CHUNK_BYTES.

    The scanner is closed at the end or when nobody wants more, but not after an exception: the stream is broken then.
    """
    if limit == 0:
        return
    wanted, left = FIRST_ROWS, sys.maxsize if limit is None else limit
    query.caching = min(left, MOST_ROWS)
    scanner = client.scannerOpenWithScan(table, query, {})
    try:
        while left and (chunk := client.scannerGetList(scanner, min(wanted, left))):
            yield chunk
            left -= len(chunk)
            wanted = _next_size(chunk)
    except GeneratorExit:
        with suppress(*Broken, *Refused):  # courtesy: the gateway forgets a scanner by itself, only later
            client.scannerClose(scanner)
        raise
    client.scannerClose(scanner)


def _next_size(rows: Sequence[TRowResult]) -> int:
    """How many rows of the size of these take about CHUNK_BYTES."""
    size = sum(len(cell.value) for found in rows for cell in found.columns.values())
    return min(MOST_ROWS, 1 + CHUNK_BYTES * len(rows) // (size + 1))


def _unfit_table(error: Exception) -> str:
    """The Java exception that says what is wrong with the table itself, or nothing."""
    message = message_of(error) if isinstance(error, HBaseError) else ""
    return next((name for name in (NO_TABLE, NO_FAMILY) if name in message), "")
