"""P6, many small calls: a whole run that stores each row in the embedded table / the bare pool that keeps nothing."""

from tests.bench.frame import Line, Work, alternate, figure, ratio

WORK = Work(accounts=7_481, width=50, latency=0.05, output="HBASE")


def run(pairs: int) -> list[Line]:
    ark, bare = alternate(pairs, WORK.ark, WORK.bare)
    return [
        ratio("P6", "wall of 7,481 calls x 1 row", [it.wall for it in ark], [it.wall for it in bare], "<= 1.1"),
        figure("P6", "  Ark's wall", [it.wall for it in ark], "s"),
        figure(
            "P6", "  Ark before the first and after the last call", [it.wall - it.last + it.first for it in ark], "s"
        ),
        figure("P6", "  bare pool's wall", [it.wall for it in bare], "s"),
    ]
