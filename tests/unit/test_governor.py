"""The governor on modelled servers whose counters, latencies and faults are drawn at random; simulated time."""

from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import pairwise
from math import inf
from random import Random
from typing import Any

import pytest
import redis
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from ark.accounts import embedded_redis
from ark.governor import Governor
from tests.modelled import drive as drives
from tests.modelled.drive import Member, Outcome, drive, drive_fleet, oracle
from tests.modelled.leases import Leased, Shares
from tests.modelled.servers import KINDS, Day, Fixed, Server, strangers

WINDOWS = 5
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
"""What fails is told as it was drawn: it reads well enough, and to shrink it takes minutes."""
EXAMPLES = settings(max_examples=25, phases=PHASES, derandomize=True)
FEW = settings(EXAMPLES, max_examples=10)


@dataclass(frozen=True)
class Situation:
    """One server and one pool; `latency` and the times in it are shares of the window."""

    kind: str = "fixed"
    size: int = 600
    window: float = 60.0
    phase: float = 0.3
    rounding: Any = "floor"
    family: str = "lognormal"
    latency: float = 0.0045
    even: bool = True
    cap: int = 50
    seed: int = 1

    def server(self, **options: Any) -> Server:
        terms: dict[str, Any] = {"window": self.window, "phase": self.phase * self.window, "rounding": self.rounding}
        return KINDS[self.kind](self.size, **terms | options)

    def governor(self) -> Governor:
        return Governor("percent", window=self.window, cap=self.cap)

    @property
    def steady(self) -> tuple[float, float]:
        """From the end of the first whole window to the end."""
        return (self.phase + 1) * self.window, (self.phase + WINDOWS) * self.window

    def terms(self) -> dict[str, Any]:
        mean = self.latency * self.window
        families = {
            "lognormal": drives.lognormal(mean, tail=0.005),
            "tail": drives.lognormal(mean, tail=0.05),
            "uniform": drives.uniform(0.5 * mean, 1.5 * mean),
            "constant": drives.constant(mean),
        }
        terms = {"cap": self.cap, "seconds": self.steady[1], "latency": families[self.family]}
        return terms | {"rng": Random(self.seed), "even": self.even}

    def drive(self, governor: Any = None, server: Server | None = None, **options: Any) -> Outcome:
        return drive(governor or self.governor(), server or self.server(), **self.terms() | options)

    def oracle(self, server: Server | None = None, **options: Any) -> Outcome:
        return oracle(server or self.server(), **self.terms() | options)

    def captured(self, got: Outcome, best: Outcome) -> float:
        """What it got of what an oracle gets, at steady state."""
        return got.within(*self.steady) / best.within(*self.steady)


@st.composite
def situations(draw: st.DrawFn, **given_: Any) -> Situation:
    drawn = {
        "kind": draw(st.sampled_from(sorted(KINDS))),
        "size": draw(st.integers(300, 3000)),
        "window": draw(st.sampled_from((6.0, 60.0))),
        "phase": draw(st.floats(0, 0.99)),
        "rounding": draw(st.sampled_from(("floor", "round", "ceil", "exact"))),
        "family": draw(st.sampled_from(("lognormal", "tail", "uniform", "constant"))),
        "latency": draw(st.floats(0.001, 0.02)),
        "even": draw(st.booleans()),
        "cap": draw(st.sampled_from((1, 4, 20, 50, 100, 300))),
        "seed": draw(st.integers(0, 1 << 16)),
    }
    return Situation(**drawn | given_)


@EXAMPLES
@given(situations())
def test_alone_nothing_is_refused_and_the_quota_is_taken(situation):
    got, best = situation.drive(), situation.oracle()

    assert got.refused == 0
    assert situation.captured(got, best) >= 0.85


@pytest.mark.parametrize(
    ("size", "rounding", "seed"),
    [(155, "ceil", 884807), (211, "round", 546607), (115, "ceil", 121690), (127, "floor", 131497)],
)
def test_a_small_sliding_quota_spent_in_one_burst_looks_like_fixed_windows(size, rounding, seed):
    """A burst comes back a window later as quickly as it was sent: full at once, but later each time."""
    situation = Situation("sliding", size, rounding=rounding, latency=0.0008, cap=300, seed=seed)

    got = situation.drive()

    assert got.refused <= 0.2 * size
    assert situation.captured(got, situation.oracle()) >= 0.95


@EXAMPLES
@given(situations(window=60.0), st.integers(100, 1000), st.floats(0.5, 3), st.booleans())
def test_the_next_run_finds_the_window_used_up_and_waits_for_it(situation, size, windows, warm):
    """The calls of the run before come back although this one never sent them."""
    situation = replace(situation, size=size)
    server, before, changed = situation.server(), situation.governor(), 60.0 * windows
    drive(before, server, **situation.terms() | {"seconds": changed})
    after = Governor("percent", cap=situation.cap, hint=before.hint() if warm else None)

    got = situation.drive(after, server, starts=changed, seconds=changed + 300)

    assert got.refused <= 0.01 * got.sent + 2


@EXAMPLES
@given(situations(kind="fixed"), st.integers(30, 99))
def test_a_tiny_quota_is_overrun_by_little_if_at_all(situation, size):
    """A percent is less than a call there, and a window that begins between the first two answers hides a lot."""
    situation = replace(situation, size=size)

    got = situation.drive()

    assert got.refused <= 2 * size
    assert got.within(*situation.steady) >= 0.6 * situation.oracle().within(*situation.steady)


@EXAMPLES
@given(
    situations(), st.floats(0.01, 0.4), st.floats(0, 0.02), st.lists(st.floats(0.05, 4), max_size=3), st.floats(0, 1)
)
def test_alone_no_fault_costs_a_refusal(situation, headerless, lost, pauses, length):
    stops = [(at * situation.window, length * situation.window) for at in pauses]
    faults = {"header_faults": headerless, "lost": lost, "lost_after": situation.window / 2, "pauses": stops}

    got = situation.drive(**faults)

    assert got.refused == 0
    if situation.cap >= 20:
        assert got.accepted >= 0.5 * situation.oracle(**faults).accepted


@FEW
@given(situations(), st.sampled_from(("both", "only", "blind", "mixed")))
def test_without_any_percent_it_goes_on(situation, refusal):
    got = situation.drive(header_faults=1.0, refusal=refusal)

    assert got.accepted >= 0.03 * situation.oracle().accepted


@EXAMPLES
@given(situations(), st.floats(0.05, 0.4), st.sampled_from((0, 0, 3, 10)), st.sampled_from(("both", "only", "mixed")))
def test_beside_strangers_refusals_are_rare(situation, share, bursts, refusal):
    def others():
        return strangers(situation.size, share, Random(situation.seed), situation.window, bursts)

    got = situation.drive(server=situation.server(strangers=others()), refusal=refusal)
    best = situation.oracle(situation.server(strangers=others()))

    assert got.refused <= 5 + 0.03 * got.sent
    assert situation.captured(got, best) >= 0.6


@EXAMPLES
@given(situations(), st.floats(0.5, 1.5), st.sampled_from((0.5, 0.7, 1.5, 2.0)))
def test_a_quota_that_changes_in_mid_window_is_followed(situation, at, factor):
    def server():
        change = (situation.phase + at) * situation.window, round(situation.size * factor)
        return situation.server(changes=[change])

    got, best = situation.drive(server=server()), situation.oracle(server())
    last = (situation.phase + WINDOWS - 2) * situation.window, situation.steady[1]

    assert got.refused <= 2 * situation.cap + situation.size / 4
    assert got.refused_within(*last) <= 0.05 * got.within(*last)
    assert got.within(*last) >= 0.7 * best.within(*last)


class Asked:
    """A governor that also checks, at the n-th answer and in the same state, what other percents would have done."""

    def __init__(self, governor: Governor, number: int) -> None:
        self._governor, self._number = governor, number
        self._answers, self._least = 0, 100.0
        self.compared = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._governor, name)

    def answered(self, call: Any, now: float, day: float | None, minute: float | None) -> None:
        self._answers += 1
        if self._answers % self._number == 0:
            self._compare(call, now, day, int(self._least))
        if minute is not None:
            self._least = minute if minute > self._least + 50 else min(self._least, minute)
        self._governor.answered(call, now, day, minute)

    def _compare(self, call: Any, now: float, day: float | None, most: int) -> None:
        waits = []
        for percent in sorted({0, 1, 2, most // 2, max(most - 1, 0), most}):
            governor, same_call = deepcopy((self._governor, call))
            governor.answered(same_call, now, day, float(percent))
            waits.append(governor.wait(now))
        self.compared += 1
        slot = 0.01  # own calls are counted by parts of a window
        assert all(more <= less + slot for less, more in pairwise(waits))


@FEW
@given(situations(size=300), st.integers(7, 40))
def test_less_that_is_left_is_never_a_shorter_wait(situation, number):
    asked = Asked(situation.governor(), number)

    situation.drive(asked)

    assert asked.compared > 0


@EXAMPLES
@given(situations())
def test_the_same_events_have_the_same_answers(situation):
    one, other = situation.drive(), situation.drive()

    assert (one.accepted_at, one.refused_at, one.asks) == (other.accepted_at, other.refused_at, other.asks)


@pytest.mark.parametrize("limit", ["second", "minute", "day"])
@pytest.mark.parametrize("heard", [False, True])
@pytest.mark.parametrize("dialect", ["percent", "refusals", "codes"])
def test_a_refusal_closes_the_scope_and_settles_the_call_once(dialect, heard, limit):
    governor = Governor(dialect, cap=10)
    calls, now = _in_flight(governor, 3)
    before = governor.state(now).in_flight

    if heard:
        governor.answered(calls[0], now, 80, 70)
    governor.refused(calls[0], now, limit)

    state = governor.state(now)
    assert state.in_flight == before - 1
    assert state.refusals == 1
    assert governor.wait(now) > 0
    assert bool(governor.spent) == (limit == "day")
    if limit == "day":
        assert governor.wait(now + 1e6) == inf


@pytest.mark.parametrize("dialect", ["percent", "refusals", "codes"])
def test_a_refusal_that_names_a_time_closes_the_scope_for_that_time(dialect):
    governor = Governor(dialect, cap=10)
    calls, now = _in_flight(governor, 3)

    governor.refused(calls[0], now, "minute", retry_in=40.0)

    assert governor.wait(now) >= 40.0 - 1e-9
    assert governor.wait(now + 39.9) > 0
    for call in calls[1:]:
        governor.lost(call, now + 41.0)
    assert governor.wait(now + 500.0) == 0


@pytest.mark.parametrize("dialect", ["percent", "refusals", "codes"])
def test_calls_that_were_lost_leave_the_flight(dialect):
    governor = Governor(dialect, cap=10)
    calls, now = _in_flight(governor, 3)

    for call in calls:
        governor.lost(call, now + 30.0)

    assert governor.state(now + 30.0).in_flight == 0
    assert governor.wait(now + 30.0) < inf
    assert governor.wait(now + 180.0) == 0


@EXAMPLES
@given(st.integers(1, 50), st.integers(0, 200))
def test_no_more_calls_than_allowed_are_sent(cap, calls):
    governor = Governor("percent", cap=cap)
    governor.allow(calls)

    got = drive(governor, Fixed(1000), cap=cap, seconds=120, latency=drives.constant(0.2), rng=Random(1))

    assert got.sent == calls
    assert governor.spent
    assert governor.wait(1e6) == inf


@EXAMPLES
@given(
    situations(size=1500),
    st.integers(1500, 6000),
    st.floats(0, 0.6),
    st.sampled_from(("floor", "round", "ceil", "exact")),
)
def test_the_day_is_taken_to_its_end_without_a_refusal(situation, size, used, rounding):
    gone = int(size * used)
    governor = situation.governor()
    server = situation.server(day=Day(size, rounding, gone))

    got = situation.drive(governor, server, seconds=situation.window * 30)

    assert got.refused == 0
    if governor.spent:
        assert got.accepted >= 0.94 * (size - gone) - 10
    told = governor.day_left()
    assert told is None or told <= size - server.day.used


def _together(situation: Situation, governors: list[Any], apart: float = 0.05) -> tuple[int, list[int], float]:
    """Refusals of all, calls of each that were accepted at steady state, and what an oracle would have got.

    They start so many seconds after one another.
    """
    members = [Member(governor, situation.cap, starts=apart * place) for place, governor in enumerate(governors)]
    terms = situation.terms()
    del terms["cap"]
    outcomes = drive_fleet(members, situation.server(), **terms)
    best = situation.oracle(cap=situation.cap * len(governors)).within(*situation.steady)
    return sum(it.refused for it in outcomes), [it.within(*situation.steady) for it in outcomes], best


@FEW
@given(situations(cap=12), st.sampled_from((2, 4, 8)), st.integers(100, 250))
def test_governors_that_know_nothing_of_each_other_share_a_quota(situation, processes, each):
    situation = replace(situation, size=each * processes)

    refused, taken, best = _together(situation, [situation.governor() for _ in range(processes)])

    assert refused <= 0.02 * sum(taken)
    assert sum(taken) >= 0.8 * best


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """Of a Redis that nobody else uses."""
    home = tmp_path_factory.mktemp("home")
    yield redis.Redis.from_url(embedded_redis.ensure(home))
    embedded_redis.stop(home)


@EXAMPLES
@given(situations(cap=12), st.sampled_from((2, 4, 8)), st.integers(100, 250), st.sampled_from((0.001, 0.05)))
def test_a_fleet_takes_a_small_quota_together(client, situation, processes, each, apart):
    situation = replace(situation, size=each * processes)
    client.flushdb()
    shares = Shares(client, "scope")
    governors = [Leased(situation.governor(), shares, situation.window) for _ in range(processes)]

    refused, taken, best = _together(situation, governors, apart * situation.window)

    assert refused <= 5 + 0.01 * sum(taken)
    assert sum(taken) >= 0.75 * best
    assert situation.kind != "fixed" or min(taken) >= 0.2 * max(taken)


def _in_flight(governor: Governor, calls: int) -> tuple[list[Any], float]:
    """So many calls under way, after as many answers as that takes, and the time at which they are."""
    flight: list[Any] = []
    for step in range(1000):
        now = step / 50
        while len(flight) < calls and governor.wait(now) == 0.0:
            flight.append(governor.sent(now))
        if len(flight) == calls:
            return flight, now
        if flight and now - flight[0].sent_at > 1:
            governor.answered(flight.pop(0), now, 100, 100)
    return pytest.fail("it does not open")
