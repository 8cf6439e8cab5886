"""Ark dies exactly between two neighbouring states, and is taken up: nothing lost, doubled or out of place.

Each open unit takes one call, so that as many calls as open units means that no other unit was fetched again.
"""

import sys
from collections import Counter
from collections.abc import Callable

import pytest

from tests.acceptance.conftest import ended
from tests.chaos.judge import ADVERTISERS, DAILY, FUNDS, GDT, HOURLY, Kind
from tests.chaos.stage import LIMIT, Ground, Outcome, Scene

CHAIN = (FUNDS, DAILY, HOURLY)
ACCOUNTS = 10


def dead(scene: Scene, point: str, nth: int, **settings: object) -> None:
    """Run a scene until it dies there."""
    command = [sys.executable, "-m", "tests.chaos.dying", point, str(nth), "--", *scene.command]
    assert ended(scene.ark.spawn(command, **settings), LIMIT).code == -9


def states(scene: Scene, kind: Kind = FUNDS) -> Counter[str]:
    return Counter(unit.state for unit in scene.units() if unit.interface == kind.interface)


def stored(scene: Scene, kind: Kind = FUNDS) -> int:
    return len(scene.cells()[kind.interface])


def check(scene: Scene, outcome: Outcome, kinds: tuple[Kind, ...] = CHAIN) -> None:
    """All is where it belongs, and cost no call too many; every run was begun once and is done."""
    assert outcome.wrong == 0, outcome
    assert outcome.called == outcome.due
    assert Counter(run.interface for run in scene.runs()) == {kind.interface: 1 for kind in kinds}
    assert {run.status for run in scene.runs()} == {"done"}
    requests = scene.requests().total()
    assert scene.recover().called == 0, "a run that is done was not left alone"
    assert scene.requests().total() == requests


def test_planned_but_nothing_fetched(ground: Ground) -> None:
    scene = ground.scene(ACCOUNTS, CHAIN)
    dead(scene, "after:freeze", 1)
    assert states(scene) == {"planned": ACCOUNTS}
    assert scene.requests().total() == 0
    check(scene, scene.recover())


def test_planned_in_part(ground: Ground) -> None:
    """The plan is made whole before anything is fetched."""
    scene = ground.scene(ACCOUNTS, CHAIN)
    dead(scene, "before:freeze", 1)
    assert scene.requests().total() == 0
    check(scene, scene.recover())


def test_fetched_but_not_written(ground: Ground) -> None:
    scene = ground.scene(ACCOUNTS, CHAIN)
    dead(scene, "before:put", 1)
    assert states(scene) == {"planned": ACCOUNTS}
    assert scene.requests()["funds/get"] > 0
    assert stored(scene) == 0
    check(scene, scene.recover())


def test_some_batches_of_a_unit_are_written(ground: Ground) -> None:
    """Under the same timestamp, byte for byte: `altered` is 0."""
    scene = ground.scene(50, GDT, hbase_batch=2)
    dead(scene, "after:put", 2)
    assert states(scene, ADVERTISERS) == {"planned": 1}
    assert 4 <= stored(scene, ADVERTISERS) < 50
    outcome = scene.recover()
    assert outcome.rewritten >= 4
    check(scene, outcome, GDT)


def test_written_but_not_settled(ground: Ground) -> None:
    scene = ground.scene(ACCOUNTS, CHAIN)
    dead(scene, "before:settle", 1)
    assert states(scene) == {"planned": ACCOUNTS}
    assert stored(scene) > 0
    check(scene, scene.recover())


def test_some_units_are_settled(ground: Ground) -> None:
    scene = ground.scene(ACCOUNTS, CHAIN, latency=0.3)
    dead(scene, "after:settle", 1)
    verified = states(scene)["verified"]
    assert 0 < verified < ACCOUNTS
    scene.media.set_scenario({"gdt": {"latency": None}})
    outcome = scene.recover()
    assert outcome.due == len(scene.units()) - verified
    check(scene, outcome)


def test_all_is_verified_but_the_run_is_not_finished(ground: Ground) -> None:
    scene = ground.scene(ACCOUNTS, CHAIN)
    dead(scene, "before:finish", 1)
    assert states(scene) == {"verified": ACCOUNTS}
    assert [run.status for run in scene.runs()] == ["running"]
    check(scene, scene.recover())


FOLLOWING: dict[str, tuple[str, int, Callable[[Scene], bool]]] = {
    "finished, the intent stored, nothing sent": ("after:finish", 1, lambda scene: begun(scene) == 1),
    "sent: the follower has begun": ("after:begin", 2, lambda scene: begun(scene) == 2),
    "the follower is done, and not marked": ("before:mark_sent", 1, lambda scene: done(scene) == 2),
    "the first follower is marked": ("after:mark_sent", 1, lambda scene: done(scene) == 2),
    "the last follower is done, and not marked": ("before:mark_sent", 2, lambda scene: done(scene) == 3),
    "all are marked": ("after:mark_sent", 2, lambda scene: done(scene) == 3),
}


def begun(scene: Scene) -> int:
    return len(scene.runs())


def done(scene: Scene) -> int:
    return sum(run.status == "done" for run in scene.runs())


@pytest.mark.parametrize("where", FOLLOWING)
def test_between_the_result_and_what_follows(ground: Ground, where: str) -> None:
    """The result, the intent, the sending, the mark: each follower runs once in effect."""
    point, nth, reached = FOLLOWING[where]
    scene = ground.scene(ACCOUNTS, CHAIN)
    dead(scene, point, nth)
    assert reached(scene)
    check(scene, scene.recover())


@pytest.mark.parametrize("where", ["the follower is done, and not marked", "the first follower is marked"])
def test_between_the_result_and_followers_in_processes_of_their_own(embedded_ground: Ground, where: str) -> None:
    point, nth, reached = FOLLOWING[where]
    scene = embedded_ground.scene(ACCOUNTS, CHAIN, next_dispatch="subprocess")
    dead(scene, point, nth)
    assert reached(scene)
    check(scene, scene.recover())
