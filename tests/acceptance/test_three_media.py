"""jrtt and wx from their account lists to their tables on the real services, cell by cell what the media served."""

import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import redis

from tests.acceptance.conftest import COMPACT, DATE, Ark, compare
from tests.acceptance.readers import Cell, Database, Table, Topic
from tests.conftest import Services
from tests.simulator import Media

pytestmark = pytest.mark.services

BARE = ""
"""The record is the account's id itself."""


class Kind(NamedTuple):
    """A table as its readers know it: the fields of its row key, and where a record holds them if not by that name."""

    table: str
    key: str
    places: Mapping[str, str] = {}


JRTT = {
    "accounts": Kind("tenant_jrtt_advertiser_select_v2", "salt date account agent tenant", {"record": BARE}),
    "child_agents": Kind("tenant_jrtt_child_agent_select_v2", "salt date account agent tenant"),
    "child_accounts": Kind("tenant_jrtt_child_advertiser_select_v2", "salt date account agent tenant"),
    "account_info": Kind("tenant_jrtt_advertiser_info_v2", "salt date account agent tenant"),
    "fund": Kind("tenant_jrtt_advertiser_fund_get_v2", "salt date account agent tenant"),
    "child_fund": Kind("tenant_jrtt_child_fund_get_v2", "salt date account agent tenant"),
    "report_agent": Kind("tenant_jrtt_report_agent_get_v2", "salt date account agent tenant"),
    "report_advertiser": Kind("tenant_jrtt_report_advertiser_get_v2", "salt date account agent tenant"),
    "report_creative": Kind("tenant_jrtt_report_creative_get_v2", "salt date account agent creative_id tenant"),
    "report_integrated": Kind(
        "tenant_jrtt_report_integrated_get_v2",
        "salt date account agent ad_id bidword_id tenant",
        {"ad_id": "dimensions", "bidword_id": "dimensions"},
    ),
    "ads": Kind("tenant_jrtt_ad_get_v2", "salt date account agent id tenant"),
}
WX = {
    "advertisers": Kind("tenant_wx_advertiser_get_v2", "salt date account agent tenant"),
    "funds": Kind("tenant_wx_funds_get_v2", "salt date account agent fund_type tenant"),
    "daily_report_ad": Kind("tenant_wx_daily_report_ad_v3", "salt date account agent ad_id tenant time_line"),
    "hourly_report_ad": Kind("tenant_wx_hourly_report_ad_v3", "salt date account agent hour ad_id time_line tenant"),
}


class World(NamedTuple):
    """Ark with nothing embedded before a simulated medium, and the readers of what it wrote."""

    ark: Ark
    media: Media
    database: Database
    services: Services
    tenant: str

    def cells(self, kind: Kind) -> dict[str, Cell]:
        """Every cell of our tenant."""
        table = Table(self.services.hbase_url, kind.table)
        found = {key: cell for key, cell in table.cells() if self.tenant in key.split("|")}
        table.close()
        return found

    def truth(self, interface: str, kind: Kind, **query: str) -> dict[str, Any]:
        served = self.media.truth(interface, DATE, tenant=self.tenant, **query)
        return {row_key(each, kind): each["record"] for each in served}

    def clear(self, kinds: Mapping[str, Kind]) -> None:
        for kind in kinds.values():
            table = Table(self.services.hbase_url, kind.table)
            table.remove(self.cells(kind))
            table.close()


def row_key(truth: Mapping[str, Any], kind: Kind) -> str:
    known = {
        "salt": truth["account"][-1],
        "date": COMPACT,
        "account": truth["account"],
        "agent": truth["agent"],
        "tenant": truth["tenant"],
        "time_line": truth["variant"].removeprefix("time_line="),
    }
    record = truth["record"]

    def value(field: str) -> str:
        inside = kind.places.get(field)
        return known[field] if field in known else str((record[inside] if inside else record)[field])

    return "|".join(map(value, kind.key.split()))


@pytest.fixture
def world(ark_home: Path, services: Services, redis_url: str, media: Media) -> Iterator[World]:
    tenant = f"T{secrets.randbelow(10**8) + 10**8}"
    database = Database(services.mariadb_url, f"three_media_{secrets.token_hex(4)}")
    ark = Ark(
        ark_home,
        redis_url=redis_url,
        hbase_url=services.hbase_url,
        kafka_url=services.kafka_url,
        ledger_url=database.url,
        jrtt_url=media.url,
        jrtt_window=10,
        wx_url=media.url,
        wx_window=1,
    )
    yield World(ark, media, database, services, tenant)
    client = redis.Redis.from_url(redis_url)
    for key in client.scan_iter(f"*{tenant}*"):
        client.delete(key)
    client.close()
    database.drop()


def plant(world: World, scenario: Mapping[str, Any]) -> None:
    """Give the medium its scenario and Redis the tokens and first-generation agents, as production has them."""
    world.media.set_scenario({"seed": secrets.randbelow(2**40), **scenario}, replace=True)
    world.media.clear_stats()
    client = redis.Redis.from_url(world.ark.settings["redis_url"])
    for agent in world.media.directory():
        score = int(agent["agent"])
        if agent["token"]:
            client.zadd(f"{agent['medium']}_new_access_token_{world.tenant}", {agent["token"]: score})
        if agent.get("generation") == "one":
            client.zadd(f"jrtt_one_agents_v2_{world.tenant}", {agent["agent"]: score})
    client.close()


def check_tables(world: World, medium: str, kinds: Mapping[str, Kind], **query: str) -> None:
    for name, kind in kinds.items():
        expected = world.truth(f"{medium}.{name}", kind, **query)
        stored = {key: cell.value["data"] for key, cell in world.cells(kind).items()}
        assert expected, name
        assert compare(expected, stored) == (0, 0, 0), name


def check_ledger(world: World, statuses: Mapping[str, int]) -> None:
    """So many runs of each interface, all done, and no unit that is neither verified nor skipped."""
    runs = world.database.rows("SELECT interface, status, count(*) AS n FROM api_result_log GROUP BY interface, status")
    assert {(run["interface"], run["status"]): run["n"] for run in runs} == {
        (interface, "done"): n for interface, n in statuses.items()
    }
    states = world.database.rows("SELECT DISTINCT state FROM api_result_unit")
    assert {unit["state"] for unit in states} <= {"verified", "skipped"}


def check_agents(world: World) -> None:
    """Who is whose, and the agents of both generations, are in Redis for whoever runs one of them by hand."""
    children = {each["agent"]: int(each["parent"]) for each in world.media.directory() if each.get("parent")}
    client = redis.Redis.from_url(world.ark.settings["redis_url"])
    kept = client.zrange(f"jrtt_child_agents_v2_{world.tenant}", 0, -1, withscores=True)
    everybody = client.zrange(f"jrtt_agents_v2_{world.tenant}", 0, -1, withscores=True)
    client.close()
    assert {member.decode(): int(score) for member, score in kept} == children
    assert {member.decode(): int(score) for member, score in everybody} == {child: int(child) for child in children}


def test_jrtt_both_generations(world: World) -> None:
    """Two generations of agents, throttled, with some accounts that refuse and some gateways that fail at first."""
    agent = {"tenant": world.tenant, "accounts": 130, "children": 3, "child_accounts": 12, "child_tokens": 0.34}
    plant(
        world,
        {
            "jrtt": {
                "agents": [agent],
                "qps": 40,
                "objects": {"ads": [0, 2, 9]},
                "inactive": {"share": 0.03},
                "faults": [{"kind": "status", "status": 502, "share": 0.05, "attempts": 1}],
            }
        },
    )
    first = next(each for each in world.media.directory() if each.get("generation") == "one")
    alone = ("report_creative", "report_integrated", "ads")
    topic = Topic(world.services.kafka_url, "jrtt_api_log")
    try:
        assert world.ark("tables", "create", *[kind.table for kind in JRTT.values()]).code == 0
        about = ["-t", world.tenant, "-d", DATE, "-g", first["agent"]]

        lists = world.ark("run", "jrtt.accounts", *about, timeout=200)
        assert (lists.code, lists.result["next"]) == (0, ["jrtt.account_info", "jrtt.fund"])
        agents = world.ark("run", "jrtt.child_agents", *about, timeout=200)
        assert (agents.code, agents.result["next"]) == (0, ["jrtt.child_fund", *["jrtt.child_accounts"] * 3])
        check_agents(world)
        for name in alone:
            key = f"jrtt_accounts_v2_{world.tenant}_{COMPACT}"
            assert world.ark("run", f"jrtt.{name}", *about, "-k", key, timeout=200).code == 0

        check_ledger(
            world,
            {
                "jrtt.accounts": 1,
                "jrtt.account_info": 1,
                "jrtt.child_agents": 1,
                "jrtt.child_fund": 1,
                "jrtt.child_accounts": 3,
                "jrtt.report_agent": 3,
                "jrtt.fund": 4,
                "jrtt.report_advertiser": 4,
                **{f"jrtt.{name}": 1 for name in alone},
            },
        )
        only_first = ("account_info", *alone)
        check_tables(world, "jrtt", {name: JRTT[name] for name in only_first}, generation="one")
        check_tables(world, "jrtt", {name: kind for name, kind in JRTT.items() if name not in only_first})
        told = topic.values()
        assert len([message for message in told if world.tenant.encode() in message]) > 20
    finally:
        topic.close()
        world.clear(JRTT)


def test_wx(world: World) -> None:
    agent = {"tenant": world.tenant, "accounts": 120}
    faults = [{"kind": "code", "code": 10000, "share": 0.1, "attempts": 2}]
    plant(world, {"wx": {"agents": [agent], "objects": {"ads": [0, 2, 9]}, "faults": faults}})
    wx = next(each for each in world.media.directory() if each["medium"] == "wx")
    try:
        assert world.ark("tables", "create", *[kind.table for kind in WX.values()]).code == 0
        said = world.ark("run", "wx.advertisers", "-t", world.tenant, "-d", DATE, "-g", wx["agent"], timeout=200)
        assert (said.code, said.result["next"]) == (0, ["wx.funds"])
        check_ledger(
            world, {f"wx.{name}": 1 for name in ("advertisers", "funds", "daily_report_ad", "hourly_report_ad")}
        )
        memos = {key for key in world.cells(WX["funds"]) if "|memo|" in key}
        assert len(memos) == 120
        for name, kind in WX.items():
            stored = {key: cell.value["data"] for key, cell in world.cells(kind).items() if key not in memos}
            served = world.truth(f"wx.{name}", kind)
            asked = {field for record in stored.values() for field in record}
            expected = {key: {name: record[name] for name in record if name in asked} for key, record in served.items()}
            assert expected
            assert compare(expected, stored) == (0, 0, 0), name
    finally:
        world.clear(WX)
