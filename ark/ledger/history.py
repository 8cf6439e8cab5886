"""`History`: what the ledger has seen, for whoever plans or asks; it changes nothing and creates no ledger."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa

from ark.ledger.database import Database
from ark.ledger.records import FINISHED, Run, UnitKey, UnitResult
from ark.ledger.runs import RUN, made
from ark.ledger.tables import KEY, RESULT, runs, schema, units
from ark.settings import Settings

FOLDED = "folded"
"""The state of a unit that its run no longer holds: it was verified or skipped."""


class Fate(NamedTuple):
    """What became of one unit in one run; its state is one of STATES, or FOLDED."""

    interface: str
    run_id: str
    status: str
    """The run's."""
    started_at: int
    """The run's, in ms since 1970."""
    unit: UnitResult


@contextmanager
def open_history(settings: Settings) -> "Iterator[History]":
    """The history in the ledger of ledger.url, or else of ARK_HOME/ledger.sqlite; empty where there is none yet.

    Raises as `open_ledger` does.
    """
    file = settings.home / "ledger.sqlite"
    database = Database(settings.ledger.url, file)
    try:
        yield History(database if _is_there(database) else None)
    finally:
        database.close()


def _is_there(database: Database) -> bool:
    if database.is_local and not Path(database.place).exists():
        return False
    with database.read() as connection:
        there = sa.inspect(connection).has_table(schema.name)
    if there:
        database.prepare()  # raises where it is of another version
    return there


class History:
    """Runs and units that are over, or under way."""

    def __init__(self, database: Database | None) -> None:
        self._database = database

    def last(self, interface: str, tenant: str = "", agent: str = "", limit: int = 10) -> list[Run]:
        """The last runs of an interface that ended done or partial, newest first; of a tenant, of its agent."""
        same = (
            {"interface": interface} | ({"tenant": tenant} if tenant else {}) | ({"agent_id": agent} if agent else {})
        )
        ended = runs.c.status.in_(("done", "partial"))
        return self._runs(*(runs.c[name] == value for name, value in same.items()), ended, limit=limit)

    def of_day(self, interfaces: Collection[str], tenant: str, day: date) -> list[Run]:
        """Every run on a tenant's data of one date, newest first."""
        return self._runs(runs.c.interface.in_(interfaces), runs.c.tenant == tenant, runs.c.data_date == day)

    def fates(self, interfaces: Collection[str], tenant: str, day: date, account: str) -> list[Fate]:
        """What became of an account's units of one date, newest run first; of an agent's own where `account` is one."""
        if self._database is None:
            return []
        of_day = sa.and_(runs.c.interface.in_(interfaces), runs.c.tenant == tenant, runs.c.data_date == day)
        of_run = sa.and_(units.c.run == runs.c.number, units.c.agent == runs.c.agent_id)
        # the first half is what the primary key finds: for the second alone every unit of a run would be read
        its = sa.and_(units.c.account.in_((account, "")), sa.or_(units.c.account == account, units.c.agent == account))
        wanted = (
            sa.select(runs.c.interface, runs.c.run_id, runs.c.status, runs.c.started_at, *KEY, *RESULT)
            .select_from(runs.join(units, of_run))
            .where(of_day, its)
            .order_by(runs.c.number.desc())
        )
        with self._database.read() as connection:
            rows = connection.execute(wanted).all()
        return [Fate._make([*row[:4], UnitResult(UnitKey(*row[4:7]), *row[7:])]) for row in rows]

    def folded(self, interfaces: Collection[str], tenant: str, day: date, agents: Collection[str]) -> list[Fate]:
        """Runs of these agents whose verified and skipped units are gone, each as one fate of no account."""
        if self._database is None:
            return []
        names = ("interface", "run_id", "status", "started_at", "agent_id")
        wanted = (
            sa.select(*(runs.c[name] for name in names))
            .where(runs.c.interface.in_(interfaces), runs.c.tenant == tenant, runs.c.data_date == day)
            .where(runs.c.agent_id.in_(agents), runs.c.folded != "", runs.c.status.in_(FINISHED))
            .order_by(runs.c.number.desc())
        )
        with self._database.read() as connection:
            rows = connection.execute(wanted).all()
        return [Fate._make([*row[:4], UnitResult(UnitKey(row[4], "", ""), FOLDED)]) for row in rows]

    def _runs(self, *which: sa.ColumnElement[bool], limit: int | None = None) -> list[Run]:
        if self._database is None:
            return []
        with self._database.read() as connection:
            found = connection.execute(sa.select(*RUN).where(*which).order_by(runs.c.number.desc()).limit(limit))
            return [made(row._asdict()) for row in found]
