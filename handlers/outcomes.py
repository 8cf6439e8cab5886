"""What became of the units: each is settled once, counted, and handed to the ledger."""

from collections import Counter
from dataclasses import dataclass, field

from ark.errors import UnitError
from handlers.settler import Settler
from handlers.task import Task

SAMPLES = 3
"""Failed units of one kind that are named; the others are counted."""


@dataclass(slots=True)
class Failures:
    """Failed units of one kind: the first one's reason, how many there are, and the first few by name."""

    reason: str
    token: bool
    count: int = 0
    samples: list[dict[str, str]] = field(default_factory=list)


@dataclass(slots=True)
class Meter:
    """What a run has done so far, for progress lines; the result itself is counted in the ledger."""

    requests: int = 0
    refused: int = 0
    rows: int = 0
    fetched: int = 0
    """Units of which all pages are here, whether or not they are stored."""
    settled: Counter[str] = field(default_factory=Counter)

    def called(self) -> int:
        """Units that need no more calls."""
        return self.fetched + self.settled["failed"] + self.settled["skipped"]


class Outcomes:
    """Settles units: verified, failed or skipped."""

    def __init__(self, settler: Settler) -> None:
        self._settler = settler
        self.meter = Meter()
        self.failures: dict[str, Failures] = {}

    def stored(self, task: Task, rows: int) -> None:
        """The store has acknowledged `rows` of the unit's rows."""
        task.stored += rows
        self.meter.rows += rows
        if task.state:
            self._settler.add(task.result())  # a unit that has failed meanwhile: its row count stays right

    def verified(self, task: Task) -> None:
        """Declared, received and acknowledged rows agree."""
        self._settle(task, "verified")

    def skipped(self, task: Task, reason: str) -> None:
        """The medium will not tell this account's data, and that is no fault."""
        for unit in task.units():
            self._settle(unit, "skipped", reason)

    def failed(self, task: Task, error: UnitError, *, token: bool = False) -> None:
        """The unit fails and the rest goes on; the reason stays with it in the ledger."""
        for unit in task.units():
            self._failed(unit, error, token=token)

    def _failed(self, task: Task, error: UnitError, *, token: bool) -> None:
        task.code, task.trace = error.code or task.code, error.trace or task.trace
        if self._settle(task, "failed", error.reason):
            kind = "TokenError" if token else type(error).__name__ if error.code is None else f"code {error.code}"
            failures = self.failures.setdefault(kind, Failures(error.reason, token))
            failures.count += 1
            if len(failures.samples) < SAMPLES:
                failures.samples.append(task.key._asdict() | {"reason": error.reason, "trace": task.trace})

    def _settle(self, task: Task, state: str, reason: str = "") -> bool:
        if task.state:
            return False
        task.state, task.reason = state, reason
        self.meter.settled[state] += 1
        self._settler.add(task.result())
        return True
