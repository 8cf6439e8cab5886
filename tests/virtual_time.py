"""An event loop whose clock jumps to the next timer when nothing is left to do: an hour of back-off takes no time."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _Jump(selectors.DefaultSelector):
    """Instead of sleeping until the next timer, moves the clock there."""

    loop: "VirtualLoop"

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise AssertionError("nothing is left to do and no timer is set: the code under test waits for ever")
        if not ready:
            self.loop.now += timeout or 0
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """For code without real I/O."""

    now = 1000.0

    def __init__(self) -> None:
        selector = _Jump()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.now


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(coroutine)
