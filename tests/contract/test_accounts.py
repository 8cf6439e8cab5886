import asyncio
import inspect
import socket
import tracemalloc
from contextlib import aclosing
from urllib.parse import urlsplit, urlunsplit

import pytest
from redis import exceptions

from ark.accounts import directory as accounts
from ark.accounts import embedded_redis
from ark.accounts.account_list import AccountList
from ark.accounts.directory import Directory, connect, translate
from ark.accounts.keys import Keys
from ark.accounts.tokens import Tokens
from ark.errors import (
    ArkError,
    ConfigError,
    EmptyListError,
    InputDataError,
    InternalError,
    ServiceDownError,
    TokenError,
    UsageError,
)
from ark.redact import redact
from ark.settings import load
from tests.conftest import database

AGENT = "1050262"
OTHER = "4011704"


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
    return urlunsplit(urlsplit(request.getfixturevalue("services").redis_url)._replace(path=f"/{database(11)}"))


def scenario(test):
    """An async test of a Directory and a key of its own, run on each server."""

    def run(url, unique):
        async def go():
            directory = await connect(load({"ARK_REDIS_URL": url}))
            async with aclosing(directory):
                await test(directory, unique("gdt_advertiser_v1.1_T100117"))

        asyncio.run(go())

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


async def read(directory, key, agent=AGENT, refused=None):
    chunks = [chunk async for chunk in directory.accounts(key, agent, refused)]
    assert all(chunks)
    assert max(map(len, chunks), default=0) <= 1000
    found = [account for chunk in chunks for account in chunk]
    assert len(found) == len(set(found))
    return set(found)


def members(start, stop):
    return {str(account): int(AGENT) for account in range(start, stop)}


@scenario
async def test_accounts_of_the_agent_each_once_in_chunks(directory, key):
    await directory.client.zadd(key, members(1000, 3500) | {"99": int(OTHER)})
    assert await read(directory, key) == set(members(1000, 3500))
    assert await read(directory, key, OTHER) == {"99"}


@scenario
async def test_exactly_full_chunks_end_well(directory, key):
    await directory.client.zadd(key, members(1000, 3000))
    assert len(await read(directory, key)) == 2000


@scenario
async def test_memory_does_not_grow_with_the_number_of_accounts(directory, key):
    for start in range(0, 100_000, 10_000):
        await directory.client.zadd(key, members(10**15 + start, 10**15 + start + 10_000))
    tracemalloc.start()
    try:
        count = 0
        async for chunk in directory.accounts(key, AGENT):
            count += len(chunk)
        assert count == 100_000
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()
        await directory.client.unlink(key)


@scenario
async def test_readers_see_the_old_list_or_the_new_one(directory, key):
    old, new = set(members(1000, 4000)), set(members(3000, 6000))
    await directory.client.zadd(key, members(1000, 4000))

    async def replace():
        for ids in [*(new, old) * 5, new]:
            drafted = AccountList(directory, key, AGENT)
            await drafted.add(sorted(ids))
            await drafted.publish()

    seen = [await read(directory, key)]
    replacing = asyncio.create_task(replace())
    while not replacing.done():
        seen.append(await read(directory, key))
    await replacing
    seen.append(await read(directory, key))
    assert (seen[0], seen[-1]) == (old, new)
    assert all(one in (old, new) for one in seen)
    assert len(seen) > 2


@scenario
async def test_reading_leaves_nothing_behind(directory, key):
    await directory.client.zadd(key, members(1000, 4000))
    before = set(await directory.client.keys("ark:tmp:*"))
    await read(directory, key)
    async with aclosing(directory.accounts(key, AGENT)) as chunks:
        async for _ in chunks:
            copies = set(await directory.client.keys("ark:tmp:*")) - before
            assert [0 < await directory.client.ttl(copy) <= 3600 for copy in copies] == [True]
            break
    assert set(await directory.client.keys("ark:tmp:*")) <= before


@scenario
async def test_a_copy_that_vanishes_is_never_taken_for_the_end(directory, key):
    await directory.client.zadd(key, members(1000, 4000))

    async def read_and_remove():
        async for _ in directory.accounts(key, AGENT):
            await directory.client.unlink(*await directory.client.keys("ark:tmp:*"))

    with pytest.raises(ServiceDownError, match=f"lost the copy of {key}"):
        await read_and_remove()


@scenario
async def test_an_absent_list_is_an_error_with_its_name(directory, key):
    await directory.client.set(f"{key}:something", 1)
    with pytest.raises(EmptyListError, match=f"{key} is absent or empty"):
        await read(directory, key)
    with pytest.raises(EmptyListError, match=f"{key} is absent or empty"):
        await directory.agents(key)


@scenario
async def test_the_agents_that_are_there_are_named(directory, key):
    await directory.client.zadd(key, {"1": 3367268016, "2": 3367268016, "3": 4011704})
    with pytest.raises(EmptyListError, match=rf"no accounts of agent {AGENT} in {key}.* 4011704, 3367268016:"):
        await read(directory, key)
    await directory.client.zadd(key, {str(agent): agent for agent in range(100, 110)})
    with pytest.raises(EmptyListError, match=r"100, 101, 102, 103, 104, \.\.\.:"):
        await read(directory, key)


def test_an_empty_database_is_a_service_that_is_down(url):
    parts = urlsplit(url)
    number = 13 if parts.scheme == "unix" else database(13)
    other = (
        f"unix://{parts.path}?db={number}" if parts.scheme == "unix" else urlunsplit(parts._replace(path=f"/{number}"))
    )

    async def go():
        async with aclosing(await connect(load({"ARK_REDIS_URL": other}))) as directory:
            with pytest.raises(ServiceDownError, match=f"/{number} holds no key at all"):
                await read(directory, "gdt_advertiser_v1.1_T100117_20200530")

    asyncio.run(go())


@scenario
async def test_a_key_of_another_kind_is_named(directory, key):
    await directory.client.set(key, "text")
    for call in (read(directory, key), directory.agents(key), directory.tokens(key, AGENT), directory.size(key)):
        with pytest.raises(ConfigError, match=f"{key} in Redis at .* is no sorted set"):
            await call


@scenario
async def test_members_that_are_no_account_ids_are_told_and_the_rest_goes_on(directory, key):
    bad = {b"\xff\xfe": r"'\xff\xfe'", b"": "''", b"12a": "'12a'", "٣".encode(): r"'\xd9\xa3'", b"x" * 99: "(99 bytes)"}
    await directory.client.zadd(key, members(1, 10) | dict.fromkeys(bad, int(AGENT)))
    told = []
    assert await read(directory, key, refused=told.append) == set(members(1, 10))
    assert len(told) == len(bad)
    for text in bad.values():
        assert [line for line in told if text in line and key in line and "is no account id" in line]

    chunks = directory.accounts(key, AGENT)
    assert set(await anext(chunks)) == set(members(1, 10))
    with pytest.raises(InputDataError, match=rf"{key} holds what cannot be used: .*'12a' is no account id"):
        await anext(chunks)


@scenario
async def test_scores_that_are_no_agent_are_told_and_never_rounded(directory, key):
    agent = int(AGENT)
    bad = {"11": 2**53, "12": 1e18, "13": float("inf"), "14": agent + 0.25, "15": agent - 0.25, "16": 0, "17": -5}
    await directory.client.zadd(key, members(1, 3) | bad)
    told = []
    assert await read(directory, key, refused=told.append) == {"1", "2"}
    assert sorted(line.partition("'")[2][:2] for line in told) == sorted(bad)
    assert [line for line in told if "'11' has score 9007199254740992.0" in line]
    with pytest.raises(InputDataError, match="'11' has score"):
        await read(directory, key)

    told = []
    assert await directory.agents(key, told.append) == [AGENT]
    assert len(told) == len(bad)
    with pytest.raises(InputDataError, match="'11' has score"):
        await directory.agents(key)


@scenario
async def test_a_list_of_nothing_usable_is_empty(directory, key):
    await directory.client.zadd(key, {"abc": int(AGENT)})
    with pytest.raises(EmptyListError, match=f"no account of agent {AGENT} in {key} is usable"):
        await read(directory, key, refused=lambda _: None)


@scenario
async def test_agents_beyond_a_doubles_precision_are_refused(directory, key):
    for agent in ("9007199254740992", "9007199254740993", "7021123456789012345", "0", "-1", "abc", "", "1.5"):
        with pytest.raises(UsageError, match="no id from 1 to 9007199254740991"):
            await read(directory, key, agent)
    await directory.client.zadd(key, {"1664757665615880": 2**53 - 1})
    assert await read(directory, key, str(2**53 - 1)) == {"1664757665615880"}


@scenario
async def test_tokens_are_never_read_as_accounts(directory, key):
    await directory.client.zadd(key + "_access_token", {"s3cr3t-token": int(AGENT)})
    with pytest.raises(ConfigError, match="holds tokens") as caught:
        await read(directory, key + "_access_token")
    assert "s3cr3t" not in str(caught.value)


@scenario
async def test_agents_are_listed_once_in_order(directory, key):
    await directory.client.zadd(key, {"b": 4011704, "a": 3367268016, "c": 4011704, "d": 24641})
    assert await directory.agents(key) == ["24641", "4011704", "3367268016"]


# -- tokens


def keys_of(key):
    return Keys(tokens=f"{key}_token", agents=f"{key}_agents", accounts=key)


async def no_sleep(_seconds):
    """Time passes at once."""


@scenario
async def test_a_token_is_read_once_and_registered(directory, key):
    keys = keys_of(key)
    await directory.client.zadd(keys.tokens, {f"token-{key}": int(AGENT)})
    tokens = Tokens(directory, keys)
    assert await tokens.get(AGENT) == f"token-{key}"
    assert key not in redact(f"https://api.e.qq.com/?access_tok=token-{key}")
    await directory.client.unlink(keys.tokens)
    assert await tokens.get(AGENT) == f"token-{key}"


@scenario
async def test_a_missing_token_names_agent_and_key(directory, key):
    keys = keys_of(key)
    with pytest.raises(TokenError, match=f"no token of agent {AGENT} in {keys.tokens}: "):
        await Tokens(directory, keys).get(AGENT)
    await directory.client.zadd(keys.agents, {"a": int(AGENT), "b": int(OTHER)})
    await directory.client.zadd(keys.tokens, {"token-shared": int(OTHER)})
    with pytest.raises(
        TokenError, match="1 tokens for 2 agents; a token shared by two agents is kept for one"
    ) as caught:
        await Tokens(directory, keys).get(AGENT)
    assert "token-shared" not in str(caught.value)


@scenario
async def test_a_token_that_cannot_be_sent_is_refused_unseen(directory, key):
    for bad in (b"", b"two words-s3cr3t", b"\xffs3cr3t", b"s3cr3t\n"):
        await directory.client.zadd(key, {bad: int(AGENT)})
        with pytest.raises(TokenError, match=f"a token of agent {AGENT} in {key}") as caught:
            await directory.tokens(key, AGENT)
        assert "s3cr3t" not in str(caught.value)
        await directory.client.unlink(key)


@scenario
async def test_fifty_refusals_at_once_ask_redis_once(directory, key):
    keys = keys_of(key)
    await directory.client.zadd(keys.tokens, {"token-old": int(AGENT)})
    tokens = Tokens(directory, keys)
    old = await tokens.get(AGENT)
    await directory.client.zrem(keys.tokens, old)
    await directory.client.zadd(keys.tokens, {"token-new": int(AGENT)})
    calls = (await directory.client.info("commandstats"))["cmdstat_zrangebyscore"]["calls"]

    async def worker():
        await tokens.refused(AGENT, old)
        return await tokens.get(AGENT)

    assert set(await asyncio.gather(*[worker() for _ in range(50)])) == {"token-new"}
    assert (await directory.client.info("commandstats"))["cmdstat_zrangebyscore"]["calls"] == calls + 1


@scenario
async def test_a_refused_token_never_comes_back(directory, key):
    keys = keys_of(key)
    await directory.client.zadd(keys.tokens, {"token-a": int(AGENT), "token-b": int(AGENT)})
    tokens = Tokens(directory, keys)
    first = await tokens.get(AGENT)
    await tokens.refused(AGENT, first)
    second = await tokens.get(AGENT)
    assert {first, second} == {"token-a", "token-b"}
    await tokens.refused(AGENT, second)
    with pytest.raises(
        TokenError, match=f"the medium refuses the token of agent {AGENT} in {keys.tokens}: write a new"
    ):
        await tokens.get(AGENT)
    renewable = Tokens(directory, keys._replace(refresh_tokens="some"))
    for token in (first, second):
        await renewable.refused(AGENT, token)
    with pytest.raises(TokenError, match="run `ark tokens refresh`"):
        await renewable.get(AGENT)


class FlakyDirectory(Directory):
    """Down for so many readings of tokens."""

    downs = 0

    async def tokens(self, key, agent):
        self.downs -= 1
        if self.downs >= 0:
            raise ServiceDownError("Redis is down")
        return await super().tokens(key, agent)


@scenario
async def test_a_redis_that_is_down_meanwhile_is_waited_for_a_minute(directory, key):
    keys = keys_of(key)
    await directory.client.zadd(keys.tokens, {"token-old": int(AGENT)})
    flaky = FlakyDirectory(directory.client, directory.place)
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    tokens = Tokens(flaky, keys, sleep)
    old = await tokens.get(AGENT)
    await directory.client.zadd(keys.tokens, {"token-new": int(AGENT)})
    flaky.downs = 3
    await tokens.refused(AGENT, old)
    assert await tokens.get(AGENT) == "token-new"
    assert slept == [1, 2, 4]

    flaky.downs = 100
    with pytest.raises(TokenError, match="was refused and no other can be read: Redis is down"):
        await tokens.refused(AGENT, "token-new")
    assert sum(slept[3:]) == 60


def with_children(key):
    return keys_of(key)._replace(child_agents=f"{key}_child_agents")


@scenario
async def test_an_owner_without_a_token_is_served_by_its_parent(directory, key):
    keys = with_children(key)
    await directory.client.zadd(keys.tokens, {"token-first": int(AGENT), "token-own": 222})
    await directory.client.zadd(keys.child_agents, {"111": int(AGENT), "222": int(AGENT), AGENT: int(AGENT)})
    tokens = Tokens(directory, keys)
    assert [await tokens.get(owner) for owner in ("111", "222", AGENT)] == ["token-first", "token-own", "token-first"]
    await directory.client.zrem(keys.tokens, "token-first")
    await directory.client.zadd(keys.tokens, {"token-next": int(AGENT)})
    await asyncio.gather(*[tokens.doubted(owner, "token-first") for owner in ("111", AGENT)])
    assert [await tokens.get(owner) for owner in ("111", AGENT)] == ["token-next"] * 2


@scenario
async def test_the_fallback_serves_whom_nobody_else_does(directory, key):
    await directory.client.zadd(f"{key}_token", {"token-first": int(AGENT)})
    assert await Tokens(directory, with_children(key)).get("111", AGENT) == "token-first"
    with pytest.raises(TokenError, match="no token of agent 111"):  # no generations: another's token opens other data
        await Tokens(directory, keys_of(key)).get("111", AGENT)


@scenario
async def test_an_owner_whom_nobody_serves_names_both_keys(directory, key):
    keys = with_children(key)
    with pytest.raises(TokenError, match=f"no token of agent 111 in {keys.tokens}, and {keys.child_agents} names no"):
        await Tokens(directory, keys).get("111", "111")
    await directory.client.zadd(keys.child_agents, {"111": int(AGENT)})
    both = f"no token of agent 111 in {keys.tokens}, nor one of agent {AGENT}, .* {keys.child_agents}: write"
    with pytest.raises(TokenError, match=both):
        await Tokens(directory, keys).get("111")
    await directory.client.zadd(keys.child_agents, {"111": 0.5})
    with pytest.raises(TokenError, match=f"111 in {keys.child_agents} has score 0.5, which is no agent"):
        await Tokens(directory, keys).get("111")


class Renewing:
    """Renews as often as it is told: `token-2`, `token-3`, ...; raises `error` where it is set."""

    def __init__(self, directory, key, error=None):
        self.directory, self.key, self.error, self.calls = directory, key, error, []

    async def __call__(self, agent, refused):
        self.calls.append((agent, set(refused)))
        await asyncio.sleep(0.01)
        if self.error:
            raise self.error
        await self.directory.client.zremrangebyscore(self.key, int(agent), int(agent))
        await self.directory.client.zadd(self.key, {f"token-{len(self.calls) + 1}": int(agent)})


@scenario
async def test_fifty_refusals_at_once_renew_once(directory, key):
    keys = with_children(key)
    await directory.client.zadd(keys.tokens, {"token-1": int(AGENT)})
    await directory.client.zadd(keys.child_agents, {str(owner): int(AGENT) for owner in range(100, 105)})
    renewing = Renewing(directory, keys.tokens)
    tokens = Tokens(directory, keys, refresh=renewing)

    owners = [AGENT, *map(str, range(100, 105))] * 9
    assert {await tokens.get(owner) for owner in owners} == {"token-1"}

    async def worker(owner):
        await tokens.doubted(owner, "token-1")
        return await tokens.get(owner)

    assert set(await asyncio.gather(*[worker(owner) for owner in owners])) == {"token-2"}
    assert renewing.calls == [(AGENT, {"token-1"})]


@scenario
async def test_a_token_that_somebody_else_renewed_is_not_renewed(directory, key):
    keys = keys_of(key)
    await directory.client.zadd(keys.tokens, {"token-1": int(AGENT)})
    renewing = Renewing(directory, keys.tokens)
    tokens = Tokens(directory, keys, refresh=renewing)
    assert await tokens.get(AGENT) == "token-1"
    await directory.client.zadd(keys.tokens, {"token-b": int(AGENT)})
    await tokens.doubted(AGENT, "token-1")
    assert (await tokens.get(AGENT), renewing.calls) == ("token-b", [])
    await tokens.refused(AGENT, "token-b")
    assert (await tokens.get(AGENT), renewing.calls) == ("token-2", [(AGENT, {"token-1", "token-b"})])


@scenario
async def test_a_renewed_token_that_is_refused_is_not_renewed_again(directory, key):
    keys = keys_of(key)
    await directory.client.zadd(keys.tokens, {"token-1": int(AGENT)})
    renewing = Renewing(directory, keys.tokens)
    tokens = Tokens(directory, keys, refresh=renewing)
    for refuse in (tokens.doubted, tokens.doubted, tokens.refused):
        await refuse(AGENT, await tokens.get(AGENT))
    with pytest.raises(TokenError, match=f"refuses the token of agent {AGENT} .* refuses the renewed token as well"):
        await tokens.get(AGENT)
    assert len(renewing.calls) == 1


@scenario
async def test_a_refresh_that_fails_does_not_hide_the_refusal(directory, key):
    keys = keys_of(key)
    await directory.client.zadd(keys.tokens, {"token-1": int(AGENT)})
    renewing = Renewing(directory, keys.tokens, ServiceDownError("the medium is away"))
    tokens = Tokens(directory, keys, refresh=renewing)

    async def worker():
        for refuse in (tokens.doubted, tokens.refused):
            await refuse(AGENT, await tokens.get(AGENT))
        await tokens.get(AGENT)

    for error in await asyncio.gather(*[worker() for _ in range(20)], return_exceptions=True):
        assert isinstance(error, TokenError)
        assert f"the medium refuses the token of agent {AGENT} in {keys.tokens}" in str(error)
        assert "renewing it failed: the medium is away" in str(error)
    assert len(renewing.calls) == 1


# -- replacing an agent's accounts


@scenario
async def test_a_new_list_replaces_only_the_agents_own(directory, key):
    await directory.client.zadd(key, members(1, 5) | {"99": int(OTHER)})
    drafted = AccountList(directory, key, AGENT)
    await drafted.add(["4", "5"])
    assert await read(directory, key) == {"1", "2", "3", "4"}
    await drafted.add(["5", "6"])
    assert await drafted.publish() == []
    assert await read(directory, key) == {"4", "5", "6"}
    assert await read(directory, key, OTHER) == {"99"}


@scenario
async def test_a_first_list_makes_the_key(directory, key):
    drafted = AccountList(directory, key, AGENT)
    await drafted.add([str(account) for account in range(2500)])
    assert await drafted.publish() == []
    assert len(await read(directory, key)) == 2500


@scenario
async def test_an_account_of_another_agent_stays_there_and_is_told(directory, key):
    await directory.client.zadd(key, {"7": int(OTHER)})
    drafted = AccountList(directory, key, AGENT)
    await drafted.add(["6", "7"])
    assert await drafted.publish() == [f"7 (agent {OTHER})"]
    assert await read(directory, key) == {"6"}
    assert await read(directory, key, OTHER) == {"7"}

    await directory.client.zadd(key, {str(account): int(OTHER) for account in range(20)})
    drafted = AccountList(directory, key, AGENT)
    await drafted.add([str(account) for account in range(21)])
    told = await drafted.publish()
    assert len(told) == 6
    assert told[-1] == "and 15 more"
    assert await read(directory, key) == {"20"}


@scenario
async def test_a_transaction_whose_answer_was_lost_may_run_again(directory, key):
    await directory.client.zadd(key, members(1, 5) | {"7": int(OTHER)})
    drafted = AccountList(directory, key, AGENT)
    await drafted.add(["6", "7"])
    assert await drafted._replace() == await drafted._replace() == (1, [(b"7", float(OTHER))])
    assert await read(directory, key) == {"6"}


@scenario
async def test_a_transaction_that_is_always_disturbed_ends(directory, key):
    async def disturbed(pipe):
        await directory.client.zadd(key, {"1": 1, "2": 2}, incr=False, ch=True)
        await directory.client.zincrby(key, 1, "1")
        pipe.multi()
        pipe.zcard(key)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ark.accounts.directory.PATIENCE", 0.3)
        with pytest.raises(ServiceDownError, match=f"has not done MULTI {key} in 0.3 s"):
            await directory.transaction(key, disturbed, key)


@scenario
async def test_a_list_may_be_dropped(directory, key):
    before = set(await directory.client.keys("ark:tmp:*"))
    await directory.client.zadd(key, members(1, 5))
    drafted = AccountList(directory, key, AGENT)
    await drafted.add(["6"])
    (draft,) = set(await directory.client.keys("ark:tmp:*")) - before
    assert 0 < await directory.client.ttl(draft) <= 3600
    await drafted.discard()
    assert set(await directory.client.keys("ark:tmp:*")) <= before
    assert await read(directory, key) == {"1", "2", "3", "4"}


@scenario
async def test_publishing_cleans_up_and_keeps_the_time_to_live(directory, key):
    before = set(await directory.client.keys("ark:tmp:*"))
    await directory.client.zadd(key, members(1, 5))
    await directory.client.expire(key, 1000)
    drafted = AccountList(directory, key, AGENT)
    await drafted.add(["6"])
    await drafted.publish()
    assert 990 <= await directory.client.ttl(key) <= 1000
    assert set(await directory.client.keys("ark:tmp:*")) <= before


@scenario
async def test_an_empty_or_lost_list_erases_nothing(directory, key):
    await directory.client.zadd(key, members(1, 5))
    with pytest.raises(EmptyListError, match=f"no account of agent {AGENT} was listed: {key} stays as it was"):
        await AccountList(directory, key, AGENT).publish()
    for last_step in ("add", "publish"):
        drafted = AccountList(directory, key, AGENT)
        await drafted.add(["6"])
        await directory.client.unlink(*await directory.client.keys("ark:tmp:*"))
        with pytest.raises(ServiceDownError, match=f"lost the new accounts of agent {AGENT}"):
            await (drafted.add(["7"]) if last_step == "add" else drafted.publish())
        await drafted.discard()
    assert await read(directory, key) == {"1", "2", "3", "4"}


@scenario
async def test_only_account_ids_are_taken(directory, key):
    for bad in ("", "abc", "1|2", "\ud800", " 1"):
        with pytest.raises(InputDataError, match="is no account id"):
            await AccountList(directory, key, AGENT).add(["1", bad])


# -- servers that refuse or are away


def with_user(url, user):
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{user}@{parts.netloc}"))


def connected(url):
    return connect(load({"ARK_REDIS_URL": url}))


@scenario
async def test_a_command_that_is_not_allowed_is_named(directory, key):
    await directory.client.zadd(key, members(1, 2500))
    allowed = ["+ping", "+zrangebyscore", "+select", "+client"]
    url = with_user(directory_url(directory), f"reader_{key}:pass-word")
    await directory.client.execute_command("ACL", "SETUSER", f"reader_{key}", "on", ">pass-word", "~*", *allowed)
    try:
        async with aclosing(await connected(url)) as limited:
            everything = [account async for chunk in limited.accounts(key, AGENT) for account in chunk]
            assert len(everything) == 2499
            with pytest.raises(TokenError, match=r"refuses ZRANGE .*: correct the user or password") as caught:
                await limited.agents(key)
            assert "pass-word" not in str(caught.value)
        with pytest.raises(TokenError, match="refuses PING") as caught:
            await connected(url.replace("pass-word", "wrong-one"))
        assert "wrong-one" not in str(caught.value)
    finally:
        await directory.client.execute_command("ACL", "DELUSER", f"reader_{key}")


def directory_url(directory):
    options = directory.client.connection_pool.connection_kwargs
    if "path" in options:
        return f"unix://{options['path']}?db={options['db']}"
    return f"redis://{options['host']}:{options['port']}/{options['db']}"


def test_a_replica_can_be_read_but_not_written(ark_home):
    url = embedded_redis.ensure(ark_home, embedded_redis._bundled())

    async def go():
        async with aclosing(await connected(url)) as directory:
            await directory.client.zadd("key", {"1": int(AGENT)})
            drafted = AccountList(directory, "key", AGENT)
            await drafted.add(["2"])
            await directory.client.replicaof("127.0.0.1", "1")
            assert await read(directory, "key") == {"1"}
            with pytest.raises(ServiceDownError, match="is a read-only replica"):
                await drafted.publish()
            await drafted.discard()

    try:
        asyncio.run(go())
    finally:
        embedded_redis.stop(ark_home)


def test_a_server_that_is_away_is_named_without_its_password():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(ServiceDownError, match=f"Redis at {address}/2 does not answer") as caught:
            asyncio.run(connected(f"redis://:s3cr3t-word@{address}/2"))
    assert "s3cr3t" not in str(caught.value)


def test_a_server_that_hangs_is_given_up_in_time(monkeypatch):
    monkeypatch.setattr(accounts, "START", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as hung:
        address = f"127.0.0.1:{hung.getsockname()[1]}"
        with pytest.raises(ServiceDownError, match=f"Redis at {address}/2 does not answer within"):
            asyncio.run(connected(f"redis://{address}"))


def test_no_url_means_the_embedded_server(ark_home):
    settings = load({"ARK_HOME": str(ark_home), "ARK_REDIS_SERVER": embedded_redis._bundled()})

    async def go():
        async with aclosing(await connect(settings)) as directory:
            assert directory.place == f"{ark_home}/redis/redis.sock/2"

    try:
        asyncio.run(go())
    finally:
        assert embedded_redis.stop(ark_home)


OURS = {"DataError", "ExecAbortError", "InvalidPipelineStack", "LockError", "LockNotOwnedError", "ModuleError"}
OURS |= {
    "NoScriptError",
    "NoSuchFieldsetError",
    "PubSubError",
    "RedisError",
    "ResponseError",
    "CrossSlotTransactionError",
}


@pytest.mark.parametrize(
    "kind",
    [kind for _, kind in inspect.getmembers(exceptions, inspect.isclass) if issubclass(kind, exceptions.RedisError)],
)
def test_every_error_of_the_client_means_something(kind):
    error = kind.__new__(kind)
    error.args = ("text",)
    meaning = translate(error, "ZRANGE key", "h:1/2")
    assert isinstance(meaning, ArkError)
    assert "h:1/2" in str(meaning)
    assert isinstance(meaning, InternalError) == (kind.__name__ in OURS)


def test_an_old_server_is_told_by_what_it_lacks():
    error = exceptions.ResponseError("unknown command 'ZDIFFSTORE', with args beginning with: ...")
    assert "6.2 or newer" in str(translate(error, "MULTI key", "h:1/2"))


@scenario
async def test_a_connection_that_is_reset_while_it_is_made_is_redis_being_away(directory, key):
    """uvloop has words of its own for it, and the client lets them through; other such errors are bugs of ours."""
    with pytest.raises(ServiceDownError, match=f"does not answer ZCARD {key}"), directory.translated("ZCARD", key):
        raise RuntimeError("unable to perform operation on <TCPTransport closed=True>; the handler is closed")
    with pytest.raises(RuntimeError, match="Event loop is closed"), directory.translated("ZCARD", key):
        raise RuntimeError("Event loop is closed")
