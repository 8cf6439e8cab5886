"""SIGTERM at any moment of a run: how long it takes to end, with which code, and what it leaves behind."""

import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.acceptance.conftest import BIN, ended
from tests.chaos.stage import LIMIT, Ground, Outcome, Scene
from tests.chaos.tally import Point

STOPPED = 128 + signal.SIGTERM
WRAPPER = ("sh", "-c", '"$@"; exit $?', "sh")
"""A shell that waits for Ark, as a scheduler's glue script does; what is sent to it does not reach Ark."""
PATIENCE = 10.0
"""Seconds in which everything must have ended."""


class Stop(NamedTuple):
    """One SIGTERM."""

    wrapped: bool
    code: int
    """As a shell tells it; 0 where the run was done before."""
    seconds: float
    """Until nothing of it was left."""
    orphans: int
    outcome: Outcome

    def point(self, ground: str) -> Point:
        """For the table."""
        kind = f"{ground} SIGTERM{' to a shell' if self.wrapped else ''}"
        return Point(kind, f"{self.seconds:.2f} s, {self.orphans} left", self.code, self.outcome)

    @property
    def wrong(self) -> int:
        """How much is not as it must be."""
        return self.outcome.wrong + self.orphans + (self.code not in {0, STOPPED}) + (self.seconds > PATIENCE)


def stops(ground: Ground, number: int, seed: int, span: float) -> Iterator[Stop]:
    """So many, at random moments of `span` seconds; every fifth goes to a shell around Ark."""
    dice = random.Random(seed)
    for index in range(number):
        yield stop(ground, dice.random() * span, wrapped=index % 5 == 4)
        ground.close()


def stop(ground: Ground, after: float, *, wrapped: bool) -> Stop:
    """SIGTERM the process that a scheduler knows, then take the run up."""
    scene = ground.scene(latency=0.02)
    process = scene.ark.spawn([*(WRAPPER if wrapped else ()), BIN, *scene.command])
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        process.terminate()
    began = time.monotonic()
    while processes(scene) and time.monotonic() < began + PATIENCE:
        time.sleep(0.01)
        process.poll()
    seconds = time.monotonic() - began
    left = processes(scene)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    code = ended(process, LIMIT).code
    return Stop(wrapped, 128 - code if code < 0 else code, seconds, len(left), scene.recover())


def processes(scene: Scene) -> list[int]:
    """Living processes with the scene's home in their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"ARK_HOME={scene.ark.home}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
        except OSError:  # it has ended, or is not ours
            continue
    return found
