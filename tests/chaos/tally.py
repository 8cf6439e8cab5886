"""What many points come to: one line each while they are tried, one table at the end."""

import sys
from collections.abc import Iterable
from statistics import quantiles
from typing import NamedTuple

from tests.chaos.stage import Outcome

COLUMNS = ("points", "lost", "duplicated", "misplaced", "corrupt", "early", "altered", "refetched", "unfinished")


class Point(NamedTuple):
    """One kill: of what kind, where, how the process ended, and what was left after it was taken up."""

    kind: str
    where: str
    code: int
    outcome: Outcome

    def line(self) -> str:
        """For whoever watches; examples where something is wrong."""
        outcome = self.outcome
        verdict = outcome.verdict
        told = (
            f"{self.kind} {self.where}: ended {self.code}, {verdict.numbers} of {verdict.records}, "
            f"taken up {outcome.tries} x, called again {outcome.repeated}, written again {outcome.rewritten}"
        )
        return told if not outcome.wrong else f"WRONG {told}\n  {outcome}"


class Tally:
    """Sums by kind."""

    def __init__(self) -> None:
        self.points: list[Point] = []

    def add(self, points: Iterable[Point], *, loud: bool = True) -> "Tally":
        """Take points as they come."""
        for point in points:
            self.points.append(point)
            if loud or point.outcome.wrong:
                sys.stderr.write(f"{len(self.points)}: {point.line()}\n")
        return self

    @property
    def wrong(self) -> int:
        return sum(point.outcome.wrong for point in self.points)

    def table(self) -> str:
        """One line for each kind and one for all, under a head."""
        kinds = [*dict.fromkeys(point.kind for point in self.points)]
        width = max(map(len, [*kinds, "all"]))
        lines = [f"{'':{width}} {' '.join(f'{name:>10}' for name in COLUMNS)}   called, written again (most)"]
        for kind in [*kinds, "all"]:
            mine = [point.outcome for point in self.points if kind in {point.kind, "all"}]
            sums = [sum(_figure(outcome, name) for outcome in mine) for name in COLUMNS]
            again = f"{_most(o.repeated for o in mine)}, {_most(o.rewritten for o in mine)}"
            lines.append(f"{kind:{width}} {' '.join(f'{figure:10,}' for figure in sums)}   {again}")
        return "\n".join(lines)


def _figure(outcome: Outcome, name: str) -> int:
    if name == "points":
        return 1
    value = getattr(outcome.verdict if name in {"lost", "duplicated", "misplaced"} else outcome, name)
    return value if isinstance(value, int) else len(value)


def _most(figures: Iterable[int]) -> int:
    return max(figures, default=0)


def percentiles(seconds: list[float]) -> str:
    """p50, p99 and the longest."""
    cuts = quantiles(seconds, n=100, method="inclusive")
    return f"p50 {cuts[49]:.2f} s, p99 {cuts[98]:.2f} s, max {max(seconds):.2f} s"
