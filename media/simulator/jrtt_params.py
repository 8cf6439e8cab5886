"""Parameters of jrtt's calls: decoded, checked, refused.

What is malformed or unknown is 40001, a filter that is not there 40003. Lists and objects are JSON, whether they stand
in the query or are members of a JSON body.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Any, NamedTuple, TypeVar

import msgspec

from media.simulator.answers import Call, parameters

T = TypeVar("T")

WRONG, FORBIDDEN, NO_FILTER = 40001, 40002, 40003
MOST_IDS = 100
MOST_DAYS = 30
OLDEST = date(2016, 10, 26)

Query = Mapping[str, str]


class RefusedError(Exception):
    """The medium says no: `code` with a text."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Pager(NamedTuple):
    """Which part of a list is asked for: by page, or from a cursor on."""

    start: int
    size: int
    page: int = 1
    by_cursor: bool = False

    def info(self, total: int) -> dict[str, object]:
        """The page_info of a list with so many rows."""
        total_page = -(-total // self.size)
        return {"page": self.page, "page_size": self.size, "total_number": total, "total_page": total_page}


def given(call: Call, known: Iterable[str]) -> Query:
    """What a call says; null is as if it were not sent."""
    if call.repeated:
        raise RefusedError(WRONG, "a parameter is given twice; a list is one JSON array")
    if call.body.strip():
        _decoded(call.body, "the body", dict[str, Any])
    query = {name: value for name, value in parameters(call).items() if value != "null"}
    unknown = sorted(query.keys() - set(known))
    if unknown:
        raise RefusedError(WRONG, f"{unknown[0]}: unknown parameter")
    return query


def required(query: Query, name: str) -> str:
    """A parameter that must be there."""
    value = query.get(name)
    if not value:
        raise RefusedError(WRONG, f"{name}: required")
    return value


def ident(query: Query, name: str) -> str:
    """An id that must be there."""
    value = required(query, name)
    if not (value.isascii() and value.isdigit() and value[0] != "0"):
        raise RefusedError(WRONG, f"{name}: must be an id")
    return value


def idents(query: Query, name: str) -> list[str]:
    """One to a hundred ids that must be there."""
    ids = _decoded(required(query, name), name, list[int])
    if not 1 <= len(ids) <= MOST_IDS:
        raise RefusedError(WRONG, f"{name}: takes 1 to {MOST_IDS} ids")
    return list(map(str, ids))


def number(query: Query, name: str, default: int, most: int, least: int = 1) -> int:
    """A whole number from `least` to `most`."""
    text = query.get(name, str(default))
    value = int(text) if text.isascii() and text.isdigit() else -1
    if not least <= value <= most:
        raise RefusedError(WRONG, f"{name}: must be a whole number from {least} to {most}")
    return value


def pager(query: Query, default: int, most: int, count: str = "") -> Pager:
    """The page asked for; `count` names the size of a page where there are cursors."""
    if count and "cursor" in query:
        size = number(query, count, default, most)
        return Pager(number(query, "cursor", 0, 1 << 62, least=0), size, by_cursor=True)
    page, size = number(query, "page", 1, 99_999), number(query, "page_size", default, most)
    return Pager((page - 1) * size, size, page)


def choice(query: Query, name: str, allowed: Iterable[str], default: str) -> str:
    """One of the allowed words."""
    value = query.get(name) or default
    if value not in allowed:
        raise RefusedError(WRONG, f"{name}: {value} is not one of the allowed values")
    return value


def choices(query: Query, name: str, allowed: Iterable[str], default: tuple[str, ...]) -> tuple[str, ...]:
    """Some of the allowed words, each once."""
    names = _decoded(query[name], name, list[str]) if name in query else default
    unknown = [each for each in names if each not in allowed]
    if unknown:
        raise RefusedError(WRONG, f"{name}: {unknown[0]} is not one of the allowed values")
    return tuple(dict.fromkeys(names)) or default


def day(text: str, name: str) -> date:
    """A date, yyyy-mm-dd."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise RefusedError(WRONG, f"{name}: must be a date like 2020-05-31") from None


def dates(query: Query) -> tuple[date, date]:
    """The first and the last day asked for."""
    start, end = (day(required(query, name), name) for name in ("start_date", "end_date"))
    if not OLDEST <= start <= end:
        raise RefusedError(WRONG, f"start_date: must lie between {OLDEST} and end_date")
    if (end - start).days >= MOST_DAYS:
        raise RefusedError(WRONG, f"end_date: more than {MOST_DAYS} days are asked for")
    return start, end


def filtering(query: Query, known: Mapping[str, Callable[[str, Any], Any]]) -> dict[str, Any]:
    """The members of `filtering`, each read by its entry in `known`."""
    told: dict[str, Any] = _decoded(query.get("filtering", "{}"), "filtering", dict[str, Any])
    unknown = sorted(told.keys() - known.keys())
    if unknown:
        raise RefusedError(NO_FILTER, f"filtering: there is no {unknown[0]}")
    return {name: known[name](f"filtering.{name}", value) for name, value in told.items() if value is not None}


def id_list(query: Query, name: str) -> frozenset[int] | None:
    """Some ids, None where the parameter is not sent."""
    return some_ids(name, _decoded(query[name], name, list[Any])) if name in query else None


def some_ids(name: str, value: object) -> frozenset[int]:
    """A filter that is a list of ids."""
    ids = _converted(value, name, list[int])
    if len(ids) > MOST_IDS:
        raise RefusedError(WRONG, f"{name}: takes {MOST_IDS} ids at most")
    return frozenset(ids)


def one_id(name: str, value: object) -> frozenset[int]:
    """A filter that is one id."""
    return frozenset([_converted(value, name, int)])


def one_day(name: str, value: object) -> str:
    """A filter that is one day."""
    return day(_converted(value, name, str), name).isoformat()


def short(name: str, value: object) -> str:
    """A filter that is a part of a name, of 1 to 30 characters."""
    text = _converted(value, name, str)
    if not 1 <= len(text) <= 30:  # noqa: PLR2004 -- as documented
        raise RefusedError(WRONG, f"{name}: takes 1 to 30 characters")
    return text


def _converted(value: object, name: str, kind: type[T]) -> T:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise RefusedError(WRONG, f"{name}: {error}") from None


def _decoded(text: str | bytes, name: str, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.DecodeError as error:
        raise RefusedError(WRONG, f"{name}: {error}") from None
