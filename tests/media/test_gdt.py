"""gdt: our requests are what its official clients send, its answers are read strictly, its codes are documented."""

import contextlib
import json
from datetime import date
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ark.answers import BadBodyError, Verdict
from ark.units import Unit
from handlers.api import Stamp
from media.gdt.advertisers import GdtAdvertisers
from media.gdt.base import GdtHandler
from media.gdt.codes import CODES
from media.gdt.daily_report_ad import GdtDailyReportAd
from media.gdt.funds import GdtFunds
from media.gdt.hourly_report_ad import GdtHourlyReportAd

RECORDED = {line["id"]: line for line in json.loads((Path(__file__).parents[1] / "data/requests.json").read_text())}
FIELDS = json.loads((Path(__file__).parents[1] / "data/gdt-fields.json").read_text())["rows"]
STAMP = Stamp(1590800000, "f" * 32)


def decoded(pairs):
    """A query with its JSON values decoded, without what differs in every request."""

    def value(text):
        return json.loads(text) if text[:1] in "[{" else text

    return {name: value(text) for name, text in pairs if name not in {"nonce", "timestamp"}}


def signed(handler: GdtHandler, unit: Unit, page: int):
    params = handler.params(unit) | (handler.page(page) if handler.page_size else {})
    request = handler.sign("https://api.e.qq.com", unit, params, "TOKEN", STAMP)
    url = urlsplit(request.url)
    pairs = parse_qsl(url.query, keep_blank_values=True, strict_parsing=True)
    assert {"timestamp": "1590800000", "nonce": "f" * 32}.items() <= dict(pairs).items()
    assert (request.method, request.body, url.netloc) == ("GET", None, "api.e.qq.com")
    return url.path, decoded(pairs)


@pytest.mark.parametrize(
    ("recorded", "handler", "unit", "page"),
    [
        ("funds", GdtFunds, Unit("T1", date(2020, 5, 7), "5555", "20458", {}), 1),
        ("advertiser.agency.p1", GdtAdvertisers, Unit("T1", date(2020, 5, 7), "5555", "", {}), 1),
        (
            "hourly.AD",
            GdtHourlyReportAd,
            Unit("T1", date(2020, 5, 7), "5555", "20458", {"time_line": "REPORTING_TIME"}),
            1,
        ),
        ("daily.AD", GdtDailyReportAd, Unit("T1", date(2020, 5, 1), "5555", "20458", {"time_line": "REQUEST_TIME"}), 2),
    ],
)
def test_requests_are_those_of_the_official_client(recorded, handler, unit, page):
    theirs = RECORDED[f"gdt-go-1.3.0/{recorded}"]
    path, query = signed(handler(), unit, page)
    expected = decoded(theirs["query"])
    for choice in ("filtering", "order_by"):  # what a caller may narrow; we read everything
        expected.pop(choice, None)
    for own in ("fields", "page_size", "date_range"):  # the same kind of value, our choice of it
        if own in expected:
            assert type(query[own]) is type(expected[own])
            expected[own] = query[own]
    assert (path, query) == (theirs["path"], expected)


@pytest.mark.parametrize("handler", [GdtDailyReportAd, GdtHourlyReportAd])
def test_reports_ask_only_for_fields_that_there_are(handler):
    assert set(handler.fields) <= set(FIELDS[handler.path])


@pytest.mark.parametrize("handler", [GdtDailyReportAd, GdtHourlyReportAd])
def test_reports_come_under_the_three_time_lines(handler):
    values = [variant["time_line"] for variant in handler().variant_values()]
    assert values == ["REQUEST_TIME", "REPORTING_TIME", "ACTIVE_TIME"]


LISTS = [line for line in RECORDED.values() if line["medium"] == "gdt" and line["path"].endswith("/get") and "report_files" not in line["path"]]


@pytest.mark.parametrize("line", LISTS, ids=lambda line: line["id"])
def test_answers_that_official_clients_accept_are_read(line):
    answer = GdtHandler().read(json.dumps(line["answer"]).encode())
    assert answer.code == 0
    assert [json.loads(bytes(record)) for record in answer.records] == line["answer"]["data"]["list"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"ok"',
        b"{}",
        b'{"code":null}',
        b'{"code":"0","data":{}}',
        b'{"code":0.0,"data":{}}',
        b'{"code":true,"data":{}}',
        b'{"code":0}',
        b'{"code":0,"data":null}',
        b'{"code":0,"data":[]}',
        b'{"code":0,"data":{"list":{}}}',
        b'{"code":0,"data":{"list":[NaN]}}',
        b'{"code":0,"data":{"list":[{"a":"\xff"}]}}',
        b'{"code":0,"data":{"list":[],"page_info":{"page":"1"}}}',
        b'\xef\xbb\xbf{"code":0,"data":{}}',
        b'{"code":0,"data":{"list":[{"a":1}',
        b"<html>502</html>",
        b'{"code":0,"data":{"list":' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
    ],
)
def test_what_is_no_answer_is_a_bad_body(body):
    with pytest.raises(BadBodyError, match="bad body"):
        GdtHandler().read(body)


@pytest.mark.parametrize("data", ["", ',"data":null', ',"data":{}', ',"data":[]', ',"data":""', ',"data":{"list":7}'])
def test_a_refusals_code_is_not_lost_for_its_data(data):
    answer = GdtHandler().read(f'{{"code":11017,"message":"limit"{data}}}'.encode())
    assert (answer.code, answer.message, answer.records) == (11017, "limit", None)


@given(st.binary(max_size=200))
def test_any_bytes_are_an_answer_or_a_bad_body(body):
    with contextlib.suppress(BadBodyError):  # the one way to say no
        assert isinstance(GdtHandler().read(body).code, int)


@pytest.mark.parametrize("code", [-1, 1, 99999, 11003, 11020, 18000, 18015, 30100, 2**70])
def test_unknown_codes_fail(code):
    assert CODES[code].verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        (0, Verdict.OK),
        (10000, Verdict.RETRY),
        (11000, Verdict.TOKEN),
        (11002, Verdict.TOKEN),
        (11017, Verdict.WAIT),
        (11018, Verdict.LATER),
        (12100, Verdict.RETRY),
        (12201, Verdict.SKIP),
        (18007, Verdict.FAIL),
        (30000, Verdict.RETRY),
        (30099, Verdict.RETRY),
        (30104, Verdict.WAIT),
        (32211, Verdict.SKIP),
    ],
)
def test_documented_codes(code, verdict):
    assert CODES[code].verdict is verdict
