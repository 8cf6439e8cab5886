"""The judge sees each kind of wrong, in both stores: one that finds nothing proves nothing."""

import secrets
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import happybase
import msgspec
import pytest

from tests.chaos.judge import DAILY, FUNDS, Cell, Embedded, HBase, Kind, Verdict, changed, judge, served, verdict
from tests.simulator import Media, simulator

TENANT, AGENT, DATE, VERSION = "T100117", "1050262", "2020-05-30", 1_590_800_000_000
SCENARIO = {"gdt": {"agents": [{"tenant": TENANT, "id": AGENT, "accounts": 4}], "objects": {"ads": [2]}}}
OTHER = b'{"tenant_alias":"T100117","data":{"balance":1},"timestamp":1590800000}'


@pytest.fixture(scope="module")
def media() -> Iterator[Media]:
    with simulator(SCENARIO) as running:
        yield running


def judged(media: Media, store: Embedded | HBase, kind: Kind = FUNDS, **more: Any) -> Verdict:
    return judge(media, store, [kind], tenant=TENANT, agents=[AGENT], date=DATE, **more)


def whole(media: Media, kind: Kind = FUNDS) -> list[Cell]:
    """What a run that does everything right stores, from the medium's own answers."""
    encode = msgspec.json.Encoder(decimal_format="number").encode
    expected = served(media, kind, tenant=TENANT, agents=[AGENT], date=DATE)
    return [
        Cell(
            key,
            "info:data",
            VERSION,
            b'{"tenant_alias":"%b","data":%b,"timestamp":%d}' % (TENANT.encode(), encode(record), VERSION // 1000),
        )
        for key, record in expected.items()
    ]


def of(media: Media, cells: list[Cell], versions: list[int] | None = None) -> tuple[int, int, int]:
    expected = served(media, FUNDS, tenant=TENANT, agents=[AGENT], date=DATE)
    return verdict(expected, cells, TENANT, versions).numbers


def other_key(cell: Cell) -> str:
    return cell.row.replace("FUND_TYPE", "OTHER_TYPE")


def test_what_is_right_is_right(media):
    cells = whole(media)
    assert len(cells) > 8
    assert of(media, cells) == (0, 0, 0)
    assert of(media, cells, [VERSION]) == (0, 0, 0)


WRONG: dict[str, tuple[Callable[[list[Cell]], list[Cell]], tuple[int, int, int]]] = {
    "a cell is gone": (lambda cells: cells[1:], (1, 0, 0)),
    "all are gone": (lambda cells: [], (13, 0, 0)),
    "two keys for one record": (lambda cells: [*cells, cells[0]._replace(row=other_key(cells[0]))], (0, 1, 0)),
    "a key that nobody served": (
        lambda cells: [*cells, Cell(other_key(cells[0]), "info:data", VERSION, OTHER)],
        (0, 0, 1),
    ),
    "other bytes": (lambda cells: [cells[0]._replace(value=OTHER), *cells[1:]], (0, 0, 1)),
    "no JSON": (lambda cells: [cells[0]._replace(value=b"\xff{"), *cells[1:]], (0, 0, 1)),
    "a value moved to another key": (lambda cells: [cells[0]._replace(row=other_key(cells[0])), *cells[1:]], (0, 0, 1)),
    "two values changed places": (
        lambda cells: (
            [cells[0]._replace(value=cells[5].value), cells[5]._replace(value=cells[0].value)]
            + [cell for cell in cells if cell not in (cells[0], cells[5])]
        ),
        (0, 0, 2),
    ),
    "another tenant's envelope": (
        lambda cells: [cells[0]._replace(value=cells[0].value.replace(b"T100117", b"T100118")), *cells[1:]],
        (0, 0, 1),
    ),
    "another timestamp": (lambda cells: [cells[0]._replace(timestamp=VERSION - 1000), *cells[1:]], (0, 0, 1)),
    "another column": (lambda cells: [cells[0]._replace(column="info:other"), *cells[1:]], (0, 0, 1)),
    "a second version": (lambda cells: [cells[0], cells[0]._replace(timestamp=VERSION - 1), *cells[1:]], (0, 1, 0)),
}


@pytest.mark.parametrize("what", WRONG)
def test_each_kind_of_wrong_is_seen_and_told_with_its_key(media, what):
    break_, numbers = WRONG[what]
    expected = served(media, FUNDS, tenant=TENANT, agents=[AGENT], date=DATE)
    found = verdict(expected, break_(whole(media)), TENANT, [VERSION])
    assert found.numbers == numbers
    assert len(found.examples) == min(10, found.wrong)
    assert all(" " in example and "|20200530|" in example for example in found.examples)


def test_numbers_are_compared_with_every_digit(media):
    """0.1 and 0.10000000000000001 are one float."""
    expected = served(media, DAILY, tenant=TENANT, agents=[AGENT], date=DATE)
    cells = whole(media, DAILY)
    assert verdict(expected, cells, TENANT).wrong == 0
    key, record = next(iter(expected.items()))
    ctr = str(record["ctr"]).encode()
    longer = cells[0]._replace(value=cells[0].value.replace(b'"ctr":' + ctr, b'"ctr":' + ctr + b"00000000000000000001"))
    assert (cells[0].row, longer != cells[0]) == (key, True)
    assert verdict(expected, [longer, *cells[1:]], TENANT).numbers == (0, 0, 1)


def test_a_change_of_what_was_stored_is_seen(media):
    cells = whole(media)
    assert changed(cells[3:], cells) == []
    assert changed(cells, [cells[0]._replace(timestamp=1), *cells[1:]]) == [cells[0]]


# The readers


@contextmanager
def embedded(home: Path) -> Iterator[Callable[[list[Cell]], Embedded]]:
    (home / "tables").mkdir()
    with closing(sqlite3.connect(home / "tables" / f"{FUNDS.table}.sqlite")) as connection:
        connection.execute("CREATE TABLE cell (row BLOB, col BLOB, ts INTEGER, val BLOB)")

        def fill(cells: list[Cell]) -> Embedded:
            rows = [(cell.row.encode(), cell.column.encode(), *cell[2:]) for cell in cells]
            connection.executemany("INSERT INTO cell VALUES (?, ?, ?, ?)", rows)
            connection.commit()
            return Embedded(home)

        yield fill


@contextmanager
def hbase(url: str, name: str) -> Iterator[Callable[[list[Cell]], HBase]]:
    address = urlsplit(url)
    with closing(happybase.Connection(address.hostname, address.port)) as connection:
        connection.create_table(name, {"info": {"max_versions": 3}})
        try:

            def fill(cells: list[Cell]) -> HBase:
                for cell in cells:
                    connection.table(name).put(cell.row, {cell.column: cell.value}, timestamp=cell.timestamp)
                return HBase(url)

            yield fill
        finally:
            connection.delete_table(name, disable=True)


@pytest.fixture(params=["embedded", "hbase"])
def store(request, ark_home: Path) -> Iterator[tuple[Callable[[list[Cell]], Any], Kind]]:
    if request.param == "embedded":
        with embedded(ark_home) as fill:
            yield fill, FUNDS
        return
    kind = FUNDS._replace(table=f"judge_{secrets.token_hex(4)}")
    with hbase(request.getfixturevalue("services").hbase_url, kind.table) as fill:
        yield fill, kind


def test_a_store_is_read_whole(media, store):
    """All versions, of this date and of nobody else."""
    fill, kind = store
    cells = whole(media, kind)
    strangers = [
        cells[0]._replace(row=cells[0].row.replace("20200530", "20200529")),
        cells[0]._replace(row="1|20200530|77|88|FUND_TYPE_CASH|T7"),
    ]
    reader = fill([*cells[1:], cells[1]._replace(timestamp=VERSION - 7, value=OTHER), *strangers])
    found = judged(media, reader, kind, versions={kind.interface: [VERSION]})
    assert found.numbers == (1, 1, 0)
    assert found.records == len(cells)
    fill([cells[0]])
    assert judged(media, reader, kind, versions={kind.interface: [VERSION]}).numbers == (0, 1, 0)


def test_a_table_that_does_not_exist_holds_nothing(media, ark_home, services):
    for reader in (Embedded(ark_home), HBase(services.hbase_url)):
        assert judged(media, reader, FUNDS._replace(table="no_such_table")).numbers == (13, 0, 0)
