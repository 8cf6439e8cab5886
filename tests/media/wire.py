"""What the tests of the clients share: recorded calls, our own ones in the same form, and bodies that are no answer."""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from hypothesis import strategies as st
from msgspec import Raw
from msgspec.structs import replace

from ark.answers import Answer, BadBodyError
from ark.ledger import UnitKey
from ark.rows import Row
from ark.settings import load
from ark.units import Unit
from handlers import registry
from handlers.api import ApiHandler, Stamp
from handlers.records import RecordReader
from handlers.task import Task

DATA = Path(__file__).parents[1] / "data"
RECORDED = {line["id"]: line for line in json.loads((DATA / "requests.json").read_text(encoding="utf-8"))}
FIELDS = json.loads((DATA / "gdt-fields.json").read_text(encoding="utf-8"))["rows"]
SETTINGS = load({})
STAMP = Stamp(1590800000, "f" * 32)
VERSION = 1_588_984_341_123
MERELY_OF_THE_CLIENT = ("accept", "accept-encoding", "user-agent", "x-sdk-")
"""Headers (or how they begin) that tell which client it is, and nothing of the call."""
STYLES: Sequence[Mapping[str, Any]] = ({}, {"separators": (",", ":"), "ensure_ascii": False})
"""How a medium may spell an answer: with blanks and escapes, or without."""


class Wire(NamedTuple):
    """One call as it goes over the wire, its query decoded."""

    method: str
    path: str
    query: Mapping[str, Any]
    body: str
    headers: Mapping[str, str]


class Call(NamedTuple):
    """A recorded call as one of ours, and everything in which that caller chose otherwise than we do."""

    interface: str
    unit: Unit
    page: int = 1
    cursor: str = ""
    """The recorded call reads by cursor, as we do where a list is too long for pages."""
    narrow: tuple[str, Sequence[str]] | None = None
    """The recorded call asks for the records of these ids, as we do where a list is too long."""
    other: Sequence[str] = ()
    """Parameters that both send, with another value of the same kind."""
    theirs: Sequence[str] = ()
    """Parameters of that caller's choice, which we never send."""
    ours: Sequence[str] = ()
    """Parameters that the recorded call leaves to the medium's default, and we do not."""
    key: str = ""
    """The row key of the recorded answer's first record."""
    lacks: str = ""
    """The key field that its records have not, because that caller did not ask for it."""


def lines(medium: str) -> list[dict[str, Any]]:
    """The recorded calls of one medium."""
    return [line for line in RECORDED.values() if line["medium"] == medium]


def interfaces(medium: str, section: str | None = None) -> list[str]:
    """The names of our interfaces of one medium, or of one dialect of it."""
    return [name for name in registry.names() if registry.find(name).section == (section or medium)]


def make(name: str, page_size: int = 100, **settings: Any) -> ApiHandler:
    """An interface of ours that reads pages of this size."""
    handler = registry.find(name)
    medium = replace(getattr(SETTINGS, handler.section), list_page=page_size, report_page=page_size, **settings)
    return handler(medium)


def signed(handler: ApiHandler, call: Call) -> Wire:
    """Our own call, put together as the engine does it; nonce and timestamp as the recordings name them."""
    params = dict(handler.params(call.unit))
    if call.narrow:
        params |= handler.narrow(*call.narrow)
    if handler.page_size:
        params |= handler.page(call.page, call.cursor)
    request = handler.sign("https://medium.test", call.unit, params, "TOKEN", STAMP)
    url = urlsplit(request.url)
    assert f"{url.scheme}://{url.netloc}" == "https://medium.test"
    pairs = parse_qsl(url.query, keep_blank_values=True, strict_parsing=True)
    named = {f"{STAMP.timestamp}": "TIMESTAMP", STAMP.nonce: "NONCE"}
    query = decoded([(name, named.get(value, value)) for name, value in pairs])
    return Wire(request.method, url.path, query, (request.body or b"").decode(), request.headers)


def like(theirs: Wire, name: str) -> ApiHandler:
    """Our interface with pages as large as those of a recorded call."""
    return make(name, int(theirs.query.get("page_size") or theirs.query.get("count") or 10))


def recorded(line: Mapping[str, Any]) -> Wire:
    """A recorded call, without what its client tells of itself."""
    headers = {
        name: value
        for name, value in line["headers"].items()
        if not name.lower().startswith(MERELY_OF_THE_CLIENT)
        and (line["method"] != "GET" or name.lower() != "content-type")
    }
    return Wire(line["method"], line["path"], decoded(line["query"]), line["body"], headers)


def decoded(pairs: Sequence[Sequence[str]]) -> dict[str, Any]:
    """A query with its JSON values decoded; no name comes twice."""
    query = {name: json.loads(text) if text[:1] in {"[", "{"} else text for name, text in pairs}
    assert len(query) == len(pairs)
    return query


def check_same(ours: Wire, theirs: Wire, call: Call) -> None:
    """The two are one call, but for what `call` says."""
    expected = dict(theirs.query)
    for name in call.other:
        assert kind(ours.query[name]) == kind(expected[name]), name
        expected[name] = ours.query[name]
    for name in call.theirs:
        del expected[name]
    for name in call.ours:
        assert name not in expected
        expected[name] = ours.query[name]
    assert ours == theirs._replace(query=expected)


def kind(value: Any) -> Any:
    """What two values of one parameter have in common: their types and how they are spelled."""
    if isinstance(value, dict):
        return {name: kind(each) for name, each in value.items()}
    if isinstance(value, list):
        return [kind(each) for each in value][:1]
    if not isinstance(value, str):
        return type(value)
    spellings = {"day": r"\d{4}-\d\d-\d\d", "number": r"\d+", "CONSTANT": r"[A-Z0-9_]+", "name": r"[a-z_]+"}
    return next(name for name, pattern in spellings.items() if re.fullmatch(pattern, value))


def rows_in(answer: Mapping[str, Any]) -> list[Any]:
    """The records of a recorded answer: its list, its array, or its one object."""
    data = answer["data"]
    return data if isinstance(data, list) else data.get("list", [data])


def check_records(name: str, line: Mapping[str, Any]) -> None:
    """Our interface finds every record of a recorded answer, byte for byte."""
    handler = make(name)
    for style in STYLES:
        answer = handler.read(json.dumps(line["answer"], **style).encode())
        expected = [json.dumps(row, **style) for row in rows_in(line["answer"])]
        assert answer.code == 0
        assert [bytes(record).decode() for record in handler.records(answer)] == expected


def rows(handler: ApiHandler, unit: Unit, records: Sequence[Raw]) -> list[Row]:
    """The rows of one unit's records."""
    return RecordReader(type(handler), unit.tenant, unit.date, VERSION).rows(unit, records, {})


def taken(handler: ApiHandler, unit: Unit, body: bytes) -> list[Row]:
    """What a unit's first page brings, with everything that the engine checks on the way; raises UnitError."""
    answer = handler.read(body)
    records = handler.records(answer)
    task = Task(UnitKey(unit.agent_id, unit.account_id, ""), unit)
    task.take(answer, len(records), handler.page_size, handler.reach)
    return rows(handler, unit, records)


def a_unit(name: str) -> Unit:
    """Some unit that this interface could be asked for."""
    handler = registry.find(name)
    account = "20458" if handler.by == "account" else ""
    many = ("20458",) if handler.batch > 1 else ()
    return Unit("T1", date(2020, 5, 7), "5555", "" if many else account, next(handler.variant_values()), many)


NO_JSON = [
    b"",
    b" ",
    b"null",
    b"[]",
    b"7",
    b'"ok"',
    b"<html><body>502 Bad Gateway</body></html>",
    b'\xef\xbb\xbf{"CODE":0,"data":{"list":[]}}',
    b'{"CODE":0,"data":{"list":[{"a":1}',
    b'{"CODE":0,"data":{"list":[{"a":1}]}}}',
    b'{"CODE":0,"data":{"list":[NaN]}}',
    b'{"CODE":0,"data":{"list":[Infinity]}}',
    b'{"CODE":0,"data":{"list":[{"a":"\xff"}]}}',
    b'{"CODE":0,"data":{"list":[{"\xc3":1}]}}',
    b'{"CODE":0,"data":{"list":' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
    b'{"CODE":0,"data":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}",
]
"""What is no JSON, or not whole; CODE stands for what the medium calls it."""
NO_CODE = [
    b'{"CODE":null,"data":{"list":[]}}',
    b'{"CODE":"0","data":{"list":[]}}',
    b'{"CODE":"11017"}',
    b'{"CODE":0.0,"data":{"list":[]}}',
    b'{"CODE":-0.0,"data":{"list":[]}}',
    b'{"CODE":0.5}',
    b'{"CODE":true,"data":{"list":[]}}',
    b'{"CODE":false,"data":{"list":[]}}',
    b'{"CODE":[0],"data":{"list":[]}}',
    b'{"CODE":{},"data":{"list":[]}}',
    b'{"CODE":9223372036854775808}',
]
"""A code that is no whole number of 64 bits."""
NO_DATA = [
    b'{"CODE":0}',
    b'{"CODE":0,"data":null}',
    b'{"CODE":0,"data":""}',
    b'{"CODE":0,"data":7}',
    b'{"CODE":0,"data":{"list":{}}}',
    b'{"CODE":0,"data":{"list":""}}',
    b'{"CODE":0,"data":{"list":[],"page_info":{}}}',
    b'{"CODE":0,"data":{"list":[],"page_info":[]}}',
    b'{"CODE":0,"data":{"list":[],"page_info":{"page":"1","page_size":10,"total_number":0,"total_page":0}}}',
    b'{"CODE":0,"data":{"list":[],"page_info":{"page":1,"page_size":10,"total_number":"150","total_page":2}}}',
    b'{"CODE":0,"data":{"list":[],"page_info":{"page":1,"page_size":10,"total_number":1.5,"total_page":2}}}',
    b'{"CODE":0,"data":{"list":[],"page_info":{"page":1,"page_size":10,"total_number":null,"total_page":2}}}',
]
"""Success without data, or with data of another shape than any endpoint's."""
NO_ANSWER = [*NO_JSON, *NO_CODE, *NO_DATA]
CODE_MISSING = [b"{}", b'{"data":{}}', b'{"data":{"list":[]}}', b'{"message":"","data":{"list":[]}}']
DATA_ARRAY = b'{"CODE":0,"data":[]}'
"""What the endpoints answer that describe some ids; not a shape of the others."""
ANY_DATA = ["", ',"data":null', ',"data":{}', ',"data":[]', ',"data":""', ',"data":7', ',"data":{"list":7}']
"""What stands beside a refusal's code."""
PAGED_NONSENSE = [
    ('{"CODE":0,"data":{}}', "no page_info"),
    ('{"CODE":0,"data":{"list":[]}}', "no page_info"),
    ('{"CODE":0,"data":{"page_info":PAGES}}', "holds 0 records"),
    ('{"CODE":0,"data":{"list":null,"page_info":PAGES}}', "holds 0 records"),
    ('{"CODE":0,"data":{"list":[],"page_info":PAGES}}', "holds 0 records"),
    ('{"CODE":0,"data":{"list":[null],"page_info":ONE}}', "cannot be keyed"),
    ('{"CODE":0,"data":{"list":[[]],"page_info":ONE}}', "cannot be keyed"),
    ('{"CODE":0,"data":{"list":[1.5],"page_info":ONE}}', "cannot be keyed"),
    ('{"CODE":0,"data":{"list":[true],"page_info":ONE}}', "cannot be keyed"),
]
"""Answers that official clients take for an empty page, or for rows of zeros."""


def spelled(body: bytes, code: str) -> bytes:
    """One of the bodies above as a medium would send it, which calls the code `code`."""
    return body.replace(b"CODE", code.encode())


def paged(body: str, code: str) -> bytes:
    """One of PAGED_NONSENSE, on pages of 100."""
    info = {"page": 1, "page_size": 100}
    pages, one = info | {"total_number": 150, "total_page": 2}, info | {"total_number": 1, "total_page": 1}
    return body.replace("CODE", code).replace("PAGES", json.dumps(pages)).replace("ONE", json.dumps(one)).encode()


_NAMES = st.sampled_from(
    ["code", "errcode", "message", "errmsg", "data", "list", "page_info", "page", "page_size", "total_number",
     "total_page", "request_id", "memo", "advertiser_ids", "child_agent_ids", "advertiser_id", "fund_type", "x"]
)  # fmt: skip
_LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3)
_VALUES = st.recursive(
    _LEAVES | st.integers(-1, 1),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(_NAMES, inside, max_size=5),
    max_leaves=12,
)


def _envelope(code: int, data: Any, more: dict[str, Any]) -> dict[str, Any]:
    return {"code": code, "errcode": code, **more, "data": data}


_BODIES = st.builds(_envelope, st.integers(-1, 1), _VALUES, st.dictionaries(_NAMES, _VALUES, max_size=3)) | _VALUES
ANY_BYTES = st.binary(max_size=200) | st.builds(
    lambda value, cut: json.dumps(value).encode()[:cut], _BODIES, st.just(None) | st.integers(0, 200)
)
"""Bytes of all kinds, many of them nearly an answer."""


def check_answers_or_refuses(handler: ApiHandler, body: bytes) -> None:
    """These bytes are an answer with whole records, or a bad body: there is no third way."""
    try:
        answer: Answer = handler.read(body)
        records = handler.records(answer) if answer.code == 0 else ()
    except BadBodyError:
        return
    assert type(answer.code) is int
    assert all(isinstance(record, Raw) for record in records)
