"""wx in WeChat's own dialect: errcode, a token per account, the agency_token, quotas per account."""

import base64
import json
import time
from hashlib import md5
from itertools import count
from typing import Any

import pytest

from media.simulator.answers import Answer, Call
from media.simulator.scenario import Scenario
from media.simulator.wx_b import WxB
from tests.simulator import Media, simulator

NOW = 1_590_800_000.0
AGENT, ACCOUNT, KEY, DAY, TODAY = "4011704", "9998960", "agency-key", "2020-05-07", "2020-05-30"
ONE_DAY = {"start_date": DAY, "end_date": DAY}
AGENTS = [{"id": AGENT, "token": KEY, "account_ids": [ACCOUNT], "accounts": 30}]
REPORT: dict[str, Any] = {"level": "ADGROUP", "date_range": ONE_DAY}
_nonces = count()


def wx_b(**parts: Any) -> WxB:
    text = json.dumps({"wx_b": {"agents": AGENTS, "objects": {"of": {ACCOUNT: 30}}, **parts}})
    return WxB(Scenario.parse(text.encode(), json=True), NOW)


def token_of(it: WxB, account: str = ACCOUNT) -> str:
    return next(str(entry["token"]) for entry in it.directory() if entry["account"] == account)


def ask(it: WxB, interface: str, *, now: float = NOW, method: str = "GET", **query: Any) -> Answer:
    version = "v1.1" if interface == "funds/get" else "v1.0"
    whole = {"access_token": token_of(it), "version": version, **query}
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in whole.items()}
    return it.answer(Call(interface, method, texts, {}, b"", now))


def data(it: WxB, interface: str, **query: Any) -> Any:
    answer = ask(it, interface, **query)
    told = json.loads(answer.body)
    assert (answer.code, told["errcode"], told["errmsg"]) == (0, 0, ""), told
    return told["data"]


def agency_token(agency: str = AGENT, when: float = NOW, nonce: str = "", key: str = KEY) -> str:
    nonce = nonce or f"n{next(_nonces)}"
    sign = md5(f"{agency}{int(when)}{nonce}{key}".encode(), usedforsecurity=False).hexdigest()
    return base64.b64encode(f"{agency},{int(when)},{nonce},{sign}".encode()).decode()


@pytest.mark.parametrize(
    ("errcode", "interface", "query"),
    [
        (40066, "nothing/get", {}),
        (43001, "funds/get", {"method": "POST"}),
        (41001, "funds/get", {"access_token": ""}),
        (40001, "funds/get", {"access_token": "unknown"}),
        (40001, "funds/get", {"access_token": "0" * 32 + "98925f"}),
        (40097, "funds/get", {"version": "v1.0"}),
        (40097, "campaigns/get", {"version": "v1.1"}),
        (40097, "daily_reports/get", {"level": "ADGROUP"}),
        (40097, "daily_reports/get", {**REPORT, "level": "AD"}),
        (40097, "daily_reports/get", {**REPORT, "page_size": 101}),
        (47001, "daily_reports/get", {**REPORT, "date_range": "{"}),
        (40097, "daily_reports/get", {**REPORT, "date_range": {"start_date": "2020-01-01", "end_date": DAY}}),
        (47001, "campaigns/get", {"filtering": "["}),
        (40097, "campaigns/get", {"filtering": [{"field": "promoted_object_type", "values": ["x"]}]}),
        (40097, "wechat_ad_leads/get", {"date_range": ONE_DAY}),
        (40097, "realtime_cost/get", {"level": "ADGROUP", "date": DAY}),
        (40002, "cgi-bin/token", {}),
    ],
)
def test_a_refusal_has_its_errcode_and_no_data(errcode, interface, query):
    answer = ask(wx_b(), interface, **query)
    told = json.loads(answer.body)
    assert (answer.status, answer.code, told["errcode"]) == (200, errcode, errcode)
    assert told["errmsg"]
    assert "data" not in told


def test_a_token_lives_two_hours_and_is_of_one_account():
    it = wx_b()
    assert ask(it, "funds/get", now=NOW + 7199).code == 0
    assert ask(it, "funds/get", now=NOW + 7200).code == 42001
    entries = list(it.directory())
    assert len({entry["token"] for entry in entries}) == len(entries) == 31
    names = {data(it, "advertiser/get", access_token=entry["token"])["wechat_account_name"] for entry in entries}
    assert len(names) > 20


def test_a_new_token_ends_the_old_one():
    it = wx_b()
    entry = next(iter(it.directory()))
    client = {"grant_type": "client_credential", "appid": entry["appid"], "secret": entry["secret"]}
    told = json.loads(ask(it, "cgi-bin/token", now=NOW + 9000, **client).body)
    assert told == {"access_token": token_of(it), "expires_in": 7200}
    assert ask(it, "funds/get", now=NOW + 9000).code == 0
    assert ask(it, "funds/get", now=NOW + 9000, access_token=entry["token"]).code == 40001
    assert ask(it, "cgi-bin/token", **{**client, "appid": "wx0000"}).code == 40013
    assert ask(it, "cgi-bin/token", **{**client, "secret": "no"}).code == 40125


def test_a_provider_signs_every_call():
    it = wx_b(service_provider=True)
    assert ask(it, "funds/get").code == 40001
    assert ask(it, "funds/get", agency_token=agency_token()).code == 0
    once = agency_token(nonce="once")
    assert [ask(it, "funds/get", agency_token=once).code for _ in range(2)] == [0, 40001]


@pytest.mark.parametrize(
    ("signed", "text"),
    [
        ("not base64", "base64"),
        (base64.b64encode(b"1,2,3").decode(), "base64"),
        (agency_token(key="wrong"), "sign"),
        (agency_token(agency="9096610"), "does not serve"),
        (agency_token(when=NOW - 301), "timestamp"),
    ],
)
@pytest.mark.parametrize("required", [True, False])
def test_a_bad_agency_token_is_refused_even_where_none_is_needed(signed, text, required):
    answer = ask(wx_b(service_provider=required), "funds/get", agency_token=signed)
    assert answer.code == 40001
    assert text in json.loads(answer.body)["errmsg"]


def test_quotas_are_per_account_and_interface_without_a_header():
    it = wx_b(quota={"minute": {"size": 2}, "day": {"size": 3, "window": 86400}})
    answers = [ask(it, "funds/get", now=now) for now in (NOW, NOW, NOW, NOW + 60, NOW + 60)]
    assert [answer.code for answer in answers] == [0, 0, 45011, 0, 45009]
    assert [answer.refused for answer in answers] == [False, False, True, False, True]
    assert {name for answer in answers for name in answer.headers} == {"Content-Type"}
    assert ask(it, "campaigns/get", now=NOW + 60).code == 0
    other = next(str(entry["token"]) for entry in it.directory() if entry["account"] != ACCOUNT)
    assert ask(it, "funds/get", now=NOW + 60, access_token=other).code == 0


def test_an_inactive_account_is_refused():
    it = wx_b(inactive={"accounts": [ACCOUNT]})
    assert ask(it, "funds/get").code == 50001
    assert not list(it.truth("funds", {"date": DAY, "account": ACCOUNT}, NOW))


@pytest.mark.parametrize("level", ["campaign", "adgroup"])
def test_reports_and_their_truth(level):
    it = wx_b()
    pages = [data(it, "daily_reports/get", **{**REPORT, "level": level.upper()}, page=page) for page in (1, 2)]
    rows = [row for page in pages for row in page["list"]]
    assert len(rows) == pages[0]["page_info"]["total_number"]
    assert all(row[f"{level}_id"] and row["cost"] > 0 and row["date"] == DAY for row in rows)
    assert [each.record for each in it.truth(f"daily_report_{level}", {"date": DAY, "account": ACCOUNT}, NOW)] == rows
    prefixed = data(it, "daily_reports/get", **{**REPORT, "level": f"REPORT_LEVEL_{level.upper()}"})
    assert prefixed == pages[0]


def test_what_today_costs_is_what_the_report_tells():
    it = wx_b()
    days = {"start_date": TODAY, "end_date": TODAY}
    reported = data(it, "daily_reports/get", level="ADGROUP", date_range=days, page_size=100)["list"]
    rows = data(it, "realtime_cost/get", level="ADGROUP", date=TODAY, page_size=100)["list"]
    assert [(row["adgroup_id"], row["cost"]) for row in rows] == [(row["adgroup_id"], row["cost"]) for row in reported]
    told = it.truth("realtime_cost", {"date": TODAY, "account": ACCOUNT, "level": "ADGROUP"}, NOW)
    assert [each.record for each in told] == rows


@pytest.mark.parametrize("kind", ["campaign", "adgroup", "ad", "adcreative"])
def test_objects_are_listed_found_by_id_and_filtered(kind):
    it = wx_b()
    rows = data(it, f"{kind}s/get", page_size=100)["list"]
    assert [each.record for each in it.truth(f"{kind}s", {"date": DAY, "account": ACCOUNT}, NOW)] == rows
    assert rows
    assert not any("promoted_object_type" in row or "is_deleted" in row for row in rows)
    name = f"{kind}_id"
    assert data(it, f"{kind}s/get", **{name: rows[0][name]})["list"] == rows[:1]
    condition = {"field": name, "operator": "IN", "values": [str(row[name]) for row in rows[:2]]}
    assert data(it, f"{kind}s/get", filtering=[condition])["list"] == rows[:2]
    assert data(it, f"{kind}s/get", filtering=[{"field": name, "operator": "EQUALS"}])["list"] == rows[:10]


def test_products_are_called_so_and_can_be_filtered():
    it = wx_b()
    rows = data(it, "campaigns/get", page_size=100)["list"]
    product = rows[0]["product_type"]
    assert product.startswith("PRODUCT_TYPE_")
    found = data(it, "campaigns/get", page_size=100, filtering=[{"field": "product_type", "values": [product]}])["list"]
    assert found == [row for row in rows if row["product_type"] == product]


def test_an_account_its_funds_its_leads():
    it = wx_b()
    assert data(it, "advertiser/get")["system_status"] == "MP_STATUS_NORMAL"
    assert data(it, "sp_entrustment/get") == {"entrusted": True}
    funds = data(it, "funds/get")
    assert [each.record for each in it.truth("funds", {"date": DAY, "account": ACCOUNT}, NOW)] == funds["list"]
    assert [each.record for each in it.truth("advertiser", {"date": DAY, "account": ACCOUNT}, NOW)] == [
        data(it, "advertiser/get")
    ]
    leads = data(it, "wechat_ad_leads/get", date_range={"begin_date": DAY, "end_date": DAY}, page_size=100)["list"]
    campaigns = {str(row["campaign_id"]) for row in data(it, "campaigns/get", page_size=100)["list"]}
    assert leads
    assert {row["campaign_id"] for row in leads} & campaigns
    assert [row["user_action_set_id"] for row in data(it, "user_action_sets/get", user_action_set_id=7)["list"]] == [7]


def test_a_changed_scenario_keeps_what_it_does_not_touch():
    it = wx_b(quota={"minute": {"size": 1}})
    assert ask(it, "funds/get", agency_token=agency_token(nonce="kept")).code == 0
    changed = it.changed(it._scenario.patched(b'{"wx_b":{"latency":{"seconds":1}}}', json=True), NOW)
    assert ask(changed, "funds/get").code == 45011
    assert ask(changed, "advertiser/get", agency_token=agency_token(nonce="kept")).code == 40001


@pytest.fixture(scope="module")
def running():
    with simulator({"wx_b": {"agents": AGENTS, "objects": {"of": {ACCOUNT: 30}}}}) as media:
        yield media


@pytest.fixture
def media(running: Media):
    running.set_scenario({"wx_b": {"faults": []}})
    running.clear_stats()
    return running


def entry(media: Media) -> dict[str, Any]:
    return next(each for each in media.directory() if each.get("account") == ACCOUNT)


def get(media: Media, path: str, **query: Any) -> Any:
    return media.get(f"/marketing/{path}", access_token=entry(media)["token"], **query)


def test_the_frame_knows_its_paths_accounts_and_truth(media):
    told = entry(media)
    assert (told["medium"], told["agent"], told["api_key"]) == ("wx_b", AGENT, KEY)
    served = get(media, "funds/get", version="v1.1", agency_token=agency_token(when=time.time())).json["data"]["list"]
    for name in ("wx.b.funds", "wx_b.funds"):
        assert [each["record"] for each in media.truth(name, DAY, account=ACCOUNT)] == served
    assert media.stats()["media"]["wx_b"]["funds/get"]["requests"] == 1
    with pytest.raises(ValueError, match="unknown"):
        media.truth("wx.b.nothing", DAY)


def test_faults_speak_the_dialect(media):
    def answer(**fault: Any) -> Any:
        media.set_scenario({"wx_b": {"faults": [{"accounts": [ACCOUNT], **fault}]}})
        return get(media, "daily_reports/get", version="v1.0", level="ADGROUP", date_range=ONE_DAY).json

    assert answer(kind="code", code=-1, text="system error") == {"errcode": -1, "errmsg": "system error"}
    assert answer(kind="code_text")["errcode"] == "0"
    assert "data" not in answer(kind="no_data")
    assert "list" not in answer(kind="no_list")["data"]
    more = answer(kind="total", delta=40)["data"]["page_info"]
    assert more["total_page"] == -(-more["total_number"] // 10) >= 5
    for kind in ("no_data", "no_list", "total", "duplicate", "float_ids", "code_text"):
        media.set_scenario({"wx_b": {"faults": [{"kind": kind, "path": "cgi-bin/token"}]}})
        client = {"grant_type": "client_credential", "appid": entry(media)["appid"], "secret": "SECRET"}
        assert media.get("/cgi-bin/token", **client).json["expires_in"] == 7200
