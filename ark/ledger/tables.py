"""The ledger's tables, and the two statements that are executed for every unit."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, sqlite

VERSION = 3
"""Of the tables below; raise it with every change of theirs."""

TRACE_LENGTH = 191
REASON_LENGTH = 500

# ids that differ only in case are two ids, on MySQL as on SQLite
EXACT: dict[str, Any] = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin", "mysql_engine": "InnoDB"}

Number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")  # SQLite numbers rows only in an INTEGER
Id = sa.String(64)
Name = sa.String(191)
Long = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")

SAME = ("interface", "tenant", "agent_id", "data_date")
"""What two runs of the same data have in common."""

metadata = sa.MetaData()

schema = sa.Table(
    "api_result_schema", metadata, sa.Column("version", sa.Integer, primary_key=True, autoincrement=False), **EXACT
)


def _amount(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False, server_default="0")


runs = sa.Table(
    "api_result_log",
    metadata,
    sa.Column("number", Number, primary_key=True),
    sa.Column("run_id", Id, nullable=False, unique=True),
    sa.Column("interface", Name, nullable=False),
    sa.Column("table", Name, nullable=False),
    sa.Column("medium", Id, nullable=False),
    sa.Column("tenant", Id, nullable=False),
    sa.Column("agent_id", Id, nullable=False),
    sa.Column("data_date", sa.Date, nullable=False),
    sa.Column("job", Long, nullable=False),
    sa.Column("output", sa.String(16), nullable=False),
    sa.Column("store", sa.Text, nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("exit_code", sa.Integer),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("trigger_key", Name, unique=True),
    sa.Column("started_at", sa.BigInteger, nullable=False),
    sa.Column("finished_at", sa.BigInteger),
    sa.Column("host", sa.String(255), nullable=False),
    sa.Column("pid", sa.BigInteger, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False, default=1),
    sa.Column("frozen", sa.Boolean, nullable=False, default=False),
    sa.Column("provisional", sa.Boolean, nullable=False, default=False),
    *map(_amount, ("planned", "verified", "failed", "skipped", "rows", "requests", "refused", "bytes")),
    sa.Column("seconds", sa.Double, nullable=False, default=0),
    sa.Column("next", sa.Text, nullable=False, default="[]"),
    sa.Column("error", sa.Text, nullable=False, default=""),
    sa.Column("folded", sa.Text, nullable=False, default=""),  # figures of the units that prune deleted, as JSON
    sa.Column("pruned", sa.Boolean, nullable=False, default=False),
    sa.UniqueConstraint("table", "data_date", "version"),
    sa.UniqueConstraint("pruned", "number"),  # leads prune to the runs it has not yet been through
    sa.Index("api_result_log_same", *SAME),
    sqlite_autoincrement=True,
    **EXACT,
)

units = sa.Table(
    "api_result_unit",
    metadata,
    sa.Column("run", Number, primary_key=True, autoincrement=False),
    sa.Column("agent", Id, primary_key=True),
    sa.Column("account", Id, primary_key=True),
    sa.Column("variant", Name, primary_key=True),
    sa.Column("state", sa.String(8), nullable=False),
    sa.Column("reason", sa.String(REASON_LENGTH), nullable=False, server_default=""),
    sa.Column("declared", sa.BigInteger),
    *map(_amount, ("rows", "requests", "bytes", "ms")),
    sa.Column("code", sa.BigInteger),
    sa.Column("trace", sa.String(TRACE_LENGTH), nullable=False, server_default=""),
    sqlite_with_rowid=False,
    **EXACT,
)

triggers = sa.Table(
    "api_result_trigger",
    metadata,
    sa.Column("trigger_key", Name, primary_key=True),
    sa.Column("run", Number, nullable=False),
    sa.Column("job", Name, nullable=False),
    sa.Column("argument", Long, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("sent_at", sa.BigInteger),
    sa.UniqueConstraint("run", "trigger_key"),
    sqlite_with_rowid=False,
    **EXACT,
)

leases = sa.Table(
    "api_result_lease",
    metadata,
    sa.Column("interface", Name, primary_key=True),
    sa.Column("tenant", Id, primary_key=True),
    sa.Column("agent_id", Id, primary_key=True),
    sa.Column("data_date", sa.Date, primary_key=True),
    sa.Column("run", Number, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("holder", Name, nullable=False),
    sa.Column("until", sa.BigInteger, nullable=False),  # ms of `Database.moment`
    sa.UniqueConstraint("run"),
    sqlite_with_rowid=False,
    **EXACT,
)

KEY = (units.c.agent, units.c.account, units.c.variant)
RESULT = tuple(
    units.c[name] for name in ("state", "reason", "declared", "rows", "requests", "bytes", "ms", "code", "trace")
)


def plan_statement(dialect: sa.Dialect) -> str:
    """Adds a unit unless it is there; takes run, KEY, state."""
    columns = _names(units.c.run, *KEY, units.c.state)
    if dialect.name == "sqlite":
        return _text(sqlite.insert(units).on_conflict_do_nothing(), dialect, columns)
    return _text(mysql.insert(units).on_duplicate_key_update(state=units.c.state), dialect, columns)


def settle_statement(dialect: sa.Dialect) -> str:
    """Says what became of a unit; takes RESULT, run, KEY.

    On MySQL this is an INSERT, since PyMySQL sends many rows of an INSERT at once, but of an UPDATE one by one.
    """
    result, key = _names(*RESULT), _names(units.c.run, *KEY)
    if dialect.name == "sqlite":
        return _text(
            sa.update(units).where(*(units.c[name] == sa.bindparam(f"of_{name}") for name in key)), dialect, result
        )
    columns = [*result, *key]
    insert = mysql.insert(sa.table(units.name, *map(sa.column, columns)))  # in the order of the UPDATE's parameters
    return _text(insert.on_duplicate_key_update({name: insert.inserted[name] for name in result}), dialect, columns)


def _names(*columns: sa.Column[Any]) -> list[str]:
    return [column.name for column in columns]


def _text(statement: sa.Insert | sa.Update, dialect: sa.Dialect, columns: Sequence[str]) -> str:
    return str(statement.compile(dialect=dialect, column_keys=columns))
