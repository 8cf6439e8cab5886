"""Answers that no honest medium gives, one account each, all in one run: each ends as what it is."""

import json
import re
import socket
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import pytest

from tests.acceptance.conftest import CASH, DAILY, DATE, FUNDS, Ark, Said, ended, peak_memory, staged
from tests.hostile import CLOSE, RESET, Call, Ending, answer, bomb, good, hostile, zipped

ATTEMPTS = 2
SETTINGS = {"http_read": 1, "http_total": 2.5, "http_connect": 1, "http_attempts": ATTEMPTS, "http_max_body": 1 << 20}
SILENCE = 60.0
GIFT = CASH | {"fund_type": "FUND_TYPE_GIFT"}
GOOD = good(CASH, GIFT)
HTML = "<html><body><h1>Bad Gateway</h1></body></html>"
REFUSED = '{"code":31033,"message":"enough"}'

Steps = Iterable["bytes | float | Ending"]


class Case(NamedTuple):
    """One account's answers, and what must become of it; `reason` is searched in the unit's."""

    script: Callable[[Call], Steps]
    state: str
    reason: str = ""
    requests: int | None = 1
    rows: int = 0


def always(*steps: "bytes | float | Ending") -> Callable[[Call], Steps]:
    return lambda _: steps


def first(*steps: "bytes | float | Ending") -> Callable[[Call], Steps]:
    """Once so, then well."""
    return lambda call: steps if call.number == 1 else (answer(GOOD),)


def fails(body: "str | bytes", reason: str = "bad body", **rest: Any) -> Case:
    return Case(always(answer(body, **rest)), "failed", reason)


def passes(body: "str | bytes" = GOOD, rows: int = 2, **rest: Any) -> Case:
    return Case(always(answer(body, **rest)), "verified", rows=rows)


def broken(*steps: "bytes | float | Ending", reason: str = r"after \d tries") -> Case:
    return Case(always(*steps), "failed", reason, requests=ATTEMPTS)


def healed(*steps: "bytes | float | Ending") -> Case:
    return Case(first(*steps), "verified", requests=2, rows=2)


def head(**headers: "str | None") -> bytes:
    """An answer's head alone."""
    return answer("", headers={"Content-Length": "100", **headers})


def replaced(**fields: Any) -> str:
    return good(CASH | fields)


DEEP = "[" * 100_000
BIG, TOO_BIG = "9" * 4000, "9" * 5000
RETRIED: dict[str, tuple["bytes | float | Ending", ...]] = {
    "closed without an answer": (CLOSE,),
    "reset without an answer": (RESET,),
    "silence before the headers": (SILENCE,),
    "silence after the headers": (head(), SILENCE),
    "silence after half of the body": (answer(GOOD)[:-20], SILENCE),
    "one byte at a time": (head(), *[b" ", 0.4] * 50),
    "reset after half of the body": (answer(GOOD)[:-20], RESET),
    "body shorter than declared": (answer(GOOD, headers={"Content-Length": str(len(GOOD) + 9)}), CLOSE),
    "chunks that are none": (
        answer("banana\r\n", headers={"Content-Length": None, "Transfer-Encoding": "chunked"}),
        CLOSE,
    ),
    "chunks without an end": (
        answer('5\r\n{"cod\r\n', headers={"Content-Length": None, "Transfer-Encoding": "chunked"}),
        CLOSE,
    ),
    "no HTTP at all": (b"SSH-2.0-OpenSSH_9.2p1\r\n\r\n", CLOSE),
    "length that is no number": (answer(GOOD, headers={"Content-Length": "many"}), CLOSE),
    "two lengths": (answer(GOOD, headers={"content-length": "5"}), CLOSE),
    "a header of 10 MB": (answer(GOOD, headers={"X-Padding": "x" * 10_000_000}), CLOSE),
    "100,000 headers": (answer(GOOD, headers={f"X-{n}": "x" for n in range(100_000)}), CLOSE),
    "gzip that is none": (answer(GOOD, headers={"Content-Encoding": "gzip"}),),
    "HTML with 502": (answer(HTML, 502, {"Content-Type": "text/html"}),),
    "nothing with 502": (answer("", 502),),
    "503 with a pause": (answer(HTML, 503, {"Retry-After": "1"}),),
    "503 with a pause that cannot be read": (answer(HTML, 503, {"Retry-After": "soon"}),),
    "503 with a negative pause": (answer(HTML, 503, {"Retry-After": "-5"}),),
    "10000 with 500": (answer('{"code":10000,"message":"busy"}', 500),),
}
"""What is worth another try, and fails if the next one is no better."""

CASES: dict[str, Case] = {
    **{f"{name}, always": broken(*steps) for name, steps in RETRIED.items()},
    **{f"{name}, once": healed(*steps) for name, steps in RETRIED.items()},
    "429 without a code, always": Case(
        always(answer("slow down", 429)), "failed", "HTTP 429: too many calls; refused in 5 windows", requests=None
    ),
    "429 without a code, once": healed(answer("slow down", 429)),
    "10000 with 500, always": broken(*RETRIED["10000 with 500"], reason="10000"),
    # a body that is no answer
    "truncated JSON": fails(GOOD[:-7]),
    "HTML with 200": fails(HTML, headers={"Content-Type": "text/html"}),
    "HTML with 404": fails(HTML, "404", status=404),
    "HTML with 403": fails(HTML, "403", status=403),
    "nothing with 200": fails(""),
    "nothing with 204": fails("", status=204, headers={"Content-Length": None}),
    "blanks": fails("  \n "),
    "null": fails("null"),
    "an empty list": fails("[]"),
    "a text": fails('"ok"'),
    "a number": fails("0"),
    "JSON twice": fails(GOOD + GOOD),
    "garbage behind": fails(GOOD + "x"),
    "NaN": fails(GOOD.replace("120000", "NaN")),
    "Infinity": fails(GOOD.replace("120000", "-Infinity")),
    "single quotes": fails(GOOD.replace('"', "'")),
    "byte order mark": fails(b"\xef\xbb\xbf" + GOOD.encode()),
    "UTF-16": fails(GOOD.encode("utf-16")),
    "GBK": fails(replaced(memo="XX").replace("XX", "余额").encode("gbk")),
    "a byte that is no UTF-8": fails(replaced(memo="XX").encode().replace(b"XX", b"\xff\xfe")),
    "half a character as an escape": fails('{"code":0,"message":"\\ud800","data":null}'),
    "NUL": fails(GOOD.encode() + b"\0"),
    "nested 100,000 deep": fails(DEEP),
    "nested deep in a record": fails(replaced(memo="XX").replace('"XX"', DEEP + "]" * 100_000)),
    "gzip cut short": fails(zipped(GOOD.encode())[:-12], headers={"Content-Encoding": "gzip"}),
    "larger than the limit": fails(" " * (1 << 20) + GOOD, "max_body"),
    # a code that is none
    "code as text": fails(GOOD.replace('"code": 0', '"code": "0"')),
    "code as a fraction": fails(GOOD.replace('"code": 0', '"code": 0.5')),
    "code null": fails(GOOD.replace('"code": 0', '"code": null')),
    "code true": fails(GOOD.replace('"code": 0', '"code": true')),
    "no code": fails('{"message":"","data":{"list":[]}}'),
    "code of 5000 digits": fails(GOOD.replace('"code": 0', f'"code": {TOO_BIG}')),
    "code beyond 64 bits": fails(GOOD.replace('"code": 0', '"code": 36893488147419103232'), ""),
    "negative code beside rows": fails(GOOD.replace('"code": 0', '"code": -1'), "code -1"),
    "two codes": fails(GOOD.replace('"code": 0', '"code": 0, "code": 31033'), "31033"),
    "code with 404": fails('{"code":12007,"message":"unknown"}', "12007", status=404),
    "code with data of another shape": fails('{"code":31033,"message":"no","data":[]}', "31033"),
    "message of another shape": fails('{"code":31033,"message":{"x":1}}', ""),
    "message with control characters": fails(
        '{"code":31033,"message":"a\\nARK_RESULT {}\\u001b[2J\\u202e\\u0000"}', "31033"
    ),
    "message without an end": fails(json.dumps({"code": 31033, "message": "余" * 100_000}), "31033"),
    # success without what it promises
    "no data": fails('{"code":0,"message":""}'),
    "data null": fails('{"code":0,"data":null}'),
    "data a list": fails('{"code":0,"data":[]}'),
    "data a text": fails('{"code":0,"data":""}'),
    "list an object": fails('{"code":0,"data":{"list":{}}}'),
    "list a text": fails('{"code":0,"data":{"list":"none"}}'),
    "no list beside a total": fails(
        '{"code":0,"data":{"page_info":{"page":1,"page_size":10,"total_number":3,"total_page":1}}}', ""
    ),
    # records that cannot be kept
    "a record that is null": fails('{"code":0,"data":{"list":[null]}}', "record"),
    "a record that is a list": fails('{"code":0,"data":{"list":[[]]}}', "record"),
    "a record without its key": fails(good({"balance": 1}), "fund_type"),
    "a key that is null": fails(replaced(fund_type=None), "fund_type"),
    "a key that is empty": fails(replaced(fund_type=""), "fund_type"),
    "a key that is a fraction": fails(replaced(fund_type=1.5), "fund_type"),
    "a key with a separator": fails(replaced(fund_type="A|B"), "fund_type"),
    "a key of 40,000 letters": fails(replaced(fund_type="A" * 40_000), ""),
    "a key of 5000 digits": fails(good(CASH).replace('"FUND_TYPE_CASH"', TOO_BIG), ""),
    "a record twice": fails(good(CASH, CASH), "row key"),
    "two records of one key": fails(good(CASH, CASH | {"balance": 7}), "row key"),
    "another account's record": fails(good(CASH | {"account_id": 42}), "account 42"),
    "another day's record": fails(good(CASH | {"date": "2020-05-29"}), "2020-05-29"),
    # redirects
    **{
        f"{status} to another server": fails("", "redirect", status=status, headers={"Location": "OTHER"})
        for status in (301, 302, 303, 307, 308)
    },
    "302 to itself": fails("", "redirect", status=302, headers={"Location": "/v1.1/funds/get"}),
    "302 to nowhere": fails("", "redirect", status=302),
    "302 to bytes": fails("", "redirect", status=302, headers={"Location": b"http://\xff\xfe/"}),
    "304": fails("", "", status=304, headers={"Content-Length": None}),
    # odd and right
    "as it should be": passes(),
    "an empty list of records": passes(good(), 0),
    "text/html": passes(headers={"Content-Type": "text/html"}),
    "no content type": passes(headers={"Content-Type": None}),
    "gzip": passes(zipped(GOOD.encode()), headers={"Content-Encoding": "gzip"}),
    "answered with 500": passes(status=500),
    "103 before it": Case(always(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", answer(GOOD)), "verified", rows=2),
    "in 3 pieces": Case(
        always(answer(GOOD)[:40], 0.1, answer(GOOD)[40:-9], 0.1, answer(GOOD)[-9:]), "verified", rows=2
    ),
    "refused with 429": Case(first(answer('{"code":11017,"message":""}', 429)), "verified", requests=2, rows=2),
    "its own account": Case(lambda call: (answer(good(CASH | {"account_id": int(call.account)})),), "verified", rows=1),
    "numbers beyond 64 bits": passes(replaced(balance=2**70), 1),
    "a number of 4000 digits": passes(good(CASH).replace("120000", BIG), 1),
    "an unknown kind of fund": passes(replaced(fund_type="GENERAL_余额"), 1),
    **{
        f"quota header {value!r}": passes(headers={"X-RateLimit-Remaining": value})
        for value in (None, "", "abc", "-1%,5%", "1e9%,1%", "99%", "99%,1%,7%", "٣%,٣%", "9" * 5000, b"\xff\xff%")
    },
    "quota header in small letters": passes(headers={"X-RateLimit-Remaining": None, "x-ratelimit-remaining": "9%,9%"}),
    "trace of strange bytes": passes(headers={"X-TSA-Trace-Id": b"\xff\xfe \x1b[2J"}),
    "trace of 5000 letters": passes(headers={"X-TSA-Trace-Id": "x" * 5000}),
    "failed with a trace of strange bytes": fails(REFUSED, "31033", headers={"X-TSA-Trace-Id": b"\xff\xfe"}),
    "content type of strange bytes": fails(HTML, headers={"Content-Type": b"text/\xff\xfe"}),
    "no trace": passes(headers={"X-TSA-Trace-Id": None}),
    "cookies": passes(headers={"Set-Cookie": "id=1; Path=/; Max-Age=99999"}),
}

AD = {"account_id": 0, "ad_id": 7, "date": DATE, "view_count": 5809, "cost": 29866}


def ad(call: Call, number: int, **more: Any) -> Mapping[str, Any]:
    return AD | {"account_id": int(call.account), "ad_id": number} | more


def listed(records: int = 1, **info: Any) -> Case:
    """One page of so many ads, whose page_info says something else in `info`."""
    return Case(lambda call: (answer(page(call, records, **info)),), "failed")


def page(call: Call, records: int, **info: Any) -> str:
    told = {"page": call.page, "page_size": 1000, "total_number": records, "total_page": 1 if records else 0} | info
    return good(*[ad(call, number) for number in range(records)], **told)


def without(call: Call, *names: str, total: int = 5) -> bytes:
    """An empty page whose data lacks these parts."""
    data = json.loads(page(call, 0, total_number=total, total_page=1 if total else 0))
    for name in names:
        del data["data"][name]
    return answer(json.dumps(data))


def of_two(call: Call, ids: Iterable[int] = (), total: "Callable[[Call], int] | None" = None) -> bytes:
    """A list of two pages of one ad each; `ids`: which ad is on which page."""
    known = [*ids] or [1, 2]
    number = total(call) if total else 2
    record = [ad(call, known[call.page - 1])] if call.page <= len(known) else []
    return answer(good(*record, page=call.page, page_size=1, total_number=number, total_page=number))


def ever(make: Callable[[Call], bytes]) -> Callable[[Call], Steps]:
    """What would go on for ever, ended by a plain refusal after many calls."""
    return lambda call: (make(call) if call.number <= 20 and call.page <= 20 else answer(REFUSED),)


PAGES: dict[str, Case] = {
    "two pages": Case(lambda call: (of_two(call),), "verified", requests=2, rows=2),
    "one page": Case(lambda call: (answer(page(call, 3)),), "verified", rows=3),
    "nothing": Case(lambda call: (answer(page(call, 0)),), "verified"),
    "nothing without a list": Case(lambda call: (without(call, "list", total=0),), "verified"),
    "no list beside a total": Case(lambda call: (without(call, "list"),), "failed"),
    "an empty list beside a total": Case(lambda call: (without(call),), "failed"),
    "no page_info": Case(lambda call: (without(call, "page_info"),), "failed", "page_info"),
    "fewer than declared": listed(3, total_number=4),
    "more than declared": listed(3, total_number=2),
    "another page": listed(3, page=2),
    "page 0": listed(3, page=0),
    "pages that contradict the total": listed(3, total_page=9),
    "page size 0": listed(3, page_size=0),
    "negative page size": listed(3, page_size=-1),
    "negative total": listed(0, total_number=-1),
    "total beyond 64 bits": listed(3, total_number=2**70, total_page=2**70 // 1000 + 1),
    "total beyond what paging reaches": listed(1000, total_number=10_001, total_page=11)._replace(requests=2),
    "total as text": listed(3, total_number="3"),
    "the same page twice": Case(lambda call: (of_two(call, (1, 1)),), "failed", "row key", requests=2),
    "the second page is empty": Case(lambda call: (of_two(call, (1,)),), "failed", "", requests=2),
    "a list that moves once": Case(
        lambda call: (of_two(call, total=lambda c: 3 if c.page == 2 and c.number == 1 else 2),),
        "verified",
        requests=4,
        rows=2,
    ),
    "a list that never stands still": Case(
        ever(lambda call: of_two(call, total=lambda c: c.page + 1)), "failed", "changed", requests=2 * ATTEMPTS
    ),
    "page size 0 for ever": Case(
        ever(lambda call: answer(good(page=call.page, page_size=0, total_number=5, total_page=0))), "failed"
    ),
    "the list grows with each page": Case(
        ever(lambda call: of_two(call, range(1, 99), lambda c: c.page + 1)), "failed", "changed", requests=2 * ATTEMPTS
    ),
    "page 2 is refused": Case(
        lambda call: (of_two(call) if call.page == 1 else answer(REFUSED),), "failed", "31033", requests=2
    ),
    "page 2 comes at the second try": Case(
        lambda call: (of_two(call) if call.page == 1 or call.number == 2 else CLOSE,), "verified", requests=3, rows=2
    ),
    "an account id as text": Case(
        lambda call: (
            answer(good(ad(call, 1, account_id=call.account), page=1, page_size=1, total_number=1, total_page=1)),
        ),
        "verified",
        rows=1,
    ),
    "another account among its own": Case(
        lambda call: (
            answer(good(ad(call, 1), ad(call, 2, account_id=42), page=1, page_size=2, total_number=2, total_page=1)),
        ),
        "failed",
        "account 42",
    ),
    "an id as a fraction": Case(
        lambda call: (answer(good(ad(call, 1, ad_id=1.0), page=1, page_size=1, total_number=1, total_page=1)),),
        "failed",
        "ad_id",
    ),
    "an ad of another day": Case(
        lambda call: (answer(good(ad(call, 1, date="2020-05-31"), page=1, page_size=1, total_number=1, total_page=1)),),
        "failed",
        "2020-05-31",
    ),
}


class Outcome(NamedTuple):
    """A run in which each account had its own answers."""

    said: Said
    ark: Ark
    units: dict[str, dict[str, Any]]
    stored: dict[str, tuple[int, Any]]
    calls: list[Call]
    strangers: int
    token: str


def played(ark: Ark, directory: Any, interface: str, table: str, cases: Mapping[str, Case]) -> Outcome:
    """Run `interface` for as many accounts as there are cases."""
    by_account = {str(number): case for number, case in enumerate(cases.values(), 10_000_001)}
    with socket.create_server(("127.0.0.1", 0)) as other:
        other.setblocking(False)
        location = f"http://127.0.0.1:{other.getsockname()[1]}/v1.1/funds/get".encode()

        def script(call: Call) -> Steps:
            for step in by_account[call.account].script(call):
                yield step.replace(b"OTHER", location) if isinstance(step, bytes) else step

        with hostile(script) as server, staged(ark, directory, server.url, [*by_account]) as here:
            said = here.run(interface, timeout=120, **SETTINGS)
            units = ark.units(said.result["run_id"])
            strangers = 0
            while _accepted(other):
                strangers += 1
            return Outcome(said, ark, units, ark.rows(table), server.calls, strangers, f"token-of-{here.tenant}")


def _accepted(listener: socket.socket) -> bool:
    try:
        listener.accept()[0].close()
    except BlockingIOError:
        return False
    return True


@pytest.fixture(scope="module")
def funds(module_ark: Ark, directory: Any) -> Outcome:
    return played(module_ark, directory, "gdt.funds", FUNDS.table, CASES)


@pytest.fixture(scope="module")
def daily(module_ark: Ark, directory: Any) -> Outcome:
    return played(module_ark, directory, "gdt.daily_report_ad", DAILY.table, PAGES)


PROBES = 3
"""Calls of probes that one unit may be billed for."""


def check(case: Case, unit: Mapping[str, Any]) -> None:
    assert unit["state"] == case.state, unit
    assert bool(unit["reason"]) == (case.state == "failed")
    assert re.search(case.reason, unit["reason"]), unit["reason"]
    tries = re.search(r"after (\d+) tries", unit["reason"])
    # more than the setting only while the medium has not answered anybody yet: then no unit fails for it
    assert tries is None or ATTEMPTS <= int(tries[1]) <= max(unit["requests"], ATTEMPTS), unit
    # so much trouble may open the circuit: a probe is counted with the unit that is called next
    assert case.requests is None or 0 <= unit["requests"] - case.requests <= PROBES, unit
    assert case.state == "failed" or unit["rows"] == case.rows


@pytest.mark.parametrize("name", CASES)
def test_each_answer_ends_as_what_it_is(funds: Outcome, name: str) -> None:
    check(CASES[name], funds.units[str(10_000_001 + [*CASES].index(name))])


@pytest.mark.parametrize("name", PAGES)
def test_each_list_ends_as_what_it_is(daily: Outcome, name: str) -> None:
    account = str(10_000_001 + [*PAGES].index(name))
    units = [unit for key, unit in daily.units.items() if key.startswith(f"{account} ")]
    assert len(units) == 3
    for unit in units:
        check(PAGES[name], unit)


def test_the_runs_end_as_partial(funds: Outcome, daily: Outcome) -> None:
    assert (funds.said.code, funds.said.result["status"]) == (3, "partial")
    assert (daily.said.code, daily.said.result["status"]) == (3, "partial")
    assert funds.said.result["planned"] == len(CASES)
    assert daily.said.result["planned"] == 3 * len(PAGES)


def test_a_verified_account_has_exactly_its_rows(funds: Outcome) -> None:
    by_account: dict[str, int] = {}
    for key in funds.stored:
        by_account[key.split("|")[2]] = by_account.get(key.split("|")[2], 0) + 1
    for number, (name, case) in enumerate(CASES.items(), 10_000_001):
        if case.state == "verified":
            assert by_account.get(str(number), 0) == case.rows, name


def test_a_redirect_takes_the_token_nowhere(funds: Outcome) -> None:
    assert funds.strangers == 0


def test_nothing_from_outside_forges_a_line_or_steers_a_terminal(funds: Outcome, daily: Outcome) -> None:
    for text in (funds.said.err, daily.said.err, *(unit["reason"] for unit in funds.units.values())):
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e]", text)
    assert not [line for line in funds.said.err.splitlines() if line.startswith("ARK_RESULT")]


def test_a_bomb_is_defused_in_little_memory(ark: Ark, directory: Any) -> None:
    """A megabyte that unpacks to a gigabyte, for some accounts at once."""
    packed = bomb(1 << 30)
    assert len(packed) < 3_000_000
    accounts = [f"1000000{n}" for n in range(6)]

    def script(call: Call) -> Steps:
        if call.account in accounts[:5]:
            yield answer(packed, headers={"Content-Encoding": "gzip"})
        yield answer(GOOD)

    with hostile(script) as server, staged(ark, directory, server.url, accounts) as here:
        running = here.start(http_max_body=8 << 20)
        peak = peak_memory(running)
        said = ended(running)
        units = ark.units(said.result["run_id"])
    assert (said.code, said.result["verified"], said.result["failed"]) == (3, 1, 5)
    assert "max_body" in units[accounts[0]]["reason"]
    assert peak < 250 << 20, f"peak RSS {peak >> 20} MiB"
