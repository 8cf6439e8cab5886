"""What is stored beside what was served, in three numbers: lost, duplicated, misplaced.

    verdict = judge(media, Embedded(home), GDT, tenant="T100117", agents=["1050262"], date="2020-05-30")
    assert not verdict.wrong, verdict

It reads the stores with their own clients, SQLite and happybase, and builds the row keys anew: none of Ark's code is
asked whether Ark was right. A record is

- lost: nothing is stored under its key, and it is nowhere else either;
- duplicated: it counts twice, under a second key or as a second version that its run never had;
- misplaced: what is stored under a key is not what was served for it, or not under the timestamp of a run, or a record
  is under another key in place of its own.
"""

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlsplit

import happybase

from media.gdt.daily_report_ad import GdtDailyReportAd
from media.gdt.hourly_report_ad import GdtHourlyReportAd
from tests.simulator import Media

COLUMN = "info:data"
SHOWN = 10
"""Examples that a verdict keeps."""


class Cell(NamedTuple):
    """One version of one cell; the timestamp in ms, the value as it is stored."""

    row: str
    column: str
    timestamp: int
    value: bytes


class Reader(Protocol):
    """A store, read without Ark."""

    def cells(self, table: str, date: str, *, newest: bool = False) -> list[Cell]:
        """Every version of every cell of the table's rows of that date; none where there is no such table.

        `newest`: of each cell that version alone, which is quicker.
        """


class Embedded:
    """The tables under ARK_HOME, as SQLite knows them."""

    def __init__(self, home: Path) -> None:
        self._folder = home / "tables"

    def cells(self, table: str, date: str, *, newest: bool = False) -> list[Cell]:
        path = self._folder / f"{table}.sqlite"
        if not path.exists():
            return []
        with closing(sqlite3.connect(path)) as connection:
            found = connection.execute("SELECT row, col, ts, val FROM cell ORDER BY row, col, ts DESC").fetchall()
        cells = [Cell(row.decode(), column.decode(), timestamp, value) for row, column, timestamp, value in found]
        mine = [cell for cell in cells if cell.row.split("|")[1:2] == [_compact(date)]]
        return list({cell[:2]: cell for cell in reversed(mine)}.values()) if newest else mine


class HBase:
    """The real HBase by happybase; versions beyond the newest are asked for cell by cell."""

    def __init__(self, url: str, versions: int = 3) -> None:
        address = urlsplit(url)
        self._host, self._port, self._versions = address.hostname, address.port, versions

    def cells(self, table: str, date: str, *, newest: bool = False) -> list[Cell]:
        with closing(happybase.Connection(self._host, self._port, timeout=60_000)) as connection:
            if table.encode() not in connection.tables():
                return []
            opened = connection.table(table)
            prefixes = [f"{salt}|{_compact(date)}|".encode() for salt in range(10)]
            found = [each for prefix in prefixes for each in opened.scan(row_prefix=prefix, include_timestamp=True)]
            return [
                Cell(row.decode(), column.decode(), timestamp, value)
                for row, columns in found
                for column, latest in columns.items()
                for value, timestamp in (
                    [latest] if newest else opened.cells(row, column, self._versions, include_timestamp=True)
                )
            ]


class Kind(NamedTuple):
    """An interface as a reader of its table knows it: the fields of its row key as seed 003 designs them."""

    interface: str
    table: str
    key: str
    asked: Sequence[str] = ()
    """The fields that come, where the medium has more."""


ADVERTISERS = Kind(
    "gdt.advertisers",
    "tenant_gdt_advertiser_get_v2",
    "salt date account agent tenant",
    ("account_id", "corporation_name", "daily_budget", "system_status", "reject_message", "system_industry_id"),
)
FUNDS = Kind("gdt.funds", "tenant_gdt_funds_get_v2", "salt date account agent fund_type tenant")
DAILY = Kind(
    "gdt.daily_report_ad",
    "tenant_gdt_daily_report_ad_v3",
    "salt date account agent ad_id tenant time_line",
    GdtDailyReportAd.fields,
)
HOURLY = Kind(
    "gdt.hourly_report_ad",
    "tenant_gdt_hourly_report_ad_v3",
    "salt date account agent hour ad_id time_line tenant",
    GdtHourlyReportAd.fields,
)
GDT = (ADVERTISERS, FUNDS, DAILY, HOURLY)
"""A chain: each of them starts after the one before, the last two after FUNDS."""


class Verdict(NamedTuple):
    """The three numbers, how many records were looked at, and some examples of what is wrong."""

    lost: int = 0
    duplicated: int = 0
    misplaced: int = 0
    records: int = 0
    examples: tuple[str, ...] = ()

    @property
    def wrong(self) -> int:
        return self.lost + self.duplicated + self.misplaced

    @property
    def numbers(self) -> tuple[int, int, int]:
        return self.lost, self.duplicated, self.misplaced

    def plus(self, other: "Verdict") -> "Verdict":
        """Both together."""
        examples = (*self.examples, *other.examples)[:SHOWN]
        return Verdict(*(mine + its for mine, its in zip(self[:4], other[:4], strict=True)), examples)


def judge(
    media: Media,
    store: Reader,
    kinds: Iterable[Kind],
    *,
    tenant: str,
    agents: Collection[str],
    date: str,
    versions: Mapping[str, Collection[int]] | None = None,
) -> Verdict:
    """Compare every stored cell of these agents with what the medium serves.

    `versions`: interface -> the timestamps (ms) that its runs had; where it is not given, all cells of a table must
    have one timestamp. Other tenants' cells in the same tables are not looked at.
    """
    total = Verdict()
    for kind in kinds:
        expected = served(media, kind, tenant=tenant, agents=agents, date=date)
        accounts = {key.split("|")[2] for key in expected}
        cells = [cell for cell in store.cells(kind.table, date) if _is_ours(cell, tenant, agents, accounts)]
        total = total.plus(verdict(expected, cells, tenant, versions and versions.get(kind.interface, ())))
    return total


def served(media: Media, kind: Kind, *, tenant: str, agents: Collection[str], date: str) -> dict[str, Any]:
    """Row key -> record, as the medium has it. Two records of one key are an error of the scenario."""
    asked = {"fields": list(kind.asked)} if kind.asked else {}
    found: dict[str, Any] = {}
    for agent in agents:
        for each in media.truth(kind.interface, date, tenant=tenant, agent=agent, **asked):
            key = row_key(kind, each, date)
            assert key not in found, f"the scenario serves two records under {key}"
            found[key] = _exact(json.dumps(each["record"]))
    return found


def row_key(kind: Kind, truth: Mapping[str, Any], date: str) -> str:
    """The key of one record, as seed 003 spells it."""
    variant, _, value = truth["variant"].partition("=")
    known = {
        "salt": truth["account"][-1],
        "date": _compact(date),
        "account": truth["account"],
        "agent": truth["agent"],
        "tenant": truth["tenant"],
        variant: value,
    }
    return "|".join(known[field] if field in known else str(truth["record"][field]) for field in kind.key.split())


def verdict(
    expected: Mapping[str, Any], cells: Sequence[Cell], tenant: str, versions: Collection[int] | None = None
) -> Verdict:
    """The three numbers of one table; see `judge`."""
    if versions is None:
        versions = {max((cell.timestamp for cell in cells), default=0)}
    rows: dict[str, list[Cell]] = defaultdict(list)
    for cell in cells:
        rows[cell.row].append(cell)
    right = {key for key, record in expected.items() if key in rows and _holds(rows[key][0], record, tenant)}
    strangers = list(_strangers(expected, rows, right))
    found = [finding for finding, _ in strangers]
    found += _lost(expected, rows, {owner for _, owner in strangers})
    for key in expected.keys() & rows.keys():
        found += _misplaced(rows[key][0], expected[key], right, versions)
        found += _doubled(rows[key][1:], versions)
    told = Counter(finding.what for finding in found)
    examples = tuple(f"{what}: {key} {why}" for what, key, why in found[:SHOWN])
    return Verdict(told["lost"], told["duplicated"], told["misplaced"], len(expected), examples)


class _Finding(NamedTuple):
    what: str
    key: str
    why: str


def _lost(expected: Mapping[str, Any], rows: Mapping[str, Sequence[Cell]], moved: Collection[str]) -> list[_Finding]:
    missing = expected.keys() - rows.keys() - set(moved)
    return [_Finding("lost", key, "is not stored") for key in sorted(missing)]


def _misplaced(newest: Cell, record: Any, right: Collection[str], versions: Collection[int]) -> Iterator[_Finding]:
    """What is in effect under a key that was served."""
    if newest.row not in right:
        why = f"holds {newest.value[:200]!r}, served was {str(record)[:200]}"
        yield _Finding("misplaced", newest.row, why)
    elif newest.timestamp not in versions:
        why = f"has the timestamp {newest.timestamp}, its runs had {sorted(versions)}"
        yield _Finding("misplaced", newest.row, why)


def _doubled(older: Sequence[Cell], versions: Collection[int]) -> Iterator[_Finding]:
    """Whatever else is under the key that no run can have meant."""
    for cell in older:
        if cell.timestamp not in versions or cell.column != COLUMN:
            yield _Finding("duplicated", cell.row, f"has another version {cell.timestamp} of {cell.column}")


def _strangers(
    expected: Mapping[str, Any], rows: Mapping[str, Sequence[Cell]], right: Collection[str]
) -> Iterator[tuple[_Finding, str]]:
    """Keys that nobody served, each with the key whose record it holds in its place, if it does."""
    taken: set[str] = set()
    for key in sorted(rows.keys() - expected.keys()):
        record = _record(rows[key][0])
        owners = [owner for owner, served in expected.items() if served == record and owner not in taken]
        homeless = [owner for owner in owners if owner not in rows]
        if homeless:
            taken.add(homeless[0])
            yield _Finding("misplaced", key, f"holds the record of {homeless[0]}"), homeless[0]
        elif set(owners) & set(right):
            yield _Finding("duplicated", key, f"holds a record that is under {owners[0]} as well"), ""
        else:
            yield _Finding("misplaced", key, f"was not served: {rows[key][0].value[:200]!r}"), ""


def changed(before: Iterable[Cell], after: Iterable[Cell]) -> list[Cell]:
    """Cells that were stored and are not any more what they were, byte for byte."""
    kept = set(after)
    return [cell for cell in before if cell not in kept]


def _is_ours(cell: Cell, tenant: str, agents: Collection[str], accounts: Collection[str]) -> bool:
    parts = cell.row.split("|")
    return tenant in parts or any(part in accounts or part in agents for part in parts)


def _holds(cell: Cell, record: Any, tenant: str) -> bool:
    """Whether a cell is what seed 003 makes of this record: column, envelope with the version's second, record."""
    if cell.column != COLUMN:
        return False
    stored = _decoded(cell)
    envelope = {"tenant_alias": tenant, "data": record, "timestamp": cell.timestamp // 1000}
    return isinstance(stored, dict) and stored == envelope


def _record(cell: Cell) -> Any:
    stored = _decoded(cell)
    return stored.get("data") if isinstance(stored, dict) else None


def _decoded(cell: Cell) -> Any:
    try:
        return _exact(cell.value.decode())
    except ValueError:  # neither JSON nor text
        return None


def _exact(text: str) -> Any:
    """JSON with every digit of its numbers."""
    return json.loads(text, parse_float=Decimal)


def _compact(date: str) -> str:
    return date.replace("-", "")
