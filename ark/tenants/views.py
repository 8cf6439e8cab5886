"""The two views of the tenants' database (conf/tenants.sql): read whole, in one transaction, never written."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.pool import NullPool

from ark import databases
from ark.errors import ConfigError, InputDataError, ServiceDownError

MOST_ROWS = 100_000
"""Of one view; there are thousands in fact."""
MYSQL_TIMEOUTS = {"connect_timeout": 3, "read_timeout": 4, "write_timeout": 4}
"""Seconds; tenant.url may set others (`?read_timeout=20`)."""
MYSQL_PORT = 3306
MYSQL_ACCESS = {1044, 1045, 1049, 1698}
"""Access denied, unknown database."""
MYSQL_VIEW = {1054, 1142, 1143, 1146, 1347, 1356, 1449}
"""No such view or column, or this user may not read it, or the view names what is no longer there."""
SQLITE_VIEW = ("no such table", "no such column")


class TenantRow(NamedTuple):
    """A row of ark_tenants as the driver gives it."""

    tenant_alias: object
    status: object


class AgentRow(NamedTuple):
    """A row of ark_agents as the driver gives it."""

    tenant_alias: object
    platform_id: object
    agent_id_from_platform: object
    auth_status: object
    auth_type: object
    agent_level: object


TENANTS = sa.table("ark_tenants", *map(sa.column, TenantRow._fields))
AGENTS = sa.table("ark_agents", *map(sa.column, AgentRow._fields))


class Views(NamedTuple):
    """Both views at one moment, each ordered by its columns from left to right."""

    tenants: list[TenantRow]
    agents: list[AgentRow]


def read(url: str) -> Views:
    """The views in the database at `url` (the setting tenant.url).

    Raises ConfigError where it is not set, refuses user or database, or lacks a view; ServiceDownError within five
    seconds where nobody answers; InputDataError for more rows than MOST_ROWS.
    """
    database = _Database(url)
    with database.connected() as connection:
        tenants, agents = database.rows(connection, TENANTS), database.rows(connection, AGENTS)
    return Views([TenantRow._make(row) for row in tenants], [AgentRow._make(row) for row in agents])


def probe(url: str) -> str:
    """What to say of the database at `url`, which answers: nothing, or that a view cannot be read. Raises as `read`."""
    database = _Database(url)
    try:
        with database.connected() as connection:
            for view in (TENANTS, AGENTS):
                database.rows(connection, view, most=0)
    except ConfigError as error:
        if not isinstance(error.__cause__, DBAPIError) or "conf/tenants.sql" not in str(error):
            raise
        return str(error)
    return ""


class _Database:
    """The tenants' database; `place` is what messages call it, without a password."""

    def __init__(self, url: str) -> None:
        parsed = _parse(url)
        self._sqlite = parsed.drivername == "sqlite"
        if self._sqlite:
            self.place = str(parsed.database)
            self._engine = _sqlite(parsed)
        else:
            self.place = f"{parsed.host or 'localhost'}:{parsed.port or MYSQL_PORT}/{parsed.database}"
            self._engine = _mysql(parsed)

    @contextmanager
    def connected(self) -> Iterator[Connection]:
        """A transaction that sees one moment and cannot write."""
        with self._translated(), self._engine.connect() as connection:
            if self._sqlite:
                connection.exec_driver_sql("PRAGMA query_only = ON")
                connection.exec_driver_sql("BEGIN")  # the driver begins none for a SELECT
            yield connection

    def rows(self, connection: Connection, view: sa.TableClause, most: int = MOST_ROWS + 1) -> list[Sequence[object]]:
        """The rows of a view, `most` at most."""
        statement = sa.select(view).order_by(*view.columns).limit(most)
        with self._translated(view.name):
            found: list[Sequence[object]] = [*connection.execute(statement)]
        if len(found) > MOST_ROWS:
            raise InputDataError(
                f"{view.name} in {self.place} has more than {MOST_ROWS} rows: narrow the view (conf/tenants.sql)"
            )
        return found

    @contextmanager
    def _translated(self, view: str = "") -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            code, text = databases.reason(error)
            if code in MYSQL_VIEW or text.startswith(SQLITE_VIEW):
                raise ConfigError(
                    f"{view} cannot be read in {self.place} ({text}): create the views of conf/tenants.sql there"
                ) from error
            if code in MYSQL_ACCESS or "is not a database" in text:
                raise ConfigError(
                    f"the tenants' database {self.place} refuses what tenant.url says ({text}): correct ARK_TENANT_URL"
                ) from error
            if isinstance(error, OperationalError | InterfaceError):
                raise ServiceDownError(
                    f"the tenants' database {self.place} does not answer ({text}): start it, or correct ARK_TENANT_URL"
                ) from error
            raise


def _parse(url: str) -> URL:
    if not url:
        raise ConfigError(
            "tenant.url is not set: set ARK_TENANT_URL to mysql+pymysql://user:password@host/database, where the views"
            " of conf/tenants.sql are"
        )
    return databases.parse(url, "tenant.url")


def _sqlite(url: URL) -> Engine:
    if not Path(str(url.database)).is_file():  # the driver would make an empty one
        raise ConfigError(f"the tenants' database {url.database} does not exist: correct ARK_TENANT_URL")
    return sa.create_engine(url, hide_parameters=True, poolclass=NullPool, connect_args={"timeout": 4})


def _mysql(url: URL) -> Engine:
    timeouts = {key: seconds for key, seconds in MYSQL_TIMEOUTS.items() if key not in url.query}
    return sa.create_engine(
        url,
        hide_parameters=True,
        poolclass=NullPool,
        isolation_level="REPEATABLE READ",  # both views at the same moment
        connect_args={**timeouts, "init_command": "SET SESSION TRANSACTION READ ONLY"},
    )
