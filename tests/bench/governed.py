"""Q1 to Q4: the grid of modelled servers in simulated time, with windows of a minute; real runs with shorter ones.

What is simulated is seeded, so a second pair would tell the same: it is taken once, as the real runs are. Steady state
is from the second whole window on; capacity is what the slots can do, or what strangers leave of the quota.
"""

from collections.abc import Callable, Sequence
from functools import cache
from itertools import product
from random import Random

from tests.bench.frame import Line, figure
from tests.bench.real import WINDOW, Course, Scene, courses
from tests.modelled.cells import CAPS, SIZES, Cell, Result, measure_all
from tests.modelled.servers import KINDS

STRANGERS = (0.0, 0.3)
ROUNDINGS = ("floor", "round", "ceil")
OTHERS = {"seed": "seed rule", "blind": "blind retry", "aimd": "AIMD"}
BESIDE = {"sizes": (600, 10_000), "caps": (100,), "windows": 3}
"""Where the references are driven too."""
WARM = {"sizes": (120, 600, 3000, 10_000), "caps": (50, 100), "strangers": (0.0,), "windows": 2}
REAL_SIZES = (60, 300, 1000)
"""Calls in a window of the real runs, a tenth of a minute."""
RESETS = 10
"""Windows in which the reaction to a reset is measured."""
BY_RESETS = {"kinds": ("fixed",), "sizes": (600, 10_000), "strangers": (0.0,)}


@cache
def grid(policy: str = "governor") -> list[Result]:
    """The whole grid for the governor, some of it for the references."""
    return list(measure_all(_cells(policy, **({} if policy == "governor" else BESIDE))))


@cache
def warm() -> list[Result]:
    """Governors that have a hint of an earlier one."""
    return list(measure_all(cell._replace(warm=True) for cell in _cells("governor", **WARM)))


@cache
def resets(policy: str = "governor") -> list[Result]:
    """Fixed windows, alone; the slots can use up the quota in all of them."""
    caps = CAPS if policy == "governor" else BESIDE["caps"]
    return list(measure_all(_cells(policy, caps=caps, windows=RESETS, **BY_RESETS)))


def _cells(
    policy: str,
    kinds: Sequence[str] = tuple(KINDS),
    sizes: Sequence[int] = SIZES,
    caps: Sequence[int] = CAPS,
    strangers: Sequence[float] = STRANGERS,
    windows: int = 5,
) -> list[Cell]:
    """Each with a rounding, a phase and strangers drawn by its own seed, the same for every policy."""
    cells = []
    for kind, size, cap, share in product(kinds, sizes, caps, strangers):
        seed = Random(f"{kind} {size} {cap} {share}").randrange(1 << 30)
        cells.append(
            Cell(kind, size, cap, share, ROUNDINGS[seed % len(ROUNDINGS)], policy=policy, seed=seed, windows=windows)
        )
    return cells


def by_kind(id_: str, figures: str, unit: str, goals: Sequence[str]) -> list[Line]:
    """A line for each kind of server, alone and beside strangers, with the worst cells; then the references."""
    lines = []
    for kind, (share, goal) in product(KINDS, zip(STRANGERS, goals, strict=True)):
        values = _of(grid(), figures, kind, share)
        lines.append(figure(id_, f"{kind}, {_beside(share)}, {len(values)} cells", values, unit, goal))
    for policy, name in OTHERS.items():
        for share in STRANGERS:
            values = [value for kind in KINDS for value in _of(grid(policy), figures, kind, share)]
            lines.append(figure(id_, f"  {name}, {_beside(share)}, {len(values)} cells", values, unit))
    return lines


def _of(results: Sequence[Result], name: str, kind: str, share: float) -> list[float]:
    return [getattr(it, name) for it in results if (it.cell.kind, it.cell.strangers) == (kind, share)]


def _beside(share: float) -> str:
    return f"{share:.0%} strangers" if share else "alone"


@cache
def real() -> dict[Scene, Course]:
    """Real runs over HTTP: each kind of server, alone and beside strangers; those that are alike at the same time."""
    taken: dict[Scene, Course] = {}
    for share in STRANGERS:
        scenes = [
            Scene(kind, size, share, rounding, phase=Random(f"{kind} {size}").uniform(0, WINDOW))
            for kind, rounding in zip(KINDS, ROUNDINGS, strict=True)
            for size in REAL_SIZES
        ]
        taken |= zip(scenes, courses(scenes), strict=True)
    return taken


def real_by_strangers(id_: str, what: Callable[[Course], float], unit: str, goals: Sequence[str]) -> list[Line]:
    """A line for the real runs alone, one for those beside strangers."""
    return [
        figure(
            id_,
            f"real runs, {_beside(share)}, {len(KINDS) * len(REAL_SIZES)} cells",
            [what(course) for scene, course in real().items() if scene.strangers == share],
            unit,
            goal,
        )
        for share, goal in zip(STRANGERS, goals, strict=True)
    ]
