"""Cells of the grid: one policy on one modelled server for some windows of a minute, beside an oracle."""

from collections.abc import Iterable, Iterator
from multiprocessing import Pool
from random import Random
from statistics import mean
from typing import Any, NamedTuple

from ark.governor import Governor, Hint
from tests.modelled.drive import Latency, constant, drive, lognormal, oracle, uniform
from tests.modelled.references import reference
from tests.modelled.servers import KINDS, Fixed, Server, strangers

SIZES = (120, 600, 3000, 10_000, 30_000, 60_000)
CAPS = (50, 100, 300)
WINDOW = 60.0
MEAN = 0.27
PROCESSES = 2
USED_UP = 0.98
BREAK = 3
"""Windows between the earlier governor and a warm one."""
LATENCIES: dict[str, Latency] = {
    "lognormal": lognormal(MEAN, tail=0.005),
    "tail": lognormal(MEAN, tail=0.05),
    "constant": constant(MEAN),
    "uniform": uniform(MEAN / 2, MEAN * 1.5),
}


class Cell(NamedTuple):
    """One line's conditions."""

    kind: str
    size: int
    cap: int
    strangers: float = 0.0
    rounding: str = "floor"
    latency: str = "lognormal"
    policy: str = "governor"
    seed: int = 1
    windows: int = 5
    warm: bool = False
    """Whether the governor knows what an earlier one learned, which stopped some windows ago."""


class Result(NamedTuple):
    """One line's figures; shares of 1."""

    cell: Cell
    whole: float
    steady: float
    capacity: float
    """At steady state: against what strangers leave of a quota that an oracle uses up, else against the oracle."""
    quota: float
    """At steady state, of the quota."""
    refused: int
    steady_refused: int
    cold: float
    """Seconds."""
    idle: float
    """Mean seconds from a boundary to the first call that is accepted after it; fixed windows only."""
    sent: int

    @property
    def refused_percent(self) -> float:
        """Of the calls that were sent."""
        return 100 * self.refused / self.sent


def measure(cell: Cell) -> Result:
    """Drive the cell's policy and the oracle on servers of their own."""
    (server, steady_from, end), (other, _, _) = _server(cell), _server(cell)
    terms: dict[str, Any] = {"cap": cell.cap, "latency": LATENCIES[cell.latency]}
    rng, starts, policy = Random(cell.seed), 0.0, _policy(cell)
    if cell.warm:
        drive(policy, server, rng=rng, seconds=steady_from + WINDOW, **terms)
        starts, steady_from, end = (until + BREAK * WINDOW for until in (steady_from, steady_from, end))
        policy = _policy(cell, policy.hint())
    terms |= {"starts": starts, "seconds": end}
    got = drive(policy, server, rng=rng, **terms)
    best = oracle(other, rng=Random(cell.seed), **terms)
    most = cell.size * (end - steady_from) / WINDOW
    ours, oracles = (it.within(steady_from, end) for it in (got, best))
    theirs, beside = (sum(steady_from <= at < end for at in it.strangers_at) for it in (server, other))
    capacity = most - theirs if beside and oracles + beside > USED_UP * most else oracles
    half = int(min(cell.size / 2, 2 * cell.cap / MEAN))
    idle = got.idle_after(server, steady_from) if isinstance(server, Fixed) else []
    return Result(
        cell,
        got.accepted / best.accepted,
        ours / oracles,
        ours / capacity,
        ours / most,
        got.refused,
        got.refused_within(steady_from, end),
        got.behind(best, half),
        mean(idle) if idle else 0.0,
        got.sent,
    )


def measure_all(cells: Iterable[Cell]) -> Iterator[Result]:
    """In the order of the cells, some at the same time."""
    with Pool(PROCESSES) as pool:
        yield from pool.imap(measure, cells)


def _policy(cell: Cell, hint: Hint | None = None) -> Any:
    if cell.policy == "governor":
        return Governor("percent", cap=cell.cap, hint=hint)
    return reference(cell.policy, cell.cap, Random(cell.seed))


def _server(cell: Cell) -> tuple[Server, float, float]:
    """A fresh server, when the steady state begins and when the drive ends."""
    rng = Random(cell.seed * 7919)
    phase = rng.uniform(0, WINDOW)
    others = strangers(cell.size, cell.strangers, rng)
    server = KINDS[cell.kind](cell.size, phase=phase, rounding=cell.rounding, strangers=others)
    return server, phase + WINDOW, phase + cell.windows * WINDOW
