"""Q3, cold start: what the start loses against an oracle, in round trips of 270 ms, without refusals; warm beside."""

from collections.abc import Sequence

from tests.bench.frame import Line, figure
from tests.bench.governed import grid, warm
from tests.modelled.cells import MEAN, SIZES, Result


def run(pairs: int) -> list[Line]:
    cold, hinted = [it for it in grid() if not it.cell.strangers], warm()
    lines = []
    for size in SIZES:
        lost = _lost([it for it in cold if it.cell.size == size])
        lines.append(figure("Q3", f"cold, {size:,} a minute, {len(lost)} cells", lost, "RTT", "<= 5"))
    refused = [it.refused - it.steady_refused for it in cold]
    lines += [
        figure("Q3", f"refusals before the steady state, {len(cold)} cells", refused, "", "0"),
        figure("Q3", f"  with a hint, {len(hinted)} cells", _lost(hinted), "RTT"),
        figure("Q3", "  refusals with a hint", [it.refused for it in hinted], ""),
    ]
    return lines


def _lost(results: Sequence[Result]) -> list[float]:
    return [it.cold / MEAN for it in results]
