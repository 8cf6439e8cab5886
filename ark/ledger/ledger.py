"""`Ledger`: what the engine and the command line keep and ask."""

import os
import re
import secrets
import socket
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ark.errors import InternalError, UsageError
from ark.ledger.database import Database
from ark.ledger.records import FINISHED, OPEN, AlreadyRunError, Figures, NewRun, Run, Trigger, UnitKey, UnitResult
from ark.ledger.tables import (
    KEY,
    REASON_LENGTH,
    RESULT,
    SAME,
    TRACE_LENGTH,
    plan_statement,
    runs,
    schema,
    settle_statement,
    triggers,
)
from ark.ledger.units import figures, fold, page
from ark.redact import redact
from ark.settings import Settings

PAGE = 1000
UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, changes of direction, halves of characters."""
DAY_MS = 86_400_000
RUN = [runs.c[name] for name in Run.__struct_fields__]


def open_ledger(settings: Settings, now: Callable[[], float] = time.time) -> "Ledger":
    """The ledger of ledger.url, or else ARK_HOME/ledger.sqlite; created where it is missing.

    `now` gives seconds since 1970. Raises ServiceDownError, LocalDiskError, or ConfigError where the ledger is of
    another version.
    """
    database = Database(settings.ledger.url, settings.home / "ledger.sqlite")
    database.prepare()
    return Ledger(database, now)


class Ledger:
    """Runs, their units and their next jobs.

    All methods block and may be called from any thread. Every write is one transaction and may be repeated after a
    crash. Those that take a run_id raise UsageError, with the nearest ids, where there is no such run.
    """

    def __init__(self, database: Database, now: Callable[[], float]) -> None:
        self._database = database
        self._now = now
        self._numbers: dict[str, int] = {}
        self._plan = plan_statement(database.dialect)
        self._settle = settle_statement(database.dialect)

    def close(self) -> None:
        """Close every connection."""
        self._database.close()

    def begin(self, new: NewRun) -> Run:
        """A new run in status planning; raises AlreadyRunError where its trigger_key has begun one."""
        with self._database.write() as connection:
            connection.execute(sa.select(schema).with_for_update())  # one at a time: MySQL has no write lock of its own
            return self._begin(connection, new)

    def plan(self, run_id: str, keys: Sequence[UnitKey]) -> None:
        """Add units to the plan; those that are there already stay as they are."""
        number = self._number(run_id)
        self._database.write_many(self._plan, [(number, *key, "planned") for key in keys])

    def freeze(self, run_id: str) -> int:
        """The plan is whole, unless it is empty, and the run is running; how many units are planned."""
        number = self._number(run_id)
        with self._database.write() as connection:
            planned = figures(connection, number).planned
            _set(connection, number, status="running", planned=planned, frozen=planned > 0)
        return planned

    def open_units(
        self, run_id: str, after: UnitKey | None, limit: int, states: Collection[str] = OPEN
    ) -> list[UnitKey]:
        """Up to `limit` units in `states` behind `after`, in the order of keys."""
        number = self._number(run_id)
        with self._database.read() as connection:
            return [UnitKey._make(row) for row in page(connection, KEY, number, after, limit, states)]

    def settle(self, run_id: str, results: Sequence[UnitResult]) -> None:
        """What became of these units, in one transaction; a unit that is settled again is overwritten.

        Reasons are redacted and cut to 500 characters.
        """
        number = self._number(run_id)
        reasons = {"": ""} | {result.reason: _line(result.reason) for result in results if result.reason}
        rows = [
            (state, reasons[reason], declared, count, requests, size, ms, code, _trace(trace), number, *key)
            for key, state, reason, declared, count, requests, size, ms, code, trace in results
        ]
        if self._database.write_many(self._settle, rows) < len(rows):
            raise InternalError(f"run {run_id}: a unit was settled that was never planned")

    def figures(self, run_id: str) -> Figures:
        """The run counted from its units."""
        number = self._number(run_id)
        with self._database.read() as connection:
            return figures(connection, number)

    def finish(  # called through an executor, which passes positions only
        self,
        run_id: str,
        status: str,
        exit_code: int,
        seconds: float,
        refused: int,
        next_jobs: Sequence[Trigger] = (),
        error: str = "",
    ) -> Run:
        """The run's result, counted from its units, and the intents of its next jobs, in one transaction."""
        number = self._number(run_id)
        with self._database.write() as connection:
            run, counted = _run(connection, number), figures(connection, number)
            if run.frozen and counted.planned != run.planned:  # all that MySQL tells of a unit that was never planned
                raise InternalError(f"run {run_id} planned {run.planned} units, and now has {counted.planned}")
            _intend(connection, number, next_jobs, self._ms())
            result = {
                "status": status,
                "exit_code": exit_code,
                "finished_at": self._ms(),
                "seconds": seconds,
                "refused": refused,
                "next": msgspec.json.encode([trigger.job for trigger in next_jobs]).decode(),
                "error": _line(error),
            }
            _set(connection, number, **counted._asdict(), **result)
            return _run(connection, number)

    def reopen(self, run_id: str) -> Run:
        """Take up a run here, with the version it had: running, or planning where its plan is not whole.

        Its units stay as they are; `open_units` gives those in OPEN + FAILED, or only those in FAILED.
        """
        number = self._number(run_id)
        with self._database.write() as connection:
            status = "running" if _run(connection, number).frozen else "planning"
            _set(connection, number, status=status, finished_at=None, exit_code=None, pruned=False, **_here())
            return _run(connection, number)

    def pending_triggers(self, run_id: str) -> list[Trigger]:
        """The run's next jobs that are not marked as sent."""
        number = self._number(run_id)
        intents = sa.select(triggers.c.trigger_key, triggers.c.job, triggers.c.argument)
        with self._database.read() as connection:
            pending = connection.execute(intents.where(triggers.c.run == number, triggers.c.sent_at.is_(None)))
            return [Trigger._make(row) for row in pending]

    def mark_sent(self, trigger_key: str) -> None:
        """This next job was started."""
        pending = sa.and_(triggers.c.trigger_key == trigger_key, triggers.c.sent_at.is_(None))
        with self._database.write() as connection:
            connection.execute(triggers.update().where(pending).values(sent_at=self._ms()))

    def begun_by(self, trigger_key: str) -> str | None:
        """The id of the run that has begun under this key."""
        with self._database.read() as connection:
            return connection.scalar(sa.select(runs.c.run_id).where(runs.c.trigger_key == trigger_key))

    def runs(self, limit: int = 20, *, provisional: bool = False) -> list[Run]:
        """The last runs, newest first; or those that are provisional and that no final run has made good."""
        wanted = sa.select(*RUN).order_by(runs.c.number.desc()).limit(limit)
        with self._database.read() as connection:
            latest = connection.execute(wanted.where(_not_made_good()) if provisional else wanted)
            return [_decode(row) for row in latest]

    def run(self, run_id: str) -> Run:
        """One run."""
        number = self._number(run_id)
        with self._database.read() as connection:
            return _run(connection, number)

    def units(self, run_id: str, state: str | None = None) -> Iterator[UnitResult]:
        """The run's units in the order of their keys, read page by page; only those in `state` where one is named."""
        number, after = self._number(run_id), None
        states = () if state is None else (state,)
        while True:
            with self._database.read() as connection:
                rows = page(connection, (*KEY, *RESULT), number, after, PAGE, states)
            for row in rows:
                yield UnitResult(UnitKey(*row[:3]), *row[3:])
            if len(rows) < PAGE:
                return
            after = UnitKey(*rows[-1][:3])

    def prune(self, keep_days: int) -> int:
        """Fold the units of runs that finished more than `keep_days` ago into their runs' figures; how many.

        Failed units stay, for whoever looks into them or reruns them.
        """
        before = self._ms() - keep_days * DAY_MS
        old = sa.and_(runs.c.pruned.is_(False), runs.c.status.in_(FINISHED), runs.c.finished_at < before)
        with self._database.read() as connection:
            numbers = connection.scalars(sa.select(runs.c.number).where(old)).all()
        return sum(self._fold(number, before) for number in numbers)

    def _fold(self, number: int, before: int) -> int:
        """Many short transactions, so that no other process waits long."""
        with self._database.write() as connection:
            total, after = fold(connection, number, before, None)
        while after is not None:
            with self._database.write() as connection:
                folded, after = fold(connection, number, before, after)
            total += folded
        return total

    def _begin(self, connection: Connection, new: NewRun) -> Run:
        if new.trigger_key is not None:
            earlier = connection.scalar(sa.select(runs.c.run_id).where(runs.c.trigger_key == new.trigger_key))
            if earlier is not None:
                raise AlreadyRunError(earlier, new.trigger_key)
        same = sa.and_(runs.c.table == new.table, runs.c.data_date == new.data_date)
        newest = connection.scalar(sa.select(sa.func.max(runs.c.version)).where(same)) or 0
        now = self._ms()
        values = {
            "run_id": f"{datetime.fromtimestamp(now / 1000, UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(4)}",
            "store": redact(new.store),
            "status": "planning",
            "version": max(now, newest + 1),
            "started_at": now,
        }
        key = connection.execute(runs.insert().values(new._asdict() | values | _here())).inserted_primary_key
        assert key is not None
        return _run(connection, key[0])

    def _number(self, run_id: str) -> int:
        if run_id not in self._numbers:
            with self._database.read() as connection:
                number = connection.scalar(sa.select(runs.c.number).where(runs.c.run_id == run_id))
                if number is None:
                    raise _unknown(connection, run_id)
            self._numbers[run_id] = number
        return self._numbers[run_id]

    def _ms(self) -> int:
        return int(self._now() * 1000)


def _not_made_good() -> sa.ColumnElement[bool]:
    """A provisional run without a later one that is done and final: of the same, into the same, of all its accounts."""
    later = runs.alias("later")
    same = (later.c[name] == runs.c[name] for name in (*SAME, "table", "output", "store"))
    named_none = later.c.job.contains('"account_list":[]')
    whole = sa.or_(named_none, later.c.planned >= runs.c.planned)  # not a run of some accounts only
    final = sa.and_(
        later.c.provisional.is_(False), later.c.status == "done", later.c.number > runs.c.number, whole, *same
    )
    return sa.and_(runs.c.provisional.is_(True), ~sa.exists().where(final))


def _here() -> dict[str, Any]:
    return {"host": socket.gethostname(), "pid": os.getpid()}


def _intend(connection: Connection, number: int, next_jobs: Sequence[Trigger], now: int) -> None:
    """Keep the intents that are not there yet."""
    wanted = [trigger.key for trigger in next_jobs]
    known = set(connection.scalars(sa.select(triggers.c.trigger_key).where(triggers.c.trigger_key.in_(wanted))))
    rows = [
        {"trigger_key": key, "run": number, "job": job, "argument": argument, "created_at": now}
        for key, job, argument in next_jobs
        if key not in known
    ]
    if rows:
        connection.execute(triggers.insert(), rows)


def _set(connection: Connection, number: int, **values: object) -> None:
    connection.execute(runs.update().where(runs.c.number == number).values(values))


def _run(connection: Connection, number: int) -> Run:
    return _decode(connection.execute(sa.select(*RUN).where(runs.c.number == number)).one())


def _decode(row: sa.Row[Any]) -> Run:
    values = row._asdict()
    return Run(**values | {"next": msgspec.json.decode(values["next"])})


def _unknown(connection: Connection, run_id: str) -> UsageError:
    latest = connection.scalars(sa.select(runs.c.run_id).order_by(runs.c.number.desc()).limit(PAGE)).all()
    nearest = get_close_matches(run_id, latest, n=3) or latest[:1]
    hint = f"did you mean {', '.join(nearest)}?" if nearest else "it holds none yet;"
    return UsageError(f"run {run_id!r} is not in the ledger: {hint} see `ark runs`")


def _line(text: str) -> str:
    """One line without secrets that every database takes and every terminal bears."""
    return " ".join(UNSAFE.sub(" ", redact(text)).split())[:REASON_LENGTH]


def _trace(trace: str) -> str:
    """A trace id is the medium's: it may be anything, our token too."""
    return redact(trace) if len(trace) <= TRACE_LENGTH and trace.isalnum() else _line(trace)[:TRACE_LENGTH]
