"""Kill Ark everywhere, take it up, and count: at the N-th system call that writes, N swept over the whole run.

    disk    strace ends the process at the N-th pwrite64, fdatasync, ... of one thread
    wire    the same, of those that send and log
    any     the N-th call of all threads together: strace tells them, and the process is killed from outside
    time    after a random time, without strace

strace counts each call of each thread for itself, which is exact but lets a busy thread hide the late calls of the
others: that is what `any` is for. Where strace is missing or may not attach, all points are `time`.
"""

import os
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from tests.acceptance.conftest import BIN, ended
from tests.chaos.stage import AGAIN, LIMIT, RERUN, Ground, Scene
from tests.chaos.tally import Point

DISK = "pwrite64,fsync,fdatasync,rename,link,unlink,ftruncate"
WIRE = "write,sendto,sendmsg,writev"
CALLS = {"disk": DISK, "wire": WIRE, "any": f"{DISK},{WIRE}"}
KINDS = (*CALLS, "time")
INJECT = ("strace", "-f", "-qq", "-e", "signal=none", "-o", os.devnull)
TELL = ("strace", "-f", "--seccomp-bpf", "-qq", "-e", "signal=none")
"""Quicker, but strace 6.1 injects nothing with it."""


class Extent(NamedTuple):
    """What there is to sweep: each call with its number, up to the most that one thread makes; the seconds of a run."""

    disk: list[tuple[str, int]]
    wire: list[tuple[str, int]]
    any: int
    seconds: float

    @property
    def kinds(self) -> list[str]:
        """What can be swept: a run on the real services touches no file, and without strace nothing is counted."""
        return [kind for kind in KINDS if kind == "time" or getattr(self, kind)]


class Plan(NamedTuple):
    """One point: where to kill, how to take up, and whether to kill what takes it up as well."""

    kind: str
    where: float
    """Of the whole run, 0 to 1."""
    how: str
    twice: bool


def can_trace() -> bool:
    """Whether strace is here and may attach."""
    if shutil.which("strace") is None:
        return False
    command = [*INJECT, "-e", f"trace={DISK}", "true"]
    return subprocess.run(command, capture_output=True, check=False, timeout=30).returncode == 0


def plans(points: int, seed: int, kinds: Sequence[str]) -> list[Plan]:
    """So many points, spread evenly over the run by kind, each moved a little by the seed."""
    dice = random.Random(seed)
    made = []
    for number, kind in enumerate(kinds):
        share = points // len(kinds) + (number < points % len(kinds))
        for index in range(share):
            where = (index + dice.random()) / share
            made.append(Plan(kind, where, dice.choice((RERUN, RERUN, AGAIN)), dice.random() < 0.2))
    dice.shuffle(made)
    return made


def measure(ground: Ground, *, tracing: bool) -> Extent:
    """Run a scene to its end and count its calls."""
    seconds = min(_timed(ground.scene()) for _ in range(3))
    if not tracing:
        return Extent([], [], 0, seconds)
    scene = ground.scene()
    log = scene.ark.home / "strace.log"
    process = scene.ark.spawn([*TELL, "-o", str(log), "-e", f"trace={CALLS['any']}", BIN, *scene.command])
    assert ended(process, LIMIT).code == 0
    told = [line.replace("(", " ").split()[:2] for line in log.read_text(errors="replace").splitlines()]
    counted = Counter((thread, call) for thread, call in told if call in CALLS["any"].split(","))
    return Extent(_numbered(counted, "disk"), _numbered(counted, "wire"), counted.total(), seconds)


def _timed(scene: Scene) -> float:
    began = time.monotonic()
    assert ended(scene.ark.start(*scene.command), LIMIT).code == 0
    return time.monotonic() - began


def _numbered(counted: Counter[tuple[str, str]], kind: str) -> list[tuple[str, int]]:
    """(call, 1), (call, 2), ... of each call of this kind."""
    most = {
        name: max((times for (_, call), times in counted.items() if call == name), default=0)
        for name in CALLS[kind].split(",")
    }
    return [(name, nth) for name, times in most.items() for nth in range(1, times + 1)]


def sweep(ground: Ground, planned: Sequence[Plan], extent: Extent) -> Iterator[Point]:
    """Try every point."""
    for plan in planned:
        scene = ground.scene()
        code = kill(scene, scene.command, plan, extent)
        if plan.twice and scene.runs():
            kill(scene, scene.again(plan.how), plan, extent)
        yield Point(f"{ground.name} {plan.kind}", f"{plan.where:.4f} {plan.how}", code, scene.recover(plan.how))
        ground.close()


def kill(scene: Scene, words: Sequence[str], plan: Plan, extent: Extent) -> int:
    """Start Ark and kill it at this point; its return code, 0 where it was done before."""
    command = [BIN, *words]
    if plan.kind == "time":
        process = scene.ark.spawn(command)
        try:
            with suppress(subprocess.TimeoutExpired):
                process.wait(plan.where * extent.seconds)
        finally:
            process.kill()
        return ended(process, LIMIT).code
    if plan.kind == "any":
        trace = [*TELL, "-e", f"trace={CALLS['any']}", "-o"]
        return _kill_at_line(scene, trace, command, 1 + int(plan.where * extent.any))
    calls = getattr(extent, plan.kind)
    call, nth = calls[int(plan.where * len(calls))]
    inject = ["-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={nth}"]
    return ended(scene.ark.spawn([*INJECT, *inject, *command]), LIMIT).code


def _kill_at_line(scene: Scene, strace: Sequence[str], command: Sequence[str], nth: int) -> int:
    """Kill the process that makes the N-th call when strace has told it; the next one if its thread has ended."""
    pipe = scene.ark.home / "strace.pipe"
    os.mkfifo(pipe)
    process = scene.ark.spawn([*strace, str(pipe), *command])
    done = False
    with pipe.open(errors="replace") as lines:
        for number, line in enumerate(lines, 1):
            if number >= nth and not done:
                done = _is_killed(int(line.split()[0]))
    pipe.unlink()
    return ended(process, LIMIT).code


def _is_killed(thread: int) -> bool:
    """Kill the process of a thread, unless that has ended meanwhile."""
    try:
        status = Path(f"/proc/{thread}/status").read_text(encoding="ascii")
        os.kill(int(status.partition("Tgid:")[2].split()[0]), signal.SIGKILL)
    except (FileNotFoundError, ProcessLookupError):
        return False
    return True
