"""wx in WeChat's own dialect: how a call is signed and named, how answers are read, what each code means."""

from base64 import b64decode
from datetime import date
from hashlib import md5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ark.answers import BadBodyError, Verdict
from ark.errors import UnitError
from ark.units import Unit
from handlers import registry
from handlers.api import Stamp
from media.wx.b.base import agency_token
from media.wx.b.codes import CODES
from tests.media import wire
from tests.media.wire import Call

UNIT = Unit("T1", date(2020, 5, 7), "5555", "20458", {})
NAMES = wire.interfaces("wx", "wx_b")
DAY = {"start_date": "2020-05-07", "end_date": "2020-05-07"}
PAGE = {"page": "1", "page_size": "100"}
CALLS = {
    "wx.b.advertiser": ("/marketing/advertiser/get", {}),
    "wx.b.funds": ("/marketing/funds/get", {"version": "v1.1"}),
    "wx.b.campaigns": ("/marketing/campaigns/get", PAGE),
    "wx.b.adgroups": ("/marketing/adgroups/get", PAGE),
    "wx.b.ads": ("/marketing/ads/get", PAGE),
    "wx.b.adcreatives": ("/marketing/adcreatives/get", PAGE),
    "wx.b.daily_report_campaign": (
        "/marketing/daily_reports/get", {"date_range": DAY, "report_type": "DAILY", "level": "CAMPAIGN", **PAGE}
    ),
    "wx.b.daily_report_adgroup": (
        "/marketing/daily_reports/get", {"date_range": DAY, "report_type": "DAILY", "level": "ADGROUP", **PAGE}
    ),
}  # fmt: skip
"""What the fact sheet says of each call. No client was recorded that makes them; funds alone is version v1.1."""
NOT_OURS = {
    "wxb.token": "a renewal of the official account's own token: tokens come from the open platform",
    "wxb.ad_leads": "telephone numbers of people: no table needs them",
    "wxb.ad_leads.filtering": "as wxb.ad_leads",
    "wxb.user_action_sets_get": "no report: what an account sends to the medium",
}


def test_no_recorded_call_is_left_out():
    assert {line["call"] for line in wire.lines("wx") if line["id"].startswith("wx-java")} == NOT_OURS.keys()
    assert set(NAMES) == CALLS.keys()


@pytest.mark.parametrize("name", CALLS)
def test_our_call_is_what_the_fact_sheet_says(name):
    ours = wire.signed(wire.make(name), Call(name, UNIT))
    path, query = CALLS[name]
    assert ours == ("GET", path, {"access_token": "TOKEN", "version": "v1.0", **query}, "", {})


@pytest.mark.parametrize("recorded", ["wxb.ad_leads", "wxb.ad_leads.filtering"])
def test_what_every_call_has_is_spelled_as_a_recorded_client_does(recorded):
    (line,) = (line for line in wire.lines("wx") if line["call"] == recorded)
    theirs = wire.recorded(line)
    ours = wire.signed(wire.like(theirs, "wx.b.campaigns"), Call("", UNIT, page=int(theirs.query["page"])))
    own = {"date_range", "filtering"}
    assert ours.query == {name: value for name, value in theirs.query.items() if name not in own}
    assert (ours.method, ours.body, ours.headers) == (theirs.method, theirs.body, theirs.headers)
    assert ours.path.split("/")[1] == theirs.path.split("/")[1]


def test_a_narrowed_list_has_a_condition_like_the_recorded_one():
    (line,) = (line for line in wire.lines("wx") if line["call"] == "wxb.ad_leads.filtering")
    (condition,) = wire.make("wx.b.ads").narrow("campaign_id", ["1001"])["filtering"]
    (theirs,) = wire.recorded(line).query["filtering"]  # this client drops the values
    assert condition == theirs | {"operator": "IN", "values": ["1001"]}


@pytest.mark.parametrize("name", CALLS)
def test_a_service_provider_signs_every_call(name):
    plain = wire.signed(wire.make(name), Call(name, UNIT))
    ours = wire.signed(wire.make(name, agency_key="the agency's key"), Call(name, UNIT))
    assert ours.query.keys() == plain.query.keys() | {"agency_token"}
    assert "the agency's key" not in str(ours)
    agency, seconds, nonce, sign = b64decode(ours.query["agency_token"], validate=True).decode().split(",")
    assert (agency, seconds, nonce) == ("5555", "1590800000", "f" * 32)
    assert sign == md5(f"5555{seconds}{nonce}the agency's key".encode(), usedforsecurity=False).hexdigest()


def test_an_agency_token_is_base64_of_agency_seconds_nonce_and_a_lower_case_md5():
    token = agency_token("1000", "key", Stamp(1590800000, "n0nce"))
    assert b64decode(token, validate=True) == b"1000,1590800000,n0nce,a6ea045a24f09600a1734c304edacd4b"


def test_funds_are_read_byte_for_byte():
    record = '{"fund_type" : "FUND_TYPE_MINIPROGRAM", "balance":9007199254740993, "rate":1.10, "nothing":-0.0}'
    other = '{"fund_type":"GENERAL_CASH","balance":1234567890123456789}'
    body = f'{{"errmsg":"","data":{{"list":[{record} ,{other}]}},"errcode":0}}'.encode()
    first, second = wire.taken(wire.make("wx.b.funds"), UNIT, body)
    assert first.key == b"8|20200507|20458|5555|FUND_TYPE_MINIPROGRAM|T1"
    assert first.value.decode() == f'{{"tenant_alias":"T1","data":{record},"timestamp":1588984341}}'
    assert f'"data":{other},'.encode() in second.value


@pytest.mark.parametrize("call", ["wxb.ad_leads", "wxb.user_action_sets_get"])
def test_recorded_answers_are_read_byte_for_byte(call):
    (line,) = (line for line in wire.lines("wx") if line["call"] == call)
    wire.check_records("wx.b.funds", line)


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("wx.b.daily_report_campaign", "campaign_id"), ("wx.b.daily_report_adgroup", "adgroup_id"),
        ("wx.b.campaigns", "campaign_id"), ("wx.b.adgroups", "adgroup_id"), ("wx.b.ads", "ad_id"),
        ("wx.b.adcreatives", "adcreative_id"),
    ],
)  # fmt: skip
def test_each_record_is_keyed_by_its_id(name, field):
    info = '{"total_number":1,"total_page":1,"page_size":100,"page":1}'
    body = f'{{"errcode":0,"errmsg":"","data":{{"list":[{{"{field}":2001}}],"page_info":{info}}}}}'.encode()
    (row,) = wire.taken(wire.make(name), UNIT, body)
    assert row.key == b"8|20200507|20458|5555|2001|T1"


def test_a_report_of_another_day_fails():
    info = '{"total_number":1,"total_page":1,"page_size":100,"page":1}'
    body = f'{{"data":{{"list":[{{"campaign_id":1,"date":"2020-05-06"}}],"page_info":{info}}}}}'.encode()
    with pytest.raises(UnitError, match="2020-05-06"):
        wire.taken(wire.make("wx.b.daily_report_campaign"), UNIT, body)


def test_an_advertiser_is_the_one_record_of_its_answer():
    record = '{"wechat_account_name":"n", "system_status":"MP_STATUS_NORMAL"}'
    (row,) = wire.taken(wire.make("wx.b.advertiser"), UNIT, f'{{"errcode":0,"data":{record}}}'.encode())
    assert row.key == b"8|20200507|20458|5555|T1"
    assert f'"data":{record},'.encode() in row.value


@pytest.mark.parametrize("data", ["{}", "[]", "[{}]", '""', "7"])
def test_an_advertiser_is_one_object(data):
    with pytest.raises(BadBodyError, match="bad body"):
        wire.taken(wire.make("wx.b.advertiser"), UNIT, f'{{"errcode":0,"data":{data}}}'.encode())


def test_without_an_errcode_the_data_tells_that_all_is_well():
    (row,) = wire.taken(wire.make("wx.b.funds"), UNIT, b'{"data":{"list":[{"fund_type":"GENERAL_CASH"}]}}')
    assert b"GENERAL_CASH" in row.key


@pytest.mark.parametrize(
    "body", ["{}", '{"errmsg":"ok"}', '{"data":null}', '{"code":0}', '{"code":0,"data":null}', '{"errcode":0}']
)
def test_without_data_nothing_is_well(body):
    with pytest.raises(BadBodyError, match="bad body: errcode 0 without data"):
        wire.make("wx.b.funds").read(body.encode())


@pytest.mark.parametrize("body", [*wire.NO_ANSWER, wire.DATA_ARRAY])
def test_what_is_no_answer_is_a_bad_body(body):
    with pytest.raises(BadBodyError, match="bad body"):
        wire.make("wx.b.funds").read(wire.spelled(body, "errcode"))


@pytest.mark.parametrize("code", [-1, 40001, 45009, 45011, 99999])
@pytest.mark.parametrize("data", [*wire.ANY_DATA, ',"data":{"list":[{"fund_type":"A"}]}'])
def test_a_refusals_code_is_not_lost_for_its_data(code, data):
    answer = wire.make("wx.b.funds").read(f'{{"errcode":{code},"errmsg":"no rid: 1"{data}}}'.encode())
    assert (answer.code, answer.message, answer.records) == (code, "no rid: 1", None)


def test_a_code_that_comes_twice_counts_as_it_came_last():
    assert wire.make("wx.b.funds").read(b'{"errcode":0,"data":{"list":[]},"errcode":45011}').code == 45011


@pytest.mark.parametrize("name", [name for name in NAMES if registry.find(name).pages])
@pytest.mark.parametrize(("body", "words"), wire.PAGED_NONSENSE)
def test_nonsense_is_never_an_empty_page(name, body, words):
    with pytest.raises(UnitError, match=words):
        wire.taken(wire.make(name), wire.a_unit(name), wire.paged(body, "errcode"))


@given(st.sampled_from(["wx.b.funds", "wx.b.advertiser", "wx.b.ads"]).map(wire.make), wire.ANY_BYTES)
def test_any_bytes_are_an_answer_or_a_bad_body(handler, body):
    wire.check_answers_or_refuses(handler, body)


VERDICTS = {
    Verdict.OK: {0},
    Verdict.RETRY: {-1},
    Verdict.WAIT: {45011},
    Verdict.TOKEN: {40001, 40014, 41001, 42001},
    Verdict.SKIP: {50001},
    Verdict.FAIL: {45009, 45035, 47001, 48001, 61004},
}
"""The known codes. The quota (45009, 45011) is each account's own: nobody else waits for it.

40014 is one that a recorded client renews its token for.
"""
KNOWN = set().union(*VERDICTS.values())


@pytest.mark.parametrize(("verdict", "codes"), VERDICTS.items())
def test_every_known_code_has_its_verdict_and_a_meaning(verdict, codes):
    assert {code: CODES[code].verdict for code in codes} == dict.fromkeys(codes, verdict)
    assert all(CODES[code].meaning and "not in the medium's table" not in CODES[code].meaning for code in codes)


def test_the_table_knows_no_code_that_is_not_known():
    assert set(CODES.codes) == KNOWN
    assert CODES.ranges == ()
    assert CODES[45011].windows == 1


@given(st.integers() | st.integers(39000, 62000))
def test_every_other_code_fails(code):
    if code not in KNOWN:
        assert CODES[code].verdict is Verdict.FAIL
        assert "not in the medium's table" in CODES[code].meaning


def test_no_header_tells_of_the_quota():
    handler = wire.make("wx.b.funds")
    assert handler.quota({"X-RateLimit-Remaining": "99%,74%", "X-RateLimit-RetryIn": "30"}) is None
    assert handler.trace({"X-TSA-Trace-Id": "1"}) == ""
