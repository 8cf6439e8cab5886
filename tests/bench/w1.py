"""W1, writing to HBase through the real gateway: rows a second of Ark's store / of two bare clients.

The seed's way, one happybase batch of 1,000 in a loop, and the best bare client that was found: mutateRowsTs on four
connections. All write the same kind of rows (~700 bytes, new keys) with explicit timestamps under HBase's default
durability, in interleaved rounds, after the gateway and the region server have warmed up.
"""

import json
import subprocess
import sys

from tests.bench.frame import CHECKOUT, CannotMeasureError, Line, figure, ratio


def run(pairs: int) -> list[Line]:
    url = _gateway()
    name = "ark_bench_w1"
    _told("bin/services", "create-table", name)
    rounds = [json.loads(line) for line in _told("-m", "tests.bench.w1_rounds", url, name, str(pairs)).splitlines()]
    ark, loop, best = ([each[side] for each in rounds] for side in ("ark", "loop", "best"))
    return [
        ratio("W1", "rows/s against a happybase batch loop", ark, loop, ">= 1.4"),
        ratio("W1", "rows/s against mutateRowsTs on 4 connections", ark, best, ">= 0.95"),
        figure("W1", "  Ark's store", ark, "/s"),
        figure("W1", "  happybase loop", loop, "/s"),
        figure("W1", "  mutateRowsTs on 4 connections", best, "/s"),
    ]


def _gateway() -> str:
    """Have HBase up with the heap and the compiler for benchmarks."""
    return json.loads(_told("bin/services", "start", "--bench", "hbase"))["hbase"]["url"]


def _told(*command: str) -> str:
    """What one of our own programs prints."""
    done = subprocess.run([sys.executable, *command], stdout=subprocess.PIPE, text=True, cwd=CHECKOUT, check=False)
    if done.returncode:
        raise CannotMeasureError(f"{' '.join(command[:2])}: exit {done.returncode}")
    return done.stdout
