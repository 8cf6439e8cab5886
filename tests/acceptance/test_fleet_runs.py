"""Four processes of `ark run` on one app: together they take what one would have, and are not refused."""

import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.conftest import Ark, Stage, ended, wait_for
from tests.simulator import Media

if TYPE_CHECKING:
    import redis

PROCESSES = 4
SIZE, WINDOW = 480, 4
"""Calls in a minute of the medium, and its seconds."""
FEW = 5
"""Refusals that a busy machine may cause: a process that was stopped for long sends on what it knew before."""

Agents = Callable[[int], list[Stage]]


@pytest.fixture
def agents(redis_url: str, directory: "redis.Redis[bytes]", media: Media, tmp_path: Path) -> Iterator[Agents]:
    """One process for each agent, with a home of its own, before a minute's quota that all of them share."""
    made: list[Stage] = []

    def make(accounts: int) -> list[Stage]:
        minute = {"kind": "fixed", "size": SIZE, "window": WINDOW, "phase": 1.3}
        given = [{"tenant": f"T{7_100_000 + n}", "id": f"{7_100_000 + n}"} for n in range(PROCESSES)]
        told = [{**each, "accounts": accounts, "token": f"token-of-{each['id']}"} for each in given]
        latency = {"kind": "lognormal", "seconds": 0.03}
        media.set_scenario({"gdt": {"agents": told, "quota": {"minute": minute}, "latency": latency}}, replace=True)
        media.clear_stats()
        for number, each in enumerate(told):
            ark = Ark(tmp_path / str(number), redis_url=redis_url, gdt_window=WINDOW, http_concurrency=20)
            own = media.accounts(str(each["id"]))
            made.append(Stage(ark, directory, media.url, own, tenant=str(each["tenant"]), agent=str(each["id"])))
            made[-1].fill(str(each["token"]))
        return made

    yield make
    for each in made:
        each.clear()


def codes(media: Media) -> Counter[str]:
    """How often the medium gave each code for funds/get."""
    return Counter(media.stats()["media"].get("gdt", {}).get("funds/get", {}).get("codes", {}))


def test_four_processes_take_the_whole_quota_in_fair_shares(agents: Agents, media: Media) -> None:
    minutes = 4
    fleet = agents(minutes * SIZE // PROCESSES)
    said = [ended(running) for running in [each.start("gdt.funds", "-o", "NONE") for each in fleet]]
    told = codes(media)
    assert [(each.code, each.result["verified"]) for each in said] == [(0, minutes * SIZE // PROCESSES)] * PROCESSES
    assert told["0"] == minutes * SIZE
    assert sum(each.result["refused"] for each in said) == told["11017"] <= FEW
    took = [each.result["seconds"] for each in said]
    assert max(took) < (minutes / 0.9 + 1) * WINDOW  # the first window has begun before; the last is not full
    assert min(took) > max(took) - 2 * WINDOW  # nobody was through long before the others


def test_the_share_of_one_that_is_killed_comes_back_to_the_others(agents: Agents, media: Media) -> None:
    minutes = 5
    fleet = agents(minutes * SIZE // PROCESSES)
    running = [each.start("gdt.funds", "-o", "NONE") for each in fleet]
    wait_for(lambda: codes(media)["0"] > SIZE)
    dead = running.pop()
    dead.send_signal(signal.SIGKILL)
    dead.communicate()
    said = [ended(each) for each in running]
    assert [(each.code, each.result["verified"]) for each in said] == [(0, minutes * SIZE // PROCESSES)] * len(said)
    assert codes(media)["11017"] <= FEW
    calls = codes(media)["0"]
    assert max(each.result["seconds"] for each in said) < (calls / SIZE / 0.9 + 1.5) * WINDOW
