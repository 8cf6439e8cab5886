"""A medium on loopback that serves given records, written from the fact sheet alone.

It shares no code with the clients nor with the simulator, and is stricter than a medium need be: who asks in a way
that no recorded client does is refused. Three dialects, told apart by the path: /v1.1 (gdt, wx), /open_api (jrtt) and
/marketing (wx.b). A token is spelled `token-of-OWNER`.

    door = Door("/v1.1/daily_reports/get", {"10058169": [b'{"ad_id": 1}']}, level="REPORT_LEVEL_AD")
    with serve(door) as medium:
        environ["ARK_GDT_URL"] = medium.url
        ...
        assert [call.page for call in medium.calls] == [1]
"""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, NamedTuple
from urllib.parse import parse_qsl, urlsplit

MOST_IDS = 100
"""Ids in one filter, accounts in one batch."""
CLOCK = 300
"""Seconds that a timestamp may be off."""
LONGEST_NONCE = 32

Shape = Literal["pages", "list", "object", "batch"]
Owners = Mapping[str, Sequence[bytes]]


class Codes(NamedTuple):
    """A dialect's codes for what this server refuses."""

    parameter: int
    token: int
    forbidden: int


CODES = {
    "/v1.1": Codes(18001, 11000, 12203),
    "/open_api": Codes(40001, 40102, 40002),
    "/marketing": Codes(47001, 42001, 50001),
}


class Call(NamedTuple):
    """One request, as this server understands it."""

    path: str
    query: Mapping[str, str]
    owner: str
    """The account or agent asked for; empty in a batch."""
    ids: tuple[str, ...]
    """The accounts of a batch."""
    wanted: Mapping[str, frozenset[str]]
    """Field -> the values that a filter lets through."""
    page: int
    page_size: int
    token: str
    cursor: int | None = None
    """Where to go on, for a list that is read by cursor; the page is of no meaning then."""
    day: str = ""
    """The one date that is asked for."""


@dataclass
class Door:
    """One endpoint (at one level) and whose records it has: each record as the bytes to send."""

    path: str
    records: Owners
    level: str = ""
    shape: Shape = "pages"
    name: str = "list"
    """What the list is called in the answer."""
    equal: Sequence[str] = ()
    """Query parameters that a record must agree with."""
    dated: str = ""
    """The field that tells a record's day; empty: every day has the same records."""
    beside: bytes = b""
    """What stands beside the list: b'"memo":{...}'."""
    reach: int = 0
    """Pages that end beyond so many records are refused."""
    cut_off: int = 0
    """Lists end silently after so many records, and the total says so."""
    filters: bool = True
    """False: whatever is filtered for, everything is answered."""
    hides: frozenset[bytes] = frozenset()
    """Records that a filtered list leaves out."""


class RefusalError(Exception):
    """The code to answer with."""

    def __init__(self, code: int) -> None:
        self.code = code


CLOSE = object()
"""From a script: end the connection without an answer."""
Script = Callable[[Call], "int | bytes | object | None"]
"""What to answer instead: a code, a whole body, CLOSE; None: what is served."""


@dataclass
class Medium:
    """The running server."""

    doors: Sequence[Door]
    script: Script = lambda _: None
    refused_tokens: set[str] = field(default_factory=set)
    forbidden: set[str] = field(default_factory=set)
    """Accounts nobody may read."""
    calls: list[Call] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    """What no recorded client would ask; a test looks at it in the end."""
    url: str = ""
    nonces: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, target: str, headers: Mapping[str, str]) -> bytes | None:
        """The body for one request; None ends the connection."""
        parts = urlsplit(target)
        dialect = next((each for each in CODES if parts.path.startswith(f"{each}/")), "")
        query = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True))
        try:
            call = _understood(dialect, parts.path, query, headers)
        except (ValueError, KeyError, TypeError) as error:
            self.wrong.append(f"{target}: {error!r}")
            return _refusal(dialect, CODES[dialect].parameter)
        with self.lock:
            self.calls.append(call)
        scripted = self.script(call)
        if scripted is not None:
            return (
                scripted
                if isinstance(scripted, bytes)
                else _refusal(dialect, scripted)
                if scripted is not CLOSE
                else None
            )
        try:
            return self._served(dialect, call)
        except RefusalError as refusal:
            return _refusal(dialect, refusal.code)

    def _served(self, dialect: str, call: Call) -> bytes:
        codes = CODES[dialect]
        self._check_token(dialect, call)
        door = self._door(call)
        if door is None:
            self.wrong.append(f"no door {call.path} {call.query.get('level', '')}")
            raise RefusalError(codes.parameter)
        if self.forbidden.intersection(call.ids or [call.owner]):
            raise RefusalError(codes.forbidden)
        if door.shape == "batch":
            return _success(
                dialect, b"[%b]" % b",".join(each for one in call.ids for each in door.records.get(one, ()))
            )
        records = self._chosen(door, call)
        if door.shape == "object":
            return _success(dialect, records[0] if records else b"{}")
        if door.shape == "list":
            return _success(dialect, _list(door, records))
        if door.reach and call.page * call.page_size > door.reach:
            raise RefusalError(codes.parameter)
        if call.cursor is not None:
            return _success(dialect, _at_cursor(door, records, call))
        first = (call.page - 1) * call.page_size
        return _success(dialect, _list(door, records[first : first + call.page_size], len(records), call))

    def _door(self, call: Call) -> Door | None:
        same = [door for door in self.doors if door.path == call.path]
        return next((door for door in same if door.level in {"", call.query.get("level", "")}), None)

    def _check_token(self, dialect: str, call: Call) -> None:
        if call.token in self.refused_tokens:
            raise RefusalError(CODES[dialect].token)
        if dialect != "/v1.1":
            return
        with self.lock:
            nonce = call.query["nonce"]
            if nonce in self.nonces:
                raise RefusalError(12100)
            self.nonces.add(nonce)

    def _chosen(self, door: Door, call: Call) -> Sequence[bytes]:
        records = door.records.get(call.owner, ())
        wanted = {name: frozenset([call.query[name]]) for name in door.equal}
        if door.filters:
            wanted |= call.wanted
        if wanted:
            records = [each for each in records if all(_text(each, name) in wanted[name] for name in wanted)]
        if call.wanted:
            records = [each for each in records if each not in door.hides]
        if door.dated:
            records = [each for each in records if _text(each, door.dated).startswith(call.day)]
        return records[: door.cut_off or None]


def _understood(dialect: str, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> Call:
    """A request that is as the dialect wants it; ValueError, KeyError or TypeError for any other."""
    if dialect == "/open_api":
        token, owner = headers["Access-Token"], query.get("advertiser_id") or query.get("agent_id", "")
        wanted = _wanted_by_name(query)
        ids = tuple(map(str, _ints(json.loads(query["advertiser_ids"])))) if "advertiser_ids" in query else ()
    else:
        token, ids = query["access_token"], ()
        owner = query.get("account_id") or token.removeprefix("token-of-")
        wanted = _wanted_by_field(query)
    if dialect == "/v1.1":
        _expect(abs(time.time() - int(query["timestamp"])) < CLOCK, "a timestamp of now")
        _expect(0 < len(query["nonce"]) <= LONGEST_NONCE, "a nonce")
    if dialect == "/marketing":
        _expect(query["version"] == ("v1.1" if path.endswith("/funds/get") else "v1.0"), "the version")
    for name in ("fields", "group_by"):
        _expect(isinstance(json.loads(query.get(name, "[]")), list), name)
    for name in ("date_range",) if "date_range" in query else ():
        _expect(json.loads(query[name]).keys() == {"start_date", "end_date"}, name)
    page, page_size = int(query.get("page", "1")), int(query.get("page_size", "10"))
    cursor = int(query["cursor"]) if "cursor" in query else None
    if cursor is not None:
        _expect("page" not in query and "page_size" not in query, "a page or a cursor")
        page, page_size = 1, int(query["count"])
    _expect(page > 0 and page_size > 0, "a page")
    return Call(path, query, owner, ids, wanted, page, page_size, token, cursor, _day(query))


def _day(query: Mapping[str, str]) -> str:
    span = json.loads(query["date_range"]) if "date_range" in query else query
    day: str = span.get("start_date", query.get("date", ""))
    _expect(span.get("end_date", day) == day, "one day")
    return day


def _wanted_by_field(query: Mapping[str, str]) -> dict[str, frozenset[str]]:
    """/v1.1 and /marketing: [{"field", "operator", "values"}]."""
    found = {}
    for each in json.loads(query.get("filtering", "[]")):
        _expect(each.keys() == {"field", "operator", "values"} and each["operator"] == "IN", "a filter")
        _expect(all(isinstance(value, str) for value in each["values"]), "ids as text")
        _expect(0 < len(each["values"]) <= MOST_IDS, "at most 100 ids")
        found[each["field"]] = frozenset(each["values"])
    return found


def _wanted_by_name(query: Mapping[str, str]) -> dict[str, frozenset[str]]:
    """/open_api: {"campaign_ids": [1, 2]}; a status is let through."""
    filtering = json.loads(query.get("filtering", "{}"))
    _expect(filtering.keys() <= {"campaign_ids", "ad_ids", "creative_ids", "status"}, "a filter")
    return {
        name.removesuffix("s"): frozenset(map(str, _ints(ids))) for name, ids in filtering.items() if name != "status"
    }


def _ints(ids: Any) -> list[int]:
    _expect(isinstance(ids, list) and all(type(each) is int for each in ids), "whole numbers")
    _expect(0 < len(ids) <= MOST_IDS, "1 to 100 ids")
    return ids


def _expect(holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(f"expected {what}")


@lru_cache(maxsize=100_000)
def _fields(record: bytes) -> dict[str, str]:
    return {name: str(value) for name, value in json.loads(record).items()}


def _text(record: bytes, name: str) -> str:
    return _fields(record).get(name, "")


def _list(door: Door, records: Sequence[bytes], total: int | None = None, call: Call | None = None) -> bytes:
    parts = [b'"%b":[%b]' % (door.name.encode(), b",".join(records))]
    parts += [door.beside] if door.beside else []
    if call is not None and total is not None:
        pages = -(-total // call.page_size)
        info = {"page": call.page, "page_size": call.page_size, "total_number": total, "total_page": pages}
        parts.append(b'"page_info":%b' % json.dumps(info).encode())
    return b"{%b}" % b",".join(parts)


def _at_cursor(door: Door, records: Sequence[bytes], call: Call) -> bytes:
    """The cursor is the number of records before it, doubled, so that nobody counts it by himself."""
    first = (call.cursor or 0) // 2
    after = min(first + call.page_size, len(records))
    more = {
        "cursor": 2 * after,
        "count": call.page_size,
        "has_more": after < len(records),
        "total_number": len(records),
    }
    shown = [each for each in records[first:after] if each not in door.hides]
    return b'{"%b":[%b],"cursor_page_info":%b}' % (door.name.encode(), b",".join(shown), json.dumps(more).encode())


def _success(dialect: str, data: bytes) -> bytes:
    heads = {
        "/v1.1": b'"code":0,"message":"","message_cn":""',
        "/open_api": b'"code":0,"message":"OK","request_id":"20200530080102010010000000000000AB"',
        "/marketing": b'"errcode":0,"errmsg":""',
    }
    return b'{%b,"data":%b}' % (heads[dialect], data)


def _refusal(dialect: str, code: Any) -> bytes:
    if dialect == "/marketing":
        return json.dumps({"errcode": code, "errmsg": "refused"}).encode()
    return json.dumps({"code": code, "message": "refused", "request_id": "20200530080102AB"}).encode()


@contextmanager
def serve(*doors: Door, **options: Any) -> Iterator[Medium]:
    """Serve `doors` until the block ends; `options` are fields of Medium."""
    medium = Medium(doors, **options)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            body = medium.answer(self.path, self.headers)
            if body is None:
                self.close_connection = True
                return
            head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            self.wfile.write(head.encode() + body)

        def log_message(self, *_: Any) -> None:
            """Nobody reads it."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 256

        def handle_error(self, *_: Any) -> None:
            """The client has gone, which is its right."""

    with Server(("127.0.0.1", 0), Handler) as server:
        medium.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield medium
        finally:
            server.shutdown()
            thread.join()
