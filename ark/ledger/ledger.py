"""`Ledger`: what the engine and the command line keep and ask."""

import os
import re
import secrets
import socket
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from difflib import get_close_matches
from functools import partial
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ark.errors import ArkError, InternalError, UsageError
from ark.ledger import intents, leases
from ark.ledger.database import Database
from ark.ledger.leases import Attempt
from ark.ledger.records import (
    FINISHED,
    OPEN,
    AlreadyRunError,
    Figures,
    NewRun,
    NextJob,
    Run,
    Trigger,
    UnitKey,
    UnitResult,
)
from ark.ledger.runs import RUN, made
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


def open_ledger(settings: Settings, now: Callable[[], float] = time.time) -> "Ledger":
    """The ledger of ledger.url, or else ARK_HOME/ledger.sqlite; created where it is missing.

    `now` gives seconds since 1970. Raises ServiceDownError, LocalDiskError, or ConfigError where the ledger is of
    another version.
    """
    database = Database(settings.ledger.url, settings.home / "ledger.sqlite")
    database.prepare()
    return Ledger(database, now, settings.run.lease)


class Ledger:
    """Runs, their units and their next jobs.

    All methods block and may be called from any thread. Every write is one transaction and may be repeated after a
    crash. Those that take a run_id raise UsageError, with the nearest ids, where there is no such run.

    Only who has begun or reopened a run writes to it, and only while nobody else works on the same job: any other
    write raises LeaseLostError and changes nothing. A lease lives `life` seconds without a `renew`.
    """

    def __init__(self, database: Database, now: Callable[[], float], life: float) -> None:
        self._database = database
        self._now = now
        self._life = int(life * 1000)
        self._attempts: dict[int, Attempt] = {}
        self._numbers: dict[str, int] = {}
        self._plan = plan_statement(database.dialect)
        self._settle = settle_statement(database.dialect)

    def close(self) -> None:
        """Close every connection; a run that was begun here and has no result may be taken up by others."""
        with suppress(ArkError):  # then its lease ends by itself
            for mine in self._attempts.values():
                self._database.transact(partial(leases.release, mine=mine))
        self._database.close()

    def begin(self, new: NewRun) -> Run:
        """A new run in status planning, and the lease of its job.

        Raises AlreadyRunError where its trigger_key has begun one, LeaseHeldError where somebody works on the job.
        """

        def begin(connection: Connection) -> tuple[Attempt, Run]:
            _one_at_a_time(connection)
            mine = Attempt(self._begin(connection, new), 1)
            self._take(connection, mine)
            return mine, _run(connection, mine.run)

        mine, run = self._database.transact(begin)
        self._attempts[mine.run] = mine
        return run

    def plan(self, run_id: str, keys: Sequence[UnitKey]) -> None:
        """Add units to the plan; those that are there already stay as they are."""
        number = self._number(run_id)
        self._database.write_many(self._plan, [(number, *key, "planned") for key in keys], self._fence(number))

    def freeze(self, run_id: str) -> int:
        """The plan is whole, unless it is empty, and the run is running; how many units are planned."""
        number = self._number(run_id)

        def freeze(connection: Connection) -> int:
            self._fence(number)(connection)
            planned = figures(connection, number).planned
            _set(connection, number, status="running", planned=planned, frozen=planned > 0)
            return planned

        return self._database.transact(freeze)

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
        if self._database.write_many(self._settle, rows, self._fence(number)) < len(rows):
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
        """The run's result, counted from its units, and the intents of its next jobs, in one transaction.

        It gives the job's lease back. Intents of an earlier result go, unless none takes their place and their job has
        begun.
        """
        number = self._number(run_id)

        def finish(connection: Connection) -> Run:
            self._fence(number)(connection)
            run, counted = _run(connection, number), figures(connection, number)
            if run.frozen and counted.planned != run.planned:  # all that MySQL tells of a unit that was never planned
                raise InternalError(f"run {run_id} planned {run.planned} units, and now has {counted.planned}")
            intents.keep(connection, number, next_jobs, self._ms())
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
            leases.release(connection, self._mine(number))
            return _run(connection, number)

        finished = self._database.transact(finish)
        del self._attempts[number]
        return finished

    def reopen(self, run_id: str) -> Run:
        """Take up a run here, with the version it had: running, or planning where its plan is not whole.

        Its units stay as they are; `open_units` gives those in OPEN + FAILED, or only those in FAILED. One that is done
        stays done, and is nobody's. Raises LeaseHeldError where somebody works on the same job.
        """
        number = self._number(run_id)

        def reopen(connection: Connection) -> tuple[Attempt | None, Run]:
            _one_at_a_time(connection)
            known = _run(connection, number)
            if known.status == "done":
                return None, known
            mine = Attempt(number, known.attempt + 1)
            self._take(connection, mine)
            status = "running" if known.frozen else "planning"
            again = {"status": status, "finished_at": None, "exit_code": None, "pruned": False}
            _set(connection, number, **again, **_here(), attempt=mine.attempt)
            return mine, _run(connection, number)

        mine, run = self._database.transact(reopen)
        if mine is not None:
            self._attempts[number] = mine
        return run

    def renew(self, run_id: str) -> None:
        """Hold the run's lease for another `life` seconds; raises LeaseLostError where somebody else has it."""
        number = self._number(run_id)

        def renew(connection: Connection) -> None:
            leases.renew(connection, self._mine(number), self._database.moment(connection), self._life)

        self._database.transact(renew)

    def next_jobs(self, run_id: str) -> list[NextJob]:
        """The run's next jobs, and what became of each."""
        number = self._number(run_id)
        with self._database.read() as connection:
            return intents.of_run(connection, number)

    def pending(self, run_id: str) -> int:
        """How many of the run's next jobs are not started, or have something open in them or in what follows them."""
        return sum(self.is_open(each) for each in self.next_jobs(run_id))

    def is_open(self, next_job: NextJob) -> bool:
        """Whether it is still to be started, or something is open in it or in what follows it."""
        run = next_job.run
        return not next_job.sent or run is None or run.status != "done" or self.pending(run.run_id) > 0

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

    def _begin(self, connection: Connection, new: NewRun) -> int:
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
        number: int = key[0]
        return number

    def _take(self, connection: Connection, mine: Attempt) -> None:
        """Take the job's lease; attempts of this ledger that have no result are over."""
        local, moment = self._database.is_local, self._database.moment(connection)
        leases.take(connection, mine, moment, self._life, given_up=self._attempts.values(), same_machine=local)

    def _mine(self, number: int) -> Attempt:
        return self._attempts.get(number, Attempt(number, 0))

    def _fence(self, number: int) -> Callable[[Connection], None]:
        """What a transaction that writes for a run does first."""
        return partial(leases.check, mine=self._mine(number))

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


def _one_at_a_time(connection: Connection) -> None:
    """Who begins or takes up a run keeps others from it until the transaction ends: MySQL has no write lock."""
    connection.execute(sa.select(schema).with_for_update())


def _here() -> dict[str, Any]:
    return {"host": socket.gethostname(), "pid": os.getpid()}


def _set(connection: Connection, number: int, **values: object) -> None:
    connection.execute(runs.update().where(runs.c.number == number).values(values))


def _run(connection: Connection, number: int) -> Run:
    return _decode(connection.execute(sa.select(*RUN).where(runs.c.number == number)).one())


def _decode(row: sa.Row[Any]) -> Run:
    return made(row._asdict())


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
