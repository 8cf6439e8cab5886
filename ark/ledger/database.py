"""The database that holds the ledger: its engine, its transactions, and its errors in our words."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.schema import CreateTable

from ark import databases
from ark.clock import uptime
from ark.errors import ArkError, ConfigError, InputDataError, LocalDiskError, ServiceDownError
from ark.ledger.tables import VERSION, metadata, schema

T = TypeVar("T")

BUSY_SECONDS = 30
"""How long a writer waits for SQLite's one write lock."""
PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=NORMAL",  # a power cut may forget the last commits: those units are only fetched again
    "PRAGMA cache_size=-512",  # KiB: memory stays flat however many units there are
)
MYSQL_TIMEOUTS = {"connect_timeout": 3, "read_timeout": 5, "write_timeout": 5}
"""Seconds; ledger.url may set others (`?read_timeout=20`)."""
MYSQL_PORT = 3306
MYSQL_SETTINGS = {1044, 1045, 1049, 1142, 1698}
"""Access denied, unknown database: the setting is wrong, not the server."""
MYSQL_CONTENTION = {1205, 1213}
"""Lock wait timeout, deadlock."""
MYSQL_MOMENT = "SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(3)) DIV 1000"
TRIES = 5


class ContentionError(ServiceDownError):
    """Another process held what this transaction needed; nothing was changed, and another try may do."""


class Database:
    """One engine and its transactions; `place` is what messages call it, without a password."""

    def __init__(self, url: str, default: Path) -> None:
        self.url = databases.parse(url, "ledger.url") if url else URL.create("sqlite", database=str(default))
        if self.is_local:
            self.place = str(self.url.database)
            self._writer = _sqlite(self.url)
        else:
            self.place = f"{self.url.host or 'localhost'}:{self.url.port or MYSQL_PORT}/{self.url.database}"
            self._writer = _mysql(self.url)
        self._reader = self._writer.execution_options(ark_begin="BEGIN")

    @property
    def dialect(self) -> sa.Dialect:
        """What statements are compiled for; complete after `prepare`."""
        return self._writer.dialect

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that commits at the end; on SQLite it holds the write lock from its first moment."""
        with self._translated(), self._writer.begin() as connection:
            yield connection

    def transact(self, work: Callable[[Connection], T]) -> T:
        """What `work` answers, done in one transaction; again, where another process held what it needed."""
        for _ in range(TRIES - 1):
            try:
                with self.write() as connection:
                    return work(connection)
            except ContentionError:
                pass
        with self.write() as connection:
            return work(connection)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads, and on SQLite holds up nobody."""
        with self._translated(), self._reader.begin() as connection:
            yield connection

    def write_many(
        self, statement: str, rows: list[tuple[Any, ...]], first: Callable[[Connection], None] = lambda _: None
    ) -> int:
        """Execute the driver's own text once per row, after `first`, in one transaction; how many rows it touched."""

        def execute(connection: Connection) -> int:
            first(connection)
            return connection.exec_driver_sql(statement, rows).rowcount

        return self.transact(execute) if rows else 0

    def moment(self, connection: Connection) -> int:
        """Milliseconds of the one clock that all who share this database agree on, whatever their own clocks say.

        MySQL's, in UTC; a SQLite file is on one machine, whose time since it was started nobody sets.
        """
        if self.is_local:
            return int(uptime() * 1000)
        return int(connection.scalar(sa.text(MYSQL_MOMENT)) or 0)

    @property
    def is_local(self) -> bool:
        """Whether all who use it are on this machine."""
        return self.url.drivername == "sqlite"

    def prepare(self) -> None:
        """Create what is missing; raises ConfigError where the tables are those of another version of Ark."""
        if self.is_local:
            _make_folder(Path(self.place).parent)
        found = self._version()
        if found is None:
            self._create()
            found = self._version()
        if found != VERSION:
            raise ConfigError(
                f"ledger {self.place} has schema version {found}, this Ark needs version {VERSION}: "
                "use the Ark that wrote it, or set ledger.url (ARK_LEDGER_URL) to another ledger"
            )

    def close(self) -> None:
        """Close every connection."""
        self._writer.dispose()

    def _version(self) -> int | None:
        with self.read() as connection:
            if not sa.inspect(connection).has_table(schema.name):
                return None
            version: int | None = connection.scalar(sa.select(sa.func.max(schema.c.version)))
            return version

    def _create(self) -> None:
        """The version goes in last: who sees it, sees whole tables."""
        try:
            with self.write() as connection:
                for table in metadata.sorted_tables:
                    connection.execute(CreateTable(table, if_not_exists=True))
                connection.execute(schema.insert().values(version=VERSION))
        except IntegrityError:
            return  # another process created the ledger at the same moment

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            translate = self._sqlite_error if self.is_local else self._mysql_error
            translated = translate(error)
            if translated is None:
                raise
            raise translated from error

    def _sqlite_error(self, error: DBAPIError) -> ArkError | None:
        name = getattr(error.orig, "sqlite_errorname", "")
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return ServiceDownError(
                f"ledger {self.place} has been locked by another process for {BUSY_SECONDS} s: see who writes to it"
            )
        if isinstance(error, OperationalError) or name in {"SQLITE_CORRUPT", "SQLITE_NOTADB"}:
            return LocalDiskError(
                f"ledger {self.place} cannot be used ({error.orig}): see free space and rights there, or set ARK_HOME"
            )
        return None

    def _mysql_error(self, error: DBAPIError) -> ArkError | None:
        code, text = databases.reason(error)
        if code in MYSQL_SETTINGS:
            return ConfigError(f"ledger {self.place} refuses what ledger.url says ({text}): correct ARK_LEDGER_URL")
        if code in MYSQL_CONTENTION:
            return ContentionError(f"ledger {self.place} is held by another process ({text}): try again")
        if isinstance(error, DataError):
            return InputDataError(
                f"ledger {self.place} cannot hold a value ({text}): correct it in the argument or list"
            )
        if isinstance(error, OperationalError | InterfaceError):
            return ServiceDownError(
                f"ledger {self.place} does not answer ({text}): start MySQL, or correct ARK_LEDGER_URL"
            )
        return None


def _sqlite(url: URL) -> Engine:
    engine = sa.create_engine(url, hide_parameters=True, connect_args={"timeout": BUSY_SECONDS})

    @sa.event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # transactions begin below, not where the driver sees an INSERT
        for pragma in PRAGMAS:
            connection.execute(pragma)

    @sa.event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # one that reads first and writes later would fail at once, not wait, where another process wrote in between
        connection.exec_driver_sql(connection.get_execution_options().get("ark_begin", "BEGIN IMMEDIATE"))

    return engine


def _mysql(url: URL) -> Engine:
    timeouts = {key: seconds for key, seconds in MYSQL_TIMEOUTS.items() if key not in url.query}
    return sa.create_engine(
        url,
        hide_parameters=True,
        pool_pre_ping=True,
        isolation_level="READ COMMITTED",  # writers of neighbouring units lock no gaps between them
        paramstyle="format",  # positions, as on SQLite
        connect_args=timeouts,
    )


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LocalDiskError(
            f"{folder} cannot be created ({error.strerror}): set ARK_HOME to a writable place"
        ) from error
