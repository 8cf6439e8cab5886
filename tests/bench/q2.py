"""Q2, refusals in the runs of Q1, in percent of the calls that were sent."""

from tests.bench.frame import Line
from tests.bench.governed import by_kind, real_by_strangers
from tests.bench.real import Course

GOALS = ("0", "<= 0.02")


def run(pairs: int) -> list[Line]:
    return by_kind("Q2", "refused_percent", "%", GOALS) + real_by_strangers("Q2", Course.refused_percent, "%", GOALS)
