"""Two processes on one job: started at once, or one of them asleep for longer than its lease while the other works."""

import os
import re
import signal
from typing import NamedTuple

from tests.acceptance.conftest import ended, wait_for
from tests.chaos.judge import ADVERTISERS, FUNDS, Cell
from tests.chaos.stage import LIMIT, RERUN, Ground, Scene

LATER = 75
LEASE = 2.0
PAGE = 10
"""Accounts a page, so that a list takes many calls."""


class Rivalry(NamedTuple):
    """How two processes on one job ended."""

    codes: tuple[int, int]
    refusal: str
    """What the one that was refused says."""
    runs: int
    """How many runs were begun."""
    changed: int
    """Cells that changed after the winner was done."""
    wrong: int
    """Lost, duplicated, misplaced."""

    @property
    def is_won(self) -> bool:
        """Exactly one did the job, and the other ended with 75 and named it."""
        return sorted(self.codes) == [0, LATER] and bool(self.refusal) and self.runs == 1 and not self.wrong


def race(ground: Ground) -> Rivalry:
    """Start the same command twice at once."""
    scene = ground.scene(12, (FUNDS,), latency=0.4)
    both = [scene.ark.start(*scene.command) for _ in range(2)]
    said = [ended(process, LIMIT) for process in both]
    refusal = next((each.err for each in said if each.code == LATER), "")
    winner = next((process.pid for process, each in zip(both, said, strict=True) if each.code == 0), 0)
    first, second = (each.code for each in said)
    named = refusal if re.search(rf"process {winner}\b", refusal) else ""
    return Rivalry((first, second), named.strip(), len(scene.runs()), 0, scene.judged().wrong)


def overslept(ground: Ground, how: str) -> Rivalry:
    """Stop a run for longer than its lease; another one does its job with newer data; then it wakes up."""
    scene = listing(ground)
    holder = scene.ark.start(*scene.command)
    wait_for(lambda: len(scene.cells()[ADVERTISERS.interface]) >= PAGE)
    os.kill(holder.pid, signal.SIGSTOP)
    scene.change()
    other = scene.ark(*scene.again(how), "--wait", timeout=LIMIT)
    before = scene.cells()
    os.kill(holder.pid, signal.SIGCONT)
    late = ended(holder, LIMIT)
    refusal = (other if other.code else late).err.strip().rpartition("\n")[2]
    return _judged(scene, (other.code, late.code), refusal, before)


def outlived(ground: Ground) -> Rivalry:
    """Kill a run; a newer one does its job with newer data; then the older one is taken up and ends last."""
    scene = listing(ground)
    older = scene.ark.start(*scene.command)
    wait_for(lambda: len(scene.cells()[ADVERTISERS.interface]) >= PAGE)
    older.kill()
    ended(older, LIMIT)
    scene.change()
    newer = scene.ark(*scene.command, timeout=LIMIT)
    before = scene.cells()
    late = scene.ark(*scene.again(RERUN), timeout=LIMIT)
    return _judged(scene, (newer.code, late.code), "", before)


def listing(ground: Ground) -> Scene:
    """A long list, page by page; each account is one row, whatever its values."""
    return ground.scene(10 * PAGE, (ADVERTISERS,), latency=0.3, gdt_list_page=PAGE, run_lease=LEASE)


def _judged(scene: Scene, codes: tuple[int, int], refusal: str, before: dict[str, list[Cell]]) -> Rivalry:
    after = scene.cells()
    changed = sum(len(set(after[name]) ^ set(before[name])) for name in after)
    return Rivalry(codes, refusal, len(scene.runs()), changed, scene.judged().wrong)
