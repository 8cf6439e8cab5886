"""wx in the Marketing API's dialect: our calls are those of its official clients, funds keep their memo."""

import json
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from ark.answers import BadBodyError
from ark.errors import UnitError
from ark.quota import Quota
from ark.units import Unit
from handlers import registry
from media.tencent.codes import CODES
from tests.media import wire
from tests.media.wire import Call

MAY_DAY, THE_7TH = date(2020, 5, 1), date(2020, 5, 7)
REQUEST, REPORTING = {"time_line": "REQUEST_TIME"}, {"time_line": "REPORTING_TIME"}


def of(account: str = "20458", day: date = MAY_DAY, variant: dict[str, str] | None = None) -> Unit:
    return Unit("T1", day, "5555", account, variant or {})


MEMO = '{"fund_type":"memo","memo":{"wechat_fund_spec":{"usable_amount":120000,"locked_amount":0}}}'
MORE_DAYS = ("date_range", "fields")
CALLS = {
    "wechat_advertiser": Call("wx.advertisers", of(""), key="4|20200501|4011704|5555|T1"),
    "wechat_funds": Call("wx.funds", of(), key="8|20200501|20458|5555|FUND_TYPE_CASH|T1"),
    "wechat_agency": Call("wx.agency", of(""), key="5|20200501|5555|5555|T1"),
    "wechat_daily_cost": Call("wx.daily_cost", of(), other=("date_range",), key="4|20200501|4011704|5555|T1"),
    "wx.daily.ADVERTISER": Call(
        "wx.daily_report_advertiser", of(variant=REQUEST), other=MORE_DAYS, theirs=("order_by",),
        key="8|20200501|20458|5555|T1|REQUEST_TIME",
    ),
    "wx.daily.CAMPAIGN": Call(
        "wx.daily_report_campaign", of(variant=REQUEST), other=MORE_DAYS, theirs=("order_by",), lacks="campaign_id"
    ),
    "wx.daily.ADGROUP": Call(
        "wx.daily_report_adgroup", of(variant=REQUEST), other=MORE_DAYS, theirs=("order_by",), lacks="adgroup_id"
    ),
    "wx.daily.AD": Call(
        "wx.daily_report_ad", of(variant=REQUEST), other=MORE_DAYS, theirs=("order_by",), lacks="ad_id"
    ),
    "wx.hourly.ADVERTISER": Call(
        "wx.hourly_report_advertiser", of(day=THE_7TH, variant=REPORTING), other=("fields",), theirs=("order_by",),
        key="8|20200507|20458|5555|12|REPORTING_TIME|T1",
    ),
    "wx.hourly.CAMPAIGN": Call(
        "wx.hourly_report_campaign", of(day=THE_7TH, variant=REPORTING), other=("fields",), theirs=("order_by",),
        lacks="campaign_id",
    ),
    "wx.hourly.ADGROUP": Call(
        "wx.hourly_report_adgroup", of(day=THE_7TH, variant=REPORTING), other=("fields",), theirs=("order_by",),
        lacks="adgroup_id",
    ),
    "wx.hourly.AD": Call(
        "wx.hourly_report_ad", of(day=THE_7TH, variant=REPORTING), other=("fields",), theirs=("order_by",),
        lacks="ad_id",
    ),
    # recorded as gdt: the same endpoints, of another kind of account
    "campaigns": Call(
        "wx.campaigns", of(), theirs=("fields", "filtering", "is_deleted"), key="8|20200501|20458|5555|1001|T1"
    ),
    "adgroups": Call("wx.adgroups", of(), theirs=("filtering", "is_deleted"), key="8|20200501|20458|5555|2001|T1"),
    "ads": Call("wx.ads", of(), narrow=("adgroup_id", ["2001", "2002"]), key="8|20200501|20458|5555|3001|T1"),
    "adcreatives": Call(
        "wx.adcreatives", of(), narrow=("adcreative_id", ["4001"]), key="8|20200501|20458|5555|4001|T1"
    ),
}  # fmt: skip
"""Recorded call -> ours. The page size of each is that of the recording."""
OF_THE_OTHER_DIALECT = {"wxb.token", "wxb.ad_leads", "wxb.ad_leads.filtering", "wxb.user_action_sets_get"}
LINES = [line for line in (*wire.lines("wx"), *wire.lines("gdt")) if line["call"] in CALLS]
BY_ID = {"argvalues": LINES, "ids": [line["id"] for line in LINES]}


def test_every_recorded_call_is_ours_or_of_the_other_dialect():
    assert {line["call"] for line in wire.lines("wx")} - OF_THE_OTHER_DIALECT <= CALLS.keys()
    assert {line["call"] for line in LINES} == CALLS.keys()
    assert {call.interface for call in CALLS.values()} == set(wire.interfaces("wx"))


@pytest.mark.parametrize("line", **BY_ID)
def test_our_call_is_the_recorded_one(line):
    call, theirs = CALLS[line["call"]], wire.recorded(line)
    ours = wire.signed(wire.like(theirs, call.interface), call)
    assert ours.path.startswith("/v1.1/")
    wire.check_same(ours, theirs._replace(path=theirs.path.replace("/v1.3/", "/v1.1/")), call)


@pytest.mark.parametrize("line", **BY_ID)
def test_a_recorded_answer_becomes_rows_byte_for_byte(line):
    call = CALLS[line["call"]]
    if call.interface != "wx.funds":  # its memo is of the answer's own spelling: below
        wire.check_records(call.interface, line)
    handler = wire.make(call.interface)
    account = "4011704" if call.interface == "wx.daily_cost" else call.unit.account_id  # as the made-up answer has it
    records = handler.records(handler.read(json.dumps(line["answer"]).encode()))
    if call.lacks:
        with pytest.raises(UnitError, match=call.lacks):
            wire.rows(handler, call.unit, records)
        (record,) = ({**row, call.lacks: 3001} for row in wire.rows_in(line["answer"]))
        records = [Raw(json.dumps(record).encode())]
    keyed = wire.rows(handler, call.unit._replace(account_id=account), records)
    assert call.key in {"", keyed[0].key.decode()}
    assert all(bytes(record) in row.value for row, record in zip(keyed, records, strict=True))


def test_what_stands_beside_the_funds_is_a_row_of_its_own():
    (line,) = (line for line in LINES if line["call"] == "wechat_funds")
    handler = wire.make("wx.funds")
    answer = handler.read(json.dumps(line["answer"], separators=(",", ":")).encode())
    *funds, memo = handler.records(answer)
    assert [json.loads(bytes(fund)) for fund in funds] == line["answer"]["data"]["list"]
    assert bytes(memo).decode() == MEMO
    keys = [row.key.decode() for row in wire.rows(handler, of(), [*funds, memo])]
    assert keys == [f"8|20200501|20458|5555|{kind}|T1" for kind in ("FUND_TYPE_CASH", "FUND_TYPE_CREDIT_ROLL", "memo")]


@pytest.mark.parametrize("memo", ['"memo":null', '"memo":{}', '"other":1'])
def test_without_a_memo_there_is_no_such_row(memo):
    body = f'{{"code":0,"data":{{"list":[{{"fund_type":"A"}}],{memo}}}}}'.encode()
    assert len(wire.taken(wire.make("wx.funds"), of(), body)) == 1


def test_a_memo_is_kept_as_it_came():
    memo = '{ "wechat_fund_spec" : {"usable_amount": 9007199254740993, "rate":1.10, "nothing":-0.0} }'
    body = f'{{"code":0,"data":{{"memo":{memo}}}}}'.encode()
    (row,) = wire.taken(wire.make("wx.funds"), of(), body)
    assert f'"data":{{"fund_type":"memo","memo":{memo}}},"timestamp"' in row.value.decode()


@pytest.mark.parametrize("data", ["{}", "[]", "[{}]", '""', "7"])
def test_an_agency_is_one_object(data):
    with pytest.raises(BadBodyError, match="bad body"):
        wire.taken(wire.make("wx.agency"), of(""), f'{{"code":0,"data":{data}}}'.encode())


@pytest.mark.parametrize("body", [*wire.NO_ANSWER, *wire.CODE_MISSING, wire.DATA_ARRAY])
@pytest.mark.parametrize("name", ["wx.funds", "wx.agency"])
def test_what_is_no_answer_is_a_bad_body(name, body):
    with pytest.raises(BadBodyError, match="bad body"):
        wire.make(name).read(wire.spelled(body, "code"))


@pytest.mark.parametrize("data", [*wire.ANY_DATA, ',"data":{"list":[{"fund_type":"A"}]}'])
def test_a_refusals_code_is_not_lost_for_its_data(data):
    answer = wire.make("wx.funds").read(f'{{"code":11017,"message":"limit"{data}}}'.encode())
    assert (answer.code, answer.message, answer.records) == (11017, "limit", None)


@pytest.mark.parametrize("name", [name for name in wire.interfaces("wx") if registry.find(name).pages])
@pytest.mark.parametrize(("body", "words"), wire.PAGED_NONSENSE)
def test_nonsense_is_never_an_empty_page(name, body, words):
    with pytest.raises(UnitError, match=words):
        wire.taken(wire.make(name), wire.a_unit(name), wire.paged(body, "code"))


@given(st.sampled_from(["wx.funds", "wx.agency", "wx.advertisers"]).map(wire.make), wire.ANY_BYTES)
def test_any_bytes_are_an_answer_or_a_bad_body(handler, body):
    wire.check_answers_or_refuses(handler, body)


def test_codes_quota_and_trace_are_those_of_gdt():
    handler = wire.make("wx.funds")
    assert handler.codes is CODES  # each code of it: test_gdt.py
    assert handler.quota({"X-RateLimit-Remaining": "99%,74%"}) == Quota(99, 74)
    assert handler.quota({"X-RateLimit-Remaining": "soon"}) is None
    assert handler.trace({"X-TSA-Trace-Id": "ab" * 16}) == "ab" * 16
