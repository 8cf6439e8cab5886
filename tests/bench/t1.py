"""T1, what a permit costs: CPU of leave, sending and feedback of one call by a governor that knows the quota.

    python -m tests.bench.t1 gate|policy|semaphore      CPU seconds of CALLS permits

`gate` is the permit in asyncio with nobody waiting, `policy` its governor alone; a bare semaphore stands beside. The
percents fall by one point in POINT calls, from 100 to LEAST, then the quota is full again.
"""

import asyncio
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from itertools import cycle

import uvloop

from ark.governor import Governor, Hint
from ark.governor.gate import Gate
from ark.quota import Quota
from tests.bench.frame import CHECKOUT, CLIENT, LIMIT, Line, environment, figure, on

CALLS, BATCH = 1_000_000, 50
POINT, LEAST = 100, 50
STEP = 5e-6
"""Seconds between two calls of the policy alone, about as fast as the gate goes."""
WINDOW = STEP * POINT * 100
WARM_UP = 20_000
SIDES = {"gate": ("permit in asyncio", "<= 3"), "policy": ("  policy alone", ""), "semaphore": ("  bare semaphore", "")}
QUOTAS = [Quota(99, percent) for percent in range(100, LEAST, -1) for _ in range(POINT // BATCH)]


def run(pairs: int) -> list[Line]:
    taken: dict[str, list[float]] = {side: [] for side in SIDES}
    for number in range(pairs):
        for side, values in taken.items():
            values.append(_measured(side) / CALLS * 1e6)
        sys.stderr.write(f"  pair {number + 1} of {pairs}\n")
    return [figure("T1", name, taken[side], "us", goal) for side, (name, goal) in SIDES.items()]


def _measured(side: str) -> float:
    command = [sys.executable, "-m", "tests.bench.t1", side]
    with on(CLIENT):
        done = subprocess.run(
            command, stdout=subprocess.PIPE, text=True, cwd=CHECKOUT, env=environment(), timeout=LIMIT, check=True
        )
    return float(done.stdout)


async def gate(calls: int) -> None:
    """What a run does with its gate."""
    it = Gate(_governor(), WINDOW)
    first = await it.permit()  # nothing else may be sent before it is answered
    it.answered(first, QUOTAS[0])
    for quota in _until(calls):
        flight = [await it.permit() for _ in range(BATCH)]
        for permit in flight:
            it.answered(permit, quota)
            it.passed(permit)


async def policy(calls: int) -> None:
    """The governor's own methods."""
    governor, now, number = _governor(), 0.0, 0
    wait, sent, answered = governor.wait, governor.sent, governor.answered
    while number < calls:
        flight = []
        while len(flight) < BATCH:
            now += STEP
            if wait(now) == 0.0:
                flight.append(sent(now))
            elif flight:
                break
        quota = QUOTAS[number // BATCH % len(QUOTAS)]
        number += len(flight)
        for call in flight:
            answered(call, now, quota.day, quota.minute)


async def semaphore(calls: int) -> None:
    """The least that there is."""
    it = asyncio.Semaphore(2 * BATCH)
    for _ in _until(calls):
        for _ in range(BATCH):
            await it.acquire()
        for _ in range(BATCH):
            it.release()


def _governor() -> Governor:
    known = Hint(quota=100.0 * POINT, day_quota=10.0 * CALLS)
    return Governor("percent", window=WINDOW, cap=2 * BATCH, hint=known)


def _until(calls: int) -> Iterator[Quota]:
    return (quota for quota, _ in zip(cycle(QUOTAS), range(calls // BATCH), strict=False))


async def measure(side: Callable[[int], Awaitable[None]]) -> float:
    """CPU seconds; what the first calls cost more is not in it."""
    await side(WARM_UP)
    begun = time.process_time()
    await side(CALLS)
    return time.process_time() - begun


if __name__ == "__main__":
    sys.stdout.write(f"{uvloop.run(measure({'gate': gate, 'policy': policy, 'semaphore': semaphore}[sys.argv[1]]))}\n")
