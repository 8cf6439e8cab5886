"""W1, writing to HBase through the real gateway: rows a second of Ark's store / of two bare clients.

The seed's way, one happybase batch of 1,000 in a loop, and the best bare client that was found: mutateRowsTs on four
connections. All write the same kind of rows (~700 bytes, new keys) with explicit timestamps under HBase's default
durability, in interleaved rounds, after the gateway and the region server have warmed up.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.bench.frame import CHECKOUT, CannotMeasureError, Line, figure, ratio

SERVICES = ("bin/services",)
TABLE = "ark_bench_w1"


def run(pairs: int) -> list[Line]:
    with _hbase() as url:
        _told(*SERVICES, "create-table", TABLE)
        lines = _told("-m", "tests.bench.w1_rounds", url, TABLE, str(pairs)).splitlines()
    rounds = [json.loads(line) for line in lines]
    ark, loop, best = ([each[side] for each in rounds] for side in ("ark", "loop", "best"))
    return [
        ratio("W1", "rows/s against a happybase batch loop", ark, loop, ">= 1.4"),
        ratio("W1", "rows/s against mutateRowsTs on 4 connections", ark, best, ">= 0.95"),
        figure("W1", "  Ark's store", ark, "/s"),
        figure("W1", "  happybase loop", loop, "/s"),
        figure("W1", "  mutateRowsTs on 4 connections", best, "/s"),
    ]


@contextmanager
def _hbase() -> Iterator[str]:
    """The url of an HBase with the heap and the compiler for benchmarks; it is stopped if it was started here."""
    status = subprocess.run(
        [sys.executable, *SERVICES, "status", "hbase"], cwd=CHECKOUT, capture_output=True, check=False
    )
    try:
        yield json.loads(_told(*SERVICES, "start", "--bench", "hbase"))["hbase"]["url"]
    finally:
        if status.returncode:
            _told(*SERVICES, "stop", "hbase")


def _told(*command: str) -> str:
    """What one of our own programs prints."""
    done = subprocess.run([sys.executable, *command], stdout=subprocess.PIPE, text=True, cwd=CHECKOUT, check=False)
    if done.returncode:
        raise CannotMeasureError(f"{' '.join(command[:2])}: exit {done.returncode}")
    return done.stdout
