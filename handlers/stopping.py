"""How a process that runs interfaces is stopped: by a signal, by the death of its parent, and in ten seconds at most.

The main thread does nothing but watch, the work is done in a thread of its own. So a signal is heard at once whatever
the work waits for, and work that hangs (in a store, a locked ledger, a name server) is left behind when its time is up:
the watch goes on without it, and the process entry ends the process although threads still run.

There is one watch per process. Where nobody keeps it (Ark used as a library) no signal is touched.
"""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import copy_context
from queue import Empty, SimpleQueue
from types import FrameType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from ark.errors import ArkError, StoppedError

if TYPE_CHECKING:
    from ark.ledger import Run

log = logging.getLogger(__name__)
T = TypeVar("T")

SIGNALS = (signal.SIGINT, signal.SIGTERM)

CALLS_UNTIL = 3.0
STORE_UNTIL = 5.5
WORK_UNTIL = 6.0
OBSERVERS_UNTIL = 8.0
ABANDON_AT = 8.5
LAST_RESORT = 9.0
"""Seconds after the signal: when calls under way are cut off; when the store has had its time for what is fetched; when
everything else is (Redis); when event log and alarms must be out; when whatever still runs is left behind; when the
process ends even if nobody takes its last line. The ledger has the time in between."""

TWICE = 0.1
"""Two signals within so many seconds are one: `timeout` sends its own to the process and then to the whole group."""
LOOK = 1.0
"""Seconds between two looks at the parent."""
IDLE, WATCHING, ENDED = "idle", "watching", "ended"


class OrphanedError(StoppedError):
    """The process that started this one is gone; stopped as by SIGTERM."""

    def __init__(self) -> None:
        super().__init__(signal.SIGTERM)
        self.args = (f"the process that started this one is gone: stopped as by signal {signal.SIGTERM}",)


class AbandonedError(ArkError):
    """The work did not end in time after a stop; `known` is what was known of its run, None before that began."""

    def __init__(self, reason: ArkError, known: "Run | None") -> None:
        super().__init__(f"{reason}; what hung was left behind" if known else f"{reason}, before the run began")
        self.exit_code = reason.exit_code
        self.known = known


class Stop(NamedTuple):
    """Why the work has to end, and since when, in seconds of `clock`."""

    reason: ArkError
    since: float
    clock: Callable[[], float] = time.monotonic

    def left(self, until: float) -> float:
        """Seconds until `until` seconds after the stop; 0 where they have passed."""
        return max(0.0, self.since + until - self.clock())


class Listener(NamedTuple):
    """Who is told of a stop, from the main thread; and how it is got rid of where it has not ended in time."""

    tell: Callable[[Stop], None]
    abandon: Callable[[], None] | None


class Watch:
    """Owns SIGTERM and SIGINT (and SIGHUP, which stops nothing) while work is done.

    `leave` ends the process at once, `parent` tells who started it.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        leave: Callable[[int], object] = os._exit,
        parent: Callable[[], int] = os.getppid,
    ) -> None:
        self._clock, self._exit, self._parent = clock, leave, parent
        self._phase = IDLE
        self._entered = False
        self._started_by: int | None = None
        self._letters: SimpleQueue[Stop | None] = SimpleQueue()  # the one queue that a signal handler may write to
        self._signalled: float | None = None
        self._stop: Stop | None = None
        self._pressing: Stop | None = None
        self._timed: Stop | None = None
        self._timer: threading.Timer | None = None
        self._listeners: list[Listener] = []
        self._lock = threading.Lock()
        self.known: Run | None = None
        """What the ledger said last of the run that was asked for."""

    def enter(self, parent: str = "") -> None:
        """From here on SIGTERM ends this process with 143, from the work's begin on with its result.

        `parent`: the pid of who has started it, where bin/ark says so: it may be gone before Python is there to look.
        """
        self._entered = True
        self._started_by = int(parent) if parent.isdigit() else self._parent()
        signal.signal(signal.SIGTERM, self._on_signal)

    def run(self, work: Callable[[], T], *, child: bool = False) -> T:
        """`work()`, done in a thread of its own under the eyes of the main thread.

        A `child` of another Ark never outlives it. Raises AbandonedError where the work does not end in time after a
        stop: its thread is left behind.
        """
        if self._phase == WATCHING or threading.current_thread() is not threading.main_thread():
            return work()
        self._letters, self._signalled, self._stop, self._pressing, self.known = SimpleQueue(), None, None, None, None
        parent = self._started_by or self._parent()
        keeps = child or not _survives(parent)
        self._phase = WATCHING
        before = self._take_signals()
        try:
            return self._guard(work, parent if keeps else None)
        finally:
            self._give_back(before)

    @property
    def stopped(self) -> StoppedError | None:
        """What has stopped the process, where anything has."""
        reason = self._stop.reason if self._stop else None
        return reason if isinstance(reason, StoppedError) else None

    def check(self) -> None:
        """Raise what has stopped the process: nothing is to be begun any more."""
        if self.stopped is not None:
            raise self.stopped

    def note(self, run: "Run", *, anew: bool = False) -> None:
        """What is known of the run that was asked for: the first one, and `anew` the next of several."""
        if anew or self.known is None or self.known.run_id == run.run_id:
            self.known = run

    @contextmanager
    def telling(self, tell: Callable[[Stop], None], abandon: Callable[[], None] | None = None) -> Iterator[None]:
        """Have `tell` hear of a stop while the block runs, also of one that came before; it must not block.

        `abandon` is called when the process leaves without waiting for the block's end.
        """
        listener = Listener(tell, abandon)
        with self._lock:
            self._listeners.append(listener)
            if self._stop is not None:
                tell(self._stop)
        try:
            yield
        finally:
            with self._lock:
                self._listeners.remove(listener)

    def press(self, stop: Stop) -> None:
        """The run under way has to end for another reason (its deadline), in the same time as after a signal."""
        self._pressing = stop
        self._letters.put(None)

    def relieve(self) -> None:
        """It has ended."""
        self._pressing = None
        self._letters.put(None)

    def _guard(self, work: Callable[[], T], parent: int | None) -> T:
        """The work's result, or its error; AbandonedError."""
        answers: list[T] = []
        errors: list[BaseException] = []
        ended = threading.Event()

        def do() -> None:
            try:
                answers.append(work())
            except BaseException as error:  # noqa: BLE001 - raised in the main thread, which waits for it
                errors.append(error)
            finally:
                ended.set()
                self._letters.put(None)

        threading.Thread(target=copy_context().run, args=(do,), name="work", daemon=True).start()
        while not ended.is_set():
            self._look(parent)
            pressed = self._stop or self._pressing
            if pressed is not None and not pressed.left(ABANDON_AT) and not ended.is_set():
                self._abandon()
                raise AbandonedError(pressed.reason, self.known)
        if errors:
            raise errors[0]
        return answers[0]

    def _look(self, parent: int | None) -> None:
        """Wait for what comes next, and act on it."""
        pressed = self._stop or self._pressing
        try:
            letter = self._letters.get(timeout=min(LOOK, pressed.left(ABANDON_AT)) if pressed else LOOK)
        except Empty:
            letter = None
        # Not by PR_SET_PDEATHSIG: that is tied to the *thread* that started us, and would end a run too early that was
        # started from a thread of a living process.
        if parent is not None and letter is None and self._stop is None and self._parent() != parent:
            letter = Stop(OrphanedError(), self._clock(), self._clock)
        if letter is not None:
            self._begin(letter)
        self._see_to_timer()

    def _begin(self, stop: Stop) -> None:
        if self._stop is not None:
            return
        with self._lock:
            self._stop = stop
            for listener in self._listeners:
                listener.tell(stop)
        self._see_to_timer()  # before the log line: nobody may be reading it
        log.warning("%s; stopping after what is under way, a second signal ends it at once", stop.reason)

    def _see_to_timer(self) -> None:
        """Under pressure the process ends in any case, at the latest when the time of the last resort has come."""
        pressed = self._stop or self._pressing
        if pressed is self._timed:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._timed = pressed
        if pressed is not None:
            self._timer = threading.Timer(pressed.left(LAST_RESORT), self._leave, [pressed.reason.exit_code])
            self._timer.daemon = True
            self._timer.start()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        """Note the first one, end the process at the second. Takes no lock: it may interrupt whoever holds it."""
        now = self._clock()
        if self._phase == ENDED:  # the result is told: the process is leaving, with that result's exit code
            return
        if self._phase == WATCHING and self._signalled is None:
            self._signalled = now
            self._letters.put(Stop(StoppedError(number), now, self._clock))
        elif self._phase == IDLE or now - (self._signalled or now) > TWICE:
            self._leave(128 + number)

    def _leave(self, code: int) -> None:
        self._abandon()
        self._exit(code)

    def _abandon(self) -> None:
        for listener in tuple(self._listeners):
            if listener.abandon is not None:
                listener.abandon()

    def _take_signals(self) -> "Sequence[tuple[int, Any]]":
        """Hear them all; a hangup that whoever started us wants ignored (nohup) stays ignored."""
        before = [(number, signal.signal(number, self._on_signal)) for number in SIGNALS]
        if signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:
            # A handler and not SIG_IGN, which our next jobs' processes would inherit and take for a nohup.
            before.append((signal.SIGHUP, signal.signal(signal.SIGHUP, lambda *_: None)))
        return before

    def _give_back(self, before: "Sequence[tuple[int, Any]]") -> None:
        if self._entered:
            self._phase = ENDED
            return
        self._phase, self._stop, self._pressing = IDLE, None, None
        if self._timer is not None:
            self._timer.cancel()
        for number, handler in before:
            signal.signal(number, handler)


def _survives(parent: int) -> bool:
    """Whether whoever started us wants us to outlive our parent: nohup, setsid, a terminal, a parent like init."""
    if parent <= 1 or os.getsid(0) == os.getpid() or signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        return True
    return any(os.isatty(number) for number in range(3))


watch = Watch()
"""This process's own."""
