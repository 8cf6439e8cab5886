"""Listens to the medium while a run calls it: whether it answers at all, and whether its clock and ours agree."""

import asyncio
import time
from collections.abc import Callable

import structlog

from ark.circuit import Circuit, Leave
from ark.errors import ArkError, ServiceDownError, TransportError
from ark.http import ExhaustedError, Reply
from handlers.queue import TaskQueue
from handlers.task import Task

log = structlog.get_logger(__name__)

CLOCK_OFF = 300.0
"""Seconds that this machine's clock may be away from the medium's: beyond them signed calls are refused."""
AGAIN = 60.0
"""Seconds until the same warning is given again."""
_HOUR, _MINUTE = 3600, 60


class Listener:
    """Tells the circuit what came of each call, the queue when calls may go on, and people what is wrong.

    `attempts` are the tries of one call. A medium that stays silent ends the run: `stop` with ServiceDownError.
    """

    def __init__(
        self, name: str, attempts: int, circuit: Circuit, queue: TaskQueue, stop: Callable[[ArkError], None]
    ) -> None:
        self._name, self._attempts = name, attempts
        self._circuit, self._queue, self._stop = circuit, queue, stop
        self._exhausted_at: float | None = None
        self._silence_told = False
        self._clock_told = False

    @property
    def heard(self) -> bool:
        """The medium has answered at least once: a unit that never gets an answer is to blame itself."""
        return self._circuit.heard

    @property
    def silent(self) -> bool:
        """Nobody calls but one probe."""
        return self._circuit.opened_at is not None

    def admit(self, task: Task) -> Leave | None:
        """Leave to send the task's next call, where the medium is silent as a probe; None: not now."""
        return self._circuit.admit(_now(), repeat=task.trouble is not None)

    def answered(self, task: Task, leave: Leave) -> None:
        """An answer is here, whatever it says."""
        self._queue.known = task
        task.trouble = None
        now, opened_at = _now(), self._circuit.opened_at
        if self._circuit.answered(leave, now):
            self._queue.wake()
        if opened_at is not None and self._circuit.opened_at is None and self._silence_told:
            self._silence_told = False
            log.warning("the medium answers again", medium=self._name, seconds=round(now - opened_at, 1))

    def trouble(self, task: Task, leave: Leave, error: TransportError) -> None:
        """No answer came. It costs the unit a try, unless it was a probe or never left this machine."""
        now = _now()
        if isinstance(error, ExhaustedError):
            self._unsent(leave, now, error)
            return
        last = task.tries + 1 >= self._attempts
        if not leave.probe:
            task.tries += 1
            task.trouble = error
        if self._circuit.trouble(leave, now, error.pause, last=last):
            self._silence_told = True
            log.warning("the medium is silent: calls wait", medium=self._name, reason=error.reason)
        if self._circuit.gone:
            silence = f"{self._circuit.troubles} calls in a row had no answer, the last: {error.reason}"
            self._stop(ServiceDownError(f"{self._name} does not answer: {silence}"))

    def dropped(self, leave: Leave) -> None:
        """The call was cancelled, or ended by a bug."""
        self._circuit.dropped(leave)

    def clock(self, reply: Reply) -> str:
        """What to add to the reason of a refused call where this machine's clock is far off; warns once."""
        ahead = reply.clock_ahead(time.time())
        if abs(ahead) <= CLOCK_OFF:
            return ""
        size, unit = (_HOUR, "h") if abs(ahead) >= _HOUR else (_MINUTE, "min")
        off = f"{abs(ahead) / size:.1f} {unit} {'ahead of' if ahead > 0 else 'behind'} the medium's"
        if not self._clock_told:
            self._clock_told = True
            log.warning("this machine's clock is wrong, or the medium's: calls are refused", clock=off)
        return f"; this machine's clock is {off}"

    def _unsent(self, leave: Leave, now: float, error: ExhaustedError) -> None:
        if self._exhausted_at is None or now - self._exhausted_at >= AGAIN:
            self._exhausted_at = now
            log.warning("a call cannot be sent from this machine; it is tried again", reason=error.reason)
        if self._circuit.unsent(leave, now, error.pause):
            self._stop(ServiceDownError(f"no call can be sent from this machine any more: {error.reason}"))


def _now() -> float:
    return asyncio.get_running_loop().time()
