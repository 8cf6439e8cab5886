"""Each toxic of the proxy between Ark and one of its dependencies, in the middle of a whole chain on the real services.

    with lab(services) as laboratory:
        trial = laboratory.trial("reset_peer", "hbase", seed=1)
        assert not trial.faults, trial

A trial is a run of the gdt chain in a process of its own. Once the medium counts its calls, the toxic is let in for a
few seconds. The run ends by itself, within twice the time of a clean one and the outage, with a documented exit code;
then it is taken up where something is open, and every stored cell is compared with what was served.
"""

import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from itertools import product
from random import Random
from typing import NamedTuple
from urllib.parse import urlsplit

import happybase

from tests.acceptance.conftest import Said, ended, wait_for
from tests.chaos.judge import GDT
from tests.chaos.servers import shared
from tests.chaos.stage import LIMIT, Ground, Scene, real
from tests.conftest import Services, database
from tests.proxy import (
    Bandwidth,
    CutMessage,
    Latency,
    LimitData,
    Proxy,
    ResetPeer,
    Slicer,
    SlowClose,
    Timeout,
    Toxic,
    Way,
    before_kafka,
)

ACCOUNTS = 12
LATENCY = 0.03
"""Seconds of an answer of the medium: the chain takes some seconds."""
DATABASE = database(9)
"""Of the shared Redis, as in the acceptance tests."""
EXITS = {0, 3, 69, 74, 75, 77}
"""What a run may end with whose services fail: design.md, 5.6."""
REFUSED_CODE = 98765
"""A body code that no table knows: it makes the failure of which Sentry is told."""
SHORT = {
    "hbase_timeout": 2,
    "hbase_patience": 8,
    "http_connect": 2,
    "http_read": 2,
    "http_total": 4,
    "http_patience": 8,
    "run_lease": 5,
}
"""Seconds, so that a trial takes few; all are longer than an outage, but for the one call that it hits."""
OUTAGE = (1.0, 2.0)
"""Seconds for which a toxic is there, from and to."""

TOXICS: dict[str, Callable[[Random], Toxic]] = {
    "latency": lambda chance: Latency(0.25, jitter=0.2, seed=chance.randrange(1000)),
    "bandwidth": lambda chance: Bandwidth(chance.randrange(2_000, 8_000)),
    "slow_close": lambda chance: SlowClose(chance.uniform(0.5, 2)),
    "timeout": lambda chance: Timeout(chance.choice([None, 0.5])),
    "reset_peer": lambda chance: ResetPeer(chance.choice([0, 0.3])),
    "slicer": lambda chance: Slicer(chance.randrange(1, 64), 0.002),
    "limit_data": lambda chance: LimitData(
        chance.randrange(1, 3_000), chance.choice([Way.UP, Way.DOWN]), times=None
    ),
    "cut_message": lambda chance: CutMessage(
        chance.randrange(1, 6), chance.choice([Way.UP, Way.DOWN]), whole=chance.random() < 0.5, every=True
    ),
}  # fmt: skip
DEPENDENCIES = ("redis", "hbase", "medium", "kafka", "mariadb", "sentry")
AT_THE_END = "sentry"
"""Called at the end of a run that has failures: there the toxic stays to the end."""
SETTING = {
    "redis": "redis_url",
    "hbase": "hbase_url",
    "medium": "gdt_url",
    "mariadb": "ledger_url",
    "sentry": "sentry_dsn",
}


class Trial(NamedTuple):
    """One run with one toxic: what it was, how it ended, what is wrong with that (nothing, if all is well)."""

    toxic: str
    dependency: str
    seed: int
    code: int
    seconds: float
    bound: float
    taken_up: int
    """How many reruns it took until the run and all that follows it was done."""
    faults: tuple[str, ...]

    def line(self) -> str:
        """For whoever watches."""
        told = (
            f"{self.dependency:8} {self.toxic:12} seed {self.seed}: exit {self.code} after {self.seconds:.1f} s of "
            f"{self.bound:.1f} s, taken up {self.taken_up} x"
        )
        return "\n  ".join([f"WRONG {told}" if self.faults else told, *self.faults])


class Lab:
    """The ground of the trials, and how long a clean run takes on it."""

    def __init__(self, ground: Ground, services: Services) -> None:
        self._ground, self._services = ground, services
        self._clean: dict[bool, float] = {}
        """Seconds of a run without toxics, without and with a failure in it."""
        self._tenants: set[str] = set()

    def trial(self, toxic: str, dependency: str, seed: int) -> Trial:
        """Run the chain with this toxic before this dependency; how exactly comes from the seed."""
        chance = Random(f"{toxic} {dependency} {seed}")
        outage = chance.uniform(*OUTAGE)
        with self._scene(dependency) as (scene, proxy):
            began = time.monotonic()
            process = scene.ark.start(*scene.command)
            with suppress(AssertionError):  # one that never calls is judged by its end
                wait_for(lambda: process.poll() is not None or scene.requests().total() > 0, LIMIT)
            with proxy.toxic(TOXICS[toxic](chance)):
                _wait(process, LIMIT if dependency == AT_THE_END else outage)
            said, *faults = _said(process)
            seconds = time.monotonic() - began
            taken_up, *wrong = _taken_up(scene)
        bound = self._bound(dependency, outage, seconds)
        if said and wrong:
            wrong.append(said.err[-3000:])
        code = said.code if said else process.returncode
        return Trial(toxic, dependency, seed, code, seconds, bound, taken_up, (*faults, *wrong))

    def tidy(self) -> None:
        """Take away what the trials have stored: the tables and the Redis are not theirs alone."""
        address = urlsplit(self._services.hbase_url)
        mine = f"KeyOnlyFilter() AND RowFilter(=, 'regexstring:{'|'.join(self._tenants)}')".encode()
        with closing(happybase.Connection(address.hostname, address.port, timeout=60_000)) as connection:
            for stored in (connection.table(kind.table) for kind in GDT if self._tenants):
                with stored.batch(batch_size=1000) as batch:
                    for key in [key for key, _ in stored.scan(filter=mine)]:
                        batch.delete(key)
        for key in self._ground.redis.scan_iter("*"):
            if not self._tenants.isdisjoint(key.decode().split("_")):
                self._ground.redis.delete(key)

    def _bound(self, dependency: str, outage: float, seconds: float) -> float:
        """Twice a clean run and the outage. Where `seconds` is longer, the machine may be slower than it was."""
        fails = dependency == AT_THE_END
        if fails not in self._clean or seconds > 2 * self._clean[fails] + outage:
            self._clean[fails] = max(self._clean_run(dependency) for _ in range(2))
        return 2 * self._clean[fails] + outage

    def _clean_run(self, dependency: str) -> float:
        """Seconds of a run through a proxy that does nothing."""
        with self._scene(dependency) as (scene, _):
            began = time.monotonic()
            assert ended(scene.ark.start(*scene.command), LIMIT).result["exit"] == 0
            return time.monotonic() - began

    @contextmanager
    def _scene(self, dependency: str) -> Iterator[tuple[Scene, Proxy]]:
        """A scene with a proxy before one dependency."""
        with ExitStack() as stack:
            stack.callback(self._ground.close)
            scene = self._ground.scene(ACCOUNTS, GDT, LATENCY, **SHORT)
            self._tenants.add(scene.tenant)
            if dependency == AT_THE_END:
                failing = {"kind": "code", "code": REFUSED_CODE, "accounts": scene.accounts[:1], "path": "funds/get"}
                scene.media.set_scenario({"gdt": {"faults": [failing]}})
            yield scene, stack.enter_context(self._between(scene.ark.settings, dependency))

    @contextmanager
    def _between(self, settings: dict[str, object], dependency: str) -> Iterator[Proxy]:
        """Have Ark reach one dependency through a proxy."""
        settings["ledger_url"] = f"{settings['ledger_url']}&connect_timeout=2&read_timeout=2&write_timeout=2"
        if dependency == "kafka":
            with before_kafka(self._services.kafka_url) as proxy:
                settings["kafka_url"] = f"127.0.0.1:{proxy.port}"
                yield proxy
            return
        setting = SETTING[dependency]
        address = urlsplit(str({**settings, "sentry_dsn": self._services.sentry_dsn}[setting]))
        with Proxy(str(address.hostname), int(address.port or 0)) as proxy:
            user, at, _ = address.netloc.rpartition("@")
            settings[setting] = address._replace(netloc=f"{user}{at}127.0.0.1:{proxy.port}").geturl()
            yield proxy


def _wait(process: "subprocess.Popen[str]", seconds: float) -> None:
    """So long, or until the process has ended; it says too little to fill its pipes."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(seconds)


def _said(process: "subprocess.Popen[str]") -> tuple[Said | None, *tuple[str, ...]]:
    """What a process has said, and what is wrong with it: no end, no result, a traceback, a code of its own."""
    try:
        said = ended(process, LIMIT)
        if said.result["exit"] in EXITS:
            return (said,)
    except (AssertionError, subprocess.TimeoutExpired) as error:
        return None, str(error)[-3000:]
    return said, f"exit {said.code} is none of {sorted(EXITS)}"


def _taken_up(scene: Scene) -> tuple[int, *tuple[str, ...]]:
    """`ark rerun` of the first run, now that the toxic is gone: how often, and what is wrong when all is done."""
    scene.media.set_scenario({"gdt": {"faults": []}})
    try:
        outcome = scene.recover()
    except (AssertionError, subprocess.TimeoutExpired) as error:
        return 0, f"taking up: {error}"
    return (outcome.tries, str(outcome)) if outcome.wrong else (outcome.tries,)


@contextmanager
def lab(services: Services) -> Iterator[Lab]:
    """The shared services, with a database of its own on the MariaDB."""
    directory = services.redis_url.rpartition("/")[0] + f"/{DATABASE}"
    with real(services.hbase_url, directory, services.mariadb_url, services.kafka_url) as ground:
        creator = ground.scene(1, latency=0).ark
        assert ended(creator.start("tables", "create", *[kind.table for kind in GDT])).code == 0
        made = Lab(ground, services)
        try:
            yield made
        finally:
            made.tidy()


def run(repeats: int, seed: int, dependencies: Iterable[str] = DEPENDENCIES) -> Iterator[Trial]:
    """Every toxic before every dependency, so many times, each time otherwise; on the shared services."""
    with shared("redis", "hbase", "kafka", "mariadb", "bugsink") as state, lab(Services.of(state)) as laboratory:
        for number, dependency, toxic in product(range(repeats), dependencies, TOXICS):
            yield laboratory.trial(toxic, dependency, seed + number)


def table(trials: Iterable[Trial]) -> str:
    """One line for each dependency: how many trials, how they ended, how many are wrong, the longest."""
    by_dependency: dict[str, list[Trial]] = {}
    for trial in trials:
        by_dependency.setdefault(trial.dependency, []).append(trial)
    return "\n".join(_line(dependency, mine) for dependency, mine in by_dependency.items())


def _line(dependency: str, trials: list[Trial]) -> str:
    codes = ", ".join(f"{code}: {times}" for code, times in sorted(Counter(trial.code for trial in trials).items()))
    wrong = sum(bool(trial.faults) for trial in trials)
    longest = max(trials, key=lambda trial: trial.seconds / trial.bound)
    return (
        f"{dependency:8} {len(trials):4} trials, {wrong} wrong; by exit code {codes}; "
        f"longest {longest.seconds:.1f} s of {longest.bound:.1f} s ({longest.toxic})"
    )
