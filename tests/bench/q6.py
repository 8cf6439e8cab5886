"""Q6, day quota: accounts that were done / those that fitted into the day; what the run left for tomorrow.

Simulated: 100,000 accounts at 10,000 a minute; real: twice as many accounts as the day has calls.
"""

from collections.abc import Mapping
from random import Random
from typing import Any

from ark.governor import Governor
from tests.bench.frame import CannotMeasureError, Line, figure
from tests.bench.real import Course, Scene
from tests.modelled.cells import MEAN
from tests.modelled.drive import Outcome, drive, lognormal
from tests.modelled.servers import Day, Fixed, Rounding

ACCOUNTS, MINUTE, CAP = 100_000, 10_000, 100
DAYS = ((50_000, 50_000), (20_000, 50_000), (20_000, 20_000))
"""Calls left at the start, calls a day."""
ROUNDINGS: tuple[Rounding, ...] = ("floor", "round", "ceil")
REAL_DAY = 5000
LATER = 75


def run(pairs: int) -> list[Line]:
    lines, refused = [], []
    for left, size in DAYS:
        taken = [_simulated(left, size, rounding) for rounding in ROUNDINGS]
        done = [it.accepted / left for it in taken]
        refused += [it.refused for it in taken]
        lines.append(figure("Q6", f"{left:,} of {size:,} left, {len(taken)} roundings", done, "", ">= 0.98"))
    lines.append(figure("Q6", "refused calls", refused, "", "0"))
    real = Scene("fixed", MINUTE, cap=CAP, day=REAL_DAY, calls=2 * REAL_DAY).course()
    told = _stopped(real)
    kept = told["planned"] - told["verified"] - told["failed"] - told["skipped"]
    lines += [
        figure("Q6", f"real run, {REAL_DAY:,} left", [told["verified"] / REAL_DAY], "", ">= 0.98"),
        figure("Q6", "  refused calls", [real.refused], "", "0"),
        figure("Q6", "  kept for tomorrow / the others", [kept / (2 * REAL_DAY - told["verified"])], "", "1"),
    ]
    return lines


def _simulated(left: int, size: int, rounding: Rounding) -> Outcome:
    """Until nothing more may be sent."""
    server = Fixed(MINUTE, phase=12.0, rounding=rounding, day=Day(size, rounding, size - left))
    terms = {"cap": CAP, "seconds": 86_400, "latency": lognormal(MEAN, tail=0.005), "rng": Random(1)}
    return drive(Governor("percent", cap=CAP), server, work=ACCOUNTS, **terms)


def _stopped(course: Course) -> Mapping[str, Any]:
    """What the run says of itself; it has ended as it should."""
    (ended,) = course.ended
    if ended.code != LATER:
        raise CannotMeasureError(f"ark run: exit {ended.code}, {ended.told}")
    return ended.told
