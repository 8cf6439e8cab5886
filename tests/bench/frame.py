"""What all benchmarks share: processes on their cores, alternating pairs, lines of the table.

Two things are measured side by side in one run, A B A B ..., each time in a process of its own; what is told is the
ratio of their medians, and the smallest and largest ratio of a pair. Absolute figures are for information: they belong
to this machine. The medium runs on one core and the client on the other, where there are two.
"""

import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import NamedTuple

from tests.bench.home import home

CHECKOUT = Path(__file__).resolve().parents[2]
CORES = sorted(os.sched_getaffinity(0))
CLIENT, SERVER = CORES[:1], CORES[1:2] or CORES
BYTECODE = tempfile.TemporaryDirectory(prefix="ark-bench-")
"""Compiled modules of all measured processes."""
LIMIT = 900
"""Seconds; a measured process that takes longer hangs."""


class CannotMeasureError(Exception):
    """A benchmark has no result; the text says why."""


class Line(NamedTuple):
    """One line of the table: a figure with its spread beside its goal; no goal: for information."""

    id: str
    what: str
    value: float
    low: float
    high: float
    goal: str = ""
    unit: str = "x"


@dataclass
class Sample:
    """One measured process, as tests.bench.meter tells it, and what its medium saw. Seconds and bytes."""

    wall: float
    cpu: float
    start_up: float
    peak: int
    requests: int = 0
    connections: int = 0
    first: float = 0
    last: float = 0
    waited: float = 0

    @property
    def cpu_per_call(self) -> float:
        return self.cpu / self.requests

    @property
    def rate(self) -> float:
        """Calls a second while it fetched: from the first request to the last answer."""
        return self.requests / (self.last - self.first)

    def hiding(self, width: int) -> float:
        """The achieved rate against what `width` connections can do at the medium's mean latency."""
        return self.rate / (width * self.requests / self.waited)


class Medium(NamedTuple):
    """The running server."""

    url: str

    def tally(self) -> dict:
        with urllib.request.urlopen(f"{self.url}/tally", timeout=10) as answer:
            return json.loads(answer.read())


@contextmanager
def medium(latency: float = 0, rows: int = 1) -> Iterator[Medium]:
    """A fresh server, with its counts at 0."""
    options = json.dumps({"latency": latency, "rows": rows})
    command = [sys.executable, "-m", "tests.bench.server", options]
    with (
        on(SERVER),
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=CHECKOUT) as process,
    ):
        try:
            yield Medium(f"http://127.0.0.1:{int(process.stdout.readline())}")
        finally:
            process.kill()


@contextmanager
def on(cores: Sequence[int]) -> Iterator[None]:
    """Processes that the block starts run on these cores, and so does this one meanwhile."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def environment(**settings: object) -> dict[str, str]:
    """The environment with these settings of Ark's, and none of the developer's; bytecode is kept, as for a user."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ARK_", "PYTHON"))}
    return (
        kept | {"PYTHONPYCACHEPREFIX": BYTECODE.name} | {f"ARK_{key.upper()}": str(settings[key]) for key in settings}
    )


def compile_modules() -> None:
    """Have the bytecode before anything is measured: compiling takes time and memory, once in a user's life."""
    modules = "import tests.bench.bare, tests.bench.whole; tests.bench.whole.names()"
    subprocess.run([sys.executable, "-c", modules], cwd=CHECKOUT, env=environment(), check=True)


def measured(module: str, options: dict, env: dict[str, str]) -> dict:
    """What the process `python -m tests.bench.MODULE` says of itself."""
    command = [sys.executable, "-m", f"tests.bench.{module}", json.dumps(options)]
    with on(CLIENT):
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=CHECKOUT, env=env, timeout=LIMIT, check=False
        )
    if done.returncode:
        raise CannotMeasureError(f"{module}: exit {done.returncode}, {done.stderr.strip().rpartition(chr(10))[2]}")
    return json.loads(done.stdout.splitlines()[-1])


@dataclass(frozen=True)
class Work:
    """The same calls for Ark and for the bare pool: every account under each of `queries`, `width` at a time."""

    accounts: int
    width: int
    latency: float = 0
    rows: int = 1
    interface: str = "gdt.funds"
    path: str = "funds/get"
    queries: Sequence[dict[str, str]] = ({},)
    output: str = "NONE"

    def ark(self) -> Sample:
        """One whole run of Ark."""
        stored = self.accounts * len(self.queries) * self.rows
        options = {"interface": self.interface, "output": self.output, "rows": stored}
        with home(self.accounts) as folder, medium(self.latency, self.rows) as server:
            env = environment(home=folder, gdt_url=server.url, http_concurrency=self.width)
            return Sample(**measured("whole", options, env), **server.tally())

    def bare(self) -> Sample:
        """The bare pool."""
        with medium(self.latency, self.rows) as server:
            options = {
                "url": f"{server.url}/v1.1/{self.path}",
                "accounts": self.accounts,
                "width": self.width,
                "queries": self.queries,
            }
            return Sample(**measured("bare", options, environment()), **server.tally())


def alternate(pairs: int, *sides: Callable[[], Sample]) -> list[list[Sample]]:
    """A B A B ...; the samples of each side."""
    taken: list[list[Sample]] = [[] for _ in sides]
    for number in range(pairs):
        for side, samples in zip(sides, taken, strict=True):
            samples.append(side())
        sys.stderr.write(f"  pair {number + 1} of {pairs}\n")
    return taken


def ratio(id_: str, what: str, ones: Sequence[float], others: Sequence[float], goal: str = "") -> Line:
    """The ratio of the medians, and the extremes of the pairs' ratios."""
    each = [one / other for one, other in zip(ones, others, strict=True)]
    return Line(id_, what, median(ones) / median(others), min(each), max(each), goal)


def figure(id_: str, what: str, values: Sequence[float], unit: str, goal: str = "") -> Line:
    """The median of `values` and their extremes."""
    return Line(id_, what, median(values), min(values), max(values), goal, unit)


def table(lines: Sequence[Line]) -> str:
    """The lines under each other."""
    width = max(len(line.what) for line in lines)
    return "\n".join(
        f"{line.id:3} {line.what:{width}} {line.value:10,.3f} {line.unit:5}"
        f" [{line.low:,.3f} .. {line.high:,.3f}]{f'  goal {line.goal}' if line.goal else ''}"
        for line in lines
    )
