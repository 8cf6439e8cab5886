"""gdt: our calls are those of its official clients, its answers are read strictly, every code has its verdict."""

import json
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from ark.answers import BadBodyError, Verdict
from ark.errors import UnitError
from ark.quota import Quota
from ark.units import Unit
from handlers import registry
from media.tencent.codes import CODES
from tests.media import wire
from tests.media.wire import Call

MAY_DAY, THE_7TH = date(2020, 5, 1), date(2020, 5, 7)
REQUEST, REPORTING = {"time_line": "REQUEST_TIME"}, {"time_line": "REPORTING_TIME"}
CASH = {"fund_type": "FUND_TYPE_CASH"}


def of(account: str = "20458", day: date = MAY_DAY, variant: dict[str, str] | None = None) -> Unit:
    return Unit("T1", day, "5555", account, variant or {})


ADVERTISER_KEY = "8|20200501|20458|5555|T1"
MORE_DAYS = ("date_range", "fields")
"""That caller asks for a week and for fewer fields."""
CALLS = {
    "advertiser.agency.p1": Call("gdt.advertisers", of(""), key=ADVERTISER_KEY),
    "advertiser.agency.p2": Call("gdt.advertisers", of(""), page=2, theirs=("fields",), key=ADVERTISER_KEY),
    # an advertiser asks for itself; an agency, as we are one, names no account
    "advertiser.filtering": Call(
        "gdt.advertisers", of(""), theirs=("account_id", "filtering"), ours=("page", "page_size"), key=ADVERTISER_KEY
    ),
    "advertiser.cursor": Call(
        "gdt.advertisers", of(""), theirs=("agency_id", "cursor", "pagination_mode"), ours=("page",), key=ADVERTISER_KEY
    ),
    "funds": Call("gdt.funds", of(), key="8|20200501|20458|5555|FUND_TYPE_CASH|T1"),
    "funds.fields": Call("gdt.funds", of(), theirs=("fields",), key="8|20200501|20458|5555|FUND_TYPE_CASH|T1"),
    "daily.minimal": Call(
        "gdt.daily_report_advertiser", of(variant=REQUEST), other=("date_range",),
        ours=("fields", "group_by", "page", "page_size", "time_line"), key="8|20200501|20458|5555|T1|REQUEST_TIME",
    ),
    "daily.ADVERTISER": Call(
        "gdt.daily_report_advertiser", of(variant=REQUEST), other=MORE_DAYS, theirs=("order_by",),
        key="8|20200501|20458|5555|T1|REQUEST_TIME",
    ),
    "daily.CAMPAIGN": Call(
        "gdt.daily_report_campaign", of(variant=REQUEST), narrow=("campaign_id", ["1001", "1002"]), other=MORE_DAYS,
        theirs=("order_by",), key="8|20200501|20458|5555|1001|T1|REQUEST_TIME",
    ),
    "daily.ADGROUP": Call(
        "gdt.daily_report_adgroup", of(variant=REQUEST), other=MORE_DAYS, theirs=("filtering", "order_by"),
        key="8|20200501|20458|5555|2001|SITE_SET_MOBILE_UNION|T1|REQUEST_TIME",
    ),
    "daily.AD": Call(
        "gdt.daily_report_ad", of(variant=REQUEST), page=2, other=MORE_DAYS, theirs=("order_by",),
        key="8|20200501|20458|5555|3001|T1|REQUEST_TIME",
    ),
    "hourly.ADVERTISER": Call(
        "gdt.hourly_report_advertiser", of(day=THE_7TH, variant=REPORTING), other=("fields",), theirs=("order_by",),
        key="8|20200507|20458|5555|12|REPORTING_TIME|T1",
    ),
    "hourly.CAMPAIGN": Call(
        "gdt.hourly_report_campaign", of(day=THE_7TH, variant=REPORTING), other=("fields",), theirs=("order_by",),
        key="8|20200507|20458|5555|12|1001|REPORTING_TIME|T1",
    ),
    "hourly.ADGROUP": Call(
        "gdt.hourly_report_adgroup", of(day=THE_7TH, variant=REPORTING), other=("fields",), theirs=("order_by",),
        key="8|20200507|20458|5555|12|2001|REPORTING_TIME|T1",
    ),
    "hourly.AD": Call(
        "gdt.hourly_report_ad", of(day=THE_7TH, variant=REPORTING), narrow=("ad_id", ["3001", "3002"]),
        other=("fields",), theirs=("order_by",), key="8|20200507|20458|5555|12|3001|REPORTING_TIME|T1",
    ),
    "campaigns": Call(
        "gdt.campaigns", of(), theirs=("fields", "filtering", "is_deleted"), key="8|20200501|20458|5555|1001|T1"
    ),
    "adgroups": Call("gdt.adgroups", of(), theirs=("filtering", "is_deleted"), key="8|20200501|20458|5555|2001|T1"),
    "ads": Call("gdt.ads", of(), narrow=("adgroup_id", ["2001", "2002"]), key="8|20200501|20458|5555|3001|T1"),
    "adcreatives": Call(
        "gdt.adcreatives", of(), narrow=("adcreative_id", ["4001"]), key="8|20200501|20458|5555|4001|T1"
    ),
    "realtime_cost": Call(
        "gdt.realtime_cost", of(day=THE_7TH), narrow=("campaign_id", ["1001"]), other=("level",),
        key="8|20200507|20458|5555|T1",
    ),
    "fund_statements_daily": Call(
        "gdt.fund_statements_daily", of(variant=CASH), other=("date_range",), theirs=("trade_type",),
        key="8|20200501|20458|5555|FUND_TYPE_CASH|PAY|1588262400|T1",
    ),
}  # fmt: skip
"""Recorded call -> ours. The page size of each is that of the recording."""
NOT_OURS = {
    "oauth_token.code": "a person authorises an agent once, in the browser",
    "oauth_token.refresh": "renewing a token is no interface: media/gdt/oauth.py",
    "fund_statements_detailed": "no table needs it: fund_statements_daily has the sums",
    "async_reports_add": "ordered reports are not read: the paged ones are split until they are whole",
    "async_reports_get": "as async_reports_add",
    "async_report_files": "as async_reports_add",
    "agency": "of 2021 and later, not in the dialect of 2020",
    "agency_realtime_cost": "of 2021 and later, not in the dialect of 2020",
}
UNRECORDED = {"gdt.daily_report_promoted_object", "gdt.hourly_report_promoted_object"}
"""Interfaces that no recorded client called; at this level the call is that of the other levels."""
LINES = [line for line in wire.lines("gdt") if line["call"] in CALLS]
BY_ID = {"argvalues": LINES, "ids": [line["id"] for line in LINES]}


def test_every_recorded_call_is_ours_or_has_a_reason_why_not():
    assert {line["call"] for line in wire.lines("gdt")} == CALLS.keys() | NOT_OURS.keys()
    assert not CALLS.keys() & NOT_OURS.keys()
    assert {call.interface for call in CALLS.values()} == set(wire.interfaces("gdt")) - UNRECORDED


@pytest.mark.parametrize("line", **BY_ID)
def test_our_call_is_the_recorded_one(line):
    call, theirs = CALLS[line["call"]], wire.recorded(line)
    ours = wire.signed(wire.like(theirs, call.interface), call)
    assert ours.path.startswith("/v1.1/")
    wire.check_same(ours, theirs._replace(path=theirs.path.replace("/v1.3/", "/v1.1/")), call)


@pytest.mark.parametrize("narrowed", [("adgroup_id", ["2001"]), ("campaign_id", ["9007199254740993"])])
def test_ids_to_narrow_by_are_text(narrowed):
    (condition,) = wire.make("gdt.ads").narrow(*narrowed)["filtering"]
    assert condition == {"field": narrowed[0], "operator": "IN", "values": narrowed[1]}


def test_promoted_objects_are_asked_for_as_the_other_levels():
    daily = wire.signed(wire.make("gdt.daily_report_promoted_object"), Call("", of(variant=REQUEST)))
    known = wire.signed(wire.make("gdt.daily_report_campaign"), Call("", of(variant=REQUEST)))
    assert daily.query.keys() == known.query.keys()
    assert daily.query["level"] == "REPORT_LEVEL_PROMOTED_OBJECT"
    assert daily.query["group_by"] == ["date", "promoted_object_type", "promoted_object_id"]


@pytest.mark.parametrize("line", **BY_ID)
def test_a_recorded_answer_becomes_rows_byte_for_byte(line):
    call = CALLS[line["call"]]
    wire.check_records(call.interface, line)
    handler = wire.make(call.interface)
    answer = handler.read(json.dumps(line["answer"]).encode())
    keyed = wire.rows(handler, call.unit, handler.records(answer))
    assert keyed[0].key.decode() == call.key
    assert len(keyed) == len(wire.rows_in(line["answer"]))
    for row, record in zip(keyed, answer.records, strict=True):
        assert b'"data":' + bytes(record) + b',"timestamp":1588984341}' in row.value


def test_numbers_stay_as_they_came():
    record = (
        '{"fund_type" : "FUND_TYPE_GIFT", "id": 9007199254740993, "long": 1234567890123456789'
        ', "more":18446744073709551616'
        ', "rate":1.10, "nothing":-0.0, "tiny":1e-7, "name":"\\u676d\\u5dde", "same":"杭州"}'
    )
    body = f'{{"message_cn":"","data":{{"list":[{record}]}},"code":0}}'.encode()
    (row,) = wire.taken(wire.make("gdt.funds"), of(), body)
    assert row.value.decode() == f'{{"tenant_alias":"T1","data":{record},"timestamp":1588984341}}'


@pytest.mark.parametrize("written", ["3001", '"3001"'])
def test_an_id_is_keyed_as_text_however_it_is_written(written):
    (row,) = wire.rows(wire.make("gdt.ads"), of(), [Raw(f'{{"ad_id":{written}}}'.encode())])
    assert row.key == b"8|20200501|20458|5555|3001|T1"


@pytest.mark.parametrize("written", ["3001.0", "null", "true", '""', '"30|01"', "[3001]"])
def test_what_cannot_be_an_id_fails_the_unit(written):
    with pytest.raises(UnitError, match="ad_id"):
        wire.rows(wire.make("gdt.ads"), of(), [Raw(f'{{"ad_id":{written}}}'.encode())])


def test_statements_are_asked_for_by_every_kind_of_fund():
    kinds = (
        "CASH GIFT SHARED BANK UNION_GIFT MP_CASH MP_BANK MP_GIFT CREDIT_ROLL CREDIT_TEMPORARY CONTRACT_GIFT_VIRTUAL"
        " CONTRACT_ASSIGN_VIRTUAL COMPENSATE_VIRTUAL INTERNAL_QUOTA TEST_VIRTUAL JD_PRIVILEGE JD_WIRELESS_CASH"
    )
    asked = [variant["fund_type"] for variant in registry.find("gdt.fund_statements_daily").variant_values()]
    assert asked == [f"FUND_TYPE_{kind}" for kind in kinds.split()]


def test_an_unknown_kind_of_fund_is_kept_as_text():
    body = b'{"code":0,"data":{"list":[{"fund_type":"GENERAL_CASH"},{"fund_type":"FUND_TYPE_NEW"}]}}'
    rows = wire.taken(wire.make("gdt.funds"), of(), body)
    assert [row.key.decode().split("|")[4] for row in rows] == ["GENERAL_CASH", "FUND_TYPE_NEW"]


@pytest.mark.parametrize("body", [*wire.NO_ANSWER, *wire.CODE_MISSING, wire.DATA_ARRAY])
def test_what_is_no_answer_is_a_bad_body(body):
    with pytest.raises(BadBodyError, match="bad body"):
        wire.make("gdt.funds").read(wire.spelled(body, "code"))


@pytest.mark.parametrize("code", [-1, 11000, 11017, 99999])
@pytest.mark.parametrize("data", [*wire.ANY_DATA, ',"data":{"list":[{"fund_type":"A"}]}', ',"errors":[{"type":7}]'])
def test_a_refusals_code_is_not_lost_for_what_stands_beside_it(code, data):
    answer = wire.make("gdt.funds").read(f'{{"code":{code},"message":"no trace_id: 1"{data}}}'.encode())
    assert (answer.code, answer.message, answer.records) == (code, "no trace_id: 1", None)


def test_a_code_that_comes_twice_counts_as_it_came_last():
    read = wire.make("gdt.funds").read
    assert read(b'{"code":0,"data":{"list":[{}]},"code":11017}').code == 11017


@pytest.mark.parametrize("name", [name for name in wire.interfaces("gdt") if registry.find(name).pages])
@pytest.mark.parametrize(("body", "words"), wire.PAGED_NONSENSE)
def test_nonsense_is_never_an_empty_page(name, body, words):
    with pytest.raises(UnitError, match=words):
        wire.taken(wire.make(name), wire.a_unit(name), wire.paged(body, "code"))


@pytest.mark.parametrize("data", ["{}", '{"list":null}', '{"list":[]}'])
def test_an_account_without_funds_is_no_fault(data):
    assert wire.taken(wire.make("gdt.funds"), of(), f'{{"code":0,"data":{data}}}'.encode()) == []


def test_a_list_that_declares_more_than_it_holds_fails():
    info = '{"page":1,"page_size":10,"total_number":150,"total_page":15}'
    with pytest.raises(UnitError, match="150 records were declared, 0 came"):
        wire.taken(wire.make("gdt.funds"), of(), f'{{"code":0,"data":{{"page_info":{info}}}}}'.encode())


@given(st.sampled_from(["gdt.funds", "gdt.advertisers", "gdt.daily_report_ad"]).map(wire.make), wire.ANY_BYTES)
def test_any_bytes_are_an_answer_or_a_bad_body(handler, body):
    wire.check_answers_or_refuses(handler, body)


VERDICTS = {
    Verdict.OK: {0},
    Verdict.RETRY: {10000, 10001, 12100, 12101, 12700, *range(30000, 30100), 51001, 60000, 62000, 72000},
    Verdict.WAIT: {11016, 11017, 11019, 30104},
    Verdict.LATER: {11008, 11018},
    Verdict.TOKEN: {11000, 11002, 11004, 11005},
    Verdict.SKIP: {12201, 12203, 32211},
    Verdict.FAIL: {11007, *range(11009, 11015), 12000, 12003, 12007, 12008, 12009, *range(18001, 18015), 31033},
}
"""The documented codes. 51001 and 62000 are of the report's back-end: it is the call that is slow, not the quota."""
DOCUMENTED = set().union(*VERDICTS.values())


@pytest.mark.parametrize(("verdict", "codes"), VERDICTS.items())
def test_every_documented_code_has_its_verdict_and_a_meaning(verdict, codes):
    assert {code: CODES[code].verdict for code in codes} == dict.fromkeys(codes, verdict)
    assert all(CODES[code].meaning and "not in the medium's table" not in CODES[code].meaning for code in codes)


def test_the_table_knows_no_code_that_is_not_documented():
    ranged = {code for low, high, _ in CODES.ranges for code in range(low, high + 1)}
    assert set(CODES.codes) | ranged == DOCUMENTED


@given(st.integers() | st.integers(9000, 80_000))
def test_every_other_code_fails(code):
    if code not in DOCUMENTED:
        assert CODES[code].verdict is Verdict.FAIL
        assert "not in the medium's table" in CODES[code].meaning


@pytest.mark.parametrize("code", [-1, 1, 11001, 11003, 11006, 11015, 11020, 11100, 18000, 18015, 29999, 30100, 2**70])
def test_the_neighbours_of_documented_codes_fail(code):
    assert CODES[code].verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("code", "windows"), [(11016, 1 / 60), (11017, 1), (11019, 5), (30104, 1), (51001, 1), (62000, 1), (10001, 1)]
)
def test_waits_are_as_long_as_the_medium_says(code, windows):
    assert CODES[code].windows == windows


@pytest.mark.parametrize(
    ("header", "quota"),
    [
        ("99%,74%", Quota(99, 74)),
        ("100%,0%", Quota(100, 0)),
        (" 99 % , 74 % ", Quota(99, 74)),
        ("99,74", Quota(99, 74)),
        ("99%", None),
        ("", None),
        ("101%,5%", None),
        ("99%,-1%", None),
        ("٩٩%,٧٤%", None),
        ("99%,74%" * 1000, None),
    ],
)
def test_what_is_left_of_the_quota(header, quota):
    handler = wire.make("gdt.funds")
    assert handler.quota({"X-RateLimit-Remaining": header}) == quota
    assert handler.quota({}) is None


@given(st.text())
def test_the_quota_header_never_raises(header):
    quota = wire.make("gdt.funds").quota({"X-RateLimit-Remaining": header})
    assert quota is None or 0 <= quota.minute <= 100


def test_the_mediums_id_of_an_answer():
    assert wire.make("gdt.funds").trace({"X-TSA-Trace-Id": "ab" * 16}) == "ab" * 16
    assert wire.make("gdt.funds").trace({}) == ""
