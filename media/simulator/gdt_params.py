"""Parameters of gdt's calls: decoded, checked, refused with the codes the media uses.

Lists and ranges are JSON text inside one query value and are compared after decoding, never as text. Which code of the
range 18001 to 18014 belongs to which check is not documented; the choice here is one reading.
"""

from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from typing import TypeVar

import msgspec

from media.simulator.gdt_fields import FIELDS
from media.simulator.gdt_reports import FILTERS, OPERATORS, Condition

T = TypeVar("T")

MISSING, WRONG_TYPE, TOO_BIG, TOO_SMALL, NOT_IN_ENUM = 18001, 18002, 18003, 18004, 18005


class RefusedError(Exception):
    """The medium says no: `code` with a text."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class DateRange(msgspec.Struct):
    """The value of `date_range`."""

    start_date: str
    end_date: str


class _Filter(msgspec.Struct):
    field: str
    values: list[str]
    operator: str = "EQUALS"


class _Order(msgspec.Struct):
    sort_field: str
    sort_type: str = "ASCENDING"


def number(query: Mapping[str, str], name: str, default: int, most: int) -> int:
    """A whole number from 1 to `most`."""
    text = query.get(name)
    if text is None:
        return default
    try:
        value = int(text)
    except ValueError:
        raise RefusedError(WRONG_TYPE, f"{name} must be an integer") from None
    if not 1 <= value <= most:
        raise RefusedError(TOO_BIG if value > most else TOO_SMALL, f"{name} must be between 1 and {most}")
    return value


def required(query: Mapping[str, str], name: str) -> str:
    """A parameter that must be there."""
    value = query.get(name)
    if not value:
        raise RefusedError(MISSING, f"{name} is required")
    return value


def choice(query: Mapping[str, str], name: str, allowed: tuple[str, ...], default: str = "") -> str:
    """One of the allowed words."""
    value = query.get(name) or default or required(query, name)
    if value not in allowed:
        raise RefusedError(NOT_IN_ENUM, f"{name} is not one of the allowed values")
    return value


def day(text: str, name: str) -> date:
    """A date, yyyy-mm-dd."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise RefusedError(WRONG_TYPE, f"{name} must be a date like 2020-05-31") from None


@lru_cache(maxsize=4096)
def date_range(text: str) -> tuple[date, date]:
    """Both days of a `date_range`."""
    both = _decoded(text, "date_range", DateRange)
    start, end = day(both.start_date, "start_date"), day(both.end_date, "end_date")
    if start > end:
        raise RefusedError(TOO_SMALL, "end_date must not be before start_date")
    return start, end


@lru_cache(maxsize=256)
def fields(text: str, interface: str) -> tuple[str, ...]:
    """The fields asked for, each once; 12008 if it is no list, 12009 if the interface has no such field."""
    try:
        names = msgspec.json.decode(text, type=list[str])
    except msgspec.ValidationError:
        raise RefusedError(12008, "fields must be an array of strings") from None
    except msgspec.DecodeError:
        raise RefusedError(12003, "fields is not valid JSON") from None
    unknown = [name for name in names if name not in FIELDS[interface]]
    if unknown:
        raise RefusedError(12009, f"fields: {unknown[0]} is not a field of {interface}")
    return tuple(dict.fromkeys(names))


@lru_cache(maxsize=256)
def group_by(text: str, allowed: tuple[str, ...]) -> tuple[str, ...]:
    """What a report is grouped by."""
    names = _decoded(text, "group_by", list[str])
    if not names or set(names) - set(allowed):
        raise RefusedError(NOT_IN_ENUM, f"group_by takes {', '.join(allowed)} at this level")
    return tuple(dict.fromkeys(names))


@lru_cache(maxsize=1024)
def filtering(text: str, allowed: tuple[str, ...] = FILTERS, most: int = 5) -> tuple[Condition, ...]:
    """The conditions of a `filtering`."""
    conditions = _decoded(text, "filtering", list[_Filter])
    if len(conditions) > most:
        raise RefusedError(TOO_BIG, f"filtering takes {most} conditions at most")
    if any(each.field not in allowed for each in conditions):
        raise RefusedError(NOT_IN_ENUM, f"filtering takes {', '.join(allowed)}")
    if not all(_usable(each) for each in conditions):
        raise RefusedError(NOT_IN_ENUM, "filtering: operator and values do not fit the field")
    return tuple(Condition(each.field, each.operator, tuple(each.values)) for each in conditions)


@lru_cache(maxsize=256)
def order_by(text: str, interface: str) -> tuple[tuple[str, bool], ...]:
    """Fields to sort by, each with whether it descends."""
    orders = _decoded(text, "order_by", list[_Order])
    if any(each.sort_field not in FIELDS[interface] for each in orders):
        raise RefusedError(NOT_IN_ENUM, "order_by: unknown sort_field")
    if any(each.sort_type not in {"ASCENDING", "DESCENDING"} for each in orders):
        raise RefusedError(NOT_IN_ENUM, "order_by: sort_type is ASCENDING or DESCENDING")
    return tuple((each.sort_field, each.sort_type == "DESCENDING") for each in orders)


def _usable(condition: _Filter) -> bool:
    """Whether the operator is known, has values, and compares numbers with numbers."""
    if condition.operator not in OPERATORS or not condition.values:
        return False
    compares = condition.operator.startswith(("LESS", "GREATER"))
    return not compares or (condition.field.endswith(("_time", "_id")) and condition.values[0].isdigit())


def _decoded(text: str, name: str, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.ValidationError as error:
        raise RefusedError(WRONG_TYPE, f"{name}: {error}") from None
    except msgspec.DecodeError:
        raise RefusedError(12003, f"{name} is not valid JSON") from None
