"""Shares of one quota as leases in Redis: never more than the whole, fair soon, and back when somebody dies."""

import asyncio
import time
from contextlib import aclosing, asynccontextmanager
from fractions import Fraction
from functools import partial
from math import lcm
from urllib.parse import urlsplit, urlunsplit

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from structlog.testing import capture_logs

from ark.accounts import embedded_redis
from ark.accounts.directory import connect
from ark.errors import ServiceDownError
from ark.governor import Governor, Hint
from ark.governor.fleet import Clock, Fleets, Kept, Report, Who
from ark.governor.fleet_store import HISTORY, KEPT, FleetStore, Lease
from ark.settings import load
from tests.conftest import database
from tests.proxy import Latency, Proxy, ResetPeer, Timeout, Way

NOON = 1_590_811_200_000
"""Milliseconds; when the tests' own clock begins."""
PERCENTS = {"day": 90.0, "minute": 40.0}


@pytest.fixture(scope="module")
def embedded(tmp_path_factory):
    """Its url; the server of the wheel, 6.2, the oldest that Ark supports."""
    home = tmp_path_factory.mktemp("home")
    yield embedded_redis.ensure(home, embedded_redis._bundled())
    embedded_redis.stop(home)


@pytest.fixture(params=["embedded", "services"])
def url(request):
    """The embedded server and a real one, in a database that no other test uses: the same suite for both."""
    if request.param == "embedded":
        return request.getfixturevalue("embedded")
    return urlunsplit(urlsplit(request.getfixturevalue("services").redis_url)._replace(path=f"/{database(13)}"))


class Table:
    """A store whose clock stands still until it is moved, and the members that sit around it."""

    def __init__(self, directory, scope):
        self.client, self.scope, self.clock = directory.client, scope, f"clock:{scope}"
        self.store = FleetStore(directory, f"local now = tonumber(redis.call('GET', '{self.clock}'))\n")

    async def begin(self):
        await self.client.set(self.clock, NOON, ex=60)

    async def pass_by(self, seconds):
        await self.client.incrby(self.clock, int(seconds * 1000))

    async def renew(self, worker, ttl=10.0, window=60.0, **report):
        asides = {name: report.pop(name) for name in ("moved", "refusals", "kind", "boundary") if name in report}
        return await self.store.renew(
            self.scope, worker, Report(**{"firm": True} | report), ttl=ttl, window=window, **asides
        )

    async def share(self, worker, **report):
        lease = await self.renew(worker, **report)
        return lease.rank, lease.of

    async def look(self):
        return await self.store.look(self.scope)

    async def lose(self):
        """As a Redis that begins again with nothing."""
        keys = [f"ark:quota:{kind}:{self.scope}" for kind in ("leases", "reports", "refused", "hint")]
        await self.client.unlink(*keys, "ark:quota:scopes")

    async def clear(self):
        await self.lose()
        await self.client.unlink(self.clock)


def scenario(test):
    """An async test of a table of its own, run on each server."""

    def run(url, unique):
        async def go():
            directory = await connect(load({"ARK_REDIS_URL": url}))
            async with aclosing(directory):
                table = Table(directory, unique("gdt:127.0.0.1:8080:1:/v1.1/funds/get"))
                await table.begin()
                await test(table)
                await table.clear()

        asyncio.run(go())

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


@scenario
async def test_alone_one_has_it_all(table):
    lease = await table.renew("a", quota=1000.0, pace=7.0)
    assert lease == Lease(0, 1, 1, 1000.0, 7.0, "", 0.0)


@scenario
async def test_who_comes_later_waits_until_the_others_hold_less(table):
    assert await table.share("a") == (0, 1)
    assert await table.share("b") == (0, 0)
    assert await table.share("a") == (0, 2)
    assert await table.share("b") == (1, 2)
    assert await table.share("c") == (0, 0)
    assert await table.share("b") == (2, 3), "rounded down as long as the shares are not of one size"
    assert await table.share("a") == (0, 3)
    assert await table.share("c") == (2, 3)
    assert [await table.share(worker) for worker in "abc"] == [(0, 3), (1, 3), (2, 3)]


@scenario
async def test_what_is_given_back_is_free_at_once(table):
    for worker in "abab":
        await table.renew(worker)
    await table.renew("a", ttl=0.0)
    assert await table.share("b") == (0, 1)


@scenario
async def test_the_share_of_the_dead_comes_back_when_its_lease_ends(table):
    for worker in "abab":
        await table.renew(worker)
    await table.pass_by(9.9)
    assert await table.share("b") == (1, 2)
    await table.pass_by(0.1)
    assert await table.share("b") == (0, 1)
    assert await table.share("a") == (0, 0), "who was taken for dead comes anew"


@scenario
async def test_where_a_greater_share_is_not_free_yet_one_keeps_what_one_has(table):
    for _ in range(3):
        for worker in "abcd":
            await table.renew(worker)
    for worker in "cd":
        await table.renew(worker, ttl=0.0)
    assert await table.share("a") == (1, 2)
    assert await table.share("e") == (0, 0), "a third is not free beside a half and a quarter"
    assert await table.share("f") == (3, 4)
    await table.renew("e", ttl=0.0)
    assert await table.share("b") == (1, 4), "a third is not free beside a half and a quarter"


@scenario
async def test_a_redis_that_lost_everything_shares_anew_once_all_have_come_back(table):
    """Until then those that have not come back yet keep what they had."""
    for _ in range(2):
        held = {worker: await table.share(worker) for worker in "abcd"}
    assert sorted(held.values()) == [(0, 4), (1, 4), (2, 4), (3, 4)]
    await table.lose()
    for _ in range(2):
        for worker in held:
            held[worker] = await table.share(worker)
        assert sum(Fraction(1, of) for _, of in held.values() if of) <= 1
    assert {of for _, of in held.values()} == {4}


@scenario
async def test_the_whole_quota_is_what_all_have_measured_for_a_while(table):
    assert (await table.renew("a", quota=1000.0, ttl=70.0)).quota == 1000.0
    await table.renew("b", quota=400.0, ttl=70.0)
    for told in (1000.0, 1000.0, 1200.0, 1200.0):
        await table.pass_by(40)
        await table.renew("b", quota=500.0, ttl=70.0)
        lease = await table.renew("a", quota=700.0 if told > 1000 else 1000.0, ttl=70.0)
        assert lease.quota == told
    assert (await table.renew("a", quota=100.0, ttl=70.0)).quota == 600.0, "where it falls it is believed at once"


@scenario
async def test_who_does_not_send_has_nothing_to_say_of_the_quota(table):
    await table.renew("a", quota=1000.0, ttl=1000.0)
    await table.renew("b", quota=900.0, ttl=1000.0)
    for _ in range(4):
        await table.pass_by(60)
        lease = await table.renew("b", quota=950.0, ttl=1000.0)
        assert (await table.renew("a", quota=1000.0, ttl=1000.0, moved=False)).quota <= 1000.0
    assert lease.quota == 950.0


@scenario
async def test_as_long_as_somebody_has_measured_nothing_the_hint_holds(table):
    await table.renew("old", quota=1000.0)
    await table.renew("old", quota=1000.0, ttl=0.0)
    await table.renew("a", quota=0.0)
    assert (await table.renew("b", quota=400.0)).quota == 1000.0


@scenario
async def test_what_is_kept_for_the_next_run(table):
    assert (await table.look()).kept is None
    await table.renew("a", quota=1000.5, day_quota=50000.25, pace=16.5, kind="fixed", boundary=1590811234.75)
    await table.pass_by(3600)
    await table.renew("a", ttl=0.0)
    kept = Kept(1000.5, 50000.25, 1590811234.75, 16.5, kind="fixed")
    assert (await table.look()).kept._replace(kept_at=0.0) == kept
    assert await table.client.ttl(f"ark:quota:hint:{table.scope}") == pytest.approx(KEPT, abs=5)


@scenario
async def test_a_new_fleet_looks_for_itself_how_the_quota_is_refilled(table):
    await table.renew("a", kind="bucket")
    await table.renew("a", ttl=0.0)
    assert (await table.renew("b")).kind == ""


@scenario
async def test_what_the_first_found_of_the_refills_reaches_the_others(table):
    for worker in "abab":
        lease = await table.renew(worker)
        assert (lease.kind, lease.boundary) == ("", 0.0)
    await table.renew("a", kind="fixed", boundary=1590811234.75)
    lease = await table.renew("b")
    assert (lease.kind, lease.boundary) == ("fixed", 1590811234.75)
    await table.renew("a", kind="bucket")
    lease = await table.renew("b")
    assert (lease.kind, lease.boundary) == ("bucket", 0.0)
    assert (await table.renew("a")).kind == "bucket", "who does not know yet takes nothing back"


@scenario
async def test_who_is_not_the_first_tells_of_the_refills_only_where_nothing_is_known(table):
    for worker in "abab":
        await table.renew(worker)
    await table.renew("b", kind="sliding", boundary=5.5)
    assert (await table.renew("a"))[-2:] == ("sliding", 5.5)
    await table.renew("a", kind="fixed", boundary=6.5)
    assert (await table.renew("b", kind="bucket", boundary=7.5))[-2:] == ("fixed", 6.5)
    assert await table.renew("c", kind="bucket", boundary=8.5) == Lease(0, 0, 3, 0.0, 0.0, "fixed", 6.5), "no share yet"
    assert (await table.look()).kept[-1] == "fixed"


@scenario
async def test_where_the_first_leaves_or_dies_the_next_looks_for_all(table):
    for worker in "abcabcabc":
        await table.renew(worker)
    await table.renew("a", ttl=0.0, kind="fixed", boundary=6.5)
    for worker in "bcb":
        lease = await table.renew(worker, kind="fixed", boundary=7.5)
    assert lease == Lease(0, 2, 2, 0.0, 0.0, "fixed", 6.5), "it has just become the first, and hears what is known"
    assert (await table.renew("b", kind="fixed", boundary=7.5))[-2:] == ("fixed", 7.5)
    assert (await table.renew("c", kind="bucket"))[-2:] == ("fixed", 7.5)
    await table.pass_by(5)
    await table.renew("c")
    await table.pass_by(5)
    assert (await table.renew("c", kind="sliding"))[-2:] == ("fixed", 7.5)
    assert (await table.renew("c", kind="sliding"))[-2:] == ("sliding", 0.0)


@scenario
async def test_the_day_s_quota_is_the_most_that_was_proven_in_a_day(table):
    await table.renew("a", day_quota=50000.0)
    await table.renew("b", day_quota=9000.0)
    assert (await table.look()).kept.day_quota == 50000.0
    await table.pass_by(KEPT)
    assert (await table.look()).kept.day_quota == 0.0
    await table.renew("b", day_quota=9000.0)
    assert (await table.look()).kept.day_quota == 9000.0


@scenario
async def test_what_there_is_to_look_at(table):
    who = Who("R1", "host", 7, "gdt.funds", "T100117", "1050262", "job")
    await table.renew("a", who=who, quota=600.0, pace=3.0, sent=70, refused=2, in_flight=4, **PERCENTS)
    await table.renew("b", pace=4.0, spent="the day's quota is spent")
    await table.pass_by(1)
    await table.renew("b", pace=4.0, day=88.5, ttl=0.0)
    await table.pass_by(1)
    look = await table.look()
    assert (look.scope, look.day, look.minute, look.pace) == (table.scope, 88.5, 40.0, 3.0)
    assert (look.at, look.told_at) == (NOON / 1000 + 2, NOON / 1000 + 1)
    a, b = look.members
    assert (a.worker, a.age, a.lives, a.rank, a.of, a.share) == ("a", 2.0, True, 0, 1, 1.0)
    assert a.report == Report(who, 600.0, 0.0, 3.0, 90.0, 40.0, 70, 2, 4, firm=True)
    assert (b.worker, b.age, b.lives, b.of, b.share) == ("b", 1.0, False, 0, 0.0)
    assert look.living == (a,)
    assert table.scope in await table.store.scopes()


@scenario
async def test_refusals_are_counted_for_an_hour_also_those_of_the_dead(table):
    await table.renew("a", refusals=3)
    await table.pass_by(HISTORY / 2)
    await table.renew("b", refusals=4)
    assert (await table.look()).refusals == 7
    await table.pass_by(HISTORY / 2)
    assert (await table.look()).refusals == 4
    await table.renew("b", refusals=1)
    assert await table.client.hlen(f"ark:quota:refused:{table.scope}") == 2
    assert (await table.look()).refusals == 5


@scenario
async def test_what_is_gone_for_an_hour_is_forgotten(table):
    for number in range(5):
        await table.renew(f"old{number}", ttl=0.0)
    await table.pass_by(HISTORY)
    await table.renew("a")
    assert [member.worker for member in (await table.look()).members] == ["a"]


@scenario
async def test_a_thousand_short_lives_do_not_pile_up(table):
    for number in range(300):
        await table.renew(f"w{number}", ttl=0.0)
    assert len((await table.look()).members) <= 201


@scenario
async def test_any_name_is_a_scope(table):
    for scope in ["", "../../etc/passwd", "a\n{b}\0 *?[x]", "\ud800", "广告", "x" * 5000, ":seq"]:
        lease = await table.store.renew(scope, "a", Report(), ttl=1.0, window=60.0)
        assert (lease.rank, lease.of) == (0, 1)
        look = await table.store.look(scope)
        assert [member.worker for member in look.members] == ["a"]
        table.scope, old = scope.encode(errors="backslashreplace").decode(), table.scope
        assert table.scope in await table.store.scopes()
        assert (await table.store.look(table.scope)).members == look.members
        clock, table.clock = table.clock, "no clock"
        await table.clear()
        table.scope, table.clock = old, clock


@scenario
async def test_everything_expires(table):
    await table.renew("a", quota=5.0, refusals=1, **PERCENTS)
    async for key in table.client.scan_iter(match=b"ark:quota:*"):
        assert 0 < await table.client.ttl(key) <= KEPT


def part(whole, rank, of):
    """The policy's: the calls of `whole` that are this share's."""
    return (whole + of - 1 - rank) // of if of else 0


class Crowd(RuleBasedStateMachine):
    """Members come, renew, leave and die as they like."""

    url = ""

    def __init__(self):
        super().__init__()
        self.runner = asyncio.Runner()
        self.held, self.now, self.born = {}, 0.0, 0

    def do(self, coroutine):
        return self.runner.run(coroutine)

    @initialize()
    def begin(self):
        self.directory = self.do(connect(load({"ARK_REDIS_URL": self.url})))
        self.table = Table(self.directory, f"crowd{id(self)}")
        self.do(self.table.begin())

    def teardown(self):
        self.do(self.table.clear())
        self.do(self.directory.aclose())
        self.runner.close()

    def living(self):
        return [worker for worker, (*_, until) in self.held.items() if until > self.now]

    def renewed(self, worker, ttl=10.0):
        rank, of = self.do(self.table.share(worker, ttl=ttl))
        self.held[worker] = rank, of, self.now + ttl
        return rank, of

    @rule(ttl=st.sampled_from([3.0, 10.0]))
    def join(self, ttl):
        self.born += 1
        self.renewed(f"w{self.born}", ttl)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), ttl=st.sampled_from([3.0, 10.0]))
    def renew(self, data, ttl):
        self.renewed(data.draw(st.sampled_from(sorted(self.held))), ttl)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def leave(self, data):
        worker = data.draw(st.sampled_from(sorted(self.held)))
        self.do(self.table.renew(worker, ttl=0.0))
        del self.held[worker]

    @rule(seconds=st.sampled_from([1.0, 4.0, 11.0]))
    def time_passes(self, seconds):
        """Whoever does not renew in time is dead."""
        self.do(self.table.pass_by(seconds))
        self.now += seconds

    @precondition(lambda self: self.living())
    @rule()
    def all_renew(self):
        """Once: nobody has more than is fair. Twice: everybody has that. Three times: to the last call."""
        workers = self.living()
        shares = [self.renewed(worker) for worker in workers]
        assert all(of == 0 or Fraction(1, of) <= Fraction(1, len(workers)) for _, of in shares)
        assert {of for _, of in map(self.renewed, workers)} == {len(workers)}
        shares = [self.renewed(worker) for worker in workers]
        assert sorted(shares) == [(rank, len(workers)) for rank in range(len(workers))]
        assert shares == [self.renewed(worker) for worker in workers], "nothing changes any more"

    @invariant()
    def never_more_than_the_whole(self):
        shares = [(rank, of) for rank, of, until in self.held.values() if until > self.now and of]
        assert sum(Fraction(1, of) for _, of in shares) <= 1
        sizes = {of for _, of in shares}
        if len(sizes) == 1:
            for whole in range(2 * lcm(*sizes) + 1):
                assert sum(part(whole, *share) for share in shares) <= whole


def test_together_they_never_hold_more_than_the_whole(url):
    class Here(Crowd):
        pass

    Here.url = url
    checks = list(HealthCheck)
    run_state_machine_as_test(
        Here, settings=settings(max_examples=60, stateful_step_count=40, suppress_health_check=checks)
    )


class Paced:
    """A governor that does nothing but remember its share."""

    spent = ""
    pace = 5.0

    def __init__(self, quota=0.0, kind="", boundary=0.0):
        self.quota, self.kind, self.boundary, self.shares = quota, kind, boundary, []
        self.sent, self.refused, self.looks = 0, 0, 0
        self.learned = "", 0.0
        self.told = asyncio.Event()

    def state(self, now):
        self.looks += 1
        self.told.set()
        state = Governor("percent").state(now)
        refusals = {"refused": self.refused, "refusals": self.refused // 3}
        return state._replace(quota=self.quota, firm=True, sent=self.sent, pace=self.pace, minute=40.0, **refusals)

    def hint(self):
        return Hint(self.quota, 0.0, self.boundary, self.kind)

    def take_share(self, rank, of, quota=0.0):
        self.shares.append((rank, of, quota))
        self.told.set()

    def learn(self, kind, boundary):
        self.learned = kind, boundary
        self.told.set()

    async def until(self, *share):
        await self._until(lambda: self.shares[-1][: len(share)] == share)

    async def until_asked(self, times):
        """So many times more: all but the last of them have had their answer."""
        looks = self.looks + times
        await self._until(lambda: self.looks >= looks)

    async def until_learned(self, kind):
        await self._until(lambda: self.learned[0] == kind)

    async def _until(self, condition):
        async with asyncio.timeout(60):
            while not condition():
                self.told.clear()
                await self.told.wait()


def stopped(now):
    """The clock of a process that began at another time than the others; it stands still at their common moment."""
    return Clock(lambda: now, lambda: NOON / 1000)


@asynccontextmanager
async def fleets_at(url, clock=None):
    """The fleets of one process: a connection and a clock of its own."""
    async with aclosing(await connect(load({"ARK_REDIS_URL": url}))) as directory:
        fleets = Fleets(directory, clock or Clock(asyncio.get_running_loop().time, time.time))
        async with aclosing(fleets):
            yield fleets


def on_servers(test):
    """An async test of fleets, each with connections of its own to the same server, and a scope."""

    def run(url, unique):
        asyncio.run(test(partial(fleets_at, url), unique("scope")))

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


@on_servers
async def test_processes_share_and_give_back(process, scope):
    a, b = Paced(), Paced()
    async with process() as one:
        await one.join(scope, a, Who("R1"), window=12.0)
        assert a.shares == [(0, 0, 0.0)], "one call at a time until Redis has answered"
        await a.until(0, 1)
        async with process() as other:
            await other.join(scope, b, Who("R2"), window=12.0)
            await a.until(0, 2)
            await b.until(1, 2)
            assert [member.report.who.run for member in (await one.look(scope)).living] == ["R1", "R2"]
        assert b.shares[-1] == (0, 1, 0.0)
        look = await one.look(scope)
        assert [(member.report.who.run, member.lives) for member in look.members] == [("R1", True), ("R2", False)]
        await a.until(0, 1)
        assert [look.scope for look in await one.looks() if look.scope == scope] == [scope]


@on_servers
async def test_the_share_of_a_process_that_died_comes_back(process, scope):
    a, b = Paced(), Paced()
    async with process() as one, process() as other:
        await one.join(scope, a, Who(), window=12.0)
        await a.until(0, 1)
        dead = await other.join(scope, b, Who(), window=12.0)
        await a.until(0, 2)
        while not dead._task.done():
            dead._task.cancel()
            await asyncio.sleep(0.01)
        await a.until(0, 1)


@on_servers
async def test_the_next_run_starts_from_what_this_one_learned(process, scope):
    async with process(stopped(5000.0)) as one:
        assert await one.hint(scope, 12.0) is None
        paced = Paced()
        await one.join(scope, paced, Who(), window=12.0)
        await paced.until(0, 1)
        paced.quota, paced.sent, paced.refused = 900.0, 1, 3
        paced.kind, paced.boundary = "fixed", 5000.0 - 30.5
    async with process(stopped(77.0)) as two:
        hint = await two.hint(scope, 12.0)
        assert hint == Hint(900.0, 0.0, pytest.approx(77.0 - 6.5), "fixed")
        look = await two.look(scope)
        assert (look.refusals, look.minute, look.members[0].report.refused) == (3, 40.0, 1)


@on_servers
async def test_the_others_believe_what_the_first_found_of_the_refills_each_on_its_own_clock(process, scope):
    a, b = Paced(kind="fixed", boundary=5000.0 - 30.5), Paced(kind="bucket", boundary=3.0)
    async with process(stopped(77.0)) as other:
        async with process(stopped(5000.0)) as one:
            await one.join(scope, a, Who(), window=12.0)
            await a.until_learned("fixed")
            await other.join(scope, b, Who(), window=12.0)
            await b.until(1, 2)
            assert b.learned == ("fixed", pytest.approx(77.0 - 6.5))
            assert a.learned == ("fixed", pytest.approx(5000.0 - 6.5))
        await b.until(0, 1)
        assert b.learned[0] == "fixed", "who becomes the first begins with what is known, not with its own guess"
        await b.until_learned("bucket")


@on_servers
async def test_a_kind_that_nobody_here_knows_is_nothing(process, scope):
    async with process() as one:
        a = Paced(kind="leaky", boundary=3.0)
        await one.join(scope, a, Who(), window=12.0)
        await a.until(0, 1)
        assert (await one.look(scope)).kept.kind == "leaky"
        await a.until_learned("")
        assert (await one.hint(scope, 12.0)).kind == ""


@on_servers
async def test_what_was_a_hint_only_is_not_told_as_measured(process, scope):
    async with process() as one:
        paced = Paced(quota=900.0)
        await one.join(scope, paced, Who(), window=12.0)
        await paced.until(0, 1, 0.0)
    async with process() as two:
        assert (await two.hint(scope, 12.0)).quota == 0.0


@pytest.fixture
def proxy(services):
    """Between us and the real Redis."""
    place = urlsplit(services.redis_url)
    with Proxy(place.hostname, place.port) as proxy:
        proxy.url = f"redis://127.0.0.1:{proxy.port}/{database(13)}"
        yield proxy


@pytest.mark.services
@pytest.mark.parametrize("toxic", [ResetPeer, Timeout], ids=["resets", "is a black hole"])
def test_a_redis_that_goes_away_is_told_once_and_found_again(proxy, unique, toxic, monkeypatch):
    """Who has a share keeps it meanwhile; who comes then has none, and goes on alone."""
    monkeypatch.setattr("ark.governor.fleet.RETRY", 0.5)

    async def go():
        scope, another = unique("scope"), unique("scope")
        a, b, late = Paced(quota=7.0), Paced(quota=7.0), Paced()
        async with fleets_at(proxy.url) as fleets:
            for paced in (a, b):
                paced.pace = 50.0  # asks often
                await fleets.join(scope, paced, Who(), window=12.0)
                await paced.until(*((0, 1) if paced is a else (1, 2)))
            with proxy.toxic(toxic()):
                await asyncio.gather(a.until_asked(2), b.until_asked(2))
                kept = a.shares[-1], b.shares[-1]
                await fleets.join(another, late, Who(), window=12.0)
                await late.until(0, 1, 0.0)
                assert await fleets.hint(scope, 12.0) is None
                with pytest.raises(ServiceDownError):
                    await fleets.look(scope)
                await asyncio.gather(a.until_asked(2), b.until_asked(2))
                assert (a.shares[-1], b.shares[-1]) == kept
                assert {share[:2] for share in kept} == {(0, 2), (1, 2)}
                late.shares.append(())
            await late.until(0, 1)
            await asyncio.gather(a.until_asked(3), b.until_asked(3))
            assert {share[:2] for share in (a.shares[-1], b.shares[-1])} == {(0, 2), (1, 2)}

    with capture_logs() as lines:
        asyncio.run(go())
    assert [line["event"].partition(":")[0] for line in lines] == [
        "no shares of the quota from Redis",
        "Redis shares the quota again",
    ]


@pytest.mark.services
def test_the_end_of_a_run_does_not_wait_for_a_redis_that_is_away(proxy, unique):
    async def go():
        async with fleets_at(proxy.url) as fleets:
            for _ in range(5):
                paced = Paced()
                await fleets.join(unique("scope"), paced, Who(), window=12.0)
                await paced.until(0, 1)
            with proxy.toxic(Timeout()):
                async with asyncio.timeout(10):
                    await fleets.aclose()

    asyncio.run(go())


@pytest.mark.services
def test_a_slow_redis_answers_the_question_that_was_asked(proxy, unique):
    """Also after some were given up."""

    async def go():
        scope, paced = unique("scope"), Paced()
        async with fleets_at(proxy.url) as fleets:
            await fleets.join(scope, paced, Who(), window=12.0)
            await paced.until(0, 1)
            with proxy.toxic(Latency(2.5, Way.DOWN)):
                looks = await asyncio.gather(*(fleets.look(scope) for _ in range(10)), return_exceptions=True)
                assert {type(look) for look in looks} == {ServiceDownError}
            for number in range(30):
                assert (await fleets.look(f"{scope}{number}")).members == ()
                assert len((await fleets.look(scope)).members) == 1

    asyncio.run(go())
