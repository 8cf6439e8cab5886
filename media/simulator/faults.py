"""What goes wrong, for whom, how often.

In place of a good answer:

    code           a body with `code` (and `text` as its message), in the medium's envelope
    status         HTTP `status` with `text`, default an HTML page; `headers` beside it (Retry-After)
    body           `text` as the whole body; `headers`
    empty          no body
    redirect       302 to `text`
    truncate       the first half of the body, complete for HTTP
    no_data        success without data
    no_list        success without the list, total_number above 0
    no_page_info   the page_info is missing
    total          total_number and total_page tell `delta` rows, and a page for them, more than there are
    page_info      page tells `delta` pages further on
    repeat_page    the page before it once more, from page 2 on, told as the page asked for
    other_account  the account's id is off by `delta` in every row
    duplicate      the first row stands in the last one's place too (beside it where there is one row only)
    float_ids      every whole number in the rows has a fraction: 1.0
    code_text      the code is text: "0"
    bom            a byte order mark before the body
    content_type   Content-Type is `text`, default text/html
    quota_header   X-RateLimit-Remaining is `text`, missing if that is empty

On the connection:

    close          closed without an answer
    hang           silence for `seconds`, then closed
    cut            closed after half of the body
    reset          reset (RST) after half of the body
    hang_body      silence for `seconds` after half of the body, then closed
    drip           `size` bytes (default 1) every `seconds`
    bomb           the answer behind `size` blanks (default 128 MiB), gzipped to a thousandth
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec

from media.simulator.answers import Answer, Call, parameters, same_call
from media.simulator.scenario import Fault
from media.simulator.world import Dice

ON_CONNECTION = {"close", "hang", "cut", "reset", "hang_body", "drip", "bomb"}
QUOTA_HEADER = "X-RateLimit-Remaining"
ERRCODE = b'{"errcode"'
"""How WeChat's own envelope begins."""
REQUEST_ID = b'"request_id":'
DATA = b'"data":'
"""What every answer with rows has; a token or a file has not."""


class Faults:
    """The faults of one medium; remembers tries only of requests whose fault is limited to the first ones."""

    def __init__(self, seed: int, medium: str, faults: tuple[Fault, ...]) -> None:
        self.faults = faults
        self._dice = Dice(seed, f"{medium} faults")
        self._tries: Counter[tuple[object, ...]] = Counter()

    def pick(self, call: Call, subject: str) -> Fault | None:
        """The first fault that fits, None for nearly everybody."""
        for number, fault in enumerate(self.faults):
            if self._fits(number, fault, call, subject) and self._tried(number, fault, call) < fault.attempts:
                return fault
        return None

    def note(self, fault: Fault, call: Call) -> None:
        """Count a try that has met its fault."""
        if fault.attempts:
            self._tries[_request(self.faults.index(fault), call)] += 1

    def _tried(self, number: int, fault: Fault, call: Call) -> int:
        """Tries so far; -1 where their number does not matter."""
        return self._tries[_request(number, call)] if fault.attempts else -1

    def _fits(self, number: int, fault: Fault, call: Call, subject: str) -> bool:
        if fault.path not in {"", call.interface} or (fault.pages and page_of(call) not in fault.pages):
            return False
        if fault.kind == "repeat_page" and page_of(call) < 2:  # noqa: PLR2004 -- nothing comes before page 1
            return False
        if subject in fault.accounts:
            return True
        if fault.share is None:
            return not fault.accounts
        return self._dice.share(number, subject) < fault.share


def page_of(call: Call) -> int:
    """Which page a call asks for."""
    page = parameters(call).get("page", "1")
    return int(page) if page.isascii() and page.isdigit() else 1


def bent(fault: Fault, call: Call) -> Call:
    """The call that is answered in place of `call`."""
    if fault.kind != "repeat_page":
        return call
    return call._replace(query={**call.query, "page": str(page_of(call) - 1)})


def spoiled(fault: Fault, call: Call, answer: Answer) -> Answer:
    """The answer with its fault; those on the connection are the frame's business."""
    if fault.kind in _WHOLE:
        return _WHOLE[fault.kind](fault, answer)
    if fault.kind in _INSIDE and DATA in answer.body:
        tree = msgspec.json.decode(answer.body)
        _INSIDE[fault.kind](fault, call, tree)
        return answer._replace(body=msgspec.json.encode(tree))
    return answer


def _request(number: int, call: Call) -> tuple[object, ...]:
    return number, call.interface, *same_call(call)


def _code(fault: Fault, answer: Answer) -> Answer:
    message = fault.text or f"injected {fault.code}"
    if answer.body.startswith(ERRCODE):
        body = msgspec.json.encode({"errcode": fault.code, "errmsg": message})
    else:
        body = msgspec.json.encode({"code": fault.code, **_envelope(answer, message)})
    return answer._replace(body=body, code=fault.code)


def _envelope(answer: Answer, message: str) -> dict[str, object]:
    """What stands beside a code: jrtt names the request, gdt says it in two languages."""
    if REQUEST_ID in answer.body:
        return {"message": message, "request_id": msgspec.json.decode(answer.body)["request_id"]}
    return {"message": message, "message_cn": message}


def _status(fault: Fault, answer: Answer) -> Answer:
    text = fault.text or f"<html><body><h1>{fault.status}</h1><p>a gateway's page</p></body></html>"
    kind = "application/json" if text.startswith("{") else "text/html"
    return answer._replace(status=fault.status, body=text.encode(), headers={"Content-Type": kind, **fault.headers})


def _header(answer: Answer, name: str, value: str) -> Answer:
    headers = {key: old for key, old in answer.headers.items() if key != name}
    return answer._replace(headers={**headers, name: value} if value else headers)


_WHOLE: dict[str, Callable[[Fault, Answer], Answer]] = {
    "code": _code,
    "status": _status,
    "body": lambda fault, it: it._replace(body=fault.text.encode(), headers={**it.headers, **fault.headers}),
    "empty": lambda _, it: it._replace(body=b""),
    "redirect": lambda fault, it: it._replace(status=302, body=b"", headers={"Location": fault.text or "/elsewhere"}),
    "truncate": lambda _, it: it._replace(body=it.body[: len(it.body) // 2]),
    "bom": lambda _, it: it._replace(body=b"\xef\xbb\xbf" + it.body),
    "content_type": lambda fault, it: _header(it, "Content-Type", fault.text or "text/html"),
    "quota_header": lambda fault, it: _header(it, QUOTA_HEADER, fault.text),
}


def _no_list(_fault: Fault, _call: Call, tree: Any) -> None:  # noqa: ANN401 -- decoded JSON
    if isinstance(tree["data"], list):
        tree["data"] = {}
        return
    rows = _rows(tree) or [None]
    for name in [name for name, value in tree["data"].items() if isinstance(value, list)]:
        del tree["data"][name]
    tree["data"].pop("list", None)
    if not _infos(tree):
        tree["data"]["page_info"] = {"page": 1, "page_size": 10, "total_number": len(rows), "total_page": 1}
    for info in _infos(tree):
        info["total_number"] = max(info["total_number"], len(rows))


def _no_page_info(_fault: Fault, _call: Call, tree: Any) -> None:  # noqa: ANN401
    if isinstance(tree["data"], dict):
        tree["data"] = {name: value for name, value in tree["data"].items() if value not in _infos(tree)}


def _total(fault: Fault, _call: Call, tree: Any) -> None:  # noqa: ANN401
    for info in _infos(tree):
        info["total_number"] += fault.delta
        if "total_page" in info:
            info["total_page"] = -(-info["total_number"] // info["page_size"])


def _page_info(fault: Fault, _call: Call, tree: Any) -> None:  # noqa: ANN401
    for info in _infos(tree):
        if "page" in info:
            info["page"] += fault.delta


def _repeat_page(_fault: Fault, call: Call, tree: Any) -> None:  # noqa: ANN401
    for info in _infos(tree):
        if "page" in info:
            info["page"] = page_of(call)


def _other_account(fault: Fault, _call: Call, tree: Any) -> None:  # noqa: ANN401
    for rows in _lists(tree):
        for place, row in enumerate(rows):
            if isinstance(row, int):
                rows[place] = row + fault.delta
            else:
                about = row.get("dimensions", row)
                name = next((name for name in ("account_id", "advertiser_id", "id") if name in about), None)
                if name:
                    about[name] += fault.delta


def _duplicate(_fault: Fault, _call: Call, tree: Any) -> None:  # noqa: ANN401
    for rows in _lists(tree):
        if len(rows) > 1:
            rows[-1] = rows[0]
        else:
            rows.extend(rows[:])


def _float_ids(_fault: Fault, _call: Call, tree: Any) -> None:  # noqa: ANN401
    for rows in _lists(tree):
        for place, row in enumerate(rows):
            if isinstance(row, int):
                rows[place] = float(row)
            else:
                row.update({name: float(value) for name, value in row.items() if type(value) is int})


def _lists(tree: Any) -> list[Any]:  # noqa: ANN401
    """Every list of rows: the data itself, what it holds, or the one record that it is."""
    data = tree["data"]
    if isinstance(data, list):
        return [data]
    lists = [value for value in data.values() if isinstance(value, list)]
    return lists or ([] if "list" in data or _infos(tree) else [[data]])


def _rows(tree: Any) -> Any:  # noqa: ANN401
    return next(iter(_lists(tree)), [])


def _infos(tree: Any) -> list[Any]:  # noqa: ANN401
    """What tells how many rows there are, by page or by cursor."""
    data = tree["data"]
    if not isinstance(data, dict):
        return []
    return [value for value in data.values() if isinstance(value, dict) and "total_number" in value]


_INSIDE: dict[str, Callable[[Fault, Call, Any], None]] = {
    "no_data": lambda _fault, _call, tree: tree.pop("data", None),
    "no_page_info": _no_page_info,
    "code_text": lambda _fault, _call, tree: tree.update(
        {name: str(tree[name]) for name in ("code", "errcode") if name in tree}
    ),
    "no_list": _no_list,
    "total": _total,
    "page_info": _page_info,
    "repeat_page": _repeat_page,
    "other_account": _other_account,
    "duplicate": _duplicate,
    "float_ids": _float_ids,
}
