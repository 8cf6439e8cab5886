"""Renewing tokens against a real Redis and a scripted medium: nothing is asked for twice, and no pair is lost."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import AsyncExitStack, aclosing, contextmanager
from datetime import date
from urllib.parse import urlsplit, urlunsplit

import msgspec
import pytest

from ark.accounts import embedded_redis
from ark.accounts.directory import connect
from ark.accounts.keys import Keys
from ark.accounts.lease import LIFE, hold
from ark.accounts.token_pairs import TokenPairs
from ark.accounts.tokens import Tokens
from ark.errors import LaterError, LocalDiskError, ServiceDownError, TokenError
from ark.http import HttpClient
from ark.settings import load
from handlers.refresh import refresher
from tests.conftest import CHECKOUT, database
from tests.contract.renewing import AGENT, LONG, OTHER, RESET, Medium, Stage, moment
from tests.proxy import Latency, Proxy, Timeout, Way


@pytest.fixture
def medium():
    server = Medium()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def embedded(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    yield embedded_redis.ensure(home, embedded_redis._bundled())
    embedded_redis.stop(home)


@pytest.fixture(params=["embedded", "services"])
def redis_url(request):
    """The oldest server that Ark supports, and a new one."""
    if request.param == "embedded":
        return request.getfixturevalue("embedded")
    return urlunsplit(urlsplit(request.getfixturevalue("services").redis_url)._replace(path=f"/{database(11)}"))


@pytest.fixture
def stage(redis_url, tmp_path, medium, unique):
    made = Stage(redis_url, tmp_path, medium, unique("T"))
    yield made
    made.client.delete(made.keys.tokens, made.keys.refresh_tokens, f"ark:lease:{made.keys.refresh_tokens}:{AGENT}")
    made.client.close()


def test_a_new_pair_takes_the_place_of_the_old_one(stage):
    stage.put("access-b", "refresh-b", OTHER)
    stage.client.expire(stage.keys.tokens, 1000)
    stage.renew()
    stage.renew()
    assert stage.stored() == (["access-2"], ["refresh-2"])
    assert stage.stored(OTHER) == (["access-b"], ["refresh-b"])
    assert stage.medium.asked == ["refresh-0", "refresh-1"]
    assert stage.spooled == []
    assert stage.client.ttl(stage.keys.tokens) > 0
    assert stage.client.keys("ark:lease:*" + stage.tenant + "*") == []


def test_a_medium_that_keeps_its_refresh_tokens(stage):
    stage.medium.rotates = False
    stage.renew()
    stage.renew("access-1")
    assert stage.stored() == (["access-2"], ["refresh-0"])


def test_gdt_has_quotas(redis_url, tmp_path, medium, unique):
    stage = Stage(redis_url, tmp_path, medium, unique("T"), "gdt")
    medium.script = [11018]
    with pytest.raises(
        LaterError, match=r"gdt refuses to renew .* code 11018: .*; run `ark tokens refresh .* after 00:00"
    ):
        stage.renew()
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    async def go():
        async with stage.refresher() as engine:
            engine._sleep = sleep
            await engine.renew(AGENT, {"access-0"})

    medium.script = [11017]
    asyncio.run(go())
    assert slept == [stage.settings.gdt.window]
    assert stage.stored() == (["access-3"], ["refresh-3"])
    stage.client.close()


def test_what_somebody_else_renewed_is_not_renewed_again(stage):
    stage.put("access-x", "refresh-x")
    stage.renew("access-0")
    assert stage.medium.asked == []
    stage.medium.good.add("refresh-x")
    stage.renew("access-0", "access-x")
    assert stage.stored()[0] == ["access-1"]


def test_many_at_once_ask_the_medium_once(stage):
    async def go():
        async with AsyncExitStack() as stack:
            engines = [await stack.enter_async_context(stage.refresher()) for _ in range(5)]
            await asyncio.gather(*[engine.renew(AGENT, {"access-0"}) for engine in engines for _ in range(10)])

    asyncio.run(go())
    assert stage.stored() == (["access-1"], ["refresh-1"])
    assert stage.medium.asked == ["refresh-0"]


def test_fifty_refused_calls_of_a_run_ask_the_medium_once(stage):
    async def go():
        async with aclosing(await connect(stage.settings)) as directory, HttpClient(stage.settings.http) as http:
            renew = refresher(stage.settings, "jrtt", stage.tenant, directory, stage.keys, http)
            tokens = Tokens(directory, stage.keys, refresh=renew)
            token = await tokens.get(AGENT)
            await asyncio.gather(*[tokens.doubted(AGENT, token) for _ in range(50)])
            assert await tokens.get(AGENT) == "access-1"

    asyncio.run(go())
    assert stage.medium.asked == ["refresh-0"]


def test_a_run_without_an_app_renews_nothing(stage):
    settings = load({**stage.environ, "ARK_JRTT_CLIENT_SECRET": ""})
    assert refresher(settings, "jrtt", "T1", None, stage.keys, None) is None
    keys = Keys.of("wx_b", "T1", date(2020, 5, 30), AGENT)
    assert refresher(stage.settings, "wx_b", "T1", None, keys, None) is None


# -- when something breaks

PROGRAM = f"""
import asyncio, os, sys
from contextlib import aclosing
from datetime import date
from ark.accounts import lease
from ark.accounts.directory import connect
from ark.accounts.keys import Keys
from ark.http import HttpClient
from ark.settings import load
from handlers.refresh import refresher

lease.LIFE = 1.0

async def main():
    settings, (tenant, *refused) = load(os.environ), sys.argv[1:]
    keys = Keys.of("jrtt", tenant, date(2020, 5, 30), "{AGENT}")
    async with aclosing(await connect(settings)) as directory, HttpClient(settings.http) as http:
        await refresher(settings, "jrtt", tenant, directory, keys, http)("{AGENT}", refused)

asyncio.run(main())
"""


@pytest.fixture
def process(stage):
    """Starts processes that renew the agent's token as a run does; their leases live for a second."""
    children = []

    def start(*refused, **environ):
        children.append(spawn(stage, *refused, **environ))
        return children[-1]

    yield start
    for child in children:
        child.kill()
        child.communicate()


def spawn(stage, *refused, **environ):
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, stage.tenant, *refused],
        cwd=CHECKOUT,
        env=os.environ | stage.environ | environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def ended(child):
    said, _ = child.communicate(timeout=60)
    assert "access-" not in said
    assert "refresh-" not in said
    return child.returncode, said


def wait_for(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


over_tcp = pytest.mark.parametrize("redis_url", ["services"], indirect=True)


@contextmanager
def between(stage):
    """A proxy before Redis, and what to give a process so that it goes through it."""
    options = stage.client.connection_pool.connection_kwargs
    with Proxy(options["host"], options["port"]) as proxy:
        yield proxy, f"redis://127.0.0.1:{proxy.port}/{options['db']}"


def test_two_processes_at_once_ask_the_medium_once(stage, process):
    for child in [process("access-0") for _ in range(2)]:
        assert ended(child)[0] == 0
    assert stage.stored() == (["access-1"], ["refresh-1"])
    assert stage.medium.asked == ["refresh-0"]


@over_tcp
def test_killed_between_the_answer_and_redis(stage, process):
    with between(stage) as (proxy, url):
        stage.medium.answering = lambda: proxy.add(Timeout())
        child = process(ARK_REDIS_URL=url)
        wait_for(lambda: stage.spooled == ["access-1"])
        child.send_signal(signal.SIGKILL)
        ended(child)
        assert stage.stored() == (["access-0"], ["refresh-0"])
        stage.renew("access-0", patience=LONG)
        assert stage.stored() == (["access-1"], ["refresh-1"])
    assert stage.medium.asked == ["refresh-0"]
    assert stage.spooled == []


@over_tcp
def test_killed_between_redis_and_the_end(stage, process):
    with between(stage) as (proxy, url):
        stage.medium.answering = lambda: proxy.add(Latency(3, Way.DOWN))
        child = process(ARK_REDIS_URL=url)
        wait_for(lambda: stage.stored() == (["access-1"], ["refresh-1"]))
        child.send_signal(signal.SIGKILL)
        ended(child)
        stage.medium.answering = lambda: None
    assert stage.spooled == ["access-1"]
    stage.renew("access-0", patience=LONG)
    assert stage.medium.asked == ["refresh-0"]
    stage.renew("access-1")
    assert stage.stored() == (["access-2"], ["refresh-2"])
    assert stage.medium.asked == ["refresh-0", "refresh-1"]
    assert stage.spooled == []


def test_a_holder_that_sleeps_past_its_lease(stage, process):
    """It wakes up with the only good pair, while another one holds the lease and is refused."""
    woken = threading.Event()
    asleep = threading.Event()

    def answering():
        if len(stage.medium.asked) == 1:
            asleep.set()
            woken.wait()

    stage.medium.answering = answering
    sleeper = process("access-0")
    asleep.wait(30)
    sleeper.send_signal(signal.SIGSTOP)
    woken.set()
    with pytest.raises(TokenError, match=f"process {sleeper.pid} on .* got no answer: if .* issued a pair then"):
        stage.renew("access-0", patience=LONG)
    sleeper.send_signal(signal.SIGCONT)
    assert ended(sleeper)[0] == 0
    assert stage.stored() == (["access-1"], ["refresh-1"])


def test_a_pair_that_turns_up_while_the_medium_refuses(stage):
    """One who slept past his lease has it, and cannot store it: we hold the lease."""
    begun = stage.spool.begin(AGENT, "refresh-0", ["access-0"], ["refresh-0"], "process 1 on host")
    answered = msgspec.structs.replace(begun, access="access-9", refresh="refresh-9")
    stage.medium.good.clear()
    stage.medium.answering = lambda: stage.spool.keep(answered)
    stage.renew("access-0")
    assert (stage.stored(), stage.spooled) == ((["access-9"], ["refresh-9"]), [])


class Away(TokenPairs):
    """A Redis that is away for so many tries to store."""

    downs = 100

    async def store(self, new, lease):
        self.downs -= 1
        if self.downs >= 0:
            raise ServiceDownError("Redis does not answer EVAL")
        await super().store(new, lease)


def renew_with(stage, pairs):
    async def go():
        async with stage.refresher() as engine:
            engine._pairs = pairs(engine._directory, stage.keys)
            await engine.renew(AGENT, patience=0)

    asyncio.run(go())


def test_redis_is_away_after_the_answer(stage):
    with pytest.raises(ServiceDownError) as caught:
        renew_with(stage, Away)
    (renewal,) = stage.spool.of(AGENT)
    assert f"the new pair is safe in {stage.spool.path(renewal)}" in str(caught.value)
    assert f"`ark tokens refresh -m jrtt -t {stage.tenant} -g {AGENT}` stores it" in str(caught.value)
    assert stage.spool.path(renewal).stat().st_mode & 0o777 == 0o600
    stage.renew()
    assert stage.stored() == (["access-1"], ["refresh-1"])
    assert stage.medium.asked == ["refresh-0"]


def test_redis_is_away_for_a_while(stage):
    class Shortly(Away):
        downs = 5

    renew_with(stage, Shortly)
    assert stage.stored() == (["access-1"], ["refresh-1"])


@pytest.mark.parametrize("meanwhile", ["held by another", "ended and renewed"])
def test_a_lost_lease_stores_nothing_and_keeps_the_pair(stage, meanwhile):
    lease = f"ark:lease:{stage.keys.refresh_tokens}:{AGENT}"

    def lose():
        if meanwhile == "held by another":
            stage.client.set(lease, "host:1:x")
        else:
            stage.client.delete(lease)
            stage.put("access-x", "refresh-x")
            stage.client.zrem(stage.keys.refresh_tokens, "refresh-0")

    stage.medium.answering = lose
    before = ("refresh-0",) if meanwhile == "held by another" else ("refresh-x",)
    with pytest.raises(LaterError, match=r"the lease .* was lost before .*; the new pair is safe in .*tokens/"):
        stage.renew()
    assert (stage.spooled, tuple(stage.stored()[1])) == (["access-1"], before)
    stage.client.delete(lease)
    stage.medium.answering = lambda: None
    stage.medium.good.add("refresh-x")
    stage.renew("access-0", "access-x", patience=LONG)
    last = ["access-1"] if meanwhile == "held by another" else ["access-2"]
    assert (stage.stored()[0], stage.spooled) == (last, [])


def test_a_lease_that_ended_while_nobody_wanted_it_is_no_loss(stage):
    stage.medium.answering = lambda: stage.client.delete(f"ark:lease:{stage.keys.refresh_tokens}:{AGENT}")
    stage.renew()
    assert stage.stored() == (["access-1"], ["refresh-1"])


def test_cancelled_while_the_medium_answers(stage):
    async def go():
        async with stage.refresher() as engine:
            renewing = asyncio.create_task(engine.renew(AGENT))
            stage.medium.answering = lambda: loop.call_soon_threadsafe(renewing.cancel)
            loop = asyncio.get_running_loop()
            with pytest.raises(asyncio.CancelledError):
                await renewing

    asyncio.run(go())
    assert stage.spooled == ["access-1"]
    stage.renew("access-0")
    assert (stage.stored(), stage.medium.asked) == ((["access-1"], ["refresh-1"]), ["refresh-0"])


def test_an_access_token_that_ended_in_the_spool_is_renewed_with_its_refresh_token(stage):
    with pytest.raises(ServiceDownError):
        renew_with(stage, Away)
    (renewal,) = stage.spool.of(AGENT)
    stage.spool.keep(msgspec.structs.replace(renewal, ends=time.time() - 1))
    stage.renew("access-0")
    assert stage.stored() == (["access-2"], ["refresh-2"])
    assert stage.medium.asked == ["refresh-0", "refresh-1"]


def test_an_agent_that_was_authorised_again_keeps_its_new_tokens(stage):
    with pytest.raises(ServiceDownError):
        renew_with(stage, Away)
    stage.client.delete(stage.keys.tokens, stage.keys.refresh_tokens)
    stage.put("access-new", "refresh-new")
    stage.medium.good.add("refresh-new")
    stage.renew()
    assert (stage.stored(), stage.spooled) == ((["access-2"], ["refresh-2"]), [])


# -- what the medium says


def test_a_refusal_names_everything(stage):
    stage.put("access-0", "refresh-dead")
    stage.client.zrem(stage.keys.refresh_tokens, "refresh-0")
    with pytest.raises(TokenError) as caught:
        stage.renew()
    text = str(caught.value)
    assert f"jrtt refuses to renew the token of agent {AGENT} of {stage.tenant}: code 40107: " in text
    assert "(refresh token used)" in text
    assert "https://ad.oceanengine.com/openapi/audit/oauth.html?app_id=1660000000000001" in text
    assert stage.keys.tokens in text
    assert stage.keys.refresh_tokens in text
    assert "no answer" not in text
    assert stage.spooled == []
    assert stage.stored() == (["access-0"], ["refresh-dead"])


@pytest.mark.parametrize("code", [1, 40001, 99999])
def test_other_codes_are_refusals_too(stage, code):
    stage.medium.script = [code]
    with pytest.raises(TokenError, match=f"code {code}: .* check ARK_JRTT_CLIENT_ID and its secret, or authorise"):
        stage.renew()
    assert stage.medium.asked == ["refresh-0"]


def test_a_busy_medium_is_asked_again(stage):
    stage.medium.script = [40100, 50000]
    stage.renew()
    assert stage.stored()[0] == ["access-3"]
    stage.medium.script = [40100] * 3
    with pytest.raises(ServiceDownError, match=r"code 40100: too frequent .* later"):
        stage.renew()
    assert len(stage.medium.asked) == 6
    assert stage.spooled == []


@pytest.mark.parametrize("trouble", [RESET, b"", b"<html>", b'{"code":0,"data":{"access_token":"access-s3'])
def test_an_answer_that_was_lost_is_told(stage, trouble):
    """The medium has issued a pair that nobody received, and ended the old one."""
    stage.medium.script = [trouble]
    if trouble != RESET:
        stage.medium.good.clear()
    for who in ("an earlier try", "process"):
        with pytest.raises(TokenError, match=f"code 40107: .*; {who} .*got no answer: if the medium issued") as caught:
            stage.renew()
        assert "s3" not in str(caught.value)


def test_troubles_on_the_way_are_tried_again(stage):
    stage.medium.script = [b"<html>", b""]
    stage.renew()
    assert (stage.stored(), stage.spooled) == ((["access-3"], ["refresh-3"]), [])
    stage.medium.script = [RESET] * 3
    with pytest.raises(ServiceDownError, match="does not renew the token of agent"):
        stage.renew()


def test_a_wrong_address_is_told(stage):
    stage.medium.script = [b"not found"]
    stage.medium.status = 404
    with pytest.raises(ServiceDownError, match=r"does not renew .*: HTTP 404: no grant .*; correct ARK_JRTT_URL"):
        stage.renew()
    assert (len(stage.medium.asked), stage.spooled) == (1, [])
    stage.settings = load({**stage.environ, "ARK_JRTT_URL": "http://127.0.0.1:9"})
    with pytest.raises(
        ServiceDownError, match=r"jrtt at http://127.0.0.1:9 does not renew .*; run `ark tokens refresh"
    ):
        stage.renew()


def test_of_several_refresh_tokens_the_first_that_works(stage):
    stage.put("access-0", "refresh-")
    stage.renew()
    assert stage.stored() == (["access-2"], ["refresh-2"])
    assert stage.medium.asked == ["refresh-", "refresh-0"]


def test_an_agent_without_a_refresh_token(stage):
    stage.client.delete(stage.keys.refresh_tokens)
    with pytest.raises(TokenError, match=f"agent {AGENT} has no token in {stage.keys.refresh_tokens}: authorise agent"):
        stage.renew()


def test_what_is_another_agents_stays_with_it(stage):
    """A token that two agents share is one member, under one of them."""
    stage.medium.answering = lambda: stage.put("access-0", "refresh-0", OTHER)
    stage.renew()
    stage.medium.answering = lambda: None
    assert stage.stored() == (["access-1"], ["refresh-1"])
    assert stage.stored(OTHER) == (["access-0"], ["refresh-0"])
    stage.client.zadd(stage.keys.tokens, {"access-2": int(OTHER)})
    with pytest.raises(TokenError, match="is kept for another agent: one token can be kept for one agent only"):
        stage.renew()
    assert stage.stored(OTHER)[0] == ["access-0", "access-2"]


def test_a_disk_that_refuses_is_told_before_a_refresh_token_is_spent(stage, tmp_path):
    (tmp_path / "tokens").write_text("")
    with pytest.raises(LocalDiskError, match="tokens"):
        stage.renew()
    assert stage.medium.asked == []


# -- the lease by itself


def test_a_lease_has_one_holder_who_is_named(stage):
    async def go():
        async with aclosing(await connect(stage.settings)) as directory:
            async with hold(directory, stage.tenant, 0) as held:
                assert 0 < stage.client.pttl(held.key) <= LIFE * 1000
                with pytest.raises(LaterError, match=f"process {os.getpid()} on .* holds ark:lease:{stage.tenant}"):
                    async with hold(directory, stage.tenant, 1, moment):
                        pass
                stage.client.set(held.key, "host:7:other")
            assert stage.client.get(held.key) == "host:7:other"
            stage.client.delete(held.key)

    asyncio.run(go())


def test_a_lease_is_kept_alive(stage, monkeypatch):
    monkeypatch.setattr("ark.accounts.lease.LIFE", 3.0)  # a busy machine may come a second late

    async def go():
        async with aclosing(await connect(stage.settings)) as directory, hold(directory, stage.tenant, 0) as held:
            await asyncio.sleep(3.5)
            assert stage.client.get(held.key) == held.value

    asyncio.run(go())
