"""P3, hiding latency: the achieved rate / (connections / mean latency), at 270 ms and 50 calls per connection."""

from statistics import median

from tests.bench.frame import Line, Work, alternate, figure

LATENCY = 0.27
WIDTHS = (100, 300, 1000)


def run(pairs: int) -> list[Line]:
    return [line for width in WIDTHS for line in _at(width, pairs)]


def _at(width: int, pairs: int) -> list[Line]:
    work = Work(accounts=50 * width, width=width, latency=LATENCY)
    ark, bare = alternate(pairs, work.ark, work.bare)
    ideal = [width * it.requests / it.waited for it in ark]
    whole = [it.requests / it.wall / best for it, best in zip(ark, ideal, strict=True)]
    connections = median(it.connections for it in ark) - 1  # the one that asked for the tally
    return [
        figure("P3", f"{width} connections, while fetching", [it.hiding(width) for it in ark], "", ">= 0.95"),
        figure("P3", f"{width} connections, whole run", whole, ""),
        figure("P3", f"  bare pool at {width}", [it.hiding(width) for it in bare], ""),
        figure("P3", f"  Ark's connections for {width}", [connections], ""),
    ]
