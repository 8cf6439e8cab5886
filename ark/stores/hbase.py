"""HBase through its Thrift gateway (happybase), the original Thrift interface.

thriftpy2 matches no answer to its question: after a call that was interrupted, the next one on the same connection
gets the old answer, a wrong value or a false acknowledgement. Hence the one rule of this file: a connection is lent
to one thread at a time, and after *any* exception, KeyboardInterrupt included, it is thrown away.
"""

import logging
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from typing import Any, NoReturn
from urllib.parse import parse_qs, urlsplit

import happybase
from Hbase_thrift import (  # made by happybase from its Hbase.thrift
    AlreadyExists,
    BatchMutation,
    ColumnDescriptor,
    IllegalArgument,
    Mutation,
    TRowResult,
    TScan,
)
from Hbase_thrift import IOError as HBaseError
from thriftpy2.protocol.cybin.cybin import ProtocolError
from thriftpy2.protocol.exc import TProtocolException
from thriftpy2.thrift import TApplicationException
from thriftpy2.transport import TTransportException

from ark.errors import ConfigError, InputDataError, ServiceDownError
from ark.rows import COLUMN, Row
from ark.stores import Cell, batches, check_rows, missing
from ark.stores.tables import Catalog, check_name

logger = logging.getLogger(__name__)

FAMILY = COLUMN.partition(b":")[0].decode()
IDLE_SECONDS = 45.0
"""A gateway closes a connection idle for 60 s (hbase.thrift.server.socket.read.timeout); before that, a new one."""
KEY_ONLY = b"FirstKeyOnlyFilter() AND KeyOnlyFilter()"
MOST_ROWS = 5_000
FIRST_ROWS = 500
CHUNK_BYTES = 8 * 1024 * 1024
"""A scan asks for so many rows at once that their cells take about this much: the gateway holds a chunk in memory."""

Broken = (TTransportException, TProtocolException, ProtocolError, OSError, EOFError)
"""The stream ended, stalled or made no sense: nobody knows whether the call was done."""
Refused = (HBaseError, IllegalArgument, TApplicationException)
"""The gateway's complete answer is an error."""

NO_TABLE = "TableNotFoundException"
NO_FAMILY = "NoSuchColumnFamilyException"
TOO_LARGE = "KeyValue size too large"


class Gateway:
    """Connections to one Thrift gateway, each lent to one thread at a time."""

    def __init__(self, url: str, timeout: float, clock: Callable[[], float] = time.monotonic) -> None:
        parts = urlsplit(url)
        self.name = f"HBase at {parts.hostname}:{parts.port}"
        options = {key: values[0] for key, values in parse_qs(parts.query).items()}
        self._address = {"host": parts.hostname, "port": parts.port, "timeout": max(1, int(timeout * 1000)), **options}
        self._clock = clock
        self._lock = threading.Lock()
        self._idle: list[tuple[happybase.Connection, float]] = []

    @contextmanager
    def client(self, *, fresh: bool = False) -> Iterator[Any]:
        """Lends a Thrift client; `fresh` opens a new connection. Raises ServiceDownError if nobody answers."""
        connection = None if fresh else self._rested()
        connection = connection or self._connect()
        try:
            yield connection.client
        except BaseException:
            connection.close()
            raise
        with self._lock:
            self._idle.append((connection, self._clock()))

    def close(self) -> None:
        """Close the connections that nobody uses; one that is lent is closed by a later call of this."""
        with self._lock:
            while self._idle:
                self._idle.pop()[0].close()

    def _rested(self) -> happybase.Connection | None:
        """The connection given back last, unless the gateway may have closed it by now; then all of them are old."""
        with self._lock:
            if self._idle and self._clock() - self._idle[-1][1] < IDLE_SECONDS:
                return self._idle.pop()[0]
        self.close()
        return None

    def _connect(self) -> happybase.Connection:
        connection = happybase.Connection(**self._address, autoconnect=False)
        try:
            connection.open()
        except (TTransportException, OSError) as error:
            raise ServiceDownError(
                f"{self.name} does not answer: {_message(error)}; check hbase.url and the gateway"
            ) from error
        except BaseException:
            connection.close()
            raise
        return connection


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
        """Raise TableMissingError, or ConfigError for a table that is disabled or has no family `info`."""
        if FAMILY not in self._families(table):
            raise self._unfit(table, f"has no family {FAMILY}")
        if not self._call(table, "isTableEnabled", table.encode()):
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
                if isinstance(error.__cause__, HBaseError):  # said of a missing table too: this call tells them apart
                    self._families(table)
                raise

    def close(self) -> None:
        """Close the connections."""
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

    def _families(self, table: str) -> set[str]:
        """Names of the table's column families; raises TableMissingError."""
        families = self._call(table, "getColumnDescriptors", check_name(table).encode())
        return {name.decode().rstrip(":") for name in families}

    def _call(self, table: str, method: str, *args: object) -> Any:  # noqa: ANN401  # as many results as methods
        try:
            return self._once(method, args, fresh=False)
        except (*Broken, *Refused) as error:
            if not _is_broken(error):
                self._fail(table, error)
        try:
            return self._once(method, args, fresh=True)
        except (*Broken, *Refused) as error:
            self._fail(table, error)

    def _once(self, method: str, args: Sequence[object], *, fresh: bool) -> Any:  # noqa: ANN401
        with self._gateway.client(fresh=fresh) as client:
            return getattr(client, method)(*args)

    def _fail(self, table: str, error: Exception) -> NoReturn:
        """Raise what an exception of the Thrift client means, in one line."""
        where, said = self.name, _message(error).strip().partition("\n")[0][:300]
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
            size = sum(len(cell.value) for found in chunk for cell in found.columns.values())
            wanted = min(MOST_ROWS, 1 + CHUNK_BYTES * len(chunk) // (size + 1))
    except GeneratorExit:
        with suppress(*Broken, *Refused):  # courtesy: the gateway forgets a scanner by itself, only later
            client.scannerClose(scanner)
        raise
    client.scannerClose(scanner)


def _is_broken(error: Exception) -> bool:
    """Whether the stream is at fault; an answer without a result is an answer to another question."""
    if isinstance(error, TApplicationException):
        return bool(error.type == TApplicationException.MISSING_RESULT)
    return isinstance(error, Broken)


def _unfit_table(error: Exception) -> str:
    """The Java exception that says what is wrong with the table itself, or nothing."""
    message = _message(error) if isinstance(error, HBaseError) else ""
    return next((name for name in (NO_TABLE, NO_FAMILY) if name in message), "")


def _message(error: Exception) -> str:
    """What an exception says; HBase's own are bytes with a Java stack trace from the second line on."""
    message = getattr(error, "message", None) or str(error) or type(error).__name__
    return message.decode(errors="replace") if isinstance(message, bytes) else str(message)
