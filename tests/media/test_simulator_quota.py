"""Counters, nonces and tokens under a clock that the test moves."""

import random
from statistics import median

import pytest

from media.simulator.nonces import Nonces
from media.simulator.quota import KINDS, Counter, Meter, RowQuota
from media.simulator.scenario import Agents, Latency, Quota, Quotas, Tokens
from media.simulator.server import waits
from media.simulator.tokens import TokenRefusedError, TokenStore
from media.simulator.world import World


def counter(**keys) -> Counter:
    quota = Quota(**{"size": 100, **keys})
    return KINDS[quota.kind](quota, 1000.0)


def spend(it: Counter, calls: int, now: float) -> int:
    """How many of so many calls are granted."""
    granted = 0
    for _ in range(calls):
        if it.has(now):
            it.spend(now)
            granted += 1
        else:
            it.refuse(now)
    return granted


@pytest.mark.parametrize("kind", KINDS)
def test_the_size_is_granted_and_no_more(kind):
    it = counter(kind=kind)
    assert spend(it, 150, 1000) == 100
    assert it.percent(1000) == 0


def test_a_fixed_window_is_full_again_at_its_boundary():
    it = counter(phase=10)
    assert spend(it, 150, 1000) == 100
    assert spend(it, 1, 1009.9) == 0
    assert spend(it, 150, 1010) == 100
    assert spend(it, 1, 1069.9) == 0
    assert spend(it, 150, 1070) == 100


def test_a_sliding_window_gives_back_what_is_a_window_old():
    it = counter(kind="sliding")
    assert spend(it, 60, 1000) == 60
    assert spend(it, 60, 1030) == 40
    assert spend(it, 1, 1059.9) == 0
    assert spend(it, 100, 1060) == 60


def test_a_bucket_fills_steadily():
    it = counter(kind="bucket")
    assert spend(it, 100, 1000) == 100
    assert spend(it, 100, 1006) == 10
    assert spend(it, 200, 2000) == 100


@pytest.mark.parametrize(("rounding", "percent"), [("floor", 99), ("round", 100), ("ceil", 100)])
def test_the_percent_is_rounded_as_the_scenario_says(rounding, percent):
    it = counter(size=1000, rounding=rounding)
    assert it.percent(1000) == 100
    spend(it, 4, 1000)
    assert it.percent(1000) == percent


@pytest.mark.parametrize("kind", KINDS)
def test_strangers_eat_from_the_same_quota(kind):
    it = counter(kind=kind, strangers=1)
    spend(it, 50, 1000)
    assert it.percent(1020) == {"fixed": 30, "sliding": 30, "bucket": 63}[kind]


def test_a_refusal_may_count_and_may_shut_the_counter():
    counted = counter(kind="sliding", count_refused=True)
    assert spend(counted, 150, 1000) == 100
    assert counted.used(1000) == 150
    shut = counter(kind="bucket", penalty=300)
    assert spend(shut, 101, 1000) == 100
    assert (spend(shut, 1, 1299), shut.percent(1299)) == (0, 0)
    assert spend(shut, 1, 1300) == 1


def test_a_size_of_0_is_unlimited():
    it = counter(size=0)
    assert spend(it, 500, 1000) == 500
    assert it.percent(1000) == 100


def test_the_meter_says_which_counter_refuses():
    meter = Meter(Quotas(minute=Quota(size=2), day=Quota(size=3, window=86400)), 1000.0)
    assert [meter.take(1000) for _ in range(3)] == ["", "", "minute"]
    assert meter.percents(1000) == (33, 0)
    assert [meter.take(1060) for _ in range(2)] == ["", "day"]


def test_too_many_rows_freeze_for_longer_than_the_period():
    rows = RowQuota(40_000, 10, 1000.0)
    rows.add(40_000, 1001)
    assert not rows.frozen(1001)
    rows.add(45_000, 1002)
    assert rows.frozen(1029.9)
    assert not rows.frozen(1030)


def test_a_nonce_is_good_once_per_token_and_window():
    nonces = Nonces(300, 1000)
    assert nonces.use("a", "n", 0)
    assert nonces.use("b", "n", 0)
    assert not nonces.use("a", "n", 299)
    assert not nonces.use("a", "n", 301)
    assert nonces.use("a", "n", 700)


def test_nonces_are_bounded():
    nonces = Nonces(300, 10)
    for number in range(1000):
        assert nonces.use("a", str(number), 0)
    assert not nonces.use("a", "999", 0)
    assert nonces.use("a", "0", 0)


@pytest.mark.parametrize("rotate", [False, True])
def test_a_refresh_gives_a_new_token_and_rotates_if_told_so(rotate):
    world = World(7, "gdt", (Agents(token="first", token_age=100),))
    store = TokenStore(world, Tokens(life=200, rotate=rotate), 7, 1000.0)
    first = store.refresh_token(world.agents[0])
    assert store.agent("first", 1000).token == "first"
    grant = store.refresh(first, 1050)
    assert (grant.refresh == first) is not rotate
    assert store.agent(grant.access, 1249).id == world.agents[0].id
    for token, why in (
        (grant.access, "expired"),
        ("nobody's", "unknown"),
        ("first", "unknown" if rotate else "expired"),
    ):
        with pytest.raises(TokenRefusedError, match=why):
            store.agent(token, 1250)
    if rotate:
        with pytest.raises(TokenRefusedError, match="unknown"):
            store.refresh(first, 1250)


def test_an_authorization_code_is_good_once():
    world = World(7, "gdt", (Agents(),))
    store = TokenStore(world, Tokens(), 7, 1000.0)
    code = store.code(world.agents[0])
    assert store.agent(store.authorize(code, 1000).access, 1000) == world.agents[0]
    with pytest.raises(TokenRefusedError, match="used"):
        store.authorize(code, 1000)


def test_latency_is_seeded_and_spreads_around_its_seconds():
    latency = Latency(kind="lognormal", seconds=0.27, tail=0.05, factor=6)
    first, again = (waits(latency, random.Random(7)) for _ in range(2))
    seconds = [first() for _ in range(2000)]
    assert seconds == [again() for _ in range(2000)]
    assert 0.25 < median(seconds) < 0.3
    assert 50 < sum(each > 1 for each in seconds) < 150
    assert {waits(Latency(seconds=0.1), random.Random(7))() for _ in range(10)} == {0.1}
