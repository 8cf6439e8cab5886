"""gdt beside its reports: statements, what today costs, agencies, reports that are made on the side."""

import csv
import json
from datetime import datetime, timedelta, timezone
from itertools import count
from typing import Any

import pytest

from media.simulator.answers import Answer, Call
from media.simulator.gdt import Gdt
from tests.media.test_simulator_gdt import ACCOUNT, AGENT, NOW, TOKEN, ask, data, gdt

TODAY, DAY = "2020-05-30", "2020-05-07"
DAYS = {"start_date": "2020-05-01", "end_date": DAY}
STATEMENTS: dict[str, Any] = {"account_id": ACCOUNT, "fund_type": "FUND_TYPE_CASH", "date_range": DAYS}
COST: dict[str, Any] = {"account_id": ACCOUNT, "level": "ADVERTISER", "date": TODAY}
TASK: dict[str, Any] = {
    "account_id": int(ACCOUNT), "task_name": "t1", "level": "REPORT_LEVEL_AD", "date": DAY,
    "group_by": ["date", "ad_id"], "report_fields": ["date", "ad_id", "cost"],
}  # fmt: skip
_nonces = count()


def one(field: str, *ids: object) -> list[dict[str, Any]]:
    return [{"field": field, "operator": "IN", "values": [str(each) for each in ids]}]


def order(it: Gdt, now: float = NOW, **changes: Any) -> Answer:
    auth = {"access_token": TOKEN, "timestamp": str(int(now)), "nonce": f"task{next(_nonces)}"}
    return it.answer(Call("async_reports/add", "POST", auth, {}, json.dumps({**TASK, **changes}).encode(), now))


@pytest.mark.parametrize(
    ("code", "interface", "query"),
    [
        (18001, "fund_statements_daily/get", {**STATEMENTS, "fund_type": ""}),
        (18005, "fund_statements_daily/get", {**STATEMENTS, "fund_type": "FUND_TYPE_GOLD"}),
        (18005, "fund_statements_daily/get", {**STATEMENTS, "trade_type": "GIVE"}),
        (18003, "fund_statements_daily/get", {**STATEMENTS, "date_range": {**DAYS, "start_date": "2020-01-01"}}),
        (18001, "fund_statements_detailed/get", {"account_id": ACCOUNT, "fund_type": "FUND_TYPE_CASH"}),
        (12203, "fund_statements_daily/get", {**STATEMENTS, "account_id": AGENT}),
        (18005, "realtime_cost/get", {**COST, "date": "2020-05-29"}),
        (18005, "realtime_cost/get", {**COST, "date": "2020-05-31"}),
        (18001, "realtime_cost/get", {**COST, "level": "CAMPAIGN"}),
        (18001, "realtime_cost/get", {**COST, "level": "ADGROUP", "filtering": []}),
        (18005, "realtime_cost/get", {**COST, "level": "REPORT_LEVEL_CAMPAIGN"}),
        (12203, "agency_realtime_cost/get", {"account_id": ACCOUNT}),
        (12007, "async_reports/add", {}),
        (18005, "async_report_files/get", {"account_id": ACCOUNT, "task_id": "71", "file_id": "72"}),
    ],
)
def test_a_refusal_has_its_code(code, interface, query):
    assert ask(gdt(), interface, **query).code == code


def test_statements_tell_what_moved_a_fund_on_a_day():
    it = gdt()
    rows = data(it, "fund_statements_daily/get", **STATEMENTS)["list"]
    assert {row["fund_type"] for row in rows} == {"FUND_TYPE_CASH"}
    days = [datetime.fromtimestamp(row["time"], timezone(timedelta(hours=8))).date().isoformat() for row in rows]
    assert days == sorted(days)
    assert set(days) <= {f"2020-05-0{day}" for day in range(1, 8)}
    assert all(type(row["amount"]) is int and row["amount"] > 0 for row in rows)
    paid = data(it, "fund_statements_daily/get", **STATEMENTS, trade_type="PAY")["list"]
    assert paid == [row for row in rows if row["trade_type"] == "PAY"]
    assert 0 < len(paid) < len(rows)
    detailed = data(it, "fund_statements_detailed/get", **STATEMENTS, page_size=100)
    assert [(row["time"], row["amount"]) for row in detailed["list"]] == [(row["time"], row["amount"]) for row in rows]
    assert detailed["page_info"]["total_number"] == len(rows)


def test_a_fund_that_an_account_does_not_have_has_no_statements():
    assert data(gdt(), "fund_statements_daily/get", **{**STATEMENTS, "fund_type": "FUND_TYPE_BANK"}) == {"list": []}


def test_the_truth_of_statements_is_told_by_kind_of_fund():
    it = gdt()
    told = list(it.truth("fund_statements_daily", {"date": DAY, "agent": AGENT}, NOW))
    assert len({each.account for each in told}) > 200
    one_day = {"start_date": DAY, "end_date": DAY}
    for account in sorted({each.account for each in told})[:5]:
        for kind in ("FUND_TYPE_CASH", "FUND_TYPE_GIFT", "FUND_TYPE_SHARED"):
            query = {"account_id": account, "fund_type": kind, "date_range": one_day}
            assert data(it, "fund_statements_daily/get", **query)["list"] == [
                each.record for each in told if (each.account, each.variant) == (account, f"fund_type={kind}")
            ]


def test_what_today_costs_is_what_the_report_tells():
    it = gdt()
    days = {"start_date": TODAY, "end_date": TODAY}
    for level, groups in (("ADVERTISER", []), ("CAMPAIGN", ["campaign_id"]), ("ADGROUP", ["adgroup_id"])):
        reported = data(
            it, "daily_reports/get", account_id=ACCOUNT, level=f"REPORT_LEVEL_{level}", date_range=days,
            group_by=["date", *groups], page_size=1000,
        )["list"]  # fmt: skip
        named = {"filtering": one(groups[0], *(row[groups[0]] for row in reported))} if groups else {}
        rows = data(it, "realtime_cost/get", **{**COST, "level": level}, page_size=100, **named)["list"]
        assert [row["cost"] for row in rows] == [row["cost"] for row in reported]
        assert all(row[name] for row in rows for name in groups)
        assert all(row["adgroup_id"] == 0 for row in rows if level != "ADGROUP")
    told = list(it.truth("realtime_cost", {"date": TODAY, "account": ACCOUNT}, NOW))
    assert [each.record for each in told] == data(it, "realtime_cost/get", **COST)["list"]
    assert not list(it.truth("realtime_cost", {"date": DAY, "account": ACCOUNT}, NOW))


def test_an_agency_is_told_about_itself():
    it = gdt()
    assert data(it, "agency/get", page=1, page_size=100, fields=["account_id"])["list"] == [{"account_id": int(AGENT)}]
    rows = data(it, "agency_realtime_cost/get", account_id=AGENT)["list"]
    assert {frozenset(row) for row in rows} == {frozenset({"cost", "caculate_time", "fund_type"})}


def test_a_report_on_the_side_is_ordered_waited_for_and_fetched():
    it = gdt(task_seconds=60)
    task = json.loads(order(it).body)["data"]["task_id"]
    row = data(it, "async_reports/get", account_id=ACCOUNT)["list"][0]
    assert (row["task_id"], row["status"], "result" in row) == (task, "TASK_STATUS_PROCESSING", False)
    row = data(it, "async_reports/get", now=NOW + 60, account_id=ACCOUNT)["list"][0]
    [file] = row["result"]["data"]["file_info_list"]
    asked = {"account_id": ACCOUNT, "task_id": str(task), "file_id": str(file["file_id"])}
    assert ask(it, "async_report_files/get", **asked).code == 18005
    answer = ask(it, "async_report_files/get", now=NOW + 60, **asked)
    assert answer.headers["Content-Type"] == "text/csv"
    lines = list(csv.DictReader(answer.body.decode().splitlines()))
    told = list(it.truth("daily_report_ad", {"date": DAY, "account": ACCOUNT}, NOW))
    expected = [
        {name: str(each.record[name]) for name in ("date", "ad_id", "cost")}
        for each in told
        if each.variant == "time_line=REQUEST_TIME"
    ]
    assert lines == expected


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        (18002, {"account_id": ACCOUNT}),
        (18002, {"granularity": "YEARLY"}),
        (18005, {"level": "REPORT_LEVEL_MOON"}),
        (12009, {"report_fields": ["nonsense"]}),
        (12201, {"account_id": 404}),
    ],
)
def test_an_order_that_makes_no_sense_is_refused(code, changes):
    assert order(gdt(), **changes).code == code


def test_tasks_outlive_a_changed_scenario():
    it = gdt()
    task = json.loads(order(it).body)["data"]["task_id"]
    changed = it.changed(it._scenario.patched(b'{"gdt":{"latency":{"seconds":1}}}', json=True), NOW)
    assert [row["task_id"] for row in data(changed, "async_reports/get", account_id=ACCOUNT)["list"]] == [task]
