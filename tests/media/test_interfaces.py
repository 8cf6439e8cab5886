"""Every interface run whole: 0, 1, nearly a page, a page, and many pages of records."""

from pathlib import Path
from typing import Any

import pytest

from ark.ledger import UnitResult
from handlers.registry import find, names
from media.tencent.funds import FUND_TYPES
from tests.interface_check import AGENT, DAY, FIRST_ID, PAGE, Desk, Sample, check, check_list, door_of, served
from tests.media_server import serve

LINES = {"time_line": ("REQUEST_TIME", "REPORTING_TIME", "ACTIVE_TIME")}
ACCOUNT = "$salt|$day|$account|$agent"
COUNTS = [1, PAGE - 1, PAGE, PAGE + 1, 3 * PAGE + 1]
ACCOUNT_ID = str(FIRST_ID)


def report(path: str, level: str, ids: str, key: str, day: str = '"date": "$date", ') -> Sample:
    """A report of the Marketing API; figures as the medium may send them: exact, in any spelling."""
    record = f'{{{day}{ids}"account_id":$account,"cost":29866, "ctr":0.01140,"cpc":4.530e2,"order_roi":1.10}}'
    return Sample(f"/v1.1/{path}", record, f"{ACCOUNT}|{key}", level, variants=LINES)


def daily(level: str, ids: str, key: str) -> Sample:
    return report("daily_reports/get", level, ids, f"{key}$tenant|$time_line")


def hourly(level: str, ids: str, key: str) -> Sample:
    record = ids if "$id" in ids else ids + '"hour":$hour,'
    return report(
        "hourly_reports/get", level, record, f"$hour|{key}$time_line|$tenant", '"hour":$hour,' * ("$id" in ids)
    )


def objects(path: str, name: str) -> Sample:
    record = f'{{"{name}":$id, "name":"\\u5e7f\\u544a 广告 \\"|","daily_budget":0,"is_deleted":false}}'
    return Sample(f"/v1.1/{path}", record, f"{ACCOUNT}|$id|$tenant")


def jrtt_report(path: str, field: str = "") -> Sample:
    ids = f'"{field}":$id,' if field else ""
    record = f'{{{ids}"advertiser_id":$account,"stat_datetime":"$date 00:00:00","cost":123.450,"show":0,"ctr":1e-3}}'
    return Sample(f"/open_api/2/report/{path}/get/", record, f"{ACCOUNT}|{'$id|' * bool(field)}$tenant")


def jrtt_objects(path: str, field: str, more: str = "") -> Sample:
    ids = f'"{field}":$id,{more}"advertiser_id":$account,'
    record = f'{{{ids}"budget":0.00,"name":"\\u66f4","modify_time":"$date 10:00:00"}}'
    return Sample(f"/open_api/2/{path}/get/", record, f"{ACCOUNT}|$id|$tenant")


def b_list(path: str, record: str, key: str = "$id|", level: str = "") -> Sample:
    return Sample(f"/marketing/{path}", record, f"{ACCOUNT}|{key}$tenant", level)


FUND = '{"advertiser_id":$account,"name":"某","email":"a**@b.c","balance":0.10,"cash":12345678901234.5600,"grant":0}'
CAMPAIGN, ADGROUP, AD = '"campaign_id":$id,', '"adgroup_id":$id,', '"campaign_id":7,"ad_id":$id,'
OBJECT = '"promoted_object_type":"PROMOTED_OBJECT_TYPE_APP_ANDROID","promoted_object_id":"$id",'
OBJECT_KEY = "PROMOTED_OBJECT_TYPE_APP_ANDROID|$id|"

BY_ACCOUNT = {
    "gdt.funds": Sample(
        "/v1.1/funds/get",
        '{"fund_type":"FUND_TYPE_$id","balance":120000}',
        f"{ACCOUNT}|FUND_TYPE_$id|$tenant",
        shape="list",
    ),
    "gdt.fund_statements_daily": Sample(
        "/v1.1/fund_statements_daily/get",
        '{"trade_type":"PAY","time":$id,"amount":500,"description":"d","fund_type":"$fund_type"}',
        f"{ACCOUNT}|$fund_type|PAY|$id|$tenant",
        shape="list",
        variants={"fund_type": FUND_TYPES},
        equal=("fund_type",),
    ),
    "gdt.realtime_cost": Sample(
        "/v1.1/realtime_cost/get", '{"campaign_id":0,"adgroup_id":0,"cost":29866}', f"{ACCOUNT}|$tenant", "ADVERTISER"
    ),
    "gdt.campaigns": objects("campaigns/get", "campaign_id"),
    "gdt.adgroups": objects("adgroups/get", "adgroup_id"),
    "gdt.ads": objects("ads/get", "ad_id"),
    "gdt.adcreatives": objects("adcreatives/get", "adcreative_id"),
    "gdt.daily_report_advertiser": daily("REPORT_LEVEL_ADVERTISER", "", ""),
    "gdt.daily_report_campaign": daily("REPORT_LEVEL_CAMPAIGN", CAMPAIGN, "$id|"),
    "gdt.daily_report_adgroup": daily(
        "REPORT_LEVEL_ADGROUP", ADGROUP + '"site_set":"SITE_SET_$hour",', "$id|SITE_SET_$hour|"
    ),
    "gdt.daily_report_ad": daily("REPORT_LEVEL_AD", AD, "$id|"),
    "gdt.daily_report_promoted_object": daily("REPORT_LEVEL_PROMOTED_OBJECT", OBJECT, OBJECT_KEY),
    "gdt.hourly_report_advertiser": hourly("REPORT_LEVEL_ADVERTISER", "", ""),
    "gdt.hourly_report_campaign": hourly("REPORT_LEVEL_CAMPAIGN", CAMPAIGN, "$id|"),
    "gdt.hourly_report_adgroup": hourly("REPORT_LEVEL_ADGROUP", ADGROUP, "$id|"),
    "gdt.hourly_report_ad": hourly("REPORT_LEVEL_AD", AD, "$id|"),
    "gdt.hourly_report_promoted_object": hourly("REPORT_LEVEL_PROMOTED_OBJECT", OBJECT, OBJECT_KEY),
    "wx.funds": Sample(
        "/v1.1/wechat_funds/get",
        '{"fund_type":"FUND_TYPE_$id","balance":1}',
        f"{ACCOUNT}|FUND_TYPE_$id|$tenant",
        shape="list",
    ),
    "wx.daily_cost": Sample(
        "/v1.1/wechat_daily_cost/get",
        '{"account_id":$account,"wechat_account_id":"wx0123456789abcdef","date":"$date","cost":500}',
        f"{ACCOUNT}|$tenant",
    ),
    "wx.campaigns": objects("campaigns/get", "campaign_id"),
    "wx.adgroups": objects("adgroups/get", "adgroup_id"),
    "wx.ads": objects("ads/get", "ad_id"),
    "wx.adcreatives": objects("adcreatives/get", "adcreative_id"),
    "wx.daily_report_advertiser": daily("REPORT_LEVEL_ADVERTISER_WECHAT", "", ""),
    "wx.daily_report_campaign": daily("REPORT_LEVEL_CAMPAIGN_WECHAT", CAMPAIGN, "$id|"),
    "wx.daily_report_adgroup": daily("REPORT_LEVEL_ADGROUP_WECHAT", ADGROUP, "$id|"),
    "wx.daily_report_ad": daily("REPORT_LEVEL_AD_WECHAT", AD, "$id|"),
    "wx.hourly_report_advertiser": hourly("REPORT_LEVEL_ADVERTISER_WECHAT", "", ""),
    "wx.hourly_report_campaign": hourly("REPORT_LEVEL_CAMPAIGN_WECHAT", CAMPAIGN, "$id|"),
    "wx.hourly_report_adgroup": hourly("REPORT_LEVEL_ADGROUP_WECHAT", ADGROUP, "$id|"),
    "wx.hourly_report_ad": hourly("REPORT_LEVEL_AD_WECHAT", AD, "$id|"),
    "jrtt.fund": Sample("/open_api/2/advertiser/fund/get/", FUND, f"{ACCOUNT}|$tenant", shape="object"),
    "jrtt.agent_fund": Sample("/open_api/2/advertiser/fund/get/", FUND, f"{ACCOUNT}|$tenant", shape="object"),
    "jrtt.child_fund": Sample("/open_api/2/advertiser/fund/get/", FUND, f"{ACCOUNT}|$tenant", shape="object"),
    "jrtt.fund_daily_stat": Sample(
        "/open_api/2/advertiser/fund/daily_stat/",
        '{"date":"$date","balance":10.00,"cost":1.25,"income":0.0}',
        f"{ACCOUNT}|$tenant",
    ),
    "jrtt.account_info": Sample(
        "/open_api/2/advertiser/info/",
        '{"id":$account,"name":"adv","create_time":"2020-01-01 00:00:00"}',
        f"{ACCOUNT}|$tenant",
        shape="batch",
    ),
    "jrtt.campaigns": jrtt_objects("campaign", "id", '"campaign_id":$id,'),
    "jrtt.ads": jrtt_objects("ad", "id", '"campaign_id":1,'),
    "jrtt.creatives": jrtt_objects("creative", "creative_id", '"ad_id":2,'),
    "jrtt.report_advertiser": jrtt_report("advertiser"),
    "jrtt.report_campaign": jrtt_report("campaign", "campaign_id"),
    "jrtt.report_ad": jrtt_report("ad", "ad_id"),
    "jrtt.report_creative": jrtt_report("creative", "creative_id"),
    "jrtt.report_integrated": Sample(
        "/open_api/2/report/integrated/get/",
        '{"dimensions":{"ad_id":$id,"bidword_id":$hour},"metrics":{"cost":123.450,"show":1000}}',
        f"{ACCOUNT}|$id|$hour|$tenant",
    ),
    "wx.b.advertiser": Sample(
        "/marketing/advertiser/get",
        '{"wechat_account_name":"n","system_status":"MP_STATUS_NORMAL"}',
        f"{ACCOUNT}|$tenant",
        shape="object",
    ),
    "wx.b.funds": Sample(
        "/marketing/funds/get",
        '{"fund_type":"GENERAL_$id","balance":1}',
        f"{ACCOUNT}|GENERAL_$id|$tenant",
        shape="list",
    ),
    "wx.b.campaigns": b_list("campaigns/get", '{"campaign_id":$id,"product_type":"P"}'),
    "wx.b.adgroups": b_list("adgroups/get", '{"adgroup_id":$id}'),
    "wx.b.ads": b_list("ads/get", '{"ad_id":$id}'),
    "wx.b.adcreatives": b_list("adcreatives/get", '{"adcreative_id":$id}'),
    "wx.b.daily_report_campaign": b_list(
        "daily_reports/get", '{"date":"$date","campaign_id":$id,"impression":10,"cost":7}', level="CAMPAIGN"
    ),
    "wx.b.daily_report_adgroup": b_list(
        "daily_reports/get", '{"date":"$date","adgroup_id":$id,"impression":10,"cost":7}', level="ADGROUP"
    ),
}
"""Interface -> what a unit of one account brings."""

IDS = "$last|$day|$id|$agent|$tenant"
LISTS = {
    "gdt.advertisers": (
        Sample("/v1.1/advertiser/get", '{"account_id":$id,"corporation_name":"某公司","daily_budget":500000}', IDS),
        "gdt_advertiser_v1.1_{tenant}_{day}",
    ),
    "wx.advertisers": (
        Sample("/v1.1/wechat_advertiser/get", '{"account_id":$id,"wechat_account_id":"wx01"}', IDS),
        "wx_advertiser_{tenant}_{agent}_{day}",
    ),
    "jrtt.accounts": (
        Sample("/open_api/2/agent/advertiser/select/", "$id", IDS, name="advertiser_ids"),
        "jrtt_accounts_v2_{tenant}_{day}",
    ),
    "jrtt.child_agents": (
        Sample("/open_api/2/agent/child_agent/select/", "$id", IDS, name="child_agent_ids"),
        "jrtt_child_agents_v2_{tenant}",
    ),
    "jrtt.child_accounts": (
        Sample("/open_api/2/agent/advertiser/select/", "$id", IDS),
        "jrtt_child_advertiser_v2_{tenant}_{day}",
    ),
    "jrtt.report_agent": (
        Sample("/open_api/2/report/agent/get_v2/", '{"advertiser_id":$id,"agent_id":$agent,"cost":123.450}', IDS),
        "jrtt_child_advertiser_v2_{tenant}_{day}",
    ),
}
"""Interface -> what a unit of one agent brings, and the Redis list that gets the accounts."""

AGENCY = Sample(
    "/v1.1/wechat_agency/get",
    '{"account_id":$agent, "wechat_account_id":"wx","advertiser_info_spec":{"a":1.10}}',
    f"{AGENT[-1]}|$day|$agent|$agent|$tenant",
    shape="object",
)
OLD = str(FIRST_ID + 3)
"""An account that only an old list has."""
OTHERS = {str(FIRST_ID + 5): "77", str(FIRST_ID + 7): "77"}
"""Accounts of another agent; one of them is listed for ours as well."""


def test_every_interface_is_here_or_has_a_file_of_its_own():
    own = Path(__file__).with_name("interfaces")
    others = [name for name in names() if not (own / f"test_{name.replace('.', '_')}.py").exists()]
    assert sorted([*BY_ACCOUNT, *LISTS, "wx.agency"]) == others


@pytest.mark.parametrize("name", BY_ACCOUNT)
def test_what_is_stored_is_what_was_served(desk, name):
    check(desk, name, BY_ACCOUNT[name])


def key_of(desk: Desk, template: str) -> str:
    return template.format(tenant=desk.tenant, agent=AGENT, day=DAY)


def listed(count: int) -> dict[str, str]:
    return {str(FIRST_ID + 7 * number): AGENT for number in range(count)}


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("name", LISTS)
def test_a_list_comes_whole_and_its_redis_list_too(desk, name, count):
    sample, key = LISTS[name]
    run = check_list(desk, name, sample, key_of(desk, key), count, old={OLD: AGENT} | OTHERS)
    assert (run.status, run.exit_code) == ("done", 0), desk.units(run)
    kept = {OLD: AGENT} if find(name).feeds else {}
    assert desk.members(key_of(desk, key)) == listed(count) | kept | OTHERS


@pytest.mark.parametrize("name", LISTS)
def test_an_empty_answer_erases_no_list(desk, name):
    sample, key = LISTS[name]
    run = check_list(desk, name, sample, key_of(desk, key), 0, old={OLD: AGENT} | OTHERS)
    assert desk.members(key_of(desk, key)) == {OLD: AGENT} | OTHERS
    if find(name).feeds:
        assert (run.status, run.exit_code) == ("done", 0)
    else:
        assert (run.status, run.exit_code, run.failed) == ("failed", 3, 1)
        assert key_of(desk, key) in desk.unit(run, "").reason


@pytest.mark.parametrize("name", LISTS)
def test_a_list_that_was_empty_may_stay_so_where_its_declaration_says_so(desk, name):
    sample, key = LISTS[name]
    run = check_list(desk, name, sample, key_of(desk, key), 0, old={})
    fine = find(name).feeds or name in {"jrtt.child_agents", "jrtt.child_accounts"}
    assert run.exit_code == (0 if fine else 3)
    assert desk.members(key_of(desk, key)) == {}


@pytest.mark.parametrize("name", [*LISTS, "wx.agency"])
def test_an_agent_that_may_not_be_read_is_a_failure_and_never_left_out(desk, name):
    sample = AGENCY if name == "wx.agency" else LISTS[name][0]
    desk.token(find(name).section, AGENT)
    with serve(door_of(sample, {}), forbidden={AGENT}) as medium:
        desk.at(medium)
        run = desk.run(name)
    assert (run.status, run.exit_code, run.failed, len(medium.calls)) == ("failed", 3, 1, 1)


def test_an_agency_is_one_record(desk):
    run = check_list(desk, "wx.agency", AGENCY, "", 1, old={})
    assert (run.status, run.verified) == ("done", 1)


def alone(desk: Desk, name: str, sample: Sample, count: int, **changes: Any) -> UnitResult:
    """The first unit of one account, whose record is served `count` times: what became of it."""
    once = dict.fromkeys(served(sample, desk.tenant, AGENT, ACCOUNT_ID, 1).values())
    records = [*once] * count
    for owner in (AGENT, ACCOUNT_ID):
        desk.token(find(name).section, owner)
    with serve(door_of(sample._replace(**changes), {ACCOUNT_ID: records})) as medium:
        desk.at(medium)
        run = desk.run(name, account_list=[ACCOUNT_ID])
    assert run.exit_code == (3 if run.failed else 0)
    return desk.units(run)[0]


@pytest.mark.parametrize("name", [name for name, sample in BY_ACCOUNT.items() if sample.shape in {"pages", "list"}])
def test_two_records_on_one_row_key_fail_the_unit(desk, name):
    unit = alone(desk, name, BY_ACCOUNT[name], 2)
    assert unit.state == "failed"
    assert "two records have one row key" in unit.reason


@pytest.mark.parametrize("name", [name for name, sample in BY_ACCOUNT.items() if sample.shape == "object"])
def test_one_record_that_is_not_there_fails_the_unit(desk, name):
    unit = alone(desk, name, BY_ACCOUNT[name], 0)
    assert unit.state == "failed"
    assert "bad body" in unit.reason


def test_what_stands_beside_the_funds_is_a_row_of_its_own(desk):
    memo = '"memo":{"wechat_fund_spec":{"usable_amount":1200, "locked_amount":0}}'
    unit = alone(desk, "wx.funds", BY_ACCOUNT["wx.funds"], 1, beside=memo)
    assert (unit.state, unit.rows) == ("verified", 2)
    row = f"{ACCOUNT_ID[-1]}|{DAY}|{ACCOUNT_ID}|{AGENT}|memo|{desk.tenant}"
    assert desk.stored("tenant_wx_funds_get_v2")[row] == b'{"fund_type":"memo",%b}' % memo.encode()


@pytest.mark.parametrize("name", [name for name in BY_ACCOUNT if find(name).section == "wx_b"])
def test_an_account_without_a_token_is_not_opened_by_its_agents(desk, name):
    """In this dialect the token alone says whose data comes: an agent's would bring the agent's, under the account."""
    desk.token("wx_b", AGENT)
    with serve(door_of(BY_ACCOUNT[name], {AGENT: [b"{}"]})) as medium:
        desk.at(medium)
        run = desk.run(name, account_list=[ACCOUNT_ID])
    assert (run.status, run.exit_code, run.rows) == ("failed", 77, 0)
    (unit,) = desk.units(run)
    assert f"no token of agent {ACCOUNT_ID} in wx_authorizer_access_token_{desk.tenant}" in unit.reason
    assert not medium.calls
