"""P1, what Ark costs: CPU of a whole run / CPU of the bare pool for the same calls, at no latency."""

from tests.bench.frame import Line, Work, alternate, figure, ratio

WORK = Work(accounts=20_000, width=100)


def run(pairs: int) -> list[Line]:
    ark, bare = alternate(pairs, WORK.ark, WORK.bare)
    return [
        ratio("P1", "CPU, start-up apart", [it.cpu for it in ark], [it.cpu for it in bare], "<= 1.15"),
        ratio("P1", "CPU with start-up", [it.cpu + it.start_up for it in ark], [it.cpu + it.start_up for it in bare]),
        figure("P1", "  Ark's CPU per call", [it.cpu_per_call * 1e6 for it in ark], "us"),
        figure("P1", "  bare pool's CPU per call", [it.cpu_per_call * 1e6 for it in bare], "us"),
        figure("P1", "  Ark's calls a second, whole run", [it.requests / it.wall for it in ark], "/s"),
    ]
