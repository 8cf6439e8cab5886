"""Real processes of `ark run` against the simulator, with windows of WINDOW seconds instead of a minute.

Quotas and latencies shrink with the window: 10,000 a minute are 1,000 here, 270 ms are 27. The simulator is asked for
its counts several times a second while the runs go on; from these samples follows what got through per window.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import chain, pairwise
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple, TextIO

import redis

from ark.accounts import embedded_redis
from tests.bench.frame import CHECKOUT, LIMIT, CannotMeasureError, environment
from tests.bench.home import AGENT, TENANT, TOKEN, fill
from tests.bench.server import DATE
from tests.simulator import Media, simulator

WINDOW = 6.0
SHRUNK = 60 / WINDOW
LATENCY: dict[str, Any] = {"kind": "lognormal", "seconds": 0.27 / SHRUNK, "tail": 0.005}
WINDOWS = 6
"""Windows' worth of calls; the first is for the start."""
STEADY = 3
"""Windows that are measured."""
SAMPLE = 0.1
"""Seconds between two samples."""
PLENTY = 10_000_000
"""Calls a day."""
PATH = "funds/get"
SCRIPTS = ("cmdstat_evalsha", "cmdstat_eval", "cmdstat_fcall")


class Sample(NamedTuple):
    """The simulator's counts at one moment."""

    at: float
    accepted: int
    refused: int


class Ended(NamedTuple):
    """How one process of `ark run` ended."""

    code: int
    told: Mapping[str, Any]
    """ARK_RESULT."""


@dataclass
class Course:
    """What the simulator saw, and how the processes ended."""

    capacity: float
    """Calls per window."""
    samples: list[Sample] = field(default_factory=list)
    ends: dict[int, float] = field(default_factory=dict)
    """When each process was seen to have ended, by its number."""
    ended: list[Ended] = field(default_factory=list)
    scripts: int = 0
    """Calls of Redis scripts, which are the fleet's."""

    @property
    def refused(self) -> int:
        return self.samples[-1].refused

    @property
    def requests(self) -> int:
        return self.samples[-1].accepted + self.refused

    def refused_percent(self) -> float:
        """Of the calls that were sent."""
        return 100 * self.refused / self.requests

    def captured(self) -> float:
        """Calls in STEADY windows / capacity, wherever these begin after all have run for a window."""
        begin = max(self.ends[number] - it.told["seconds"] for number, it in enumerate(self.ended)) + WINDOW
        end = self.samples[-1].at - STEADY * WINDOW
        each = [self._until(it.at + STEADY * WINDOW) - it.accepted for it in self.samples if begin <= it.at <= end]
        if not each:
            raise CannotMeasureError(f"all was done within {STEADY + 1} windows")
        return mean(each) / (STEADY * self.capacity)

    def _until(self, at: float) -> float:
        """Calls up to a moment between two samples."""
        for one, other in pairwise(self.samples):
            if one.at <= at <= other.at:
                return one.accepted + (other.accepted - one.accepted) * (at - one.at) / (other.at - one.at)
        return self.samples[-1].accepted


@dataclass(frozen=True)
class Scene:
    """A quota of `size` calls per WINDOW, and the processes that share it."""

    kind: str
    size: int
    strangers: float = 0.0
    """Share of the quota that others spend."""
    rounding: str = "floor"
    phase: float = 0.0
    processes: int = 1
    one_redis: bool = False
    """Whether the processes share a Redis; else each has its own and knows nothing of the others."""
    cap: int = 50
    day: int = PLENTY
    windows: float = WINDOWS
    """Windows' worth of calls in all."""
    calls: int = 0
    """Of all processes together, in place of that."""

    @property
    def capacity(self) -> float:
        """Calls per WINDOW; of a fixed window one gets what strangers have not spent by the time when it is used up."""
        if self.kind != "fixed":
            return self.size * (1 - self.strangers)
        pace = self.cap / LATENCY["seconds"]
        return self.size * pace / (pace + self.strangers * self.size / WINDOW)

    def course(self) -> Course:
        """Run them all to their end."""
        capacity = self.capacity
        each = (self.calls or int(self.windows * capacity)) // self.processes
        parts = [
            [str(10_000_000 + number) for number in range(part * each, (part + 1) * each)]
            for part in range(self.processes)
        ]
        course = Course(capacity)
        with ExitStack() as stack:
            media = stack.enter_context(simulator(self._scenario([*chain(*parts)])))
            places = stack.enter_context(_places(parts, one_redis=self.one_redis))
            runs = [stack.enter_context(_run(place, media, self.cap)) for place in places]
            _watch(media, runs, course)
            course.ended = [run.ended() for run in runs]
            if not course.samples:
                raise CannotMeasureError(f"ark run has called nothing: {course.ended}")
            course.scripts = sum(map(_scripts, {place.redis for place in places}))
        return course

    def _scenario(self, accounts: Sequence[str]) -> dict[str, Any]:
        minute = {
            "kind": self.kind,
            "size": self.size,
            "window": WINDOW,
            "phase": self.phase,
            "rounding": self.rounding,
            "strangers": self.strangers * self.size / WINDOW,
        }
        quota = {"minute": minute, "day": {"size": self.day, "window": 86400}}
        agent = {"tenant": TENANT, "id": AGENT, "token": TOKEN, "account_ids": accounts}
        return {"dates": [DATE], "gdt": {"agents": [agent], "quota": quota, "latency": LATENCY}}


def courses(scenes: Sequence[Scene]) -> list[Course]:
    """All at the same time."""
    with ThreadPoolExecutor(len(scenes)) as threads:
        return list(threads.map(Scene.course, scenes))


class _Place(NamedTuple):
    home: Path
    redis: str
    key: str


@contextmanager
def _places(parts: Sequence[Sequence[str]], *, one_redis: bool) -> Iterator[list[_Place]]:
    """A home for each part of the accounts, and a Redis for each or one for all."""
    places: list[_Place] = []
    try:
        for number, part in enumerate(parts):
            home = Path(tempfile.mkdtemp(prefix="ark-"))
            url = places[0].redis if one_redis and places else embedded_redis.ensure(home)
            places.append(_Place(home, url, f"gdt_advertiser_v1.1_{TENANT}_{number}"))
            fill(home, url, places[-1].key, part)
        yield places
    finally:
        for place in places:
            embedded_redis.stop(place.home)
            shutil.rmtree(place.home)


class _Run(NamedTuple):
    process: "subprocess.Popen[str]"
    said: TextIO
    """What it prints."""

    def ended(self) -> Ended:
        self.said.seek(0)
        lines = self.said.read().splitlines()
        results = [line for line in lines if line.startswith("ARK_RESULT ")]
        if not results:
            raise CannotMeasureError(f"ark run: exit {self.process.returncode}, {lines[-1:]}")
        return Ended(self.process.returncode, json.loads(results[-1].removeprefix("ARK_RESULT ")))


@contextmanager
def _run(place: _Place, media: Media, cap: int) -> Iterator[_Run]:
    """One process; it is ended with the block."""
    settings = {"home": place.home, "redis_url": place.redis, "gdt_url": media.url, "gdt_window": WINDOW}
    words = ["run", "gdt.funds", "-t", TENANT, "-d", DATE, "-g", AGENT, "-k", place.key, "-o", "NONE", "--no-next"]
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as said,
        subprocess.Popen(
            [sys.executable, "-m", "handlers.cli", *words],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment(http_concurrency=cap, **settings),
            cwd=CHECKOUT,
        ) as process,
    ):
        try:
            yield _Run(process, said)
        finally:
            process.kill()


def _watch(media: Media, runs: Sequence[_Run], course: Course) -> None:
    """Take samples until all have ended."""
    deadline = time.monotonic() + LIMIT
    while len(course.ends) < len(runs):
        now = time.monotonic()
        for number, run in enumerate(runs):
            if number not in course.ends and run.process.poll() is not None:
                course.ends[number] = now
        told = media.stats()["media"].get("gdt", {}).get(PATH)
        if told:
            course.samples.append(Sample(now, told["codes"].get("0", 0), told["refusals"]))
        if now > deadline:
            raise CannotMeasureError(f"a run hangs: {course.samples[-1:]}")
        time.sleep(SAMPLE)


def _scripts(url: str) -> int:
    """Calls of scripts so far; the commands that they call in turn are counted under their own names."""
    with redis.Redis.from_url(url) as client:
        stats = client.info("commandstats")
    return sum(int(stats[name]["calls"]) for name in SCRIPTS if name in stats)
