"""Q1, quota capture: calls that got through / capacity at steady state. Simulated, and real over HTTP."""

from tests.bench.frame import Line
from tests.bench.governed import by_kind, real_by_strangers
from tests.bench.real import Course

GOALS = (">= 0.98", ">= 0.98")


def run(pairs: int) -> list[Line]:
    return by_kind("Q1", "capacity", "", GOALS) + real_by_strangers("Q1", Course.captured, "", GOALS)
