"""Several processes of `ark run` on one app: they share its quota through one Redis, whatever becomes of either.

Nothing here goes by how fast the machine is, or by who came first: what each got of the quota is not asked.
"""

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from random import randrange
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests.acceptance.conftest import DATE, FUNDS, Ark, Said, Stage, compare, ended, row_key, wait_for
from tests.acceptance.servers import OwnRedis, altered, own_redis
from tests.simulator import Media

if TYPE_CHECKING:
    import subprocess

PROCESSES = 4
SIZE, WINDOW = 480, 4.0
"""Calls in a minute of the medium, and its seconds."""
ACCOUNTS = 360
"""Of each process: three minutes of the whole quota."""
FEW = PROCESSES * ACCOUNTS // 30
"""Refusals. Mostly there are none; but what is a blink of a real minute is long in so short a one."""
OF_REDIS = 0.15
"""Scripts per call of the medium."""
AWAY = "no shares of the quota from Redis"

HELD = """
import asyncio, os
from handlers.sharing import Sharing
opened = Sharing.open
async def held(self, handler):
    gate = await opened(self, handler)
    while not os.path.exists({go!r}):
        await asyncio.sleep(0.01)
    return gate
Sharing.open = held
"""
"""Nobody calls before the test lets them: on a busy machine the first might be through before the last has joined."""


class Sample(NamedTuple):
    """What the medium had accepted, asked for at `began` and told at `ended`."""

    began: float
    ended: float
    accepted: int


class Fleet:
    """Agents of one tenant, each with accounts, a home and a process of its own, before the quota of one app."""

    def __init__(self, media: Media, server: OwnRedis, folder: Path, kind: str) -> None:
        self.media, self._server, self._folder = media, server, folder
        self.running: list[subprocess.Popen[str]] = []
        self._looks = 0
        number = randrange(1_000_000, 9_000_000)
        known = {"tenant": f"T{number}", "app": f"11{number}", "accounts": ACCOUNTS}
        agents = [{**known, "id": str(number + each)} for each in range(PROCESSES)]
        quota = {"minute": {"kind": kind, "size": SIZE, "window": WINDOW, "phase": 1.3}}
        latency = {"kind": "lognormal", "seconds": 0.03}
        media.set_scenario({"gdt": {"agents": agents, "quota": quota, "latency": latency}}, replace=True)
        media.clear_stats()
        told = [each for each in media.directory() if each["medium"] == "gdt"]
        self.stages = [self._stage(each["tenant"], each["agent"], each["token"]) for each in told]

    def _stage(self, tenant: str, agent: str, token: str) -> Stage:
        home = self._folder / agent
        home.mkdir()
        ark = Ark(home, redis_url=self._server.url, gdt_window=WINDOW, http_concurrency=20)
        accounts = self.media.accounts(agent)
        made = Stage(ark, self._server.client, self.media.url, accounts, tenant=tenant, agent=agent)
        made.fill(token)
        return made

    def start(self) -> None:
        """All of them; nobody calls before all hold equal parts of the quota."""
        go = self._folder / "go"
        patch = HELD.format(go=str(go))
        self.running = [it.ark.spawn(altered(patch, *it.words(FUNDS.interface, "--no-next"))) for it in self.stages]
        wait_for(lambda: len(self.users()) == PROCESSES and self.in_equal_parts(), 40)
        go.touch()

    def kill(self) -> None:
        """Leave none behind."""
        for process in self.running:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()

    def users(self) -> dict[int, dict[str, Any]]:
        """Pid -> what `ark quota` shows of it, of those that live."""
        self._looks += 1
        views = self.stages[0].ark.json("quota")
        return {user["pid"]: user for view in views for user in view["users"] if user["lives"]}

    def in_equal_parts(self) -> bool:
        """Whether all that live hold the whole in equal parts."""
        shares = [user["share"] for user in self.users().values()]
        return all(share == pytest.approx(100 / len(shares)) for share in shares)

    def hindmost(self) -> int:
        """Which of those that have begun has sent least, and so is far from its end."""
        users = self.users()
        sent = {each: users[it.pid]["sent"] for each, it in enumerate(self.running) if it.pid in users}
        return min((each for each in sent if sent[each]), key=lambda each: sent[each])

    @property
    def codes(self) -> Counter[str]:
        """How often the medium gave each code."""
        return Counter(self.media.stats()["media"].get("gdt", {}).get("funds/get", {}).get("codes", {}))

    def watch(self) -> list[Sample]:
        """Samples until all have ended."""
        samples = [self._sample()]
        while any(process.poll() is None for process in self.running):
            time.sleep(0.1)
            samples.append(self._sample())
        return samples

    def _sample(self) -> Sample:
        began = time.monotonic()
        accepted = self.codes["0"]
        return Sample(began, time.monotonic(), accepted)

    def scripts(self) -> int:
        """Scripts that Redis has run, without those of our own looks."""
        stats = self._server.client.info("commandstats")
        told = [stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("evalsha", "eval", "fcall")]
        return sum(told) - self._looks

    def differences(self) -> list[tuple[int, int, int]]:
        """Rows of each table that are lost, duplicated, misplaced."""
        truth = self.media.truth(FUNDS.interface, DATE)
        found = []
        for it in self.stages:
            expected = {row_key(each, FUNDS.key, DATE): each["record"] for each in truth if each["agent"] == it.agent}
            cells = it.ark.rows(FUNDS.table, "--date", DATE)
            found.append(compare(expected, {key: value["data"] for key, (_, value) in cells.items()}))
        return found


Fleets = Callable[..., Fleet]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[OwnRedis]:
    """A Redis that knows of no earlier run."""
    folder = tmp_path / "redis"
    folder.mkdir()
    with own_redis(folder) as running:
        yield running


@pytest.fixture
def fleets(server: OwnRedis, media: Media, tmp_path: Path) -> Iterator[Fleets]:
    made: list[Fleet] = []

    def make(kind: str = "fixed") -> Fleet:
        made.append(Fleet(media, server, tmp_path, kind))
        return made[-1]

    yield make
    for each in made:
        each.kill()


def done(said: Sequence[Said]) -> bool:
    """Whether every account of each is verified."""
    ends = [(it.code, it.result["status"], it.result["verified"]) for it in said]
    return ends == [(0, "done", ACCOUNTS)] * PROCESSES


def most_within(samples: Sequence[Sample], seconds: float) -> int:
    """Calls that were accepted within some stretch of so many seconds, at least."""
    pairs = ((one, other) for one in samples for other in samples if 0 <= other.ended - one.began <= seconds)
    return max((other.accepted - one.accepted for one, other in pairs), default=0)


@pytest.mark.parametrize("kind", ["fixed", "sliding", "bucket"])
def test_four_processes_share_a_quota(fleets: Fleets, kind: str) -> None:
    fleet = fleets(kind)
    fleet.start()
    samples = fleet.watch()
    said = [ended(process) for process in fleet.running]
    codes = fleet.codes
    assert done(said)
    assert codes.keys() <= {"0", "11017"}
    assert codes["0"] == PROCESSES * ACCOUNTS
    assert sum(it.result["refused"] for it in said) == codes["11017"] <= FEW
    assert fleet.scripts() <= OF_REDIS * codes.total()
    assert most_within(samples, WINDOW) <= (1 if kind == "sliding" else 2) * SIZE
    assert fleet.differences() == [(0, 0, 0)] * PROCESSES


def test_one_that_is_killed_leaves_its_share_to_the_others_and_is_taken_up(fleets: Fleets) -> None:
    fleet = fleets()
    fleet.start()
    wait_for(lambda: fleet.codes["0"] > SIZE)
    number = fleet.hindmost()
    dead, ark = fleet.running.pop(number), fleet.stages[number].ark
    dead.kill()
    assert ended(dead).code == -signal.SIGKILL
    wait_for(lambda: dead.pid not in fleet.users() and fleet.in_equal_parts())
    fleet.running.append(ark.start("rerun", ark.json("runs")[0]["run_id"], "--no-next"))
    said = [ended(process) for process in fleet.running]
    assert done(said)
    assert fleet.codes.keys() <= {"0", "11017"}
    assert fleet.codes["0"] >= PROCESSES * ACCOUNTS
    assert fleet.codes["11017"] <= FEW
    assert fleet.differences() == [(0, 0, 0)] * PROCESSES


def test_a_redis_that_goes_away_is_told_once_by_each_and_all_go_on(fleets: Fleets, server: OwnRedis) -> None:
    fleet = fleets()
    fleet.start()
    wait_for(lambda: fleet.codes["0"] > SIZE // 2)
    server.send(signal.SIGKILL)
    said = [ended(process) for process in fleet.running]
    codes = fleet.codes
    assert done(said)
    assert [it.err.count(AWAY) for it in said] == [1] * PROCESSES
    assert codes.keys() <= {"0", "11017"}
    assert codes["0"] == PROCESSES * ACCOUNTS
    assert sum(it.result["refused"] for it in said) == codes["11017"] <= FEW
    assert fleet.differences() == [(0, 0, 0)] * PROCESSES
