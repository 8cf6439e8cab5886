"""Renewing tokens as its users see it: by hand, and in the middle of a run."""

import json
import secrets
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import Ark, Simulated, ended, wait_for
from tests.hostile import answer, hostile
from tests.simulator import simulator

OLD = 3600.0
"""Seconds; the tokens of these tests live for half as long."""
PLANT = {"tokens": {"rotate": True, "life": OLD / 2, "secret": "s3cr3t-of-the-app"}}


class Agents:
    """The agents of a tenant, whose access tokens have ended, and a medium that can renew them."""

    def __init__(self, stage: Simulated, agents: int = 1, age: float = OLD) -> None:
        self.stage = stage
        ids = [stage.agent, *(str(int(stage.agent) + number) for number in range(1, agents))]
        planted = [{"tenant": stage.tenant, "id": agent, "accounts": 10, "token_age": age} for agent in ids]
        stage.change(agents=planted, **PLANT)
        self.media = {each["agent"]: each for each in stage.media.directory()}
        stage.accounts = stage.media.accounts(stage.agent)
        stage.clear()
        stage.fill(self.media[stage.agent]["token"])
        for agent, each in self.media.items():
            stage.redis.zadd(self.key("access"), {each["token"]: int(agent)})
            stage.redis.zadd(self.key("refresh"), {each["refresh_token"]: int(agent)})
        stage.ark.settings |= {
            "gdt_client_id": self.media[stage.agent]["client_id"],
            "gdt_client_secret": self.media[stage.agent]["client_secret"],
        }
        stage.media.clear_stats()

    def key(self, kind: str) -> str:
        return f"gdt_new_{kind}_token_{self.stage.tenant}"

    def stored(self, kind: str) -> dict[str, str]:
        """Agent -> its token in Redis."""
        return {
            str(int(agent)): token.decode()
            for token, agent in self.stage.redis.zrange(self.key(kind), 0, -1, withscores=True)
        }

    def refresh(self, *words: str, **settings: Any) -> Any:
        return self.stage.ark("tokens", "refresh", "-m", "gdt", "-t", self.stage.tenant, *words, **settings)

    @contextmanager
    def nothing_shown(self, *said: Any) -> Iterator[None]:
        """No token and no secret of before and after is in what was said, nor in any file of ARK_HOME."""
        before = {*self.stored("access").values(), *self.stored("refresh").values()}
        kept: list[Any] = []
        yield kept.append  # type: ignore[misc]
        hidden = before | {PLANT["tokens"]["secret"], *self.stored("access").values(), *self.stored("refresh").values()}
        texts = [text for each in kept for text in (each.out, each.err)]
        texts += [file.read_text(errors="replace") for file in self.stage.ark.home.rglob("*") if file.is_file()]
        assert [secret for secret in hidden for text in texts if secret in text] == []


@pytest.fixture
def agents(stage: Callable[..., Simulated]) -> Callable[..., Agents]:
    return lambda **more: Agents(stage(), **more)


def test_all_agents_of_a_tenant_are_renewed(agents: Callable[..., Agents]) -> None:
    here = agents(agents=3)
    before = here.stored("access"), here.stored("refresh")
    with here.nothing_shown() as say:
        said = here.refresh()
        say(said)
    assert (said.code, said.out.splitlines()) == (0, [f"{agent}\trenewed" for agent in sorted(before[0])])
    after = here.stored("access"), here.stored("refresh")
    assert [set(one) for one in after] == [set(one) for one in before]
    assert not {*before[0].values(), *before[1].values()} & {*after[0].values(), *after[1].values()}
    for agent, token in after[0].items():
        account = here.stage.media.accounts(agent)[0]
        assert here.stage.media.get("/v1.1/funds/get", token, account_id=account).json["code"] == 0
    assert list((here.stage.ark.home / "tokens").iterdir()) == []


def test_an_expired_token_is_renewed_once_in_the_middle_of_a_run(agents: Callable[..., Agents]) -> None:
    here = agents()
    with here.nothing_shown() as say:
        said = here.stage.run("gdt.funds")
        say(said)
    assert (said.code, said.result["status"], said.result["verified"]) == (0, "done", 10)
    assert here.stage.calls("oauth/token")["requests"] == 1
    assert here.stage.differences() == (0, 0, 0)


def test_children_without_a_token_have_their_first_generation_agents_renewed(ark: Ark, directory: Any) -> None:
    tenant, first = f"T{secrets.randbelow(10**8)}", "1650000000000001"
    planted = {"tenant": tenant, "id": first, "accounts": 1, "children": 6, "child_accounts": 1, "token_age": OLD}
    with simulator({"jrtt": {"agents": [planted], **PLANT}}) as media:
        agent, *children = [each for each in media.directory() if each["medium"] == "jrtt"]
        for key, members in {
            "jrtt_new_access_token": [agent["token"]],
            "jrtt_new_refresh_token": [agent["refresh_token"]],
            "jrtt_child_agents_v2": [each["agent"] for each in children],
        }.items():
            directory.zadd(f"{key}_{tenant}", dict.fromkeys(members, int(first)))
        ark.settings |= {
            "jrtt_url": media.url,
            "jrtt_client_id": agent["client_id"],
            "jrtt_client_secret": agent["client_secret"],
        }
        said = ark("run", "jrtt.child_fund", "-g", first, "-k", f"jrtt_child_agents_v2_{tenant}", "--no-next")
        for key in directory.scan_iter(f"*_{tenant}"):
            directory.delete(key)
        assert (said.code, said.result["status"], said.result["verified"]) == (0, "done", 6)
        assert media.stats()["media"]["jrtt"]["oauth2/refresh_token"]["requests"] == 1


def test_without_an_app_an_expired_token_fails_the_run(agents: Callable[..., Agents]) -> None:
    here = agents()
    said = here.stage.run("gdt.funds", gdt_client_secret="")
    assert (said.code, said.result["verified"]) == (77, 0)
    assert here.stage.calls("oauth/token")["requests"] == 0


def test_a_run_whose_token_cannot_be_renewed_tells_both(agents: Callable[..., Agents]) -> None:
    here = agents()
    here.stage.redis.delete(here.key("refresh"))
    here.stage.redis.zadd(here.key("refresh"), {"dead-refresh-token": int(here.stage.agent)})
    said = here.stage.run("gdt.funds")
    assert said.code == 77
    assert here.stage.calls("oauth/token")["requests"] == 1
    for unit in here.stage.ark.units(said.result["run_id"]).values():
        assert f"the medium refuses the token of agent {here.stage.agent}" in unit["reason"]
        assert "code 11011" in unit["reason"]
        assert "https://developers.e.qq.com/oauth/authorize?client_id=" in unit["reason"]


def test_one_of_several_is_refused(agents: Callable[..., Agents]) -> None:
    here = agents(agents=2)
    good, bad = sorted(here.stored("refresh"))
    here.stage.redis.zremrangebyscore(here.key("refresh"), bad, bad)
    here.stage.redis.zadd(here.key("refresh"), {"dead-refresh-token": int(bad)})
    said = here.refresh("--json")
    assert said.code == 77
    first, second = json.loads(said.out)
    assert first == {"agent": good, "state": "renewed", "reason": ""}
    assert (second["agent"], second["state"]) == (bad, "failed")
    for word in (f"gdt refuses to renew the token of agent {bad} of {here.stage.tenant}", "code 11011", "authorise"):
        assert word in second["reason"]
    assert "dead-refresh-token" not in said.out + said.err


def test_one_agent_may_be_named(agents: Callable[..., Agents]) -> None:
    here = agents(agents=2)
    named = here.stage.agent
    before = here.stored("access")
    said = here.refresh("-g", named)
    assert (said.code, said.out) == (0, f"{named}\trenewed\n")
    assert {agent for agent, token in here.stored("access").items() if before[agent] != token} == {named}
    stranger = here.refresh("-g", "77")
    assert stranger.code == 77
    assert f"77\tfailed\tagent 77 has no token in {here.key('refresh')}: authorise agent 77 at https://" in stranger.out


def test_a_wrong_secret_is_a_refusal(agents: Callable[..., Agents]) -> None:
    said = agents().refresh(gdt_client_secret="not-the-s3cr3t")
    assert said.code == 77
    assert "code 11007: client_id or client_secret is wrong" in said.out
    assert "ARK_GDT_CLIENT_ID" in said.out
    assert "s3cr3t" not in said.out + said.err


def test_a_lease_that_somebody_holds(agents: Callable[..., Agents]) -> None:
    here = agents()
    lease = f"ark:lease:{here.key('refresh')}:{here.stage.agent}"
    here.stage.redis.set(lease, "elsewhere:4711:x", px=60_000)
    said = here.refresh()
    assert said.code == 75
    assert f"{here.stage.agent}\tfailed\tprocess 4711 on elsewhere holds {lease}" in said.out
    assert here.stage.calls("oauth/token")["requests"] == 0
    here.stage.redis.delete(lease)


def test_a_medium_that_is_down(agents: Callable[..., Agents]) -> None:
    here = agents(agents=2)
    said = here.refresh(gdt_url="http://127.0.0.1:9", http_attempts=1)
    first, second = said.out.splitlines()
    assert said.code == 69
    assert "gdt at http://127.0.0.1:9 does not renew the token of agent" in first
    assert "\tfailed\tnot tried: " in second


def test_a_signal_does_not_lose_an_answer(agents: Callable[..., Agents]) -> None:
    here = agents()
    asked = threading.Event()
    new = secrets.token_hex(8)

    def slow(_call: object) -> Iterator[bytes | float]:
        asked.set()
        yield 1.0
        data = {"access_token": f"a{new}", "refresh_token": f"r{new}", "access_token_expires_in": 86400}
        yield answer(json.dumps({"code": 0, "message": "", "data": data}))

    with hostile(slow) as medium:
        words = ("tokens", "refresh", "-m", "gdt", "-t", here.stage.tenant)
        process = here.stage.ark.start(*words, gdt_url=medium.url)
        wait_for(asked.is_set)
        process.send_signal(signal.SIGTERM)
        assert ended(process).code == 143
        said = here.refresh(gdt_url=medium.url)
        assert (said.code, len(medium.calls)) == (0, 1)
    assert here.stored("access") == {here.stage.agent: f"a{new}"}
    assert here.stored("refresh") == {here.stage.agent: f"r{new}"}


@pytest.mark.parametrize(
    ("words", "settings", "code", "texts"),
    [
        (("-m", "gdt", "-t", "T1"), {}, 78, ("ARK_GDT_CLIENT_ID and ARK_GDT_CLIENT_SECRET must be set",)),
        (("-m", "wx", "-t", "T1"), {"wx_client_id": 1}, 78, ("ARK_WX_CLIENT_SECRET must be set",)),
        (("-m", "wx_b", "-t", "T1"), {}, 2, ("wx_b", "wx_authorizer_access_token_T1")),
        (("-m", "gdt"), {}, 2, ("-t TENANT",)),
        (("-m", "gdt", "-t", "../T1"), {}, 2, ("'../T1'",)),
        (("-m", "gdt", "-t", "T1", "-g", "x"), {"gdt_client_id": 1, "gdt_client_secret": "s3cr3t"}, 2, ("'x'",)),
        (
            ("-m", "jrtt", "-t", "T0"),
            {"jrtt_client_id": 1, "jrtt_client_secret": "s3cr3t"},
            77,
            ("no agent has a token in jrtt_new_refresh_token_T0",),
        ),
    ],
)
def test_what_cannot_be_done_is_one_line(
    ark: Ark, words: tuple[str, ...], settings: dict[str, Any], code: int, texts: tuple[str, ...]
) -> None:
    ark.settings |= settings
    said = ark.refusal("tokens", "refresh", *words)
    assert (said.code, said.out) == (code, "")
    (line,) = [line for line in said.err.splitlines() if line.startswith("ark: ")]
    for text in texts:
        assert text in line


def test_the_log_is_kept(agents: Callable[..., Agents]) -> None:
    here = agents()
    here.refresh()
    log = Path(here.stage.ark.home, "log", "gdt", f"tokens_{here.stage.tenant}.log").read_text(encoding="utf-8")
    assert f"the token was renewed  medium=gdt tenant={here.stage.tenant} agent={here.stage.agent}" in log
