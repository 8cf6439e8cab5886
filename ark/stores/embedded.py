"""The embedded tables: SQLite under ARK_HOME, one file per table, the same answers as HBase.

The layout was chosen by measuring it beside others, 200,000 rows of ~700 bytes in random order of keys: a rowid table
with a unique index takes twice the rows of `WITHOUT ROWID`; pages of 16 KiB and a checkpoint every 64 MiB take 1.5 to
2 times what SQLite's defaults (4 KiB, 4 MiB) do; a trigger or statement that trims versions costs a third, so that
tables of one version, the usual case, keep it by an upsert alone.
"""

import os
import sqlite3
import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import islice
from operator import itemgetter
from pathlib import Path

from ark.errors import ArkError, InputDataError, LocalDiskError, ServiceDownError
from ark.rows import COLUMN, Row
from ark.stores import Cell, check_rows, missing
from ark.stores.tables import Catalog, check_name

SUFFIX = ".sqlite"
BUSY_SECONDS = 30.0
ROWS_PER_TRANSACTION = 10_000
MAX_CELL_BYTES = 10 * 1024 * 1024
"""HBase refuses a cell of this size (hbase.client.keyvalue.maxsize), and so do the embedded tables."""

LAYOUT = """
    PRAGMA page_size = 16384;
    PRAGMA journal_mode = WAL;
    PRAGMA user_version = {versions};
    CREATE TABLE cell (row BLOB NOT NULL, col BLOB NOT NULL, ts INTEGER NOT NULL, val BLOB NOT NULL);
"""
ONE_VERSION = "CREATE UNIQUE INDEX key ON cell (row, col);"
MORE_VERSIONS = """
    CREATE UNIQUE INDEX key ON cell (row, col, ts DESC);
    CREATE TRIGGER trim AFTER INSERT ON cell BEGIN
        DELETE FROM cell WHERE row = new.row AND col = new.col AND ts < (
            SELECT ts FROM cell WHERE row = new.row AND col = new.col ORDER BY ts DESC LIMIT 1 OFFSET {versions} - 1);
    END;
"""
PER_CONNECTION = """
    PRAGMA synchronous = NORMAL;
    PRAGMA cache_size = -65536;
    PRAGMA wal_autocheckpoint = 4000;
"""
"""NORMAL: what is acknowledged survives the end of the process, kill -9 included, as in HBase; not a power cut."""

PUT = "INSERT INTO cell VALUES (?, ?, ?, ?) ON CONFLICT "
PUT_NEWEST = PUT + "(row, col) DO UPDATE SET ts = excluded.ts, val = excluded.val WHERE excluded.ts >= ts"
PUT_VERSION = PUT + "(row, col, ts) DO UPDATE SET val = excluded.val"
CELLS = "SELECT row, col, ts, val FROM cell WHERE row >= ? {stop} ORDER BY row, col, ts DESC"
NEWEST = "SELECT row, col, ts, val FROM cell WHERE row = ? AND col = ? ORDER BY ts DESC LIMIT 1"
KEYS = "SELECT DISTINCT row FROM cell WHERE row >= ? {stop} ORDER BY row"


class EmbeddedStore:
    """Tables under `folder`. A table exists when its file does.

    `check` creates a table that conf/tables.toml declares, so that Ark works on a fresh machine where nobody has
    created anything; any other is created by `create` alone. Several processes may write to one table: they take
    turns, transaction by transaction.
    """

    writers = 1

    def __init__(self, folder: Path, catalog: Catalog) -> None:
        self._folder = folder.absolute()
        self.name = f"the embedded tables, {self._folder}"
        self._catalog = catalog
        self._lock = threading.Lock()
        self._writing: dict[str, sqlite3.Connection] = {}

    def check(self, table: str) -> None:
        """Raise TableMissingError for an undeclared table, LocalDiskError where the disk refuses to write."""
        if table in self._catalog.declared:
            self.create(table)
        with self._transaction(table):
            pass

    def put(self, table: str, rows: Sequence[Row], timestamp: int) -> None:
        """Store all rows, up to 10,000 per transaction, in the order of their keys."""
        check_rows(rows)
        _check_sizes(rows)
        pending = iter(rows)
        while some := sorted(islice(pending, ROWS_PER_TRANSACTION), key=itemgetter(0)):
            with self._transaction(table) as connection:
                ((versions,),) = connection.execute("PRAGMA user_version")
                statement = PUT_NEWEST if versions == 1 else PUT_VERSION
                connection.executemany(statement, [(key, COLUMN, timestamp, value) for key, value in some])

    def close(self) -> None:
        """Close the files; SQLite folds its write-ahead log into each."""
        with self._lock:
            while self._writing:
                self._writing.popitem()[1].close()

    def tables(self) -> list[str]:
        """Names of the tables that exist, sorted."""
        return sorted(path.name.removesuffix(SUFFIX) for path in self._folder.glob(f"*{SUFFIX}"))

    def create(self, table: str) -> bool:
        """Create the table; its file appears whole or not at all, whoever else creates it at the same moment."""
        path, versions = self._path(table), self._catalog.spec(table).versions
        if path.exists():
            return False
        layout = LAYOUT + (ONE_VERSION if versions == 1 else MORE_VERSIONS)
        with _disk(path):
            self._folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self._folder) as scratch:
                made = Path(scratch, "table")
                with closing(sqlite3.connect(made)) as connection:
                    connection.executescript(layout.format(versions=versions))
                try:
                    os.link(made, path)
                except FileExistsError:
                    return False
        return True

    def scan(
        self, table: str, start: bytes, stop: bytes, *, versions: int = 1, limit: int | None = None
    ) -> Iterator[Cell]:
        """Cells in the order of keys, all of one moment: what is written meanwhile is not seen."""
        with self._reading(table, CELLS, start, stop) as cells:
            yield from _newest(map(Cell._make, cells), versions, limit)

    def keys(self, table: str, start: bytes, stop: bytes, *, limit: int | None = None) -> Iterator[bytes]:
        """Row keys in order, from the index alone."""
        with self._reading(table, KEYS, start, stop) as rows:
            yield from (key for (key,) in islice(rows, limit))

    def read(self, table: str, keys: Sequence[bytes]) -> Iterator[Cell]:
        """The newest cell of each row; not of one moment where somebody writes meanwhile."""
        with _disk(self._path(table)), closing(self._open(table)) as connection:
            for key in keys:
                yield from map(Cell._make, connection.execute(NEWEST, (key, COLUMN)))

    @contextmanager
    def _reading(self, table: str, query: str, start: bytes, stop: bytes) -> Iterator[sqlite3.Cursor]:
        with _disk(self._path(table)), closing(self._open(table)) as connection:
            if stop:
                yield connection.execute(query.format(stop="AND row < ?"), (start, stop))
            else:
                yield connection.execute(query.format(stop=""), (start,))

    @contextmanager
    def _transaction(self, table: str) -> Iterator[sqlite3.Connection]:
        """The one connection that writes to `table`; any exception throws it away, which rolls back."""
        with self._lock, _disk(self._path(table)):
            connection = self._writing.pop(table, None) or self._open(table)
            try:
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                connection.close()
                raise
            self._writing[table] = connection

    def _open(self, table: str) -> sqlite3.Connection:
        path = self._path(table)
        if not path.exists():
            raise missing(table, self.name)
        # A scan may be read and closed by another thread than the one that began it, though never by two at once.
        connection = sqlite3.connect(
            f"{path.as_uri()}?mode=rw", uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        connection.executescript(PER_CONNECTION)
        return connection

    def _path(self, table: str) -> Path:
        return self._folder / (check_name(table) + SUFFIX)


def _newest(cells: Iterable[Cell], versions: int, limit: int | None) -> Iterator[Cell]:
    """At most `versions` cells of each column, of the first `limit` rows."""
    row = column = b""
    rows = seen = 0
    for cell in cells:
        if cell.row != row:
            rows += 1
            if limit is not None and rows > limit:
                return
        seen = seen + 1 if (cell.row, cell.column) == (row, column) else 1
        row, column = cell.row, cell.column
        if seen <= versions:
            yield cell


def _check_sizes(rows: Sequence[Row]) -> None:
    for row in rows:
        if len(row.key) + len(row.value) >= MAX_CELL_BYTES:
            raise InputDataError(f"cell of {len(row.value)} bytes in row {row.key.decode(errors='replace')}: too large")


@contextmanager
def _disk(path: Path) -> Iterator[None]:
    """Turns trouble with a table's file into one line that names the file."""
    try:
        yield
    except ArkError:
        raise
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorname.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            raise ServiceDownError(
                f"{path}: another process has been writing for {BUSY_SECONDS:.0f} s; try again"
            ) from error
        raise LocalDiskError(f"{path}: {error}; is the disk full, or the file not a table of Ark's?") from error
    except OSError as error:
        raise LocalDiskError(f"{path}: {error.strerror}; tables are kept under ARK_HOME") from error
