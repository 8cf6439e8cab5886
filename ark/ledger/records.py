"""The values that go into the ledger and come out of it."""

from datetime import date
from typing import NamedTuple

import msgspec

from ark.errors import LaterError

OPEN = ("planned", "fetched", "written")
"""States of a unit that nothing has become of yet."""
FAILED = ("failed",)
STATES = (*OPEN, "verified", *FAILED, "skipped")
FINISHED = ("done", "partial", "failed", "stopped")
"""Statuses of a run that nobody works on; the others are planning and running."""


class UnitKey(NamedTuple):
    """Which unit of a run; `account` is empty for list interfaces, `variant` where there is none."""

    agent: str
    account: str
    variant: str


class UnitResult(NamedTuple):
    """What became of a unit; `state` is one of STATES.

    `declared` is the medium's total where it names one, `rows` what the store acknowledged, `ms` the time of its calls.
    """

    key: UnitKey
    state: str
    reason: str = ""
    declared: int | None = None
    rows: int = 0
    requests: int = 0
    bytes: int = 0
    ms: int = 0
    code: int | None = None
    trace: str = ""


class Figures(NamedTuple):
    """A run counted from its units: planned = verified + failed + skipped + open."""

    planned: int = 0
    verified: int = 0
    failed: int = 0
    skipped: int = 0
    rows: int = 0
    requests: int = 0
    bytes: int = 0

    @property
    def open(self) -> int:
        """Units that nothing has become of yet."""
        return self.planned - self.verified - self.failed - self.skipped


class Trigger(NamedTuple):
    """The intent to start a next job once; `argument` as it goes over the wire."""

    key: str
    job: str
    argument: str


class NewRun(NamedTuple):
    """What a run is to be. `job` is its argument as JSON, `store` the URL of where its rows go.

    Of all runs with one `trigger_key`, only the first begins.
    """

    interface: str
    table: str
    medium: str
    tenant: str
    agent_id: str
    data_date: date
    job: str
    output: str
    store: str = ""
    trigger_key: str | None = None
    provisional: bool = False
    """The medium has not completed the date's data yet."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run as the ledger knows it; times in milliseconds since 1970 (UTC)."""

    run_id: str
    interface: str
    table: str
    medium: str
    tenant: str
    agent_id: str
    data_date: date
    job: str
    output: str
    store: str
    status: str
    """planning, running, or one of FINISHED."""
    exit_code: int | None
    version: int
    """Of the data: the timestamp of every cell of this run; grows with every run of one table and date."""
    trigger_key: str | None
    started_at: int
    finished_at: int | None
    host: str
    pid: int
    attempt: int
    """How often it was begun or taken up."""
    frozen: bool
    """The plan is whole; before that, a rerun plans again."""
    provisional: bool
    """It began before the medium had the date's data complete."""
    planned: int
    verified: int
    failed: int
    skipped: int
    rows: int
    requests: int
    refused: int
    bytes: int
    seconds: float
    next: list[str]
    error: str
    pending: int = 0
    """Next jobs that are not started, or not done with all that follows; filled in for who tells of the run."""

    @property
    def open(self) -> int:
        """Units that nothing has become of yet, as last counted."""
        return self.planned - self.verified - self.failed - self.skipped


class NextJob(NamedTuple):
    """A job that follows a run: whether it is marked as sent, and the run that has begun under its key."""

    trigger: Trigger
    sent: bool
    run: Run | None


class AlreadyRunError(LaterError):
    """A job that was triggered twice with one key: `run_id` is the run that the first one began."""

    def __init__(self, run_id: str, trigger_key: str) -> None:
        super().__init__(f"trigger {trigger_key!r} has already begun run {run_id}: see `ark show {run_id}`")
        self.run_id = run_id
