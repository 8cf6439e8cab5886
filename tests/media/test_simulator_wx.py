"""wx in the dialect that it shares with gdt: whose token it is decides, and what only WeChat has."""

import json
from typing import Any

import pytest

from media.simulator.gdt import Gdt
from media.simulator.scenario import Scenario
from media.simulator.wx import Wx
from tests.media.test_simulator_gdt import ask, data
from tests.simulator import Media, simulator

NOW = 1_590_800_000.0
AGENT, ACCOUNT, TOKEN, DAY = "4011704", "9998960", "t" * 32, "2020-05-07"
ONE_DAY = {"start_date": DAY, "end_date": DAY}
DAILY: dict[str, Any] = {"account_id": ACCOUNT, "level": "REPORT_LEVEL_AD_WECHAT", "date_range": ONE_DAY}
AGENTS = [
    {"id": AGENT, "token": TOKEN, "account_ids": [ACCOUNT], "accounts": 120},
    {"id": "9096610", "token": "u" * 32, "account_ids": ["30303"], "accounts": 0},
]


def wx(**parts: Any) -> Wx:
    text = json.dumps({"wx": {"agents": AGENTS, "objects": {"of": {ACCOUNT: 14}}, **parts}})
    return Wx(Scenario.parse(text.encode(), json=True), NOW)


@pytest.mark.parametrize(
    ("code", "interface", "query"),
    [
        (11002, "wechat_funds/get", {"access_token": "unknown", "account_id": ACCOUNT}),
        (12007, "funds/get", {"account_id": ACCOUNT}),
        (12007, "advertiser/get", {}),
        (18003, "wechat_advertiser/get", {"page_size": 101}),
        (18001, "wechat_funds/get", {}),
        (12201, "wechat_funds/get", {"account_id": "30303"}),
        (12203, "wechat_agency/get", {"account_id": ACCOUNT}),
        (18001, "wechat_daily_cost/get", {"account_id": ACCOUNT}),
        (12203, "daily_reports/get", {**DAILY, "account_id": AGENT}),
        (18005, "daily_reports/get", {**DAILY, "level": "REPORT_LEVEL_AD"}),
        (18005, "daily_reports/get", {**DAILY, "level": "REPORT_LEVEL_PROMOTED_OBJECT_WECHAT"}),
        (12009, "wechat_funds/get", {"account_id": ACCOUNT, "fields": ["fund_status"]}),
    ],
)
def test_a_refusal_has_its_code(code, interface, query):
    assert ask(wx(), interface, **query).code == code


def test_the_list_of_accounts_is_complete_page_by_page():
    it = wx()
    pages = [data(it, "wechat_advertiser/get", page=page, page_size=100) for page in (1, 2)]
    rows = [row for page in pages for row in page["list"]]
    assert [str(row["account_id"]) for row in rows] == list(it.world.accounts(it.world.by_id[AGENT]))
    assert {row["wechat_account_id"][:2] for row in rows} == {"wx"}
    assert len({row["wechat_account_id"] for row in rows}) == len(rows) == pages[0]["page_info"]["total_number"] == 121
    told = [each.record for each in it.truth("advertisers", {"date": DAY, "agent": AGENT}, NOW)]
    assert told == rows


def test_funds_have_a_memo_beside_their_list():
    it = wx()
    for account in list(it.world.accounts(it.world.by_id[AGENT]))[:20]:
        told = data(it, "wechat_funds/get", account_id=account)
        usable = sum(row["balance"] for row in told["list"])
        assert told["memo"] == {"wechat_fund_spec": {"usable_amount": usable, "locked_amount": 0}}
        for row in told["list"]:
            credit = row.get("credit_roll_spec")
            assert (credit is not None) is (row["fund_type"] == "FUND_TYPE_CREDIT_ROLL")
            if credit:
                assert credit["usable_amout"] == credit["limit_amount"] - credit["used_amount"] == row["balance"]
        assert [each.record for each in it.truth("funds", {"date": DAY, "account": account}, NOW)] == told["list"]


def test_an_agency_is_one_object():
    it = wx()
    told = data(it, "wechat_agency/get", account_id=AGENT)
    assert (told["account_id"], "list" in told) == (int(AGENT), False)
    [truth] = it.truth("agency", {"date": DAY, "agent": AGENT}, NOW)
    assert (truth.account, truth.record) == (AGENT, told)


def test_the_cost_of_a_day_is_what_the_report_tells():
    it = wx()
    rows = data(it, "wechat_daily_cost/get", account_id=ACCOUNT, date_range=ONE_DAY)["list"]
    [reported] = data(it, "daily_reports/get", **{**DAILY, "level": "REPORT_LEVEL_ADVERTISER_WECHAT"})["list"]
    assert rows == [{name: reported[name] for name in ("account_id", "wechat_account_id", "date", "cost")}]
    everybody = [
        row
        for page in (1, 2)
        for row in data(it, "wechat_daily_cost/get", date_range=ONE_DAY, page=page, page_size=100)["list"]
    ]
    assert everybody == [each.record for each in it.truth("daily_cost", {"date": DAY, "agent": AGENT}, NOW)]
    assert 40 < len(everybody) < 121


@pytest.mark.parametrize("level", ["advertiser", "campaign", "adgroup", "ad"])
@pytest.mark.parametrize(("period", "first"), [("daily", "date"), ("hourly", "hour")])
def test_the_truth_of_reports_is_what_is_served(level, period, first):
    it = wx()
    groups = [first, *([f"{level}_id"] if level != "advertiser" else [])]
    told = [
        each.record
        for each in it.truth(f"{period}_report_{level}", {"date": DAY, "account": ACCOUNT}, NOW)
        if each.variant == "time_line=REPORTING_TIME"
    ]
    served = data(
        it, f"{period}_reports/get", account_id=ACCOUNT, level=f"REPORT_LEVEL_{level.upper()}_WECHAT",
        date_range=ONE_DAY, group_by=groups, time_line="REPORTING_TIME", page_size=1000, fields=sorted(told[0]),
    )["list"]  # fmt: skip
    assert served == told
    assert len({(row["wechat_account_id"], row["wechat_agency_id"]) for row in served}) == 1


def test_objects_and_statements_are_those_of_wechat():
    it = wx()
    types = {row["campaign_type"] for row in data(it, "campaigns/get", account_id=ACCOUNT)["list"]}
    assert types <= {"CAMPAIGN_TYPE_WECHAT_OFFICIAL_ACCOUNTS", "CAMPAIGN_TYPE_WECHAT_MOMENTS"}
    ads = data(it, "ads/get", account_id=ACCOUNT, page_size=100)["list"]
    assert [each.record for each in it.truth("ads", {"date": DAY, "account": ACCOUNT}, NOW)] == ads
    query = {"account_id": ACCOUNT, "fund_type": "FUND_TYPE_CASH", "date_range": ONE_DAY}
    told = list(it.truth("fund_statements_daily", {"date": DAY, "account": ACCOUNT}, NOW))
    cash = [each.record for each in told if each.variant == "fund_type=FUND_TYPE_CASH"]
    assert data(it, "fund_statements_daily/get", **query)["list"] == cash


def test_gdt_and_wx_have_other_ids_and_interfaces():
    with pytest.raises(KeyError):
        list(wx().truth("realtime_cost", {"date": DAY}, NOW))
    ids, gdt_ids = ({agent.id for agent in dialect(Scenario(), NOW).world.agents} for dialect in (Wx, Gdt))
    assert {len(each) for each in ids} == {7}
    assert not ids & gdt_ids


SCENARIO = {
    "gdt": {"agents": [{"id": "5555", "token": "gdt-token", "account_ids": ["20458"], "accounts": 0}]},
    "wx": {"agents": [{"id": AGENT, "token": "wx-token", "account_ids": [ACCOUNT], "accounts": 0}]},
}


@pytest.fixture(scope="module")
def running():
    with simulator(SCENARIO) as media:
        yield media


@pytest.fixture
def media(running: Media):
    running.set_scenario({"wx": {"faults": [], "quota": None}})
    running.clear_stats()
    return running


@pytest.mark.parametrize("version", ["/v1.1", "/v1.3"])
def test_the_token_says_which_medium_is_meant(media, version):
    def code(token: str, account: str, level: str) -> int:
        days = {"date_range": ONE_DAY, "account_id": account}
        return media.get(f"{version}/daily_reports/get", token, level=f"REPORT_LEVEL_{level}", **days).json["code"]

    assert code("gdt-token", "20458", "AD") == code("wx-token", ACCOUNT, "AD_WECHAT") == 0
    assert code("gdt-token", "20458", "AD_WECHAT") == code("wx-token", ACCOUNT, "AD") == 18005
    assert code("gdt-token", ACCOUNT, "AD") == code("wx-token", "20458", "AD_WECHAT") == 12201
    assert code("nobody's", "20458", "AD") == 11002
    counted = {name: tally["daily_reports/get"]["requests"] for name, tally in media.stats()["media"].items()}
    assert counted == {"gdt": 4, "wx": 3}


def test_wechat_paths_are_of_wx_alone(media):
    path = "/v1.1/wechat_funds/get"
    assert media.get(path, "wx-token", account_id=ACCOUNT).json["code"] == 0
    assert media.get(path, "gdt-token", account_id="20458").json["code"] == 11002
    assert list(media.stats()["media"]) == ["wx"]


def test_a_token_of_wx_is_refreshed_where_those_of_gdt_are(media):
    entries = {entry["medium"]: entry for entry in media.directory()}
    for medium, kind in (("gdt", "ACCOUNT_TYPE_QQ"), ("wx", "ACCOUNT_TYPE_WECHAT")):
        client = {name: entries[medium][name] for name in ("client_id", "client_secret")}
        code = entries[medium]["authorization_code"]
        told = media.get("/oauth/token", grant_type="authorization_code", authorization_code=code, **client).json
        assert told["data"]["authorizer_info"]["account_id"] == int(entries[medium]["agent"])
        assert told["data"]["authorizer_info"]["account_type"] == kind
        refresh = told["data"]["refresh_token"]
        told = media.get("/oauth/token", grant_type="refresh_token", refresh_token=refresh, **client).json
        path = {"gdt": "/v1.1/funds/get", "wx": "/v1.1/wechat_funds/get"}[medium]
        token, account = told["data"]["access_token"], {"gdt": "20458", "wx": ACCOUNT}[medium]
        assert media.get(path, token, account_id=account).json["code"] == 0


def test_wx_has_its_own_quota_and_faults(media):
    media.set_scenario({"wx": {"quota": {"minute": {"size": 2}}, "faults": [{"kind": "code", "code": 30104}]}})
    codes = [media.get("/v1.1/wechat_funds/get", "wx-token", account_id=ACCOUNT).json["code"] for _ in range(3)]
    assert codes == [30104, 30104, 11017]
    assert media.get("/v1.1/funds/get", "gdt-token", account_id="20458").json["code"] == 0


def test_the_frame_tells_the_truth_of_wx(media):
    assert media.accounts(AGENT, "wx") == [ACCOUNT]
    told = media.truth("wx.funds", DAY)
    served = media.get("/v1.1/wechat_funds/get", "wx-token", account_id=ACCOUNT).json["data"]["list"]
    assert [each["record"] for each in told] == served
