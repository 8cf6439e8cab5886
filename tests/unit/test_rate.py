"""The law of media that tell nothing but refusals, against modelled servers by the second and by the minute."""

from itertools import pairwise
from math import inf
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ark.governor import Call, Governor, Hint
from ark.governor.flow import Flow
from ark.governor.rate import RateSearch
from tests.modelled.drive import Member, Outcome, constant, drive, drive_fleet, lognormal
from tests.modelled.servers import KINDS, Bucket, Fixed, Server, Sliding, Steady

BRISK = lognormal(0.1, 0.1)


class Penalty(Sliding):
    """Refuses everything for `retry_in` seconds after a call too many, and says so."""

    retry_in = 30.0
    _shut_until = -inf

    def _take(self, now):
        if now < self._shut_until:
            return False
        if super()._take(now):
            return True
        self._shut_until = now + self.retry_in
        return False


class Told(Governor):
    """Is told how long to wait with every refusal."""

    def __init__(self, server: Penalty, cap: int) -> None:
        super().__init__("refusals", cap=cap)
        self._server, self.closed_until, self.sent_while_closed = server, -inf, 0

    def sent(self, now):
        self.sent_while_closed += now < self.closed_until
        return super().sent(now)

    def refused(self, call, now, limit, retry_in=0.0):
        wait = max(self._server._shut_until - now, 0.001)
        self.closed_until = max(self.closed_until, now + wait)
        super().refused(call, now, limit, wait)


def run(
    server: Server, seconds: float, *, cap: int = 50, latency=BRISK, hint: Hint | None = None, **options
) -> Outcome:
    dialect = "refusals" if server.window <= 1 else "codes"
    governor = Governor(dialect, cap=cap, hint=hint)
    return drive(governor, server, cap=cap, seconds=seconds, latency=latency, rng=Random(5), **options)


def pace(outcome: Outcome, since: float, until: float) -> float:
    return outcome.within(since, until) / (until - since)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("limit", [10, 200])
def test_by_the_second_the_limit_is_used_and_refusals_are_rare(kind, limit):
    warm, end = 15_000 / limit, 40_000 / limit
    outcome = run(KINDS[kind](limit, window=1.0, phase=0.37), end, latency=constant(0.1))
    assert pace(outcome, warm, end) >= 0.97 * limit
    assert outcome.refused_within(warm, end) <= 5
    assert outcome.refused <= 60


@pytest.mark.parametrize("kind", KINDS)
def test_by_the_minute_the_quota_is_used_and_refusals_are_rare(kind):
    outcome = run(KINDS[kind](600, phase=20.0), 3000)
    assert pace(outcome, 600, 3000) >= 0.97 * 10
    assert outcome.refused_within(600, 3000) <= 8
    assert outcome.refused <= 40


@pytest.mark.parametrize("kind", KINDS)
def test_a_cold_start_is_quick_and_costs_a_handful(kind):
    outcome = run(KINDS[kind](40, window=1.0), 40, cap=100, latency=lognormal(0.27, 0.2))
    assert pace(outcome, 5, 15) >= 0.6 * 40
    assert pace(outcome, 20, 40) >= 0.85 * 40
    assert outcome.refused <= 40


def test_calls_are_spaced_from_the_start():
    outcome = run(Bucket(200, window=1.0), 3, cap=100)
    assert outcome.within(0, 0.3) <= 10


@pytest.mark.parametrize("kind", KINDS)
def test_a_limit_cut_by_half_is_met_within_seconds(kind):
    outcome = run(KINDS[kind](50, window=1.0, changes=[(200, 25)]), 300)
    assert outcome.refused_within(200, 260) <= 30
    assert outcome.refused_within(205, 300) <= 15
    assert pace(outcome, 210, 300) >= 0.85 * 25


@pytest.mark.parametrize("kind", KINDS)
def test_a_doubled_limit_is_found(kind):
    outcome = run(KINDS[kind](50, window=1.0, changes=[(60, 100)]), 600)
    assert pace(outcome, 520, 600) >= 0.9 * 100


@pytest.mark.parametrize("kind", KINDS)
def test_beside_strangers_the_rest_is_used(kind):
    strangers = Steady(15.0, start=200.0)
    outcome = run(KINDS[kind](50, window=1.0, strangers=strangers), 500)
    assert pace(outcome, 60, 200) >= 0.9 * 50
    assert 0.75 * 35 <= pace(outcome, 300, 500) <= 50
    assert outcome.refused_within(215, 500) <= 40


def test_what_the_last_governor_learned_is_a_good_start():
    outcome = run(Sliding(50, window=1.0), 30, hint=Hint(quota=49.0 * 60))
    assert pace(outcome, 1, 30) >= 0.93 * 50
    assert outcome.refused <= 8


def test_a_hint_that_is_wrong_is_not_believed_for_long():
    outcome = run(Sliding(20, window=1.0), 60, hint=Hint(quota=200.0 * 60))
    assert pace(outcome, 20, 60) >= 0.8 * 20
    assert outcome.refused <= 100


def test_pools_too_small_for_the_limit_are_never_refused():
    outcome = run(Sliding(50, window=1.0), 600, cap=4, latency=constant(0.1))
    assert not outcome.refused
    assert pace(outcome, 10, 600) >= 0.95 * 40


def test_a_pace_that_is_not_taken_does_not_grow():
    law = RateSearch(Flow(), 60.0, 1.0)
    now = 0.0
    for _ in range(200):
        step(law, now, 0.1)
        now += 0.5
    gaps = [step(law, now, 0.1) for _ in range(5)]
    assert gaps[4] - gaps[3] >= 1 / 60


def test_every_caller_waits_as_long_as_the_medium_says_and_the_pace_is_kept():
    server = Penalty(50, window=1.0)
    governor = Told(server, 50)
    outcome = drive(governor, server, cap=50, seconds=1000, latency=BRISK, rng=Random(5))
    assert governor.sent_while_closed == 0
    assert outcome.refused <= 60
    assert outcome.accepted >= 0.7 * 50 * 1000


def test_refusals_of_calls_under_way_do_not_lower_the_pace_again():
    paces = []
    for others in (0, 2):
        flow = Flow()
        law = RateSearch(flow, 60.0, 1.0, 50.0)
        calls = sent(law, flow, 100)
        now = calls[-1].sent_at + 0.1
        for call in calls[-10 : -9 + others]:
            flow.settled += 1
            law.refused(call, now, "second", 0.0)
        now += 10.0
        flow.settled = flow.sent
        sent(law, flow, 1, now)
        paces.append(law.quota)
    assert paces[0] == paces[1] > 0.9 * 50 * 60


def test_whoever_joins_or_leaves_a_fleet_moves_the_pace_at_once():
    flow = Flow()
    law = RateSearch(flow, 60.0, 1.0, 40.0)
    law.take_share(0, 4, 0.0)
    assert law.quota == pytest.approx(600)
    law.take_share(0, 2, 0.0)
    assert law.quota == pytest.approx(1200)
    law.take_share(0, 2, 9999.0)
    assert law.quota == pytest.approx(1200)


def test_a_newcomer_without_a_share_sends_one_call_at_a_time_and_then_takes_its_part():
    flow = Flow()
    law = RateSearch(flow, 60.0, 1.0)
    law.take_share(0, 0, 0.0)
    [call] = sent(law, flow, 1)
    assert law.wait(100.0) == inf
    flow.settled += 1
    law.answered(call, 100.0, None)
    assert law.wait(101.0) == 0.0
    law.take_share(3, 4, 2400.0)
    assert law.quota == pytest.approx(600)
    sent(law, flow, 2, 101.0)
    assert law.wait(200.0) == 0.0


def test_a_first_call_without_an_answer_does_not_stop_the_rest():
    flow = Flow()
    law = RateSearch(flow, 60.0, 1.0)
    [call] = sent(law, flow, 1)
    assert law.wait(0.5) > 0
    assert law.wait(1.01) == 0.0
    flow.settled += 1
    law.lost(call, 30.0)
    assert law.wait(30.0) == 0.0


def test_it_takes_over_in_mid_flow():
    flow = Flow()
    flow.sent = 30
    law = RateSearch(flow, 60.0, 60.0, 10.0)
    assert law.wait(50.0) == 0.0
    law.refused(Call(30, 49.0, 0, 0, 100.0), 50.0, "minute", 0.0)
    assert law.quota == pytest.approx(600)
    assert len(sent(law, flow, 20, 50.0)) == 20


def test_a_fleet_that_searches_each_for_itself_uses_one_limit():
    members = [Member(Governor("refusals", cap=20), 20) for _ in range(3)]
    for rank, member in enumerate(members):
        member.governor.take_share(rank, 3)
    outcomes = drive_fleet(members, Sliding(60, window=1.0), seconds=400, latency=constant(0.1), rng=Random(5))
    assert sum(pace(each, 100, 400) for each in outcomes) >= 0.85 * 60
    assert sum(each.refused_within(100, 400) for each in outcomes) <= 40


def sent(law: RateSearch, flow: Flow, calls: int, now: float = 0.0) -> list[Call]:
    made = []
    while len(made) < calls:
        pause = law.wait(now)
        if pause == inf:
            break
        now += pause
        if not pause:
            flow.sent += 1
            law.sent(now)
            made.append(Call(flow.sent, now, flow.settled, 0, 100.0))
    return made


def step(law: RateSearch, now: float, latency: float) -> float:
    """Send one call when it may go and have it answered; how long it had to wait."""
    flow = law._flow
    [call] = sent(law, flow, 1, now)
    flow.settled += 1
    law.answered(call, call.sent_at + latency, None)
    return call.sent_at - now


EVENT = st.tuples(
    st.sampled_from(["send", "answer", "refuse", "heard and refused", "lose", "share"]),
    st.floats(0.0, 3.0),
    st.sampled_from([0.0, 0.0, 0.0, 7.0, 300.0]),
    st.integers(0, 5),
)


@settings(max_examples=150)
@given(st.lists(EVENT, max_size=80), st.sampled_from([1.0, 60.0]), st.sampled_from([0.0, 3.0, 500.0]))
def test_it_never_goes_wrong_whatever_comes(events, period, begin):
    flow = Flow()
    law = RateSearch(flow, 60.0, period, begin)
    now, closed_until, under_way = 5.0, 0.0, []
    for kind, passes, retry_in, place in events:
        now += passes
        pause = law.wait(now)
        assert pause == 0.0 or pause >= 0.001
        assert now + pause >= closed_until - 0.001
        if kind == "send" and not pause:
            flow.sent += 1
            law.sent(now)
            under_way.append(Call(flow.sent, now, flow.settled, 0, 100.0))
        elif kind == "share":
            law.take_share(place, place, 600.0 if passes > 1 else 0.0)
        elif under_way and kind != "send":
            call = under_way.pop(place % len(under_way))
            flow.settled += 1
            if kind in ("answer", "heard and refused"):
                call.heard = True
                law.answered(call, now, None)
            if kind in ("refuse", "heard and refused"):
                law.refused(call, now, "second", retry_in)
                closed_until = max(closed_until, now + retry_in)
            if kind == "lose":
                law.lost(call, now)
        assert law.quota >= 0.0
        assert law.least == 100.0
    flow.settled = flow.sent
    now = max(now, closed_until)
    for _ in range(3):  # it goes on: the next calls leave within a foreseeable time
        [call] = sent(law, flow, 1, now)
        assert call.sent_at <= now + 16 * period + 60
        now = call.sent_at + 0.1
        flow.settled += 1
        law.answered(call, now, None)


@settings(max_examples=10)
@given(
    st.sampled_from(sorted(KINDS)),
    st.integers(3, 150),
    st.floats(0.02, 0.6),
    st.floats(0.0, 0.5),
    st.integers(0, 1000),
)
def test_whatever_the_limit_and_the_latency_it_gets_a_good_part_for_few_refusals(kind, limit, mean, sigma, seed):
    server = KINDS[kind](limit, window=1.0, phase=seed / 1000)
    governor = Governor("refusals", cap=100)
    seconds = 60 + 2000 / limit
    outcome = drive(governor, server, cap=100, seconds=seconds, latency=lognormal(mean, sigma), rng=Random(seed))
    possible = min(limit, 100 / mean)
    assert pace(outcome, 40, seconds) >= 0.3 * possible
    assert outcome.refused <= 100
    assert outcome.refused_within(40, seconds) <= 30


def test_calls_are_even_once_the_pace_is_known():
    outcome = run(Fixed(20, window=1.0), 100, latency=constant(0.1))
    gaps = [after - before for before, after in pairwise(at for at in outcome.accepted_at if at > 60)]
    assert sorted(gaps)[len(gaps) // 100] >= 0.8 / 20
