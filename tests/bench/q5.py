"""Q5, fleet: Q1 and Q2 with several processes on one app: simulated, and real ones with one Redis or one each.

Where each has a Redis of its own it knows nothing of the others. Real ones take seconds to start, one after the other.
"""

from itertools import product
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import redis

from ark.accounts import embedded_redis
from ark.governor import Governor
from tests.bench.frame import Line, figure
from tests.bench.real import Course, Scene, courses
from tests.modelled.cells import MEAN, WINDOW
from tests.modelled.drive import Latency, Member, Outcome, drive_fleet, lognormal
from tests.modelled.leases import Leased, Shares
from tests.modelled.servers import KINDS, Kind

CAPS = {4: 50, 16: 12}
"""Processes: slots of each."""
KINDS_DRIVEN: tuple[Kind, ...] = ("fixed", "sliding")
COORDINATED = {True: "one Redis", False: "uncoordinated"}
SIZE, SHRUNK = 10_000, 1000
"""Calls in a minute, in a window of the real ones."""
PHASE, WINDOWS, REAL_WINDOWS = 17.0, 5, 8
LATENCY: Latency = lognormal(MEAN, tail=0.005)


def run(pairs: int) -> list[Line]:
    lines = []
    for processes, coordinated in product(CAPS, COORDINATED):
        lines += _simulated(processes, coordinated=coordinated)
    small, large = CAPS
    scenes = {key: _scenes(*key) for key in product(CAPS, COORDINATED)}
    few = courses([*scenes[small, True], *scenes[small, False]])
    taken = {
        (small, True): few[: len(KINDS_DRIVEN)],
        (small, False): few[len(KINDS_DRIVEN) :],
        (large, True): courses(scenes[large, True]),
        (large, False): courses(scenes[large, False]),
    }
    for key, each in taken.items():
        lines += _real(*key, each)
    return lines


def _simulated(processes: int, *, coordinated: bool) -> list[Line]:
    ends = PHASE + WINDOWS * WINDOW
    captured, refused, fair = [], [], []
    for kind in KINDS_DRIVEN:
        taken = _drive(kind, processes, ends, coordinated=coordinated)
        each = [it.within(PHASE + WINDOW, ends) for it in taken]
        captured.append(sum(each) / (SIZE * (WINDOWS - 1)))
        refused.append(sum(it.refused for it in taken))
        fair.append(min(each) / max(each))
    name = f"simulated, {processes} processes, {COORDINATED[coordinated]}"
    return [
        figure("Q5", f"{name}, {', '.join(KINDS_DRIVEN)}", captured, "", ">= 0.97"),
        figure("Q5", "  refused calls", refused, "", "0"),
        figure("Q5", "  least / most of a process", fair, ""),
    ]


def _drive(kind: Kind, processes: int, ends: float, *, coordinated: bool) -> list[Outcome]:
    rng, cap = Random(processes), CAPS[processes]
    governors: list[Any] = [Governor("percent", cap=cap) for _ in range(processes)]
    with TemporaryDirectory(prefix="ark-") as folder:
        if coordinated:
            shares = Shares(redis.Redis.from_url(embedded_redis.ensure(Path(folder))), "scope")
            governors = [Leased(each, shares, WINDOW) for each in governors]
        members = [Member(each, cap, starts=rng.uniform(0, 2)) for each in governors]
        try:
            return drive_fleet(members, KINDS[kind](SIZE, phase=PHASE), seconds=ends, latency=LATENCY, rng=rng)
        finally:
            embedded_redis.stop(Path(folder))


def _scenes(processes: int, one_redis: bool) -> list[Scene]:
    terms = {"processes": processes, "one_redis": one_redis, "cap": CAPS[processes], "windows": REAL_WINDOWS}
    return [Scene(kind, SHRUNK, phase=PHASE / 10, **terms) for kind in KINDS_DRIVEN]


def _real(processes: int, one_redis: bool, taken: list[Course]) -> list[Line]:
    name = f"real, {processes} processes, {COORDINATED[one_redis]}"
    lines = [
        figure("Q5", f"{name}, {', '.join(KINDS_DRIVEN)}", [it.captured() for it in taken], "", ">= 0.97"),
        figure("Q5", f"  refused, of {taken[0].requests:,} calls", [it.refused for it in taken], "", "0"),
    ]
    if one_redis:
        lines.append(
            figure("Q5", "  Redis calls per request", [it.scripts / it.requests for it in taken], "", "<= 0.15")
        )
    return lines
