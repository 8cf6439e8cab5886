"""Ranges of row keys: how a date, an account or a prefix is read without reading the whole table.

Keys begin `salt|yyyymmdd|account|` (ark.rows). Which salts and dates a table holds is found by seeking: read one key,
skip everything that begins like it. That costs one short read per salt or date and assumes nothing about either.
"""

from collections.abc import Iterator
from datetime import date
from typing import NamedTuple

from ark.rows import SEPARATOR, compact
from ark.stores import Store

BAR = SEPARATOR.encode()


class Range(NamedTuple):
    """start <= key < stop; an empty stop is the end of the table."""

    start: bytes
    stop: bytes


def prefixed(prefix: bytes) -> Range:
    """All keys that begin with `prefix`."""
    stem = prefix.rstrip(b"\xff")
    return Range(prefix, stem[:-1] + bytes([stem[-1] + 1]) if stem else b"")


def select(
    store: Store, table: str, *, day: date | None = None, account: str = "", prefix: str = ""
) -> Iterator[Range]:
    """The ranges that together hold the keys of a date, an account and a prefix, in the order of keys."""
    wanted = prefixed(prefix.encode())
    if day is None and not account:
        yield wanted
        return
    for salt in [account[-1:].encode()] if account else _next_fields(store, table, b""):
        days = _next_fields(store, table, salt + BAR) if day is None else [compact(day).encode()]
        for some_day in days:
            parts = [salt, some_day, *([account.encode()] if account else []), b""]
            both = _overlap(prefixed(BAR.join(parts)), wanted)
            if both:
                yield both


def _next_fields(store: Store, table: str, prefix: bytes) -> Iterator[bytes]:
    """The different values of the field that follows `prefix` in the table's keys, in the order of keys."""
    start, stop = prefixed(prefix)
    while found := list(store.keys(table, start, stop, limit=1)):
        field, bar, _ = found[0].removeprefix(prefix).partition(BAR)
        if bar:
            yield field
            start = prefixed(prefix + field + BAR).stop
        else:
            start = found[0] + b"\x00"


def _overlap(one: Range, other: Range) -> Range | None:
    start = max(one.start, other.start)
    stop = min(one.stop or other.stop, other.stop or one.stop)
    return Range(start, stop) if not stop or start < stop else None
