"""Q4, reset reaction: mean seconds from a fixed window's reset to the first call after it, random phase, 10 windows."""

from tests.bench.frame import Line, figure
from tests.bench.governed import OTHERS, resets
from tests.modelled.cells import MEAN


def run(pairs: int) -> list[Line]:
    goal = f"<= {MEAN + 0.05:.2f}"
    mine = [it.idle for it in resets()]
    lines = [figure("Q4", f"idle after a reset, {len(mine)} cells", mine, "s", goal)]
    for policy, name in OTHERS.items():
        lines.append(figure("Q4", f"  {name}", [it.idle for it in resets(policy)], "s"))
    return lines
