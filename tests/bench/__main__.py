"""`bin/bench [ID...]`: measure, then print the table. Figures are told, never judged: exit 1 only for what has none."""

import argparse
import importlib
import os
import sys

from tests.bench.frame import CannotMeasureError, compile_modules, table

IDS = ("P1", "P3", "P4", "P6", "P7", "Q1", "Q2", "Q3", "Q4", "Q5", "Q6", "S1", "T1", "W1")
PAIRS = 5


def main() -> int:
    parser = argparse.ArgumentParser(prog="bin/bench", description="Benchmarks: ratios, measured side by side.")
    parser.add_argument("id", nargs="*", choices=[*IDS, []], metavar="ID", help=f"{', '.join(IDS)}; none: all")
    parser.add_argument("--pairs", type=int, default=PAIRS, help=f"how often each side is measured ({PAIRS})")
    options = parser.parse_args()
    lines, missing = [], 0
    compile_modules()
    for name in options.id or IDS:
        sys.stderr.write(f"{name}: load {os.getloadavg()[0]:.1f}\n")
        try:
            lines += importlib.import_module(f"tests.bench.{name.lower()}").run(options.pairs)
        except CannotMeasureError as error:
            sys.stderr.write(f"{name} could not be measured: {error}\n")
            missing += 1
    if lines:
        sys.stdout.write(f"{table(lines)}\n")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
