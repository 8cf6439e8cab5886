"""XXL-JOB's way of running a script, and how long a run takes to end after it was told to."""

import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, NamedTuple

from tests.conftest import CHECKOUT


class Execution:
    """`command param shardIndex shardTotal`, its two pipes copied by two threads into one log file.

    `destroy` is all that the platform's "terminate" and its time-out do: SIGTERM to the direct child.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self.log = log
        self._file = log.open("ab", buffering=0)
        self.process = subprocess.Popen(
            [*command, "0", "1"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**environment},
            cwd="/",
        )
        self._pumps = [threading.Thread(target=self._pump, args=(pipe,)) for pipe in self._pipes()]
        for pump in self._pumps:
            pump.start()

    def _pipes(self) -> list[IO[bytes]]:
        assert self.process.stdout
        assert self.process.stderr
        return [self.process.stdout, self.process.stderr]

    def _pump(self, pipe: IO[bytes]) -> None:
        for piece in iter(lambda: pipe.read1(4096), b""):
            self._file.write(piece)

    def destroy(self, number: int = signal.SIGTERM) -> None:
        """End the direct child, and only that."""
        self.process.send_signal(number)

    def wait(self, timeout: float = 60) -> int:
        """The exit value; who waits for it also waits until nobody holds the pipes any more."""
        assert self.process.stdin
        code = self.process.wait(timeout)
        for pump in self._pumps:
            pump.join(timeout)
        self.process.stdin.close()
        for pipe in self._pipes():
            pipe.close()
        self._file.close()
        return code


def living(home: Path) -> dict[int, str]:
    """pid -> command line of every process that works in this ARK_HOME, however it came to live."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"ARK_HOME={home}".encode() in (process / "environ").read_bytes().split(b"\0"):
                found[int(process.name)] = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:  # it has ended, or is somebody else's
            continue
    return {pid: words for pid, words in found.items() if words}


class Stopped(NamedTuple):
    """How one run ended after a signal."""

    at: float
    """Seconds after its start."""
    seconds: float
    """From the signal to its end."""
    code: int
    out: str
    orphans: int


def stop_times(
    start: Callable[[], "subprocess.Popen[str]"], home: Path, moments: Sequence[float], number: int = signal.SIGTERM
) -> list[Stopped]:
    """Start a run and signal it, once for each of `moments` (seconds after its start); 0 s where it ended first."""
    found = []
    for moment in moments:
        running = start()
        try:
            out, _ = running.communicate(timeout=moment)
            seconds = 0.0
        except subprocess.TimeoutExpired:
            began = time.monotonic()
            running.send_signal(number)
            out, _ = running.communicate(timeout=60)
            seconds = time.monotonic() - began
        found.append(Stopped(moment, seconds, running.returncode, out, len(living(home))))
    return found


WRAPPER = f'#!/bin/sh\n"{CHECKOUT}/bin/ark" exec "$@"\nexit $?\n'
"""A script as people write them: without `exec`, so that the shell stays in between."""
