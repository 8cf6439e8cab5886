"""Redis that is away, killed, frozen, slow, empty, wrong, full or locked: each with its outcome and exit code."""

import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.acceptance.conftest import FUNDS, Ark, Simulated, ended, wait_for
from tests.acceptance.servers import OwnRedis, altered, own_redis
from tests.proxy import Latency, Proxy, Way
from tests.services.ports import HOST

SHORT_PATIENCE = "from ark.accounts import tokens; tokens.PATIENCE, tokens.PAUSES = 2.0, (0.2,) * 10"
"""A minute is long for a test."""
SLOW = {"seconds": 0.2}
PASSWORD = "canary-password"
SOON = 5.0
"""Seconds in which a run says that its Redis is away."""
LONG = 20.0
"""Seconds in which a run ends that does not wait for it any more, on a busy machine."""

Own = Callable[..., Simulated]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[OwnRedis]:
    with own_redis(tmp_path) as running:
        yield running


@pytest.fixture
def own(server: OwnRedis, ark_home: Path, media: object) -> Own:
    """Make a stage whose Redis may be broken: `own(accounts=20, latency={...})`."""

    def make(accounts: int = 20, **scenario: object) -> Simulated:
        here = Simulated(Ark(ark_home, redis_url=server.url, gdt_window=1), server.client, media)  # type: ignore[arg-type]
        here.plant(accounts, **scenario)
        return here

    return make


def under_way(here: Simulated, calls: int = 60) -> None:
    wait_for(lambda: here.calls()["requests"] >= calls)


def give_token(here: Simulated, token: str) -> None:
    """The agent's token in Redis, in the place of any other."""
    here.redis.delete(f"gdt_new_access_token_{here.tenant}")
    here.redis.zadd(f"gdt_new_access_token_{here.tenant}", {token: int(here.agent)})


def expect_token(here: Simulated, token: str) -> None:
    """The medium takes this token, and no other, from now on."""
    agent = {"tenant": here.tenant, "id": here.agent, "accounts": len(here.accounts), "token": token}
    here.change(agents=[agent])


def taken_up(here: Simulated) -> None:
    """What is open is fetched, and every cell is where it belongs."""
    here.change(latency=None)
    said = here.ark("rerun", here.ark.json("runs")[0]["run_id"], "--no-next")
    assert (said.code, said.result["status"], said.result["verified"]) == (0, "done", len(here.accounts))
    assert here.differences(FUNDS) == (0, 0, 0)


# -- at the start


@pytest.mark.parametrize("how", ["closed", "frozen", "deaf"])
def test_one_that_is_away_is_told_within_five_seconds(own: Own, server: OwnRedis, how: str) -> None:
    here = own(5)
    with socket.create_server((HOST, 0), backlog=1) as deaf:
        address = f"{HOST}:{deaf.getsockname()[1]}" if how == "deaf" else server.address
        server.send({"closed": signal.SIGKILL, "frozen": signal.SIGSTOP, "deaf": signal.SIGCONT}[how])
        said = here.run(redis_url=f"redis://:{PASSWORD}@{address}/2")
    assert (said.code, said.result["status"], here.calls()["requests"]) == (69, "failed", 0)
    assert said.result["seconds"] < SOON
    assert f"Redis at {address}/2 does not answer" in said.err
    assert PASSWORD not in said.out + said.err


@pytest.mark.parametrize(("delay", "code"), [(0.2, 0), (5.0, 69)])
def test_one_that_is_slow_is_waited_for_or_told(own: Own, server: OwnRedis, delay: float, code: int) -> None:
    here = own(5)
    with Proxy(HOST, server.port) as proxy:
        proxy.add(Latency(delay, Way.DOWN))
        said = here.run(redis_url=f"redis://{HOST}:{proxy.port}/2")
    assert said.code == code
    assert here.calls()["requests"] == (0 if code else 5)


def test_a_password_that_it_wants_is_told_with_the_command(own: Own, server: OwnRedis) -> None:
    here = own(5)
    server.client.config_set("requirepass", "another-word")
    for url in (server.url, server.url.replace("//", f"//:{PASSWORD}@")):
        said = here.run(redis_url=url)
        assert (said.code, here.calls()["requests"]) == (77, 0)
        assert "ARK_REDIS_URL" in said.err
        assert PASSWORD not in said.out + said.err


@pytest.mark.parametrize(
    ("allowed", "command"),
    [("+ping +select +client", "ZRANGE"), ("+ping +select +client +@write +@read -zrangebyscore", "ZRANGEBYSCORE")],
)
def test_a_command_that_it_denies_is_named(own: Own, server: OwnRedis, allowed: str, command: str) -> None:
    here = own(5)
    server.client.execute_command("ACL", "SETUSER", "limited", "on", f">{PASSWORD}", "~*", *allowed.split())
    said = here.run(redis_url=server.url.replace("//", f"//limited:{PASSWORD}@"))
    assert (said.code, here.calls()["requests"]) == (77, 0)
    assert command in said.err
    assert PASSWORD not in said.out + said.err


# -- what it holds


def as_text(here: Simulated) -> None:
    here.redis.delete(here.key)
    here.redis.set(here.key, "x")


def gone(here: Simulated) -> None:
    here.redis.delete(here.key)


def of_others(here: Simulated) -> None:
    gone(here)
    here.redis.zadd(here.key, {"123": int(here.agent) + 1})


def all_wrong(here: Simulated) -> None:
    gone(here)
    here.redis.zadd(here.key, {"account": int(here.agent), b"\xff\x00": int(here.agent)})


def all_gone(here: Simulated) -> None:
    here.redis.flushdb()


def tokens_as_text(here: Simulated) -> None:
    here.redis.delete(f"gdt_new_access_token_{here.tenant}")
    here.redis.set(f"gdt_new_access_token_{here.tenant}", "x")


@pytest.mark.parametrize(
    ("spoil", "code", "words"),
    [
        (as_text, 78, ["gdt_advertiser", "no sorted set"]),
        (tokens_as_text, 78, ["gdt_new_access_token", "no sorted set"]),
        (gone, 3, ["gdt_advertiser", "absent or empty"]),
        (of_others, 3, ["gdt_advertiser", "check the agent"]),
        (all_wrong, 3, ["'account' is no account id", r"'\xff\x00'", "gdt_advertiser"]),
        (all_gone, 69, ["holds no key at all"]),
    ],
)
def test_lists_that_are_no_lists_are_never_a_full_run(
    own: Own, spoil: Callable[[Simulated], None], code: int, words: list[str]
) -> None:
    here = own(5)
    spoil(here)
    said = here.run()
    assert (said.code, here.calls()["requests"]) == (code, 0)
    assert said.result["status"] == "failed"
    for word in words:
        assert word in said.err + here.ark.read("show", said.result["run_id"])


def test_each_wrong_member_and_score_is_counted_and_the_rest_is_done(own: Own) -> None:
    here = own(20)
    agent = int(here.agent)
    here.redis.zadd(here.key, {"abc": agent, "12 34": agent, b"\xff\xfe": agent, "1" * 33: agent})
    here.redis.zadd(here.key, {"71": float(2**53), "72": 1e18, "73": float("inf"), "74": agent + 0.5, "75": agent + 1})
    said = here.run()
    assert (said.code, said.result["status"]) == (3, "partial")
    assert (said.result["verified"], said.result["failed"]) == (20, 8)  # 75 is another agent's
    reasons = " ".join(unit["reason"] for unit in here.ark.units(said.result["run_id"]).values())
    for member in ("'abc'", "'12 34'", r"'\xff\xfe'", "'71'", "'72'", "'73' has score inf", "'74'"):
        assert member in reasons
    assert here.differences(FUNDS) == (0, 0, 0)


def test_one_that_is_full_is_still_read(own: Own, server: OwnRedis) -> None:
    here = own(20)
    server.client.config_set("maxmemory", 1)
    assert here.run().result["verified"] == 20


def test_a_list_that_a_full_one_does_not_take_is_told_and_taken_up(own: Own, server: OwnRedis) -> None:
    here = own(20)
    server.client.config_set("maxmemory", 1)
    said = here.run("gdt.advertisers")
    assert (said.code, said.result["status"]) == (3, "failed")
    assert "out of memory" in here.ark.units(said.result["run_id"])[""]["reason"]
    server.client.config_set("maxmemory", 0)
    assert here.ark("rerun", said.result["run_id"], "--no-next").code == 0


def test_one_whose_disk_is_full_is_told_and_taken_up(own: Own, server: OwnRedis, tmp_path: Path) -> None:
    """It cannot save what it holds, and answers MISCONF until it can."""
    here = own(20)
    (tmp_path / "dump.rdb").mkdir()
    server.client.config_set("save", "3600 1")
    server.client.bgsave()
    wait_for(lambda: server.client.info("persistence")["rdb_last_bgsave_status"] == "err")
    said = here.run()
    assert (said.code, said.result["status"], here.calls()["requests"]) == (69, "failed", 0)
    assert f"Redis at {server.address}/2 takes no PING for now" in said.err
    server.client.config_set("save", "")
    taken_up(here)


def test_a_list_that_is_lost_while_it_is_read_is_told_and_taken_up(own: Own, server: OwnRedis) -> None:
    """FLUSHDB between the first page of the list and its last."""
    here = own(5000)
    with Proxy(HOST, server.port) as proxy:
        proxy.add(Latency(0.15, Way.DOWN))
        running = here.start(redis_url=f"redis://{HOST}:{proxy.port}/2")
        wait_for(lambda: copied(server))
        server.client.flushdb()
        said = ended(running)
    assert (said.code, said.result["status"], here.calls()["requests"]) == (69, "failed", 0)
    assert "lost the copy" in said.err
    here.fill(here.media.directory()[0]["token"])
    taken_up(here)


def copied(server: OwnRedis) -> bool:
    """Whether the list has been copied to a private key, from which it is read."""
    return any(server.client.zcard(key) == 5000 for key in server.client.scan_iter("ark:tmp:*"))


# -- in the middle of a run


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_run_that_needs_nothing_more_of_it_is_done(own: Own, server: OwnRedis, number: signal.Signals) -> None:
    here = own(300, latency=SLOW)
    running = here.start()
    under_way(here)
    server.send(number)
    said = ended(running)
    assert (said.code, said.result["status"], said.result["verified"]) == (0, "done", 300)
    assert here.differences(FUNDS) == (0, 0, 0)


def test_a_run_whose_lists_are_flushed_is_done(own: Own, server: OwnRedis) -> None:
    here = own(300, latency=SLOW)
    running = here.start()
    under_way(here)
    server.client.flushdb()
    assert ended(running).result["verified"] == 300
    assert here.differences(FUNDS) == (0, 0, 0)


def test_a_new_token_is_waited_for_until_it_is_back(own: Own, server: OwnRedis) -> None:
    here = own(300, latency=SLOW)
    running = here.start()
    under_way(here)
    give_token(here, "the-new-token")
    server.kill()
    expect_token(here, "the-new-token")
    wait_for(lambda: here.calls()["codes"].get("11002", 0) > 0)
    server.start()
    said = ended(running)
    assert (said.code, said.result["status"], said.result["verified"]) == (0, "done", 300)
    assert here.calls()["codes"]["11002"] <= 50
    assert here.differences(FUNDS) == (0, 0, 0)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_new_token_is_not_waited_for_without_end(own: Own, server: OwnRedis, number: signal.Signals) -> None:
    here = own(200, latency=SLOW)
    running = here.ark.spawn(altered(SHORT_PATIENCE, *here.words("gdt.funds", "--no-next")))
    under_way(here)
    server.send(number)
    began = time.monotonic()
    expect_token(here, "the-new-token")
    said = ended(running)
    assert time.monotonic() - began < LONG
    told = said.result
    assert (said.code, told["status"], told["verified"] + told["failed"]) == (77, "partial", 200)
    reason = next(unit["reason"] for unit in here.ark.units(told["run_id"]).values() if unit["state"] == "failed")
    assert f"token of agent {here.agent} was refused and no other can be read" in reason
    server.send(signal.SIGCONT)
    if number == signal.SIGKILL:
        server.start()
    give_token(here, "the-new-token")
    taken_up(here)


def test_a_list_that_it_cannot_take_any_more_is_told_and_taken_up(own: Own, server: OwnRedis) -> None:
    """A list interface needs Redis at its end: killed in between, the old list stays whole."""
    here = own(500, latency={"seconds": 2.0})
    key, before = here.key, set(here.redis.zrange(here.key, 0, -1))
    running = here.start("gdt.advertisers")
    wait_for(lambda: here.media.stats()["media"].get("gdt", {}).get("advertiser/get", {"requests": 0})["requests"] > 0)
    server.kill()
    said = ended(running)
    assert (said.code, said.result["status"]) == (3, "failed")
    assert f"Redis at {server.address}/2 does not answer" in here.ark.units(said.result["run_id"])[""]["reason"]
    server.start()
    assert set(here.redis.zrange(key, 0, -1)) == before
    here.change(latency=None)
    assert here.ark("rerun", said.result["run_id"], "--no-next").code == 0
