"""`ark tenants sync` as a scheduler has it: a tenants' database, Redis, a medium, and what is left behind."""

import json
import signal
import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import COMPACT, DATE, Said, Simulated, ended, wait_for

Staging = Callable[..., Simulated]

VIEWS = """
CREATE TABLE ark_tenants (tenant_alias, status);
CREATE TABLE ark_agents (tenant_alias, platform_id, agent_id_from_platform, auth_status, auth_type, agent_level);
"""
CALL = "advertiser/get"


class Head:
    """A tenant with two gdt agents whose tokens are in Redis, in the tenants' database and at the medium."""

    def __init__(self, stage: Simulated, path: Path) -> None:
        self.stage, self.redis, self.tenant, self.path = stage, stage.redis, stage.tenant, path
        self.agents = sorted([stage.agent, str(int(stage.agent) + 1)])
        self.key = f"gdt_agents_v2_{self.tenant}"
        self.forget()
        agents = [{"tenant": self.tenant, "id": agent, "accounts": 3} for agent in self.agents]
        stage.media.set_scenario({"seed": 1, "gdt": {"agents": agents}}, replace=True)
        for each in stage.media.directory():
            self.redis.zadd(f"gdt_new_access_token_{self.tenant}", {each["token"]: int(each["agent"])})
        self.database(VIEWS)
        self.insert("ark_tenants", self.tenant, 1)
        for agent in self.agents:
            self.insert("ark_agents", self.tenant, 1, agent, 1, 1, None)
        stage.ark.settings["tenant_url"] = f"sqlite:///{path}"

    def forget(self) -> None:
        """What the stage, or another test, has put into Redis."""
        self.stage.clear()
        self.redis.delete("ark_tenants")

    def database(self, script: str) -> None:
        with closing(sqlite3.connect(self.path)) as connection:
            connection.executescript(script)

    def change(self, agent: str, auth_status: int) -> None:
        with closing(sqlite3.connect(self.path)) as connection:
            update = "UPDATE ark_agents SET auth_status = ? WHERE agent_id_from_platform = ?"
            connection.execute(update, (auth_status, agent))
            connection.commit()

    def insert(self, view: str, *values: object) -> None:
        with closing(sqlite3.connect(self.path)) as connection:
            places = ", ".join("?" * len(values))
            connection.execute(f"INSERT INTO {view} VALUES ({places})", values)  # noqa: S608 - our own names
            connection.commit()

    def words(self, *more: str) -> list[str]:
        return ["tenants", "sync", "-d", DATE, "--no-next", *more]

    def sync(self, *more: str, **settings: Any) -> Said:
        return self.stage.ark(*self.words(*more), **settings)

    def refused(self, *more: str) -> Said:
        return self.stage.ark.refusal(*self.words(*more))

    def stored(self) -> list[str]:
        return [member.decode() for member in self.redis.zrange(self.key, 0, -1)]

    def listed(self, agent: str) -> int:
        """How many accounts of an agent its list interface has put into Redis."""
        return int(self.redis.zcount(f"gdt_advertiser_v1.1_{self.tenant}_{COMPACT}", int(agent), int(agent)))

    def calls(self) -> int:
        return int(self.stage.calls(CALL)["requests"])

    def lines(self, sign: str, *agents: str) -> str:
        return "".join(f"{sign} gdt {self.tenant} {agent}\n" for agent in agents)


@pytest.fixture
def head(stage: Staging, tmp_path: Path) -> Iterator[Head]:
    made = Head(stage(1), tmp_path / "tenants.db")
    yield made
    made.forget()


def test_agents_come_into_redis_and_each_has_its_run(head: Head) -> None:
    said = head.sync()
    assert (said.code, said.out) == (0, head.lines("+", *head.agents))
    assert head.stored() == head.agents
    assert [head.listed(agent) for agent in head.agents] == [3, 3]
    assert said.err.count("gdt.advertisers done: planned 1 = verified 1") == 2
    assert "1 active tenants; agents: 2 added, 0 removed, 0 changed, 0 unchanged" in said.err
    runs = head.stage.ark.json("runs")
    assert sorted((run["interface"], run["agent_id"], run["data_date"]) for run in runs) == [
        ("gdt.advertisers", agent, DATE) for agent in head.agents
    ]

    again = head.sync("--json")
    document = json.loads(again.out)
    assert again.code == 0
    assert (document["tenants"], document["unchanged"], document["faults"]) == (1, 2, 0)
    assert document["added"] == document["removed"] == document["changed"] == []
    assert [(job["interface"], job["agent"], job["status"], job["exit"]) for job in document["jobs"]] == [
        ("gdt.advertisers", agent, "done", 0) for agent in head.agents
    ]
    assert {job["run_id"] for job in document["jobs"]} <= {run["run_id"] for run in head.stage.ark.json("runs")}


def test_the_next_jobs_follow(head: Head) -> None:
    head.change(head.agents[1], auth_status=0)
    said = head.stage.ark("tenants", "sync", "-d", DATE, "-t", head.tenant, "--media", "gdt,wx")
    assert said.code == 0
    run = {run["interface"] for run in head.stage.ark.json("runs")}
    assert {"gdt.advertisers", "gdt.funds"} <= run


def test_an_agent_that_left_goes_and_only_that_one(head: Head) -> None:
    head.sync("--no-jobs")
    head.change(head.agents[0], auth_status=3)
    said = head.sync("--no-jobs")
    assert (said.code, said.out) == (0, head.lines("-", head.agents[0]))
    assert head.stored() == head.agents[1:]
    assert head.calls() == 0


def test_a_dry_run_tells_and_writes_nothing(head: Head) -> None:
    said = head.sync("--dry-run")
    assert (said.code, said.out) == (0, head.lines("+", *head.agents))
    for agent in head.agents:
        assert f"would run gdt.advertisers for {head.tenant} {agent} on {DATE}" in said.err
    document = json.loads(head.sync("--dry-run", "--json").out)
    assert [added["agent"] for added in document["added"]] == head.agents
    assert [(job["agent"], job["exit"]) for job in document["jobs"]] == [(agent, None) for agent in head.agents]
    assert (head.stored(), head.calls(), head.redis.exists("ark_tenants")) == ([], 0, 0)


def test_one_agents_failure_does_not_stop_the_others(head: Head) -> None:
    score = int(head.agents[0])
    head.redis.zremrangebyscore(f"gdt_new_access_token_{head.tenant}", score, score)
    said = head.sync("--json")
    assert said.code == 77
    assert [job["exit"] for job in json.loads(said.out)["jobs"]] == [77, 0]
    assert [head.listed(agent) for agent in head.agents] == [0, 3]


def test_rows_that_cannot_be_used_are_told_and_the_rest_goes_on(head: Head) -> None:
    rows = [("", 1), ("abc", 1), (2**53, 1), (head.agents[0], 1), ("77", 2), ("78", None)]
    for agent, platform in rows:
        head.insert("ark_agents", head.tenant, platform, agent, 1, 1, None)
    head.insert("ark_agents", head.tenant, 1, "79", None, 1, None)
    said = head.sync()
    assert (said.code, said.out) == (3, head.lines("+", *head.agents))
    told = [line for line in said.err.splitlines() if line.startswith("ark_agents, row ")]
    assert len(told) == len(rows) + 1
    columns = [
        "agent_id_from_platform is ''",
        "'abc'",
        str(2**53),
        "there twice",
        "platform_id is 2",
        "platform_id is NULL",
    ]
    for words in [*columns, "auth_status is NULL"]:
        assert any(words in line for line in told), words
    assert "7 rows cannot be used" in said.err
    assert [head.listed(agent) for agent in head.agents] == [3, 3]


@pytest.mark.parametrize(
    ("script", "code", "words"),
    [
        ("DELETE FROM ark_agents", 65, "ark_agents has no row: nothing is changed"),
        ("DELETE FROM ark_tenants", 65, "ark_tenants has no row: nothing is changed"),
        ("UPDATE ark_tenants SET status = 0", 65, "no tenant in ark_tenants has status 1"),
        ("UPDATE ark_agents SET agent_id_from_platform = 'x'", 65, "no agent in ark_agents is usable"),
        ("DROP TABLE ark_agents", 78, "conf/tenants.sql"),
    ],
)
def test_what_cannot_be_right_changes_nothing(head: Head, script: str, code: int, words: str) -> None:
    head.redis.zadd(head.key, {"7": 7})
    head.database(script)
    said = head.refused()
    assert (said.code, said.out) == (code, "")
    assert words in said.err.splitlines()[-1]
    assert (head.stored(), head.calls()) == (["7"], 0)


def test_a_database_that_is_not_named_or_away(head: Head) -> None:
    head.redis.zadd(head.key, {"7": 7})
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"mysql+pymysql://ark:canary-password@127.0.0.1:{closed.getsockname()[1]}/eton"
        for setting, code in ((url, 69), ("", 78)):
            head.stage.ark.settings["tenant_url"] = setting
            said = head.refused()
            assert (said.code, said.out) == (code, "")
            assert "ARK_TENANT_URL" in said.err
            assert "canary-password" not in said.err
    assert head.stored() == ["7"]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--media", "gtd"), "'gtd', did you mean gdt?"),
        (("--media", ""), "there are gdt, jrtt, wx"),
        (("-t", "T0"), "no tenant T0 in ark_tenants"),
        (("-d", "2999-01-01"), "2999-01-01 is in the future"),
        (("-d", "yesterday"), "data_date is 'yesterday'"),
    ],
)
def test_a_wrong_flag_is_told_before_anything_is_written(head: Head, flags: tuple[str, ...], words: str) -> None:
    said = head.refused(*flags)
    assert (said.code, said.out) == (2, "")
    assert words in said.err
    assert (head.stored(), head.calls()) == ([], 0)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_it_after_the_run_that_is_under_way(head: Head, number: int, code: int) -> None:
    head.stage.change(latency={"seconds": 1.0})
    running = head.stage.ark.start(*head.words("--json"))
    wait_for(lambda: head.calls() >= 1)
    running.send_signal(number)
    said = ended(running)
    assert said.code == code
    assert [(job["status"], job["exit"]) for job in json.loads(said.out)["jobs"]][1:] == [("not started", None)]
    assert "1 of 2 runs were not started" in said.err
    assert head.stored() == head.agents


def test_a_signal_that_comes_too_late_for_a_run_still_stops_what_follows_it(head: Head) -> None:
    head.stage.change(latency={"seconds": 1.0})
    running = head.stage.ark.start("run", "gdt.advertisers", "-t", head.tenant, "-g", head.agents[0], "-d", DATE)
    wait_for(lambda: head.calls() >= 1)
    running.send_signal(signal.SIGTERM)
    result = ended(running).result
    assert (result["status"], result["exit"]) == ("done", 143)
    assert [run["interface"] for run in head.stage.ark.json("runs")] == ["gdt.advertisers"]
    head.stage.change(latency=None)
    assert head.stage.ark("rerun", result["run_id"]).code == 0
    assert "gdt.funds" in {run["interface"] for run in head.stage.ark.json("runs")}


def test_that_nobody_reads_is_no_reason_to_stop(head: Head) -> None:
    running = head.stage.ark.start(*head.words())
    assert running.stdout is not None
    running.stdout.close()
    with running:
        assert running.wait(60) == 0
    assert [head.listed(agent) for agent in head.agents] == [3, 3]
