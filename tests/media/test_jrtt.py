"""jrtt: our calls are those that its clients made, its answers are read strictly, every known code has its verdict."""

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
from media.jrtt.codes import CODES
from tests.media import wire
from tests.media.wire import Call

ACCOUNT, OTHER = "1664757665615880", "1664757665615881"
AGENT, CHILD = "1650000000000001", "1650000000000002"


def of(account: str = ACCOUNT, agent: str = AGENT) -> Unit:
    return Unit("T1", date(2020, 5, 1), agent, account, {})


BOTH = Unit("T1", date(2020, 5, 1), AGENT, "", {}, (ACCOUNT, OTHER))
KEY = f"0|20200501|{ACCOUNT}|{AGENT}|T1"
ORDER = ("order_field", "order_type")
REST = ("group_by", "page", "page_size", "time_granularity")
LISTED = Call("jrtt.accounts", of(""), key=KEY)
CHILDREN = Call("jrtt.child_agents", of(""), key=f"2|20200501|{CHILD}|{AGENT}|T1")
INFO = Call("jrtt.account_info", BOTH, theirs=("fields",), key=KEY)
FUND = Call("jrtt.fund", of(), key=KEY)
STATEMENT = Call("jrtt.fund_daily_stat", of(), other=("end_date",), key=KEY)
CAMPAIGNS = Call("jrtt.campaigns", of(), key=f"0|20200501|{ACCOUNT}|{AGENT}|16000001|T1")
ADS = Call("jrtt.ads", of(), key=f"0|20200501|{ACCOUNT}|{AGENT}|17000001|T1")
CREATIVES = Call("jrtt.creatives", of(), key=f"0|20200501|{ACCOUNT}|{AGENT}|18000001|T1")
WEEK = ("end_date",)
"""That caller asks for a week."""
REPORT = Call("jrtt.report_advertiser", of(), other=WEEK, key=KEY)
CAMPAIGN_REPORT = Call(
    "jrtt.report_campaign", of(), narrow=("campaign_id", ["16000001"]), other=WEEK,
    key=f"0|20200501|{ACCOUNT}|{AGENT}|16000001|T1",
)  # fmt: skip
AD_REPORT = Call(
    "jrtt.report_ad", of(), narrow=("ad_id", ["17000001"]), other=WEEK,
    key=f"0|20200501|{ACCOUNT}|{AGENT}|17000001|T1",
)  # fmt: skip
CREATIVE_REPORT = Call(
    "jrtt.report_creative", of(), other=WEEK, key=f"0|20200501|{ACCOUNT}|{AGENT}|18000001|T1"
)  # fmt: skip
AGENT_REPORT = Call("jrtt.report_agent", of(""), other=WEEK, key=KEY)
CALLS = {
    "jrtt-go-1.1.93/agent_advertiser_select.p1": LISTED,
    "jrtt-go-1.1.93/agent_advertiser_select.p2": Call(
        "jrtt.child_accounts", of("", CHILD), page=2, theirs=("filtering",), key=f"0|20200501|{ACCOUNT}|{CHILD}|T1"
    ),
    "jrtt-go-1.1.93/agent_advertiser_select.cursor": LISTED._replace(cursor="0", theirs=("company_ids",)),
    "jrtt-go-1.1.93/agent_child_agent_select": CHILDREN,
    "jrtt-go-1.1.93/advertiser_info": INFO,
    "jrtt-go-1.1.93/advertiser_fund_get": FUND,
    "jrtt-go-1.1.93/advertiser_fund_daily_stat": STATEMENT,
    "jrtt-go-1.1.93/campaign_get": CAMPAIGNS._replace(theirs=("fields", "filtering")),
    "jrtt-go-1.1.93/ad_get": ADS._replace(theirs=("filtering",)),
    "jrtt-go-1.1.93/creative_get": CREATIVES._replace(theirs=("filtering",)),
    "jrtt-go-1.1.93/report_advertiser.minimal": REPORT._replace(ours=REST),
    "jrtt-go-1.1.93/report_advertiser": REPORT._replace(theirs=("fields", *ORDER)),
    "jrtt-go-1.1.93/report_campaign": CAMPAIGN_REPORT._replace(other=("end_date", "time_granularity")),
    "jrtt-go-1.1.93/report_ad": AD_REPORT._replace(ours=("time_granularity",)),
    "jrtt-go-1.1.93/report_creative": CREATIVE_REPORT._replace(
        other=("end_date", "group_by"), ours=("time_granularity",)
    ),
    "jrtt-go-1.1.93/report_agent_v2": AGENT_REPORT._replace(theirs=("filtering",)),
    "jrtt-go-1.1.93/report_agent_v2.cursor": AGENT_REPORT._replace(
        theirs=("cursor", "cursor_size"), ours=("page", "page_size")
    ),
    "jrtt-bub21/agent_advertiser_select.p1": LISTED,
    "jrtt-bub21/agent_child_agent_select": CHILDREN,
    "jrtt-bub21/advertiser_info": INFO,
    "jrtt-bub21/advertiser_fund_get": FUND,
    "jrtt-bub21/advertiser_fund_daily_stat": STATEMENT,
    "jrtt-bub21/campaign_get": CAMPAIGNS,
    "jrtt-bub21/ad_get": ADS,
    "jrtt-bub21/creative_get": CREATIVES,
    "jrtt-bub21/report_advertiser": REPORT._replace(theirs=ORDER),
    "jrtt-bub21/report_campaign": CAMPAIGN_REPORT._replace(theirs=ORDER),
    "jrtt-bub21/report_ad": AD_REPORT._replace(theirs=ORDER),
    "jrtt-bub21/report_creative": CREATIVE_REPORT._replace(theirs=ORDER),
    # another group-by than the seed's, and so other dimensions in the answer
    "jrtt-bub21/report_integrated": Call(
        "jrtt.report_integrated", of(), other=("end_date", "group_by"),
        theirs=("fields", "filtering", *ORDER), lacks="ad_id",
    ),
}  # fmt: skip
"""Recorded call -> ours. The page size of each is that of the recording."""
NOT_OURS = {
    "oauth2_access_token": "a person authorises an agent once, in the browser",
    "oauth2_refresh_token": "renewing a token is no interface: media/jrtt/oauth.py",
    "oauth2_advertiser_get": "which accounts a token opens: the agents' lists say it",
    "agent_info": "no table needs it",
    "advertiser_public_info": "no table needs it: account_info has the same and more",
    "majordomo_advertiser_select": "accounts of an organisation; the seeds know agents only",
}
UNRECORDED = {
    "jrtt.agent_fund": "jrtt.fund of an agent's own id",
    "jrtt.child_fund": "jrtt.fund of an agent's own id",
}
WITHOUT_SLASH = {"agent_advertiser_select.p1", "agent_child_agent_select", "advertiser_fund_get"}
"""Calls whose path one of the two clients ends without a slash; the official one, as we, never does."""
LINES = [wire.RECORDED[name] for name in CALLS]
BY_ID = {"argvalues": LINES, "ids": list(CALLS)}
PAGED = [name for name in wire.interfaces("jrtt") if registry.find(name).pages]


def test_every_recorded_call_is_ours_or_has_a_reason_why_not():
    told = {line["id"]: line["call"] for line in wire.lines("jrtt")}
    assert {call for name, call in told.items() if name not in CALLS} == NOT_OURS.keys()
    assert told.keys() >= CALLS.keys()
    assert {call.interface for call in CALLS.values()} == set(wire.interfaces("jrtt")) - UNRECORDED.keys()


@pytest.mark.parametrize("line", **BY_ID)
def test_our_call_is_the_recorded_one(line):
    call, theirs = CALLS[line["id"]], wire.recorded(line)
    if line["sdk"].startswith("bububa") and line["call"] in WITHOUT_SLASH:
        theirs = theirs._replace(path=f"{theirs.path}/")
    ours = wire.signed(wire.like(theirs, call.interface), call)
    wire.check_same(ours, theirs, call)


@pytest.mark.parametrize("name", UNRECORDED)
def test_an_agents_balance_is_asked_for_like_an_accounts(name):
    theirs = wire.recorded(wire.RECORDED["jrtt-go-1.1.93/advertiser_fund_get"])
    assert wire.signed(wire.make(name), Call(name, of())) == theirs


@pytest.mark.parametrize("name", wire.interfaces("jrtt"))
def test_the_token_is_a_header_and_nothing_else_is(name):
    ours = wire.signed(wire.make(name), Call(name, wire.a_unit(name)))
    assert (ours.method, ours.body, ours.headers) == ("GET", "", {"Access-Token": "TOKEN"})
    assert "TOKEN" not in str(ours.query)
    assert (ours.path[:12], ours.path[-1]) == ("/open_api/2/", "/")


@pytest.mark.parametrize(
    ("name", "recorded"), [("jrtt.campaigns", "campaign_get"), ("jrtt.ads", "ad_get"), ("jrtt.creatives", None)]
)
def test_deleted_objects_are_listed_by_choice(name, recorded):
    listed = wire.signed(wire.make(name), Call(name, of()))
    whole = wire.signed(wire.make(name, deleted=True), Call(name, of()))
    if recorded:
        status = wire.recorded(wire.RECORDED[f"jrtt-go-1.1.93/{recorded}"]).query["filtering"]["status"]
    else:
        status = "CREATIVE_STATUS_ALL"
    assert whole.query == {**listed.query, "filtering": {"status": status}}


def test_ids_in_lists_are_exact_numbers():
    ids = ["9007199254740993", "1234567890123456789"]
    assert wire.make("jrtt.report_creative").narrow("ad_id", ids) == {"filtering": {"ad_ids": list(map(int, ids))}}
    ours = wire.signed(wire.make("jrtt.account_info"), Call("", BOTH._replace(accounts=tuple(ids))))
    assert ours.query["advertiser_ids"] == [9007199254740993, 1234567890123456789]


@pytest.mark.parametrize("line", **BY_ID)
def test_a_recorded_answer_becomes_rows_byte_for_byte(line):
    call = CALLS[line["id"]]
    wire.check_records(call.interface, line)
    handler = wire.make(call.interface)
    answer = handler.read(json.dumps(line["answer"]).encode())
    assert answer.trace == "20200501000000010010000000000000AB"
    records = handler.records(answer)
    if call.lacks:
        with pytest.raises(UnitError, match=call.lacks):
            wire.rows(handler, call.unit, records)
        return
    keyed = wire.rows(handler, call.unit, records)
    assert keyed[0].key.decode() == call.key
    assert all(bytes(record) in row.value for row, record in zip(keyed, records, strict=True))


@pytest.mark.parametrize("interface", ["jrtt.report_campaign", "jrtt.report_ad", "jrtt.report_creative", "jrtt.ads"])
def test_deleted_objects_are_asked_for_where_the_setting_says_so(interface):
    status = {"status": f"{interface.rpartition('.')[2].removeprefix('report_').removesuffix('s').upper()}_STATUS_ALL"}
    plain, all_of_them = wire.make(interface), wire.make(interface, deleted=True)
    assert "filtering" not in plain.params(of())
    assert all_of_them.params(of())["filtering"] == status
    narrowed = all_of_them.params(of()) | all_of_them.narrow("ad_id", ["17"])
    assert narrowed["filtering"] == status | {"ad_ids": [17]}


def test_the_integrated_report_is_keyed_by_its_dimensions():
    record = (
        '{"metrics":{"cost":0.10},"dimensions":{"ad_id":17000001,"bidword":"a|b","bidword_id":1234567890123456789}}'
    )
    body = f'{{"code":0,"data":{{"list":[{record}],"page_info":{PAGE % (1, 1)}}}}}'.encode()
    (row,) = wire.taken(wire.make("jrtt.report_integrated"), of(), body)
    assert row.key.decode() == f"0|20200501|{ACCOUNT}|{AGENT}|17000001|1234567890123456789|T1"
    assert f'"data":{record},' in row.value.decode()


PAGE = '{"page":1,"page_size":100,"total_number":%d,"total_page":%d}'
IDS = f"[{ACCOUNT}, 9007199254740993,1234567890123456789]"


@pytest.mark.parametrize(
    "data",
    [
        f'{{"list":{IDS},"page_info":{PAGE % (3, 1)}}}',
        f'{{"advertiser_ids":{IDS},"page_info":{PAGE % (3, 1)}}}',
        f'{{"child_agent_ids":{IDS},"page_info":{PAGE % (3, 1)}}}',
        f'{{"list":[],"advertiser_ids":{IDS},"page_info":{PAGE % (3, 1)}}}',
        f'{{"list":null,"child_agent_ids":{IDS},"page_info":{PAGE % (3, 1)}}}',
        f'{{"list":{IDS},"advertiser_ids":{IDS},"page_info":{PAGE % (3, 1)}}}',
        f'{{"list":{IDS}}},"page_info":{PAGE % (3, 1)}',
    ],
)
def test_ids_are_found_under_either_name_and_pages_in_either_place(data):
    for name in ("jrtt.accounts", "jrtt.child_accounts", "jrtt.child_agents"):
        found = wire.taken(wire.make(name), of(""), f'{{"code":0,"data":{data}}}'.encode())
        assert [row.key.decode().split("|")[2] for row in found] == [ACCOUNT, "9007199254740993", "1234567890123456789"]
        assert b'"data":9007199254740993,' in found[1].value


@pytest.mark.parametrize("ids", ["[1.5]", "[null]", "[true]", '[""]', '["1|2"]', '[{"advertiser_id":1}]', "[[1]]"])
def test_what_cannot_be_an_id_fails_the_unit(ids):
    body = f'{{"code":0,"data":{{"list":{ids},"page_info":{PAGE % (1, 1)}}}}}'.encode()
    with pytest.raises(UnitError, match=r"salt|account_id|cannot be keyed"):
        wire.taken(wire.make("jrtt.accounts"), of(""), body)


def test_numbers_stay_as_they_came():
    record = f'{{"advertiser_id" : {ACCOUNT}, "balance":1.10, "nothing":-0.0, "id":9007199254740993, "long":1e-7}}'
    (row,) = wire.taken(wire.make("jrtt.fund"), of(), f'{{"data":{record},"code":0}}'.encode())
    assert row.value.decode() == f'{{"tenant_alias":"T1","data":{record},"timestamp":1588984341}}'


@pytest.mark.parametrize("name", ["jrtt.fund", "jrtt.agent_fund", "jrtt.child_fund"])
@pytest.mark.parametrize(
    "data",
    [
        "{}",
        "[]",
        '{"balance":1.0}',
        '{"advertiser_id":null,"balance":1.0}',
        '{"advertiser_id":1.0,"balance":1.0}',
        '{"list":[{"advertiser_id":1664757665615880,"balance":1.0}]}',
        '[{"advertiser_id":1664757665615880,"balance":1.0}]',
        '{"advertiser_id":1664757665615881,"balance":1.0}',
    ],
)
def test_a_balance_is_one_object_that_names_its_account(name, data):
    with pytest.raises(UnitError, match=r"bad body|account 1664757665615881"):
        wire.taken(wire.make(name), of(), f'{{"code":0,"data":{data}}}'.encode())


def test_account_info_is_an_array_and_may_lack_accounts():
    handler = wire.make("jrtt.account_info")
    body = f'{{"code":0,"data":[{{"id":{OTHER},"name":"b"}},{{"id":{ACCOUNT},"name":"a"}}]}}'.encode()
    assert [row.key.decode().split("|")[2] for row in wire.taken(handler, BOTH, body)] == [OTHER, ACCOUNT]
    assert wire.taken(handler, BOTH, b'{"code":0,"data":[]}') == []  # the engine fails each account without a record
    with pytest.raises(UnitError, match="cannot be keyed"):
        wire.taken(handler, BOTH, b'{"code":0,"data":[null]}')


@pytest.mark.parametrize("body", [*wire.NO_ANSWER, *wire.CODE_MISSING])
def test_what_is_no_answer_is_a_bad_body(body):
    with pytest.raises(BadBodyError, match="bad body"):
        wire.make("jrtt.accounts").read(wire.spelled(body, "code"))


@pytest.mark.parametrize("page_info", ["{}", "[]", '""', '{"page":"1"}'])
def test_a_page_info_beside_the_data_is_read_as_strictly(page_info):
    with pytest.raises(BadBodyError, match="bad body"):
        wire.make("jrtt.accounts").read(f'{{"code":0,"data":{{"list":[]}},"page_info":{page_info}}}'.encode())


@pytest.mark.parametrize("code", [-1, 40002, 40100, 40102, 40107, 40110])
@pytest.mark.parametrize("beside", [*wire.ANY_DATA, ',"page_info":{}', ',"page_info":""', ',"data":{"list":[{"a":1}]}'])
def test_a_refusals_code_is_not_lost_for_what_stands_beside_it(code, beside):
    answer = wire.make("jrtt.fund").read(f'{{"code":{code},"message":"no","request_id":"2020AB"{beside}}}'.encode())
    assert (answer.code, answer.message, answer.trace, answer.records) == (code, "no", "2020AB", None)


def test_a_code_that_comes_twice_counts_as_it_came_last():
    assert wire.make("jrtt.fund").read(b'{"code":0,"data":{"list":[1]},"code":40100}').code == 40100


@pytest.mark.parametrize("name", PAGED)
@pytest.mark.parametrize(("body", "words"), [*wire.PAGED_NONSENSE, ('{"CODE":0,"data":[]}', "no page_info")])
def test_nonsense_is_never_an_empty_page(name, body, words):
    with pytest.raises(UnitError, match=words):
        wire.taken(wire.make(name), wire.a_unit(name), wire.paged(body, "code"))


@given(st.sampled_from(["jrtt.accounts", "jrtt.fund", "jrtt.account_info"]).map(wire.make), wire.ANY_BYTES)
def test_any_bytes_are_an_answer_or_a_bad_body(handler, body):
    wire.check_answers_or_refuses(handler, body)


VERDICTS = {
    Verdict.OK: {0},
    Verdict.RETRY: set(range(50000, 60000)),
    Verdict.WAIT: {40100, 40110},
    Verdict.TOKEN: {40102, 40104, 40105},
    Verdict.SKIP: {40002, 40300, 40301},
    Verdict.FAIL: {
        40000, 40001, 40003, 40101, 40103, 40106, 40107, 40108, 40109, 40113, 40115, 40118, 40119, 40130,
        *(set(range(40200, 40306)) - {40300, 40301}), 40900,
    },
}  # fmt: skip
"""The known codes. Which 5xxxx there are is not told: all are tried again. 40130 limits one account: it fails alone."""
KNOWN = set().union(*VERDICTS.values())


@pytest.mark.parametrize(("verdict", "codes"), VERDICTS.items())
def test_every_known_code_has_its_verdict_and_a_meaning(verdict, codes):
    lines = {code: CODES[code] for code in codes}
    assert {code: line.verdict for code, line in lines.items()} == dict.fromkeys(codes, verdict)
    assert all(line.meaning and "not in the medium's table" not in line.meaning for line in lines.values())


def test_the_table_knows_no_code_that_is_not_known():
    ranged = {code for low, high, _ in CODES.ranges for code in range(low, high + 1)}
    assert set(CODES.codes) | ranged == KNOWN


@given(st.integers() | st.integers(39000, 61000))
def test_every_other_code_fails(code):
    if code not in KNOWN:
        assert CODES[code].verdict is Verdict.FAIL
        assert "not in the medium's table" in CODES[code].meaning


@pytest.mark.parametrize("code", [-1, 1, 40004, 40099, 40111, 40131, 40199, 40306, 40901, 49999, 60000, 2**70])
def test_the_neighbours_of_known_codes_fail(code):
    assert CODES[code].verdict is Verdict.FAIL


def test_waits_are_short_by_the_second_and_long_for_a_quota():
    assert CODES[40100].windows == 1 / 60
    assert CODES[40110].windows == 5


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("30", 30), ("300", 300), ("3600", 3600), ("007", 7), ("0", None), ("3601", None), ("99999", None),
        ("100000", None), ("9" * 5000, None), ("", None), (" 30", None), ("30.5", None), ("1e3", None), ("-1", None),
        ("+1", None), ("\u0663\u0660", None), ("\u00b2", None), ("30\n", None), ("soon", None),
    ],
)  # fmt: skip
def test_a_refusal_may_say_how_long_to_wait(header, seconds):
    handler = wire.make("jrtt.fund")
    assert handler.quota({"X-RateLimit-RetryIn": header}) == (Quota(retry_in=seconds) if seconds else None)
    assert handler.quota({}) is None


@given(st.text())
def test_the_quota_header_never_raises(header):
    quota = wire.make("jrtt.fund").quota({"X-RateLimit-RetryIn": header})
    assert quota is None or 0 < quota.retry_in <= 3600


def test_an_advertiser_id_of_a_record_is_checked():
    record = Raw(f'{{"advertiser_id":{OTHER},"ad_id":1,"stat_datetime":"2020-05-01 00:00:00"}}'.encode())
    with pytest.raises(UnitError, match=f"account {OTHER}"):
        wire.rows(wire.make("jrtt.report_ad"), of(), [record])
    record = Raw(f'{{"advertiser_id":{ACCOUNT},"ad_id":1,"stat_datetime":"2020-05-02 00:00:00"}}'.encode())
    with pytest.raises(UnitError, match="2020-05-02"):
        wire.rows(wire.make("jrtt.report_ad"), of(), [record])
