"""`python -m tests.modelled`: the governor on modelled servers, one line per cell; no arguments: the whole grid.

    python -m tests.modelled --kind fixed --size 600 --cap 100 --strangers 0.3 --rounding ceil --seed 3 --windows 5
    python -m tests.modelled --kind sliding --size 120 600 --policy governor seed aimd

Most options take several values. Each line tells: kind, size, cap, share of strangers, rounding, policy; the calls that
were accepted against an oracle (`tests.modelled.drive.oracle`) in the whole and at steady state (from the second whole
window on), the latter against the capacity too (what strangers leave of the quota) and against the quota; refusals in
the whole and at steady state; seconds that the cold start lost against the oracle, up to half a quota or what the slots
get in two seconds; seconds from a reset to the first call after it.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from itertools import product
from statistics import mean
from typing import Any

from tests.modelled.cells import CAPS, LATENCIES, SIZES, Cell, Result, measure_all
from tests.modelled.servers import KINDS


def grid(options: argparse.Namespace) -> Iterator[Cell]:
    """All cells of the options."""
    for values in product(
        options.kind, options.size, options.cap, options.strangers, options.rounding, options.latency, options.policy
    ):
        yield Cell(*values, seed=options.seed, windows=options.windows, warm=options.warm)


def line(it: Result) -> str:
    """One line of the table."""
    cell = it.cell
    return (
        f"{cell.kind:7} {cell.size:6} cap {cell.cap:3} strangers {cell.strangers:3.1f} {cell.rounding:5}"
        f" {cell.policy:8}"
        f" oracle {it.whole:6.1%} steady {it.steady:6.1%} capacity {it.capacity:6.1%} quota {it.quota:6.1%}"
        f"  refused {it.refused:5} steady {it.steady_refused:5}  cold {it.cold:6.2f} s  idle {it.idle:5.2f} s"
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.modelled", description=__doc__.partition("\n")[0])
    several: dict[str, Any] = {"nargs": "+"}
    parser.add_argument("--kind", choices=list(KINDS), default=list(KINDS), **several)
    parser.add_argument("--size", type=int, default=SIZES, **several)
    parser.add_argument("--cap", type=int, default=CAPS, **several)
    parser.add_argument("--strangers", type=float, default=(0.0, 0.3), **several)
    parser.add_argument("--rounding", choices=["floor", "round", "ceil"], default=["floor"], **several)
    parser.add_argument("--latency", choices=list(LATENCIES), default=["lognormal"], **several)
    parser.add_argument("--policy", choices=["governor", "seed", "blind", "aimd"], default=["governor"], **several)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--windows", type=int, default=5, help="whole windows, of a minute each")
    parser.add_argument("--warm", action="store_true", help="with the hint of an earlier governor")
    options = parser.parse_args()
    cells = list(grid(options))
    begun, results = time.monotonic(), []
    for result in measure_all(cells):
        results.append(result)
        sys.stdout.write(f"{line(result)}\n")
        sys.stdout.flush()
    took = time.monotonic() - begun
    steady = [it.capacity for it in results]
    sys.stdout.write(
        f"{len(results)} cells in {took:.0f} s; steady against the capacity: worst {min(steady):.1%},"
        f" mean {mean(steady):.1%}; refused {sum(it.refused for it in results)}"
        f" of {sum(it.sent for it in results)}, steady {sum(it.steady_refused for it in results)}\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
