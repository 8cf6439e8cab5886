"""A whole fleet on one modelled server in simulated time: what it gets of the quota, what is refused, who gets it."""

from math import inf
from random import Random
from statistics import fmean
from typing import Any

import pytest

from ark.governor import Call, Governor
from ark.governor.refill import Refill
from tests.modelled.drive import Member, Outcome, drive_fleet, lognormal
from tests.modelled.servers import KINDS

WINDOW = 60.0
LATENCY = lognormal(0.27, tail=0.005)
CAPS = {4: 50, 16: 12}
"""Processes: slots of each."""
KNOWN = 0.97
"""The part of the quota that the fleet has measured."""
RENEWAL = 1.0
"""Seconds between two renewals of a share."""
LEASE = 3.0
"""Seconds for which the dead are taken for living."""

STEPS = 60
"""Beginnings within a window."""


class Crew:
    """In place of Redis: the mates by rank, and from when on nobody is there to be asked."""

    def __init__(self, quota: float, away_at: float = inf) -> None:
        self.quota, self.away_at = quota, away_at
        self.mates: list[Mate] = []
        self.first: Mate | None = None
        self.found: tuple[Any, float] = "", 0.0
        """Of the refills."""

    def living(self, now: float) -> list["Mate"]:
        """Whose lease has not ended, by rank."""
        return [mate for mate in self.mates if now < mate.dies + LEASE]


class Mate(Governor):
    """A governor that renews its share, tells what it found of the refills as the scripts take it, and learns."""

    def __init__(self, crew: Crew, cap: int, dies: float) -> None:
        super().__init__("percent", window=WINDOW, cap=cap)
        self._crew, self._due, self.dies = crew, RENEWAL, dies
        crew.mates.append(self)

    def wait(self, now):
        if now >= self._due:
            self._due = now + RENEWAL
            self.renew(now)
        delay = super().wait(now)
        return min(delay, self._due - now) if delay > 0.0 else 0.0

    def renew(self, now: float) -> None:
        """A new share; the old one where nobody can be asked."""
        if now >= self._crew.away_at:
            return
        living = self._crew.living(now)
        self.take_share(living.index(self), len(living), self._crew.quota)
        mine = self.hint()
        if mine.kind and (self is self._crew.first or not self._crew.found[0]):
            self._crew.found = mine.kind, mine.boundary
        self._crew.first = living[0]
        self.learn(*self._crew.found)


class Fleet:
    """So many processes for some whole windows, after one that the start cuts off; `dead` of them die at `at`."""

    def __init__(self, processes, size, kind, rounding="floor", *, windows, seed=1, dead=(), at=inf, away_at=inf):
        rng, cap = Random(seed), CAPS[processes]
        self.size, self.kind, self.phase = size, kind, rng.uniform(0, WINDOW)
        crew = Crew(KNOWN * size, self.of_window(away_at))
        for place in range(processes):
            Mate(crew, cap, self.of_window(at) if place in dead else inf)
        for mate in crew.mates:
            mate.renew(0.0)
        members = [Member(mate, cap, starts=rng.uniform(0, WINDOW / 30), ends=mate.dies) for mate in crew.mates]
        server = KINDS[kind](size, window=WINDOW, phase=self.phase, rounding=rounding)
        ends = self.of_window(windows)
        self.outcomes: list[Outcome] = drive_fleet(members, server, seconds=ends, latency=LATENCY, rng=rng)

    def of_window(self, number: float) -> float:
        """When that window begins."""
        return self.phase + number * WINDOW

    def taken(self, since: float, until: float) -> list[int]:
        """Accepted calls of each from one window to another."""
        return [it.within(self.of_window(since), self.of_window(until)) for it in self.outcomes]

    def part(self, since: float, until: float) -> float:
        """Of the quota, of all; of a sliding one the mean of all beginnings within a window, as its bursts move."""
        if self.kind == "fixed":
            return sum(self.taken(since, until)) / (self.size * (until - since))
        starts = [since + step / STEPS for step in range(STEPS)]
        calls = fmean(sum(self.taken(start, start + until - since - 1)) for start in starts)
        return calls / (self.size * (until - since - 1))

    def refused(self, since: float = -1.0, until: float = inf) -> float:
        """Part of the calls that are refused."""
        refused = sum(it.refused_within(self.of_window(since), self.of_window(until)) for it in self.outcomes)
        return refused / (refused + sum(self.taken(since, until)))


def enough(kind: str) -> float:
    """Part of the quota; bursts of a sliding window move over the edges of what is measured."""
    return 0.92 if kind == "sliding" else 0.95


def fair(taken: list[int], least: float) -> bool:
    """Everybody has so much of the mean at least."""
    return min(taken) >= least * sum(taken) / len(taken)


@pytest.mark.parametrize("rounding", ["floor", "ceil"])
@pytest.mark.parametrize("kind", ["fixed", "sliding", "bucket"])
@pytest.mark.parametrize("processes", [4, 16])
def test_a_fleet_uses_up_the_quota_and_is_not_refused(processes, kind, rounding):
    fleet = Fleet(processes, 1000, kind, rounding, windows=9)

    assert fleet.part(2, 9) >= enough(kind)
    assert fleet.refused(2, 9) <= 0.001
    assert fleet.refused() <= 0.003
    assert fair(fleet.taken(2, 9), 0.2 if kind == "fixed" else 0.1)


@pytest.mark.parametrize(
    ("processes", "kind", "rounding", "windows"),
    [
        (4, "fixed", "ceil", 4),
        (16, "fixed", "floor", 4),
        (4, "sliding", "ceil", 8),
        (16, "sliding", "floor", 8),
        (4, "bucket", "floor", 4),
        (16, "bucket", "ceil", 4),
    ],
)
def test_so_it_is_with_a_great_quota(processes, kind, rounding, windows):
    fleet = Fleet(processes, 10_000, kind, rounding, windows=windows)

    assert fleet.part(2, windows) >= enough(kind)
    assert fleet.refused() <= 0.001
    assert fair(fleet.taken(2, windows), 0.2)


@pytest.mark.parametrize("dead", [{0}, {2}, {0, 1}], ids=["the first", "another", "the first two"])
@pytest.mark.parametrize("kind", ["fixed", "sliding", "bucket"])
def test_the_others_take_over_what_the_dead_leave(kind, dead):
    fleet = Fleet(4, 1000, kind, windows=10, dead=dead, at=3.4)

    assert fleet.part(4, 10) >= enough(kind)
    assert fleet.refused() <= 0.001
    taken = fleet.taken(4, 10)
    assert [place for place, calls in enumerate(taken) if not calls] == sorted(dead)
    assert fair([calls for calls in taken if calls], 0.2)


@pytest.mark.parametrize("processes", [4, 16])
@pytest.mark.parametrize("kind", ["fixed", "sliding", "bucket"])
def test_where_redis_goes_away_each_keeps_its_share(kind, processes):
    fleet = Fleet(processes, 1000, kind, windows=9, away_at=3.4)

    assert fleet.part(4, 9) >= enough(kind)
    assert fleet.refused() <= 0.01
    assert fair(fleet.taken(4, 9), 0.2)


def test_a_new_window_of_which_mates_have_taken_most_is_still_a_new_window():
    refill = Refill(4.0)
    refill.adopt("fixed", 3.0)
    refill.heard(Call(1, 4.0, 0, 0, 9.0), 4.03, 9.0, 120.0)

    refill.rose(Call(2, 7.5, 1, 0, 9.0), 7.53, 15.0, 120.0, alone=False)

    assert refill.kind == "fixed"


def asked(governor: Governor, now: float, minute: float, took: float = 0.2) -> float:
    """One call that is told a percent; when its answer is there."""
    call = governor.sent(now)
    governor.answered(call, now + took, minute=minute)
    return now + took


def mate(percent: float, rank: int = 1) -> Governor:
    """One of two that share a thousand calls a minute, and was told a percent at the time 0.2."""
    governor = Governor("percent")
    governor.take_share(rank, 2, 1000)
    asked(governor, 0.0, percent)
    return governor


def test_a_window_that_begins_before_a_mate_tells_of_it_is_not_waited_for_once_more():
    governor = mate(1)
    governor.learn("fixed", 40.0)

    assert governor.wait(41.0) == 0.0


def test_an_answer_that_comes_when_the_next_window_has_begun_does_not_cost_that_window():
    governor = mate(1)
    governor.learn("fixed", 40.0)
    asked(governor, 99.9, 1, took=0.3)

    assert governor.wait(101.0) == 0.0


def test_what_mates_left_of_a_window_is_no_bucket():
    governor = mate(5)

    asked(governor, 50.0, 40)

    assert governor.hint().kind == ""


def test_two_rises_within_a_window_are_no_windows():
    governor = mate(5)

    asked(governor, 3.0, 9)
    asked(governor, 6.0, 13)

    assert governor.hint().kind in ("sliding", "bucket")


def test_whoever_had_much_and_now_has_little_counts_for_little():
    governor = mate(100)
    for step in range(400):
        asked(governor, 1 + step / 100, 100 - step / 10)
    before = governor.state(5.0).quota
    for step, minute in enumerate((60, 95, 40, 30), start=1):
        asked(governor, 60.0 * step, minute)

    assert governor.state(241.0).quota < before / 10


def test_a_part_is_taken_at_once_and_what_mates_leave_by_and_by():
    governor = mate(1)
    governor.learn("fixed", 40.0)

    def taken(since: float, until: float) -> int:
        calls, now = 0, since
        while now < until:
            delay = governor.wait(now)
            if delay:
                now += delay
                continue
            asked(governor, now, 99, took=0.001)
            calls, now = calls + 1, now + 0.002
        return calls

    assert 400 <= taken(40.1, 42.0) <= 600
    assert taken(42.0, 72.0) >= 400


def test_who_is_alone_again_waits_for_nobody():
    governor = mate(1)
    governor.learn("fixed", 40.0)
    now = 40.1
    while not governor.wait(now):
        now = asked(governor, now, 99, took=0.001)
    assert governor.wait(now) < 1

    governor.take_share(0, 1)

    assert governor.wait(now) == 0.0
