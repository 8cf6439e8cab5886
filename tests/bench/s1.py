"""S1, start-up: the wall time of `ark --help`, and from the start of `ark run` to its first request.

Beside the bare interpreter. The embedded Redis runs and the ledger exists, as after an earlier run.
"""

import subprocess
import sys
import time

from tests.bench.frame import CHECKOUT, CLIENT, CannotMeasureError, Line, environment, figure, medium, on
from tests.bench.home import ACCOUNTS_KEY, AGENT, home

ARK = str(CHECKOUT / "bin" / "ark")
RUN = (ARK, "run", "gdt.funds", "-g", AGENT, "-k", ACCOUNTS_KEY, "-o", "NONE", "--no-next")
RUNS = 10


def run(pairs: int) -> list[Line]:
    """Always RUNS of them: they are short."""
    bare, help_, first = [], [], []
    with home(1) as folder:
        env = environment(home=folder)
        _first_request(env)  # makes the ledger, and the bytecode
        for _ in range(RUNS):
            bare.append(_wall((sys.executable, "-c", ""), env))
            help_.append(_wall((ARK, "--help"), env))
            first.append(_first_request(env))
    return [
        figure("S1", "ark --help", help_, "s", "<= 0.2"),
        figure("S1", "start of `ark run` to its first request", first, "s", "<= 0.4"),
        figure("S1", "  bare interpreter", bare, "s"),
    ]


def _wall(command, env):
    begun = time.monotonic()
    with on(CLIENT):
        done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    if done.returncode:
        raise CannotMeasureError(f"{command[0]}: exit {done.returncode}, {done.stderr.strip()}")
    return time.monotonic() - begun


def _first_request(env):
    with medium() as server:
        begun = time.monotonic()
        _wall(RUN, env | {"ARK_GDT_URL": server.url})
        return server.tally()["first"] - begun
