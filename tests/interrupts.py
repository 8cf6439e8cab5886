"""Interrupts a call at any moment, as Ctrl-C does."""

import gc
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Interrupt(BaseException):
    """As KeyboardInterrupt: caught by nobody who catches Exception."""


@contextmanager
def alarm() -> Iterator[Callable[[float], object]]:
    """Gives a function that raises Interrupt in this thread after so many seconds; 0 calls it off.

    The garbage collector rests meanwhile: what is raised inside of one of its callbacks (hypothesis has one) is lost.
    """

    def interrupt(signum: int, frame: object) -> None:
        raise Interrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    gc.disable()
    try:
        yield lambda seconds: signal.setitimer(signal.ITIMER_REAL, seconds)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        gc.enable()
