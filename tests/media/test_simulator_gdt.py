"""The dialect of gdt: who is let through, what is refused with which code, what an answer looks like."""

import json
from itertools import count
from typing import Any

import pytest

from media.simulator.answers import Answer, Call
from media.simulator.gdt import Gdt
from media.simulator.scenario import Scenario

NOW = 1_590_800_000.0
AGENT, ACCOUNT, TOKEN = "1050262", "10707125", "t" * 32
DAYS = {"start_date": "2020-05-01", "end_date": "2020-05-07"}
ONE_DAY = {"start_date": "2020-05-07", "end_date": "2020-05-07"}
DAILY: dict[str, Any] = {"account_id": ACCOUNT, "level": "REPORT_LEVEL_AD", "date_range": DAYS}
AGENTS = [
    {"id": AGENT, "token": TOKEN, "account_ids": [ACCOUNT, "20458"], "accounts": 250},
    {"id": "5555", "token": "u" * 32, "account_ids": ["30303"], "accounts": 0},
]
LESS_THAN_X = {"field": "ad_id", "operator": "LESS", "values": ["x"]}
_nonces = count()


def gdt(**parts: Any) -> Gdt:
    text = json.dumps({"gdt": {"agents": AGENTS, "objects": {"of": {ACCOUNT: 14}}, **parts}})
    return Gdt(Scenario.parse(text.encode(), json=True), NOW)


def ask(it: Gdt, interface: str, *, now: float = NOW, method: str = "GET", signed: bool = True, **query: Any) -> Answer:
    auth = {"access_token": TOKEN, "timestamp": str(int(now)), "nonce": f"n{next(_nonces)}"} if signed else {}
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in query.items()}
    return it.answer(Call(interface, method, {**auth, **texts}, {}, b"", now))


def data(it: Gdt, interface: str, **query: Any) -> Any:
    answer = ask(it, interface, **query)
    assert answer.code == 0, answer.body
    return json.loads(answer.body)["data"]


@pytest.mark.parametrize(
    ("code", "interface", "query"),
    [
        (12007, "nothing/get", {}),
        (12000, "funds/get", {"signed": False, "account_id": ACCOUNT}),
        (11005, "funds/get", {"access_token": ""}),
        (11002, "funds/get", {"access_token": "unknown"}),
        (12101, "funds/get", {"timestamp": str(int(NOW) - 301)}),
        (12101, "funds/get", {"timestamp": str(int(NOW) + 301)}),
        (18002, "funds/get", {"timestamp": "now"}),
        (12100, "funds/get", {"nonce": "n" * 33}),
        (12100, "funds/get", {"nonce": ""}),
        (18001, "funds/get", {}),
        (12201, "funds/get", {"account_id": "30303"}),
        (12201, "funds/get", {"account_id": "404"}),
        (12203, "funds/get", {"account_id": "5555"}),
        (12009, "funds/get", {"account_id": ACCOUNT, "fields": ["balance", "nonsense"]}),
        (12003, "funds/get", {"account_id": ACCOUNT, "fields": "balance"}),
        (12008, "funds/get", {"account_id": ACCOUNT, "fields": '"balance"'}),
        (12203, "daily_reports/get", {**DAILY, "account_id": AGENT}),
        (18005, "daily_reports/get", {**DAILY, "level": "REPORT_LEVEL_MOON"}),
        (18001, "daily_reports/get", {"account_id": ACCOUNT, "level": "REPORT_LEVEL_AD"}),
        (12003, "daily_reports/get", {**DAILY, "date_range": "{"}),
        (18002, "daily_reports/get", {**DAILY, "date_range": {"start_date": "2020-05-01"}}),
        (18002, "daily_reports/get", {**DAILY, "date_range": {"start_date": "1 May", "end_date": "2020-05-01"}}),
        (18004, "daily_reports/get", {**DAILY, "date_range": {"start_date": "2020-05-02", "end_date": "2020-05-01"}}),
        (18003, "daily_reports/get", {**DAILY, "date_range": {"start_date": "2020-01-01", "end_date": "2020-03-31"}}),
        (18003, "hourly_reports/get", DAILY),
        (12009, "hourly_reports/get", {**DAILY, "date_range": ONE_DAY, "fields": ["date"]}),
        (18005, "hourly_reports/get", {**DAILY, "date_range": ONE_DAY, "group_by": ["hour", "site_set"]}),
        (18005, "daily_reports/get", {**DAILY, "group_by": ["campaign_id"]}),
        (18005, "daily_reports/get", {**DAILY, "time_line": "TEA_TIME"}),
        (18003, "daily_reports/get", {**DAILY, "page": 11, "page_size": 1000}),
        (18003, "daily_reports/get", {**DAILY, "page_size": 1001}),
        (18004, "daily_reports/get", {**DAILY, "page": 0}),
        (18002, "daily_reports/get", {**DAILY, "page": "first"}),
        (18003, "advertiser/get", {"page": 1001}),
        (18003, "advertiser/get", {"page_size": 101}),
        (12201, "advertiser/get", {"account_id": "30303"}),
        (18005, "advertiser/get", {"filtering": [{"field": "memo", "operator": "EQUALS", "values": ["x"]}]}),
        (18005, "ads/get", {"account_id": ACCOUNT, "filtering": [LESS_THAN_X]}),
    ],
)  # fmt: skip
def test_a_refusal_has_its_code_and_no_data(code, interface, query):
    answer = ask(gdt(), interface, **query)
    body = json.loads(answer.body)
    assert (answer.status, body["code"], "data" in body) == (200, code, False)
    assert body["message"]
    assert len(answer.headers["X-TSA-Trace-Id"]) == 32


def test_post_is_the_wrong_method():
    assert ask(gdt(), "funds/get", method="POST", account_id=ACCOUNT).code == 12007


def test_a_nonce_is_good_once():
    it = gdt()
    assert [ask(it, "funds/get", account_id=ACCOUNT, nonce="one").code for _ in range(2)] == [0, 12100]


def test_checks_of_nonce_and_timestamp_can_be_off():
    it = gdt(nonces={"check": False})
    assert [ask(it, "funds/get", account_id=ACCOUNT, nonce="one", timestamp="0").code for _ in range(2)] == [0, 0]


def test_a_token_expires_and_is_refreshed():
    it = gdt(tokens={"life": 100})
    entry = next(iter(it.directory()))
    assert ask(it, "funds/get", now=NOW + 100, account_id=ACCOUNT).code == 11000
    answer = ask(
        it, "oauth/token", now=NOW + 100, signed=False, grant_type="refresh_token",
        **{name: entry[name] for name in ("client_id", "client_secret", "refresh_token")},
    )  # fmt: skip
    granted = json.loads(answer.body)["data"]
    assert "authorizer_info" not in granted
    assert granted["access_token_expires_in"] == 100
    token = granted["access_token"]
    assert ask(it, "funds/get", now=NOW + 100, access_token=token, account_id=ACCOUNT).code == 0


def test_a_wrong_client_or_credential_gets_no_token():
    it = gdt()
    client = {"client_id": "1110000001", "client_secret": "SECRET"}
    refresh = {"grant_type": "refresh_token", "refresh_token": "unknown"}
    assert ask(it, "oauth/token", signed=False, **{**client, "client_secret": "x"}, **refresh).code == 11007
    assert ask(it, "oauth/token", signed=False, **client, **refresh).code == 11011
    code = {"grant_type": "authorization_code", "authorization_code": next(iter(it.directory()))["authorization_code"]}
    assert [ask(it, "oauth/token", signed=False, **client, **code).code for _ in range(2)] == [0, 11010]


def test_the_minute_quota_refuses_and_the_header_tells_what_is_left():
    it = gdt(quota={"minute": {"size": 4}, "day": {"size": 100, "window": 86400}})
    answers = [ask(it, "funds/get", account_id=ACCOUNT) for _ in range(5)]
    assert [answer.code for answer in answers] == [0, 0, 0, 0, 11017]
    assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == [
        "99%,75%", "98%,50%", "97%,25%", "96%,0%", "96%,0%",
    ]  # fmt: skip
    assert answers[-1].refused
    assert ask(it, "advertiser/get").code == 0
    assert ask(it, "funds/get", now=NOW + 60, account_id=ACCOUNT).code == 0


def test_the_day_quota_has_its_own_code_and_an_interface_its_own_quotas():
    it = gdt(quota_of={"funds/get": {"day": {"size": 1, "window": 86400}}})
    assert [ask(it, "funds/get", account_id=ACCOUNT).code for _ in range(2)] == [0, 11018]
    assert ask(it, "advertiser/get").headers["X-RateLimit-Remaining"] == "99%,99%"


def test_the_row_quota_freezes_one_level():
    it = gdt(rows={"size": 10})
    assert [
        ask(it, "daily_reports/get", **DAILY, group_by=["date", "ad_id"], page_size=100).code for _ in range(2)
    ] == [0, 30104]
    assert ask(it, "daily_reports/get", **{**DAILY, "level": "REPORT_LEVEL_ADVERTISER"}).code == 0


def test_an_inactive_account_is_listed_and_refused():
    it = gdt(inactive={"accounts": [ACCOUNT]})
    assert ask(it, "funds/get", account_id=ACCOUNT).code == 32211
    assert data(it, "advertiser/get", account_id=ACCOUNT)["list"][0]["system_status"] == "CUSTOMER_STATUS_SUSPEND"
    assert not list(it.truth("funds", {"date": "2020-05-30", "account": ACCOUNT}, NOW))


def test_funds_are_several_rows_without_pages_for_accounts_and_their_agency():
    it = gdt()
    kinds = [
        len(data(it, "funds/get", account_id=account)["list"]) for account in it.world.accounts(it.world.agents[0])
    ]
    assert set(kinds) == {1, 2, 3, 4}
    rows = data(it, "funds/get", account_id=AGENT)["list"]
    assert {type(row["balance"]) for row in rows} == {int}
    assert len({row["fund_type"] for row in rows}) == len(rows)
    assert data(it, "funds/get", account_id=ACCOUNT, fields=["balance"])["list"][0].keys() == {"balance"}


def test_the_list_of_advertisers_is_complete_page_by_page():
    it = gdt()
    agent = it.world.by_id[AGENT]
    pages = [data(it, "advertiser/get", page=page, page_size=100) for page in (1, 2, 3, 4)]
    assert [len(page["list"]) for page in pages] == [100, 100, 52, 0]
    assert pages[0]["page_info"] == {"page": 1, "page_size": 100, "total_number": 252, "total_page": 3}
    listed = [str(row["account_id"]) for page in pages for row in page["list"]]
    assert listed == list(it.world.accounts(agent))
    assert len(data(it, "advertiser/get")["list"]) == 10


def test_advertisers_are_found_by_name_and_followed_by_cursor():
    it = gdt()
    name = data(it, "advertiser/get", account_id=ACCOUNT)["list"][0]["corporation_name"]
    filtering = [{"field": "corporation_name", "operator": "EQUALS", "values": [name]}]
    found = data(it, "advertiser/get", filtering=filtering)["list"]
    assert {row["corporation_name"] for row in found} == {name}
    part = [{**filtering[0], "operator": "CONTAINS", "values": ["有限公司"]}]
    assert data(it, "advertiser/get", filtering=part)["page_info"]["total_number"] == 252
    cursor, seen = 0, 0
    while True:
        page = data(it, "advertiser/get", pagination_mode="PAGINATION_MODE_CURSOR", cursor=cursor, page_size=100)
        seen, cursor = seen + len(page["list"]), page["cursor_page_info"]["cursor"]
        if not page["cursor_page_info"]["has_more"]:
            break
    assert seen == 252


def test_a_report_serves_the_fields_asked_for_where_something_was_delivered():
    it = gdt()
    asked = data(
        it,
        "daily_reports/get",
        **DAILY,
        group_by=["date", "ad_id"],
        page_size=1000,
        fields=["ad_id", "date", "cost", "ctr"],
    )
    rows = asked["list"]
    assert {tuple(row) for row in rows} == {("ad_id", "date", "cost", "ctr")}
    assert len(rows) == asked["page_info"]["total_number"] < 14 * 7
    assert all(row["cost"] > 0 and type(row["ctr"]) is float for row in rows)
    assert len({(row["ad_id"], row["date"]) for row in rows}) == len(rows)


def test_the_hour_and_the_level_decide_what_a_row_is_about():
    rows = data(gdt(), "hourly_reports/get", **{**DAILY, "date_range": ONE_DAY}, group_by=["hour", "ad_id"])["list"]
    assert {"hour", "ad_id", "adgroup_id", "campaign_id", "promoted_object_type"} <= rows[0].keys()
    assert "date" not in rows[0]
    rows = data(gdt(), "daily_reports/get", **{**DAILY, "level": "REPORT_LEVEL_ADVERTISER"})["list"]
    assert [row["date"] for row in rows] == [f"2020-05-0{day}" for day in range(1, 8)]
    assert "ad_id" not in rows[0]


def test_reports_are_filtered_and_ordered():
    it = gdt()
    every = data(it, "daily_reports/get", **DAILY, group_by=["date", "ad_id"], page_size=1000)["list"]
    ids = [str(row["ad_id"]) for row in every[:2]]
    filtering = [{"field": "ad_id", "operator": "IN", "values": ids}]
    some = data(it, "daily_reports/get", **DAILY, group_by=["date", "ad_id"], page_size=1000, filtering=filtering)[
        "list"
    ]
    assert some == [row for row in every if str(row["ad_id"]) in ids]
    order = [{"sort_field": "cost", "sort_type": "DESCENDING"}]
    costs = [
        row["cost"]
        for row in data(it, "daily_reports/get", **DAILY, group_by=["date", "ad_id"], page_size=1000, order_by=order)[
            "list"
        ]
    ]
    assert costs == sorted(costs, reverse=True)


def test_a_list_without_rows_is_spelled_as_the_scenario_says():
    for spelled, expected in (("list", {"list": []}), ("null", {"list": None}), ("absent", {})):
        it = gdt(objects={"ads": [0]}, empty_list=spelled)
        found = data(it, "daily_reports/get", **DAILY)
        assert found.pop("page_info")["total_number"] == 0
        assert found == expected


def test_history_ends_where_the_world_has_a_today():
    old = {**DAILY, "date_range": {"start_date": "2019-05-01", "end_date": "2019-05-02"}}
    assert ask(gdt(), "daily_reports/get", **old).code == 0
    assert ask(gdt(today="2020-05-31"), "daily_reports/get", **old).code == 18004


def test_objects_hang_together_with_the_reports():
    it = gdt()
    listed = {
        kind: data(it, f"{kind}/get", account_id=ACCOUNT, page_size=100, is_deleted=deleted)["list"]
        for kind in ("campaigns", "adgroups", "ads", "adcreatives")
        for deleted in ("false",)
    }
    ads = {row["ad_id"] for row in listed["ads"]}
    deleted = {row["ad_id"] for row in data(it, "ads/get", account_id=ACCOUNT, is_deleted="true")["list"]}
    reported = data(it, "daily_reports/get", **DAILY, group_by=["date", "ad_id"], page_size=1000)["list"]
    assert {row["ad_id"] for row in reported} <= ads | deleted
    assert len(ads | deleted) == 14
    one = [{"field": "ad_id", "operator": "EQUALS", "values": [str(min(ads))]}]
    assert [row["ad_id"] for row in data(it, "ads/get", account_id=ACCOUNT, filtering=one)["list"]] == [min(ads)]
    assert data(it, "ads/get", account_id=ACCOUNT, fields=["ad_name"])["list"][0].keys() == {"ad_name"}


@pytest.mark.parametrize("level", ["advertiser", "campaign", "adgroup", "ad", "promoted_object"])
@pytest.mark.parametrize(("period", "first"), [("daily", "date"), ("hourly", "hour")])
def test_the_truth_is_what_is_served(level, period, first):
    it = gdt()
    ids = {"advertiser": [], "promoted_object": ["promoted_object_type", "promoted_object_id"]}.get(
        level, [f"{level}_id"]
    )
    told = list(it.truth(f"{period}_report_{level}", {"date": "2020-05-07", "account": ACCOUNT}, NOW))
    fields = sorted({name for each in told for name in each.record})
    assert len(fields) > 300
    for line in ("REQUEST_TIME", "REPORTING_TIME", "ACTIVE_TIME"):
        served = []
        for page in range(1, 100):
            query = {"level": f"REPORT_LEVEL_{level.upper()}", "date_range": ONE_DAY, "time_line": line, "page": page}
            answer = data(
                it, f"{period}_reports/get", account_id=ACCOUNT, group_by=[first, *ids], fields=fields, **query
            )
            served += answer["list"]
            if page >= answer["page_info"]["total_page"]:
                break
        assert served == [each.record for each in told if each.variant == f"time_line={line}"]
        assert served


def test_the_truth_of_lists_and_funds_is_what_is_served():
    it = gdt()
    funds = [each.record for each in it.truth("funds", {"date": "2020-05-07", "account": ACCOUNT}, NOW)]
    assert funds == data(it, "funds/get", account_id=ACCOUNT)["list"]
    fields = ["corporation_name", "account_id"]
    told = it.truth("advertisers", {"date": "2020-05-07", "agent": AGENT, "fields": json.dumps(fields)}, NOW)
    pages = [data(it, "advertiser/get", page=page, page_size=100, fields=fields)["list"] for page in (1, 2, 3)]
    assert [each.record for each in told] == [row for page in pages for row in page]


def test_the_truth_of_an_unknown_interface_or_field_is_an_error():
    with pytest.raises(KeyError):
        list(gdt().truth("nothing", {"date": "2020-05-07"}, NOW))
    with pytest.raises(KeyError):
        list(gdt().truth("daily_report_moon", {"date": "2020-05-07"}, NOW))
    with pytest.raises(ValueError, match="nonsense"):
        list(gdt().truth("funds", {"date": "2020-05-07", "fields": '["nonsense"]'}, NOW))


def test_a_changed_scenario_keeps_what_it_does_not_touch():
    it = gdt(quota={"minute": {"size": 4}})
    for _ in range(4):
        ask(it, "funds/get", account_id=ACCOUNT, nonce=f"kept{_}")
    text = {"gdt": {"latency": {"seconds": 1}, "nonces": None}}
    changed = it.changed(it._scenario.patched(json.dumps(text).encode(), json=True), NOW)
    assert ask(changed, "funds/get", account_id=ACCOUNT).code == 11017
    assert ask(changed, "advertiser/get", nonce="kept0").code == 12100
    wider = changed.changed(it._scenario.patched(b'{"gdt":{"quota":{"minute":{"size":9}}}}', json=True), NOW)
    assert ask(wider, "funds/get", account_id=ACCOUNT).code == 0
