"""The dialect of jrtt: who is let through, what is refused with which code, what an answer looks like."""

import json
from typing import Any

import pytest

from media.simulator.answers import Answer, Call
from media.simulator.jrtt import Jrtt
from media.simulator.scenario import Scenario, ScenarioError
from media.simulator.world import worlds

NOW = 1_590_800_000.0  # 2020-05-30 08:53 in Shanghai
MIDNIGHT = 1_590_768_000.0
AGENT, ACCOUNT, SECOND = "1650000000000001", "1664757665615880", "1664757665615881"
TOKEN = "TOKEN"
CHILD, CHILD_ACCOUNT = "1650000000000002", "1664757665615990"
STRANGER, STRANGE_ACCOUNT = "1650000000000009", "1664757665615999"
AGENTS = [
    {"id": AGENT, "token": "TOKEN", "account_ids": [ACCOUNT, SECOND], "accounts": 250},
    {"id": CHILD, "token": "CHILD", "parent": AGENT, "account_ids": [CHILD_ACCOUNT], "accounts": 19},
    {"id": "1650000000000003", "parent": AGENT, "accounts": 3},
    {"id": STRANGER, "token": "STRANGER", "account_ids": [STRANGE_ACCOUNT], "accounts": 0},
]
WEEK = {"start_date": "2020-05-01", "end_date": "2020-05-07"}
ONE_DAY = {"start_date": "2020-05-07", "end_date": "2020-05-07"}
REPORT = {"advertiser_id": ACCOUNT, **WEEK}
BY_ID = ["STAT_GROUP_BY_FIELD_ID", "STAT_GROUP_BY_FIELD_STAT_TIME"]
LEVELS = ("advertiser", "campaign", "ad", "creative")
APP = {"app_id": "1660000000000001", "secret": "SECRET"}


def jrtt(**parts: Any) -> Jrtt:
    objects = {"of": {ACCOUNT: 14}}
    text = json.dumps({"jrtt": {"agents": AGENTS, "objects": objects, "qps": 0, **parts}})
    return Jrtt(Scenario.parse(text.encode(), json=True), NOW)


def ask(
    it: Jrtt, interface: str, *, token: str | None = TOKEN, now: float = NOW, method: str = "GET",
    body: Any = None, repeated: bool = False, **query: Any,
) -> Answer:  # fmt: skip
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in query.items()}
    content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    headers = {} if token is None else {"Access-Token": token}
    return it.answer(Call(interface, method, texts, headers, content, now, repeated))


def data(it: Jrtt, interface: str, **query: Any) -> Any:
    answer = ask(it, interface, **query)
    assert answer.code == 0, answer.body
    return json.loads(answer.body)["data"]


def pages(it: Jrtt, interface: str, size: int = 100, **query: Any) -> list[Any]:
    """The rows of all pages."""
    rows, page = [], 1
    while True:
        part = data(it, interface, page=page, page_size=size, **query)
        rows += part["list"]
        info = part["page_info"]
        assert (info["page"], info["page_size"]) == (page, size)
        if page >= info["total_page"]:
            assert len(rows) == info["total_number"]
            return rows
        page += 1


@pytest.mark.parametrize(
    ("code", "interface", "query"),
    [
        (40104, "2/advertiser/fund/get", {"token": None, "advertiser_id": ACCOUNT}),
        (40104, "2/advertiser/fund/get", {"token": "", "advertiser_id": ACCOUNT}),
        (40105, "2/advertiser/fund/get", {"token": "Bearer TOKEN", "advertiser_id": ACCOUNT}),
        (40102, "2/advertiser/fund/get", {"now": NOW + 86400, "advertiser_id": ACCOUNT}),
        (40001, "2/advertiser/fund/get", {}),
        (40001, "2/advertiser/fund/get", {"advertiser_id": "abc"}),
        (40001, "2/advertiser/fund/get", {"advertiser_id": ACCOUNT, "speed": "1"}),
        (40001, "2/advertiser/fund/get", {"advertiser_id": ACCOUNT, "repeated": True}),
        (40001, "2/advertiser/fund/get", {"body": b"[1]"}),
        (40001, "2/advertiser/fund/get", {"body": b'{"advertiser_id":'}),
        (40002, "2/advertiser/fund/get", {"advertiser_id": "404"}),
        (40002, "2/advertiser/fund/get", {"advertiser_id": STRANGE_ACCOUNT}),
        (40002, "2/advertiser/fund/get", {"advertiser_id": STRANGER}),
        (40002, "2/advertiser/fund/get", {"token": "CHILD", "advertiser_id": ACCOUNT}),
        (40002, "2/advertiser/fund/get", {"token": "CHILD", "advertiser_id": AGENT}),
        (40002, "2/advertiser/fund/daily_stat", {**WEEK, "advertiser_id": AGENT}),
        (40001, "2/advertiser/info", {"advertiser_ids": []}),
        (40001, "2/advertiser/info", {"advertiser_ids": list(range(1, 102))}),
        (40001, "2/advertiser/info", {"advertiser_ids": ACCOUNT}),
        (40001, "2/advertiser/info", {"advertiser_ids": [int(ACCOUNT)], "fields": ["nonsense"]}),
        (40001, "2/agent/advertiser/select", {"advertiser_id": AGENT, "page_size": 101}),
        (40001, "2/agent/advertiser/select", {"advertiser_id": AGENT, "page": 0}),
        (40001, "2/agent/advertiser/select", {"advertiser_id": AGENT, "page": 101, "page_size": 100}),
        (40001, "2/agent/advertiser/select", {"advertiser_id": AGENT, "cursor": "x", "count": 100}),
        (40003, "2/agent/advertiser/select", {"advertiser_id": AGENT, "filtering": {"name": "x"}}),
        (40002, "2/agent/advertiser/select", {"advertiser_id": ACCOUNT}),
        (40002, "2/agent/child_agent/select", {"advertiser_id": CHILD}),
        (40002, "2/agent/info", {"advertiser_ids": [int(AGENT), int(STRANGER)]}),
        (40002, "2/report/ad/get", {**REPORT, "advertiser_id": AGENT}),
        (40001, "2/report/ad/get", {"advertiser_id": ACCOUNT, "start_date": "2020-05-01"}),
        (40001, "2/report/ad/get", {**REPORT, "start_date": "1 May"}),
        (40001, "2/report/ad/get", {**REPORT, "start_date": "2020-05-08"}),
        (40001, "2/report/ad/get", {**REPORT, "start_date": "2020-04-01"}),
        (40001, "2/report/ad/get", {**REPORT, "start_date": "2016-10-25", "end_date": "2016-10-26"}),
        (40001, "2/report/ad/get", {**REPORT, "page_size": 1001}),
        (40001, "2/report/ad/get", {**REPORT, "page": "first"}),
        (40001, "2/report/ad/get", {**REPORT, "group_by": ["STAT_GROUP_BY_MOON"]}),
        (40001, "2/report/ad/get", {**REPORT, "group_by": "STAT_GROUP_BY_FIELD_ID"}),
        (40001, "2/report/ad/get", {**REPORT, "time_granularity": "STAT_TIME_GRANULARITY_TEA"}),
        (40001, "2/report/ad/get", {**REPORT, "fields": ["nonsense"]}),
        (40001, "2/report/ad/get", {**REPORT, "order_field": "nonsense"}),
        (40001, "2/report/ad/get", {**REPORT, "order_type": "DOWN"}),
        (40001, "2/report/ad/get", {**REPORT, "filtering": {"ad_ids": list(range(101))}}),
        (40001, "2/report/ad/get", {**REPORT, "filtering": {"ad_ids": ["x"]}}),
        (40001, "2/report/ad/get", {**REPORT, "filtering": {"status": "AD_STATUS_GREEN"}}),
        (40003, "2/report/ad/get", {**REPORT, "filtering": {"ad_id": [1]}}),
        (40003, "2/report/integrated/get", {**REPORT, "filtering": {"ad_ids": [1]}}),
        (40001, "2/report/integrated/get", {**REPORT, "group_by": BY_ID}),
        (40001, "2/campaign/get", {"advertiser_id": ACCOUNT, "page_size": 1001}),
        (40001, "2/creative/get", {"advertiser_id": ACCOUNT, "page_size": 101}),
        (40001, "2/campaign/get", {"advertiser_id": ACCOUNT, "filtering": {"campaign_create_time": "May"}}),
        (40003, "2/campaign/get", {"advertiser_id": ACCOUNT, "filtering": {"ad_id": 1}}),
        (40001, "2/report/agent/get_v2", {"advertiser_id": AGENT, **WEEK}),
        (40002, "2/report/agent/get_v2", {"agent_id": STRANGER, **WEEK}),
    ],
)  # fmt: skip
def test_a_refusal_has_its_code_and_no_data(code, interface, query):
    answer = ask(jrtt(), interface, **query)
    body = json.loads(answer.body)
    assert (answer.status, body["code"], body.get("data", {})) == (200, code, {})
    assert body["message"] != "OK"
    assert len(body["request_id"]) == 34


@pytest.mark.parametrize(("interface", "method"), [("2/nothing/get", "GET"), ("2/advertiser/fund/get", "POST")])
def test_what_is_not_there_is_a_gateways_404(interface, method):
    answer = ask(jrtt(), interface, method=method, advertiser_id=ACCOUNT)
    assert (answer.status, answer.headers["Content-Type"]) == (404, "text/html")
    with pytest.raises(json.JSONDecodeError):
        json.loads(answer.body)


def test_paths_have_a_trailing_slash_or_none():
    it = jrtt()
    assert it.interface("/open_api/2/ad/get/") == it.interface("/open_api/2/ad/get") == "2/ad/get"
    assert it.interface("/v1.1/ads/get") is None


def test_requests_have_ids_of_their_own_that_begin_with_the_time():
    it = jrtt()
    ids = [json.loads(ask(it, "2/advertiser/fund/get", advertiser_id=ACCOUNT).body)["request_id"] for _ in range(50)]
    assert len(set(ids)) == 50
    assert {each[:14] for each in ids} == {"20200530085320"}


def test_parameters_may_stand_in_a_json_body_and_null_is_not_sent():
    it = jrtt()
    told = {"advertiser_id": ACCOUNT, **WEEK, "group_by": ["STAT_GROUP_BY_BIDWORD_ID", "STAT_GROUP_BY_AD_ID"]}
    in_query = data(it, "2/report/integrated/get", **told)
    assert data(it, "2/report/integrated/get", body={**told, "fields": None}) == in_query
    assert data(it, "2/report/integrated/get", body={**told, "advertiser_id": int(ACCOUNT)}, fields="null") == in_query
    assert in_query["page_info"]["total_number"] > 14


def test_the_token_of_the_first_generation_is_good_for_its_second():
    it = jrtt()
    for token in ("TOKEN", "CHILD"):
        assert data(it, "2/advertiser/fund/get", token=token, advertiser_id=CHILD_ACCOUNT)["balance"] >= 0
        assert data(it, "2/advertiser/fund/get", token=token, advertiser_id=CHILD)["advertiser_id"] == int(CHILD)
        listed = pages(it, "2/agent/advertiser/select", token=token, advertiser_id=CHILD)
        assert listed == [int(account) for account in it.world.accounts(it.world.by_id[CHILD])]
    children = data(it, "2/agent/child_agent/select", advertiser_id=AGENT)
    assert children["list"] == children["child_agent_ids"] == [int(CHILD), 1650000000000003]
    info = data(it, "2/agent/info", advertiser_ids=[int(AGENT), int(CHILD)])
    assert [(row["agent_id"], row["role"]) for row in info] == [
        (int(AGENT), "ROLE_AGENT"), (int(CHILD), "ROLE_CHILD_AGENT"),
    ]  # fmt: skip


def test_the_directory_tells_both_generations_and_who_holds_a_token():
    entries = {entry["agent"]: entry for entry in jrtt().directory()}
    assert [(each["generation"], each["parent"], each["token"]) for each in entries.values()] == [
        ("one", "", "TOKEN"), ("child", AGENT, "CHILD"), ("child", AGENT, ""), ("one", "", "STRANGER"),
    ]  # fmt: skip
    assert entries["1650000000000003"]["refresh_token"] == ""
    assert entries[CHILD]["accounts"] == 20


def test_children_are_made_with_ids_accounts_and_some_tokens():
    text = '{"jrtt":{"agents":[{"count":2,"accounts":5,"children":4,"child_accounts":7,"child_tokens":0.75}]}}'
    world = worlds(Scenario.parse(text.encode(), json=True))["jrtt"]
    ones = [agent for agent in world.agents if not agent.parent]
    assert len(ones) == 2
    for one in ones:
        children = world.children[one.id]
        assert [bool(child.token) for child in children] == [True, True, True, False]
        assert {(child.parent, child.generation, child.size) for child in children} == {(one.id, "child", 7)}
    ids = [account for agent in world.agents for account in world.accounts(agent)]
    assert len(set(ids)) == 2 * 5 + 8 * 7
    assert all(world.find(account) == agent for agent in world.agents for account in world.accounts(agent))
    assert {len(each) for each in [*ids, *world.by_id]} == {16}
    assert max(int(each) for each in [*ids, *world.by_id]) < 2**53


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ({"agents": [{"id": "5", "parent": "6"}]}, "parent 6 is not a first-generation agent"),
        ({"agents": [{"parent": "6", "children": 2}]}, "leave out children or parent"),
        ({"quota": {"minute": {"size": 5}}}, "qps and qps_of"),
        ({"objects": {"per_adgroup": 5}}, "creatives and per_campaign"),
        ({"throttle": "40130"}, "throttle"),
    ],
)
def test_a_scenario_that_contradicts_itself_is_refused(section, told):
    with pytest.raises(ScenarioError, match=told):
        worlds(Scenario.parse(json.dumps({"jrtt": section}).encode(), json=True))


def test_a_refresh_rotates_both_tokens():
    it = jrtt(tokens={"life": 100, "rotate": True})
    old = next(iter(it.directory()))["refresh_token"]
    refresh = {**APP, "grant_type": "refresh_token", "refresh_token": old}
    granted = data(it, "oauth2/refresh_token", method="POST", token=None, body=refresh)
    assert granted.keys() == {"access_token", "refresh_token", "expires_in", "refresh_token_expires_in"}
    assert granted["expires_in"] == 100
    assert granted["refresh_token"] != old
    assert ask(it, "2/advertiser/fund/get", advertiser_id=ACCOUNT).code == 40105
    assert ask(it, "2/advertiser/fund/get", token=granted["access_token"], advertiser_id=ACCOUNT).code == 0
    assert ask(it, "oauth2/refresh_token", method="POST", body=refresh).code == 40107
    number = {"app_id": int(APP["app_id"]), "secret": "SECRET", "refresh_token": granted["refresh_token"]}
    assert ask(it, "oauth2/refresh_token", method="POST", body=number).code == 0


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        (40101, {"secret": "x"}),
        (40101, {"app_id": 7}),
        (40107, {"refresh_token": "unknown"}),
        (40001, {"refresh_token": None}),
        (40001, {"grant_type": "auth_code"}),
        (40001, {"code": "x"}),
    ],
)
def test_a_refresh_that_cannot_be_granted(code, changes):
    it = jrtt()
    body = {**APP, "refresh_token": next(iter(it.directory()))["refresh_token"], **changes}
    assert ask(it, "oauth2/refresh_token", method="POST", body=body).code == code


def test_refresh_tokens_and_codes_end():
    it = jrtt(tokens={"refresh_life": 50, "code_life": 600})
    agent = next(iter(it.directory()))
    body = {**APP, "refresh_token": agent["refresh_token"]}
    assert ask(it, "oauth2/refresh_token", method="POST", now=NOW + 50, body=body).code == 40103
    body = {**APP, "auth_code": agent["authorization_code"]}
    assert ask(it, "oauth2/access_token", method="POST", now=NOW + 600, body=body).code == 40110
    granted = data(it, "oauth2/access_token", method="POST", body=body)
    assert (granted["advertiser_ids"], granted["advertiser_id"]) == ([int(AGENT)], int(AGENT))
    assert ask(it, "oauth2/access_token", method="POST", body=body).code == 40115
    assert ask(it, "oauth2/access_token", method="POST", body={**APP, "auth_code": "unknown"}).code == 40107


def test_a_token_tells_whose_it_is():
    it = jrtt()
    for asked in (
        {"token": None, "access_token": "CHILD"},
        {"token": "CHILD", **APP},
        {"body": {"access_token": "CHILD"}},
    ):
        (row,) = data(it, "oauth2/advertiser/get", **asked)["list"]
        assert (row["advertiser_id"], row["advertiser_role"], row["account_role"]) == (int(CHILD), 4, "CHILD_AGENT")
    assert ask(it, "oauth2/advertiser/get", token=None).code == 40104


def test_an_agents_accounts_are_complete_by_page_and_by_cursor():
    it = jrtt()
    expected = [int(account) for account in it.world.accounts(it.world.by_id[AGENT])]
    assert pages(it, "2/agent/advertiser/select", advertiser_id=AGENT) == expected
    first = data(it, "2/agent/advertiser/select", advertiser_id=AGENT)
    assert first["page_info"] == {"page": 1, "page_size": 100, "total_number": 252, "total_page": 3}
    assert (first["advertiser_ids"], "cursor_page_info" in first) == (first["list"], False)
    cursor, seen = 0, []
    while True:
        part = data(it, "2/agent/advertiser/select", advertiser_id=AGENT, cursor=cursor, count=100)
        info = part["cursor_page_info"]
        seen, cursor = seen + part["list"], info["cursor"]
        assert (info["count"], info["total_number"]) == (len(part["list"]), 252)
        if info["has_more"] is False:
            break
    assert seen == expected


def test_pages_of_accounts_end_and_the_cursor_does_not():
    it = jrtt(agents=[{"id": AGENT, "token": "TOKEN", "accounts": 10_050}])
    last = data(it, "2/agent/advertiser/select", advertiser_id=AGENT, page=100)
    assert (len(last["list"]), last["page_info"]["total_number"]) == (100, 10_050)
    assert ask(it, "2/agent/advertiser/select", advertiser_id=AGENT, page=101).code == 40001
    rest = data(it, "2/agent/advertiser/select", advertiser_id=AGENT, cursor=10_000, count=100)
    assert (len(rest["list"]), rest["cursor_page_info"]["has_more"]) == (50, False)


def test_an_agents_accounts_are_chosen_by_company_and_by_cost():
    it = jrtt()
    every = set(data(it, "2/majordomo/advertiser/select", advertiser_id=AGENT)["list"][0])
    assert every == {"advertiser_id", "advertiser_name"}
    some = [1_600_000_000_000_000, 1_600_000_000_000_001]
    chosen = pages(it, "2/agent/advertiser/select", advertiser_id=AGENT, company_ids=some)
    assert 20 < len(chosen) < 120
    spent = pages(it, "2/agent/advertiser/select", advertiser_id=AGENT, filtering={"stat_cost_fen_gt": 1})
    day = {"start_date": "2020-05-29", "end_date": "2020-05-29"}
    reported = data(it, "2/report/agent/get_v2", agent_id=AGENT, page_size=1000, **day)["list"]
    assert spent == [row["advertiser_id"] for row in reported]


def test_one_forbidden_account_fails_the_whole_batch():
    it = jrtt(inactive={"accounts": [SECOND]}, inactive_code=40300)
    good = [int(account) for account in it.world.accounts(it.world.by_id[AGENT], 2, 101)]
    assert [row["id"] for row in data(it, "2/advertiser/info", advertiser_ids=[int(ACCOUNT), *good])] == [
        int(ACCOUNT), *good,
    ]  # fmt: skip
    for bad in (404, int(STRANGE_ACCOUNT), int(AGENT), int(SECOND)):
        for interface in ("2/advertiser/info", "2/advertiser/public_info"):
            assert ask(it, interface, advertiser_ids=[*good, bad]).code == 40002
    rows = data(it, "2/advertiser/info", advertiser_ids=[int(ACCOUNT)], fields=["id", "name"])
    assert rows[0].keys() == {"id", "name"}


@pytest.mark.parametrize("code", [40002, 40300])
def test_an_inactive_account_is_listed_and_refused(code):
    it = jrtt(inactive={"accounts": [ACCOUNT]}, inactive_code=code)
    assert ask(it, "2/advertiser/fund/get", advertiser_id=ACCOUNT).code == code
    assert int(ACCOUNT) in data(it, "2/agent/advertiser/select", advertiser_id=AGENT)["list"]
    query = {"date": "2020-05-30", "account": ACCOUNT}
    assert not list(it.truth("fund", query, NOW))
    assert [each.record for each in it.truth("accounts", query, NOW)] == [int(ACCOUNT)]


def test_money_is_yuan_with_two_decimals():
    it = jrtt()
    fund = data(it, "2/advertiser/fund/get", advertiser_id=ACCOUNT)
    amounts = {name: value for name, value in fund.items() if name not in {"advertiser_id", "name", "email"}}
    assert len(amounts) == 9
    assert all(type(value) is float and round(value, 2) == value for value in amounts.values())
    assert fund["balance"] == round(fund["cash"] + fund["grant"], 2)
    assert fund["email"].count("*") == 13
    assert b'"return_goods_cost":0.0' in ask(it, "2/advertiser/fund/get", advertiser_id=ACCOUNT).body


def test_a_days_statement_agrees_with_the_report_of_the_day():
    it = jrtt()
    rows = pages(it, "2/advertiser/fund/daily_stat", 3, **REPORT)
    assert [row["date"] for row in rows] == [f"2020-05-0{day}" for day in range(1, 8)]
    reported = data(it, "2/report/advertiser/get", **REPORT)["list"]
    assert [row["cost"] for row in rows] == [row["cost"] for row in reported]
    assert all(round(row["cash_cost"] + row["reward_cost"], 2) == row["cost"] for row in rows)
    month = {**REPORT, "end_date": "2020-05-30"}
    assert len(data(it, "2/advertiser/fund/daily_stat", **month)["list"]) == 10


def test_empty_days_are_zero_rows_for_an_advertiser_only():
    it = jrtt(objects={"ads": [0]})
    rows = data(it, "2/report/advertiser/get", **REPORT)["list"]
    assert [row["stat_datetime"] for row in rows] == [f"2020-05-0{day} 00:00:00" for day in range(1, 8)]
    assert {(row["cost"], row["show"], row["ctr"]) for row in rows} == {(0.0, 0, 0.0)}
    hourly = {**REPORT, **ONE_DAY, "time_granularity": "STAT_TIME_GRANULARITY_HOURLY", "page_size": 100}
    hours = [row["stat_datetime"] for row in data(it, "2/report/advertiser/get", **hourly)["list"]]
    assert hours == [f"2020-05-07 {hour:02}:00:00" for hour in range(24)]
    for level in LEVELS[1:]:
        assert data(it, f"2/report/{level}/get", **REPORT)["list"] == []


@pytest.mark.parametrize("granularity", ["DAILY", "HOURLY"])
def test_the_levels_add_up_to_the_same(granularity):
    it = jrtt()
    query = {**REPORT, **ONE_DAY, "group_by": BY_ID, "time_granularity": f"STAT_TIME_GRANULARITY_{granularity}"}
    sums = set()
    for level in LEVELS:
        status = {} if level == "advertiser" else {"filtering": {"status": f"{level.upper()}_STATUS_ALL"}}
        rows = pages(it, f"2/report/{level}/get", **query, **status)
        assert len({(row.get(f"{level}_id"), row["stat_datetime"]) for row in rows}) == len(rows)
        sums.add((round(sum(row["cost"] for row in rows), 2), sum(row["attribution_convert"] for row in rows)))
    groups = ["STAT_GROUP_BY_TIME_DAY", "STAT_GROUP_BY_BIDWORD_ID"]
    rows = pages(it, "2/report/integrated/get", advertiser_id=ACCOUNT, **ONE_DAY, group_by=groups)
    metrics = [row["metrics"] for row in rows]
    sums.add((round(sum(row["cost"] for row in metrics), 2), sum(row["attribution_convert"] for row in metrics)))
    assert len(sums) == 1


def test_reports_are_filtered_ordered_and_cut_down():
    it = jrtt()
    every = pages(it, "2/report/ad/get", **REPORT, group_by=BY_ID)
    ids = [every[0]["ad_id"], every[-1]["ad_id"]]
    some = pages(it, "2/report/ad/get", **REPORT, group_by=BY_ID, filtering={"ad_ids": ids})
    assert some == [row for row in every if row["ad_id"] in ids]
    costs = [row["cost"] for row in pages(it, "2/report/ad/get", **REPORT, group_by=BY_ID, order_field="cost")]
    assert costs == sorted(costs, reverse=True)
    rows = data(it, "2/report/ad/get", **REPORT, fields=["cost", "show"])["list"]
    assert rows[0].keys() == {"cost", "show", "stat_datetime", "advertiser_id"}
    assert len(rows) == 7
    assert len(data(it, "2/report/ad/get", **REPORT, group_by=BY_ID)["list"]) == 20
    campaign = every[0]["campaign_id"]
    groups = ["STAT_GROUP_BY_CAMPAIGN_ID", "STAT_GROUP_BY_AD_ID"]
    query = {"group_by": groups, "filtering": {"campaign_id": [campaign]}, "fields": ["cost"]}
    rows = data(it, "2/report/integrated/get", **REPORT, **query)["list"]
    assert {row["dimensions"]["campaign_id"] for row in rows} == {campaign}
    assert {tuple(row["metrics"]) for row in rows} == {("cost",)}


@pytest.mark.parametrize("kind", ["campaign", "ad", "creative"])
def test_deleted_objects_are_listed_and_reported_by_choice(kind):
    it = jrtt(objects={"of": {ACCOUNT: 120}})
    word = kind.upper()
    every, listed, deleted = (
        pages(it, f"2/{kind}/get", advertiser_id=ACCOUNT, filtering=filtering)
        for filtering in ({"status": f"{word}_STATUS_ALL"}, {}, {"status": f"{word}_STATUS_DELETE"})
    )
    assert {row["status"] for row in deleted} == {f"{word}_STATUS_DELETE"}
    assert sorted(row[f"{kind}_id"] for row in every) == sorted(row[f"{kind}_id"] for row in [*listed, *deleted])
    assert deleted
    kept = {row[f"{kind}_id"] for row in listed}
    report = {**REPORT, "group_by": BY_ID}
    assert {row[f"{kind}_id"] for row in pages(it, f"2/report/{kind}/get", **report)} <= kept
    status = {"filtering": {"status": f"{word}_STATUS_ALL"}}
    assert {row[f"{kind}_id"] for row in pages(it, f"2/report/{kind}/get", **report, **status)} - kept
    for more in ({}, {"deleted": "1"}):
        told = it.truth(f"{kind}s", {"date": "2020-05-30", "account": ACCOUNT, **more}, NOW)
        assert [each.record for each in told] == (every if more else listed)


def test_objects_are_found_by_id_day_name_and_parent():
    it = jrtt(objects={"of": {ACCOUNT: 300}})
    ads = pages(it, "2/ad/get", advertiser_id=ACCOUNT)
    ids = [row["id"] for row in ads[:2]]

    def found(interface: str, **filtering: Any) -> list[Any]:
        return pages(it, interface, advertiser_id=ACCOUNT, filtering=filtering)

    assert [row["id"] for row in found("2/ad/get", ids=ids)] == ids
    assert [row["id"] for row in found("2/ad/get", ad_name=str(ids[1]))] == [ids[1]]
    day = found("2/ad/get", ad_create_time="2020-01-02")
    assert day == [row for row in ads if row["ad_create_time"].startswith("2020-01-02 ")]
    assert 0 < len(day) < len(ads)
    assert {row["ad_id"] for row in found("2/creative/get", ad_id=ids[0])} <= {ids[0]}
    campaign = ads[0]["campaign_id"]
    assert found("2/ad/get", campaign_id=campaign) == [row for row in ads if row["campaign_id"] == campaign]
    assert len(data(it, "2/ad/get", advertiser_id=ACCOUNT)["list"]) == 10
    assert len(data(it, "2/ad/get", advertiser_id=ACCOUNT, page_size=1000)["list"]) == len(ads)
    rows = data(it, "2/campaign/get", advertiser_id=ACCOUNT, fields=["id", "name", "budget"])["list"]
    assert {tuple(row) for row in rows} == {("id", "name", "budget")}
    assert ask(jrtt(creative_page_size=1000), "2/creative/get", advertiser_id=ACCOUNT, page_size=1000).code == 0


def test_a_report_of_creatives_ends_at_its_limit_and_does_not_say_so():
    query = {**REPORT, **ONE_DAY, "group_by": BY_ID}
    whole = pages(jrtt(), "2/report/creative/get", **query)
    it = jrtt(creative_report_limit=10)
    assert pages(it, "2/report/creative/get", 4, **query) == whole[:10]
    ads = sorted({row["ad_id"] for row in whole})
    by_ad = [row for ad in ads for row in pages(it, "2/report/creative/get", **query, filtering={"ad_ids": [ad]})]
    assert sorted(row["creative_id"] for row in by_ad) == sorted(row["creative_id"] for row in whole)
    told = it.truth("report_creative", {"date": "2020-05-07", "account": ACCOUNT}, NOW)
    assert [each.record for each in told] == whole
    assert len(pages(it, "2/report/ad/get", **query)) > 10


def test_the_agents_report_finds_the_accounts_that_spent_something():
    it = jrtt()
    rows = pages(it, "2/report/agent/get_v2", 4, agent_id=CHILD, **ONE_DAY)
    accounts = list(it.world.accounts(it.world.by_id[CHILD]))
    spent = {
        account: data(it, "2/report/advertiser/get", advertiser_id=account, **ONE_DAY)["list"][0]["cost"]
        for account in accounts
    }
    assert {str(row["advertiser_id"]): row["cost"] for row in rows} == {
        account: cost for account, cost in spent.items() if cost
    }
    assert all(round(row["cash_cost"] + row["grants_cost"], 2) == row["cost"] for row in rows)
    part = data(it, "2/report/agent/get_v2", agent_id=CHILD, cursor=0, cursor_size=4, **ONE_DAY)
    assert part["cursor_info"] == {"cursor": 4, "cursor_size": 4, "has_more": 1, "total_number": len(rows)}
    one = {"filtering": {"advertiser_ids": [rows[0]["advertiser_id"], 404]}}
    assert pages(it, "2/report/agent/get_v2", agent_id=CHILD, **ONE_DAY, **one) == rows[:1]
    old = pages(it, "2/report/agent/get", 3, advertiser_id=CHILD, **ONE_DAY)
    assert [(row["advertiser_id"], row["cost"]) for row in old] == [(row["advertiser_id"], row["cost"]) for row in rows]
    week = pages(it, "2/report/agent/get", 50, advertiser_id=CHILD, **WEEK)
    assert [row for row in week if row["date"] == "2020-05-07"] == old


def test_too_many_calls_a_second_are_refused_as_in_2020():
    it = jrtt(qps=3)
    answers = [ask(it, "2/advertiser/fund/get", advertiser_id=ACCOUNT) for _ in range(4)]
    assert [answer.code for answer in answers] == [0, 0, 0, 40100]
    assert answers[-1].refused
    assert answers[-1].headers.keys() == {"Content-Type"}
    assert ask(it, "2/agent/info", advertiser_ids=[int(AGENT)]).code == 0
    assert ask(it, "2/advertiser/fund/get", token="STRANGER", advertiser_id=STRANGE_ACCOUNT).code == 40100
    assert ask(it, "2/advertiser/fund/get", now=NOW + 0.5, advertiser_id=ACCOUNT).code == 0
    assert it.quotas(NOW + 0.5)["1660000000000001 2/advertiser/fund/get"]["second"]["size"] == 3


def test_too_many_calls_a_second_are_refused_as_today():
    it = jrtt(qps=1, throttle="40110", retry_in=30, qps_of={"2/agent/info": 2})
    assert [ask(it, "2/advertiser/fund/get", advertiser_id=ACCOUNT).code for _ in range(2)] == [0, 40110]
    later = ask(it, "2/advertiser/fund/get", now=NOW + 10, advertiser_id=ACCOUNT)
    assert (later.code, later.headers["X-RateLimit-RetryIn"]) == (40110, "20")
    assert later.headers["X-RateLimit-Dimension"] == "developer_qps"
    assert ask(it, "2/advertiser/fund/get", now=NOW + 30, advertiser_id=ACCOUNT).code == 0
    assert [ask(it, "2/agent/info", advertiser_ids=[int(AGENT)]).code for _ in range(3)] == [0, 0, 40110]


def test_a_growing_day_grows_and_attribution_is_written_back_for_a_week():
    objects = {"of": {ACCOUNT: 14}, "delivery": 1.0, "hours": 1.0}
    it = jrtt(growing=True, objects=objects, tokens={"life": 1_000_000})

    def row(day: str, now: float) -> Any:
        rows = data(it, "2/report/advertiser/get", advertiser_id=ACCOUNT, start_date=day, end_date=day, now=now)["list"]
        return rows[0] if rows else {"cost": None}

    costs = [row("2020-05-30", MIDNIGHT + 3600 * hour)["cost"] for hour in range(1, 24)]
    assert costs == sorted(set(costs))
    assert row("2020-05-30", MIDNIGHT + 3600 * 23)["attribution_convert"] == 0
    assert row("2020-05-31", NOW)["cost"] is None
    before, after, later = (row("2020-05-29", MIDNIGHT + 3600 * hour) for hour in (7, 8, 20))
    assert before["cost"] < after["cost"] == later["cost"]
    told = [row("2020-05-29", MIDNIGHT + 86400 * days + 36000) for days in range(9)]
    assert len({each["cost"] for each in told}) == 1
    restated = [each["attribution_convert"] for each in told]
    assert restated[0] < restated[3] < restated[6] == restated[7] == restated[8]
    stat = {"advertiser_id": ACCOUNT, "start_date": "2020-05-29", "end_date": "2020-05-30"}
    for hour, days in ((7, []), (8, ["2020-05-29"])):
        rows = data(it, "2/advertiser/fund/daily_stat", **stat, now=MIDNIGHT + 3600 * hour)["list"]
        assert [each["date"] for each in rows] == days


FLAT = {"group_by": BY_ID, **ONE_DAY}
SEED_GROUPS = ["STAT_GROUP_BY_BIDWORD_ID", "STAT_GROUP_BY_AD_ID"]
SERVED = {
    "fund_daily_stat": ("2/advertiser/fund/daily_stat", ONE_DAY),
    **{f"report_{level}": (f"2/report/{level}/get", FLAT) for level in LEVELS},
    "report_integrated": ("2/report/integrated/get", {"group_by": SEED_GROUPS, **ONE_DAY}),
    **{f"{kind}s": (f"2/{kind}/get", {}) for kind in LEVELS[1:]},
}


@pytest.mark.parametrize("interface", SERVED)
@pytest.mark.parametrize(("agent", "account"), [(AGENT, ACCOUNT), (CHILD, CHILD_ACCOUNT)])
def test_the_truth_is_what_is_served(interface, agent, account):
    it = jrtt(objects={"of": {ACCOUNT: 14, CHILD_ACCOUNT: 3}})
    path, query = SERVED[interface]
    told = list(it.truth(interface, {"date": "2020-05-07", "account": account}, NOW))
    assert told
    assert {(each.tenant, each.agent, each.account) for each in told} == {("T100117", agent, account)}
    for size in (3, 100):
        assert [each.record for each in told] == pages(it, path, size, advertiser_id=account, **query)


def test_the_truth_of_lists_and_funds():
    it = jrtt()

    def told(interface: str, **query: str) -> list[tuple[str, str, object]]:
        query = {"date": "2020-05-07", **query}
        return [(each.agent, each.account, each.record) for each in it.truth(interface, query, NOW)]

    children = data(it, "2/agent/child_agent/select", advertiser_id=AGENT)["list"]
    assert told("child_agents") == [(AGENT, str(child), child) for child in children]
    assert [record for _, _, record in told("accounts", agent=AGENT)] == pages(
        it, "2/agent/advertiser/select", advertiser_id=AGENT
    )
    assert [record for _, _, record in told("child_accounts", agent=CHILD)] == pages(
        it, "2/agent/advertiser/select", advertiser_id=CHILD
    )
    assert {agent for agent, _, _ in told("child_accounts")} == {CHILD, "1650000000000003"}
    for interface, agent, account in (
        ("agent_fund", AGENT, AGENT), ("child_fund", AGENT, CHILD), ("fund", CHILD, CHILD_ACCOUNT),
    ):  # fmt: skip
        fund = data(it, "2/advertiser/fund/get", advertiser_id=account)
        assert told(interface, account=account) == [(agent, account, fund)]
    (info,) = data(it, "2/advertiser/info", advertiser_ids=[int(ACCOUNT)])
    assert told("account_info", account=ACCOUNT) == [(AGENT, ACCOUNT, info)]
    assert {agent for agent, _, _ in told("fund", generation="one")} == {AGENT, STRANGER}
    for version, path, name in (
        ("2", "2/report/agent/get_v2", "agent_id"),
        ("1", "2/report/agent/get", "advertiser_id"),
    ):
        rows = pages(it, path, **{name: CHILD}, **ONE_DAY)
        assert [record for _, _, record in told("report_agent", agent=CHILD, version=version)] == rows
    assert told("report_agent", agent=AGENT) == []


def test_another_scenario_keeps_what_did_not_change():
    it = jrtt(qps=1)
    assert ask(it, "2/advertiser/fund/get", advertiser_id=ACCOUNT).code == 0
    body = {**APP, "refresh_token": next(iter(it.directory()))["refresh_token"]}
    token = data(it, "oauth2/refresh_token", method="POST", body=body)["access_token"]
    changed = it.changed(it._scenario.patched(b'{"jrtt":{"inactive":{"share":0.5}}}', json=True), NOW)
    assert ask(changed, "2/advertiser/fund/get", token=token, advertiser_id=ACCOUNT).code == 40100
    wider = changed.changed(it._scenario.patched(b'{"jrtt":{"qps":9}}', json=True), NOW)
    assert ask(wider, "2/advertiser/fund/get", token=token, advertiser_id=ACCOUNT).code == 0
