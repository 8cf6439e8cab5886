"""How often a process asks for its share, and what it does while Redis is away; in virtual time."""

import asyncio
from contextlib import suppress
from itertools import pairwise

import pytest
from structlog.testing import capture_logs

from ark.errors import ServiceDownError
from ark.governor import Governor, Hint
from ark.governor.fleet import RETRY, Clock, Fleet, Who
from ark.governor.fleet_store import FleetStore, Lease
from tests.virtual_time import run


class Paced:
    """A governor whose calls go at an even pace."""

    spent = ""

    def __init__(self, pace=5.0):
        self.pace, self.shares, self.learned = pace, [], []

    def state(self, now):
        return Governor("percent").state(now)._replace(pace=self.pace, sent=int(self.pace * now))

    def hint(self):
        return Hint()

    def take_share(self, rank, of, quota=0.0):
        self.shares.append((asyncio.get_running_loop().time(), rank, of))

    def learn(self, kind, boundary):
        self.learned.append((kind, boundary))


class Scripted:
    """In place of the store: what `answer` says, and when it was asked."""

    note = FleetStore.note
    faulty = False

    def __init__(self, answer):
        self.answer, self.asked = answer, []

    async def renew(self, scope, worker, report, *, ttl, **_):
        now = asyncio.get_running_loop().time()
        self.asked.append((now, ttl))
        await asyncio.sleep(0.001)
        answer = self.answer(now)
        if isinstance(answer, Exception):
            raise answer
        return answer


def keep(answer, seconds, window=60.0, pace=5.0):
    """A fleet for so long: its store and its governor."""
    store, governor = Scripted(answer), Paced(pace)

    async def go():
        now = asyncio.get_running_loop().time
        clock = Clock(now, lambda: now() + 1.6e9)
        fleet = Fleet(store, "scope", governor, Who(), window=window, clock=clock)
        await fleet.start()
        await asyncio.sleep(seconds)
        await fleet.stop()

    run(go())
    return store, governor


@pytest.mark.parametrize("quota", [120, 1000, 10_000, 60_000])
@pytest.mark.parametrize("members", [1, 4, 16])
def test_redis_is_asked_rarely_by_whom_uses_the_quota(members, quota):
    pace = quota / 60
    store, _ = keep(lambda now: Lease(0, members, members, 0.0, pace), 3600)
    assert len(store.asked) * members <= 0.15 * quota * 60


def test_one_alone_that_sends_little_asks_every_half_minute():
    store, _ = keep(lambda now: Lease(0, 1, 1, 0.0, 0.0), 3600, pace=0.0)
    assert len(store.asked) < 3600 / 30 + 10


@pytest.mark.parametrize("pace", [0.0, 0.5, 5.0, 500.0])
def test_the_lease_is_renewed_well_before_it_ends(pace):
    store, governor = keep(lambda now: Lease(0, 4, 4, 0.0, pace if now < 2000 else 2 * pace), 3600)
    *kept, (_, left) = store.asked
    assert left == 0.0
    for (asked, ttl), (again, _) in pairwise(kept):
        assert again - asked <= 2 * ttl / 3 + 0.1
    assert {(rank, of) for _, rank, of in governor.shares[1:-1]} == {(0, 4)}


def test_a_share_is_kept_where_redis_goes_away_and_a_new_one_is_taken_when_it_is_back():
    def answer(now):
        if 1100 < now < 1300:
            return ServiceDownError("Redis does not answer")
        return Lease(2, 4, 4, 0.0, 8.0) if now <= 1100 else Lease(0, 3, 3, 0.0, 6.0)

    _, governor = keep(answer, 600)
    back = next(when for when, *share in governor.shares if share == [0, 3])
    assert 1300 <= back <= 1300 + RETRY + 0.1
    assert not [when for when, *_ in governor.shares if 1100.1 < when < back], "nothing is changed meanwhile"
    assert {(rank, of) for when, rank, of in governor.shares if back <= when < 1600} == {(0, 3)}


def test_who_gets_no_share_for_two_seconds_takes_the_part_that_it_is_owed():
    _, governor = keep(lambda now: Lease(0, 0, 4, 0.0, 8.0), 60)
    taken = next(when for when, *share in governor.shares if share == [3, 4])
    assert 1002 <= taken <= 1010
    assert all(share == [0, 0] for when, *share in governor.shares if when < taken)


def test_without_redis_from_the_beginning_one_goes_on_by_oneself_at_once():
    _, governor = keep(lambda now: ServiceDownError("Redis does not answer"), 60)
    assert governor.shares[:2] == [(1000.0, 0, 0), (pytest.approx(1000.001), 0, 1)]


def test_no_fault_of_ours_reaches_the_run():
    with capture_logs() as lines:
        _, governor = keep(lambda now: ValueError("what access_token=s3cr3ts3cr3t is this"), 60)
    assert [line["error"] for line in lines] == ["ValueError: what access_token=*** is this"]
    assert governor.shares[-1][1:] == (0, 1)


def test_a_cancellation_that_the_client_loses_does_not_hold_up_the_end():
    class Deaf(Scripted):
        async def renew(self, *args, **options):
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(1.0)
            return await super().renew(*args, **options)

    async def go():
        now = asyncio.get_running_loop().time
        store = Deaf(lambda now: Lease(0, 1, 1, 0.0, 4.0))
        fleet = Fleet(store, "scope", Paced(), Who(), window=60.0, clock=Clock(now, now))
        await fleet.start()
        await asyncio.sleep(0.5)
        await fleet.stop()
        assert len(store.asked) == 2
        assert now() < 1003

    run(go())


def test_a_boundary_is_told_and_learned_on_one_s_own_clock():
    class Knowing(Paced):
        def hint(self):
            return Hint(kind="fixed", boundary=1000.0 - 42.5)

    told, others = [], Paced()

    class Passed(Scripted):
        async def renew(self, *args, kind, boundary, **options):
            told.append((kind, boundary))
            return await super().renew(*args, **options)

    async def go(answer, governor, ahead):
        loop = asyncio.get_running_loop().time
        clock = Clock(lambda: loop() + ahead, lambda: loop() + 1.6e9)
        fleet = Fleet(Passed(answer), "scope", governor, Who(), window=60.0, clock=clock)
        await fleet.start()
        await asyncio.sleep(0.1)
        await fleet.stop()

    run(go(lambda now: Lease(0, 2, 2, 0.0, 4.0), Knowing(), 0.0))
    first = Lease(1, 2, 2, 0.0, 4.0, *told[0])
    assert told[0] == ("fixed", pytest.approx(1.6e9 + 1000.0 - 42.5))
    run(go(lambda now: first, others, 5000.0))
    assert others.learned == [("fixed", pytest.approx(6000.0 - 42.5))]


@pytest.mark.parametrize("kind", ["", "leaky", "FIXED", "fixed "])
def test_a_kind_that_is_none_is_nothing(kind):
    _, governor = keep(lambda now: Lease(1, 2, 2, 0.0, 4.0, kind, 0.0), 10)
    assert set(governor.learned) == {("", 0.0)}


def test_who_becomes_the_first_goes_on_from_what_was_learned():
    governor = Governor("percent")
    hints = []

    async def go():
        now = asyncio.get_running_loop().time
        told = 1.6e9 + 990.0
        store = Scripted(lambda at: Lease(1, 2, 2, 0.0, 4.0, "fixed", told) if at < 1030 else Lease(0, 1, 1, 0.0, 4.0))
        clock = Clock(now, lambda: now() + 1.6e9)
        fleet = Fleet(store, "scope", governor, Who(), window=60.0, clock=clock)
        await fleet.start()
        await asyncio.sleep(90)
        hints.append(governor.hint())
        await fleet.stop()

    run(go())
    (hint,) = hints
    assert hint.kind == "fixed"
    assert (hint.boundary - 990.0 + 30.0) % 60 == pytest.approx(30.0)


def test_others_are_told_when_the_share_changes_and_only_then():
    told = []

    async def go():
        now = asyncio.get_running_loop().time
        fleet = Fleet(
            Scripted(lambda now: Lease(0, 2 if now > 1100 else 1, 2, 0.0, 4.0)),
            *("scope", Paced(), Who()),
            window=60.0,
            clock=Clock(now, now),
            changed=lambda: told.append(now()),
        )
        await fleet.start()
        await asyncio.sleep(600)
        assert len(told) == 3
        await fleet.stop()
        await fleet.stop()

    run(go())
    assert len(told) == 4
