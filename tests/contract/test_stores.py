"""One suite for every store that can be read back: the real HBase and the embedded tables give the same answers."""

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import NamedTuple

import pytest

from ark.errors import InputDataError, TableMissingError, UsageError
from ark.rows import Row
from ark.stores import Cell, RowsRefusedError, Store
from ark.stores.embedded import EmbeddedStore
from ark.stores.hbase import HBaseStore
from ark.stores.ranges import prefixed, select
from ark.stores.read_back import ReadBack
from ark.stores.tables import Catalog
from tests.writing import write

LAYOUT = {"families": ["info", "col"], "compression": "SNAPPY", "versions": 1, "splits": []}


class Backend(NamedTuple):
    store: Store
    table: str
    versioned: str
    """A table that keeps three versions."""


@pytest.fixture(scope="module", params=["embedded", "hbase"])
def backend(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    run = f"{random.SystemRandom().randrange(16**8):08x}"
    table, versioned = f"contract_{run}", f"contract_versions_{run}"
    catalog = Catalog(LAYOUT, {versioned: {"versions": 3}})
    if request.param == "embedded":
        store: Store = EmbeddedStore(tmp_path_factory.mktemp("tables"), catalog)
    else:
        url = request.getfixturevalue("services").hbase_url
        store = HBaseStore(url, catalog, batch=1000, batch_bytes=1 << 20, timeout=30)
    store.create(table)
    store.create(versioned)
    yield Backend(store, table, versioned)
    if isinstance(store, HBaseStore):
        drop(store, table, versioned)
    store.close()


def drop(store: HBaseStore, *tables: str) -> None:
    for table in tables:
        store._call(table, "disableTable", table.encode())
        store._call(table, "deleteTable", table.encode())


@pytest.fixture
def mine(unique: Callable[[str], str]) -> bytes:
    """The beginning of the keys of one test: the tables are shared."""
    return f"{unique('t')}|".encode()


def rows(prefix: bytes, count: int, size: int = 20) -> list[Row]:
    return [Row(b"%b%05d" % (prefix, n), b'{"n":%d,"x":"%b"}' % (n, b"x" * size)) for n in range(count)]


def read(store: Store, table: str, prefix: bytes, versions: int = 1) -> list[tuple[bytes, int, bytes]]:
    start, stop = prefixed(prefix)
    return [(cell.row, cell.timestamp, cell.value) for cell in store.scan(table, start, stop, versions=versions)]


def test_a_row_comes_back_as_it_was_put(backend: Backend, mine: bytes) -> None:
    value = '{"data":{"name":"余额","cash":0.10,"big":1234567890123456789012345}}'.encode()
    backend.store.put(backend.table, [Row(mine + b"a", value)], 1588984341000)
    expected = Cell(mine + b"a", b"info:data", 1588984341000, value)
    assert list(backend.store.scan(backend.table, *prefixed(mine))) == [expected]


def test_keys_and_values_are_bytes_of_any_kind(backend: Backend, mine: bytes) -> None:
    values = [b"", b"\x00", bytes(range(256)), "中文|\n".encode(), b"\xff\xfe"]
    put = [Row(mine + value + b"k", value) for value in values]
    backend.store.put(backend.table, put, 5)
    assert read(backend.store, backend.table, mine) == sorted((row.key, 5, row.value) for row in put)


def test_rows_are_in_the_order_of_bytes(backend: Backend, mine: bytes) -> None:
    chance = random.Random(5)
    keys = {mine + chance.randbytes(chance.randrange(1, 6)) for _ in range(300)}
    put = [Row(key, b"{}") for key in keys]
    chance.shuffle(put)
    backend.store.put(backend.table, put, 5)
    start, stop = prefixed(mine)
    assert list(backend.store.keys(backend.table, start, stop)) == sorted(keys)
    assert [cell.row for cell in backend.store.scan(backend.table, start, stop)] == sorted(keys)
    assert {key for key in backend.store.keys(backend.table, start, b"") if key < stop} == keys
    assert set(backend.store.keys(backend.table, b"", b"")) >= keys


def test_start_belongs_to_a_range_and_stop_does_not(backend: Backend, mine: bytes) -> None:
    backend.store.put(backend.table, rows(mine, 5), 5)
    first, last = mine + b"00001", mine + b"00003"
    for found in (
        list(backend.store.keys(backend.table, first, last)),
        [cell.row for cell in backend.store.scan(backend.table, first, last)],
    ):
        assert found == [mine + b"00001", mine + b"00002"]
    for start, stop in ((first, first), (last, first)):
        assert list(backend.store.scan(backend.table, start, stop)) == []
        assert list(backend.store.keys(backend.table, start, stop)) == []


@pytest.mark.parametrize("kept", ["table", "versioned"])
def test_the_newest_timestamp_wins_whatever_comes_last(backend: Backend, mine: bytes, kept: str) -> None:
    table = getattr(backend, kept)
    for timestamp, value in ((20, b"first"), (20, b"replaced"), (10, b"late"), (30, b"newest")):
        backend.store.put(table, [Row(mine, value)], timestamp)
        expected = {b"late": (mine, 20, b"replaced")}.get(value, (mine, timestamp, value))
        assert read(backend.store, table, mine) == [expected]


def test_as_many_versions_are_kept_as_the_table_says(backend: Backend, mine: bytes) -> None:
    for timestamp in (1, 2, 5, 4, 3):
        put = [Row(mine + b"a", b"%d" % timestamp), Row(mine + b"b", b"b%d" % timestamp)]
        backend.store.put(backend.table, put, timestamp)
        backend.store.put(backend.versioned, put, timestamp)
    assert read(backend.store, backend.table, mine, 9) == [(mine + b"a", 5, b"5"), (mine + b"b", 5, b"b5")]
    a, b = ([(mine + key, ts, lead + b"%d" % ts) for ts in (5, 4, 3)] for key, lead in ((b"a", b""), (b"b", b"b")))
    assert read(backend.store, backend.versioned, mine, 9) == a + b
    assert read(backend.store, backend.versioned, mine, 2) == a[:2] + b[:2]
    assert read(backend.store, backend.versioned, mine, 1) == a[:1] + b[:1]
    assert list(backend.store.keys(backend.versioned, *prefixed(mine))) == [mine + b"a", mine + b"b"]
    assert len(list(backend.store.scan(backend.versioned, *prefixed(mine), versions=2, limit=1))) == 2


def test_limit_counts_rows(backend: Backend, mine: bytes) -> None:
    backend.store.put(backend.table, rows(mine, 5), 5)
    start, stop = prefixed(mine)
    for limit in (0, 1, 3, 5, 9):
        assert len(list(backend.store.scan(backend.table, start, stop, limit=limit))) == min(limit, 5)
        assert len(list(backend.store.keys(backend.table, start, stop, limit=limit))) == min(limit, 5)


def test_a_replay_changes_nothing(backend: Backend, mine: bytes) -> None:
    put = rows(mine, 30)
    for _ in range(3):
        backend.store.put(backend.versioned, put, 5)
    assert read(backend.store, backend.versioned, mine, 3) == [(row.key, 5, row.value) for row in put]


def test_rows_are_read_by_their_keys(backend: Backend, mine: bytes) -> None:
    put = rows(mine, 2500, size=300)
    backend.store.put(backend.table, put, 5)
    backend.store.put(backend.table, put[:3], 6)
    asked = [row.key for row in reversed(put)] + [mine + b"nobody", mine + b"0000"]
    random.Random(7).shuffle(asked)
    newer = {row.key for row in put[:3]}
    held = {row.key: Cell(row.key, b"info:data", 6 if row.key in newer else 5, row.value) for row in put}
    assert list(backend.store.read(backend.table, asked)) == [held[key] for key in asked if key in held]
    assert list(backend.store.read(backend.table, [])) == []
    assert list(backend.store.read(backend.table, [mine])) == []


def test_of_many_versions_the_newest_is_read(backend: Backend, mine: bytes) -> None:
    for timestamp in (7, 9, 8):
        backend.store.put(backend.versioned, [Row(mine, b"%d" % timestamp)], timestamp)
    assert list(backend.store.read(backend.versioned, [mine])) == [Cell(mine, b"info:data", 9, b"9")]


def test_what_was_put_is_read_back(backend: Backend, mine: bytes) -> None:
    odd = [Row(mine + value + b"k", value) for value in (b"", b"\x00", bytes(range(256)), "中文|\n".encode())]
    put = rows(mine, 1200) + odd
    backend.store.put(backend.table, put[:2], 6)  # a newer run has been there
    ReadBack(backend.store).put(backend.table, put, 5)
    ReadBack(backend.store).put(backend.table, put, 5)
    assert list(backend.store.keys(backend.table, *prefixed(mine))) == sorted(row.key for row in put)


def test_what_is_not_there_as_it_was_put_is_named(backend: Backend, mine: bytes) -> None:
    good, *others = put = rows(mine, 4)

    class Careless:
        """Acknowledges rows that it loses, changes or leaves as they were."""

        writers, check, close, read = 1, None, None, backend.store.read

        def put(self, table: str, _rows: Sequence[Row], timestamp: int) -> None:
            _, changed, old = others
            backend.store.put(table, [good, Row(changed.key, b"other")], timestamp)
            backend.store.put(table, [old], timestamp - 1)

    with pytest.raises(RowsRefusedError) as caught:
        ReadBack(Careless()).put(backend.table, put, 5)
    lost, changed, old = (row.key for row in others)
    assert caught.value.reasons == {
        lost: f"read back: row {lost.decode()} is missing",
        changed: f"read back: row {changed.decode()} holds 5 other bytes than the 34 that were acknowledged",
        old: f"read back: row {old.decode()} holds an older cell, of 4, although 5 was acknowledged",
    }


def test_nothing_is_put_by_an_empty_batch(backend: Backend, mine: bytes) -> None:
    backend.store.put(backend.table, [], 5)
    assert read(backend.store, backend.table, mine) == []


def test_a_large_batch_arrives_whole(backend: Backend, mine: bytes) -> None:
    put = rows(mine, 12_001, size=300)
    backend.store.put(backend.table, put, 5)
    start, stop = prefixed(mine)
    assert list(backend.store.keys(backend.table, start, stop)) == [row.key for row in put]
    assert read(backend.store, backend.table, mine) == [(row.key, 5, row.value) for row in put]


def test_a_missing_table_is_an_error_and_never_empty(backend: Backend) -> None:
    store = backend.store
    for attempt in (
        lambda: store.check("nowhere"),
        lambda: store.put("nowhere", [Row(b"a", b"b")], 5),
        lambda: list(store.scan("nowhere", b"", b"")),
        lambda: list(store.scan("nowhere", b"b", b"a")),
        lambda: list(store.keys("nowhere", b"", b"")),
        lambda: list(store.read("nowhere", [b"a"])),
    ):
        with pytest.raises(TableMissingError, match=r"^table nowhere does not exist in .*`ark tables create nowhere`"):
            attempt()
    assert "nowhere" not in store.tables()


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "a b", "a;b", "-x", "a:b:c", "täble"])
def test_a_name_that_no_table_can_have_is_refused(backend: Backend, name: str) -> None:
    store = backend.store
    for attempt in (
        lambda: store.check(name),
        lambda: store.create(name),
        lambda: store.put(name, [Row(b"a", b"b")], 5),
        lambda: list(store.scan(name, b"", b"")),
        lambda: list(store.keys(name, b"", b"")),
        lambda: list(store.read(name, [b"a"])),
    ):
        with pytest.raises(UsageError, match="cannot be a table"):
            attempt()


def test_what_hbase_refuses_is_refused_by_name(backend: Backend, mine: bytes) -> None:
    store = backend.store
    for key in (b"", b"k" * 32768):
        with pytest.raises(InputDataError, match=f"row key of {len(key)} bytes"):
            store.put(backend.table, [Row(mine, b"{}"), Row(key, b"{}")], 5)
    with pytest.raises(InputDataError, match=f"row {mine.decode().replace('|', '.')}huge"):
        store.put(backend.table, [Row(mine, b"{}"), Row(mine + b"huge", b"x" * (10 << 20))], 5)
    longest = mine + b"k" * (32767 - len(mine))
    store.put(backend.table, [Row(longest, b"x" * (9 << 20))], 5)
    assert [key for key in store.keys(backend.table, *prefixed(mine)) if key != mine] == [longest]


def test_a_table_is_created_once(backend: Backend) -> None:
    assert backend.store.create(backend.table) is False
    assert {backend.table, backend.versioned} <= set(backend.store.tables())
    assert backend.store.tables() == sorted(backend.store.tables())
    backend.store.check(backend.table)


def test_scans_and_puts_may_be_interleaved(backend: Backend, mine: bytes) -> None:
    store, table = backend.store, backend.table
    put = rows(mine, 600)
    store.put(table, put, 5)
    start, stop = prefixed(mine)
    seen = []
    for cell in store.scan(table, start, stop):
        seen.append(cell.row)
        if len(seen) % 200 == 0:
            store.put(table, [Row(cell.row, b"changed")], 6)
            assert next(store.scan(table, cell.row, cell.row + b"\x00")).value == b"changed"
    assert seen == [row.key for row in put]


def test_a_scan_may_be_left_early(backend: Backend, mine: bytes) -> None:
    store, table = backend.store, backend.table
    store.put(table, rows(mine, 1500), 5)
    for _ in range(5):
        cells = store.scan(table, *prefixed(mine))
        assert next(cells).row == mine + b"00000"
        cells.close()
    assert len(read(store, table, mine)) == 1500


def test_as_many_threads_as_it_says_may_put_at_once(backend: Backend, mine: bytes) -> None:
    put = rows(mine, 4000)
    gate = threading.Barrier(backend.store.writers)

    def write(share: int) -> None:
        gate.wait()
        for start in range(share * 50, len(put), backend.store.writers * 50):
            backend.store.put(backend.table, put[start : start + 50], 5)

    with ThreadPoolExecutor(backend.store.writers) as pool:
        list(pool.map(write, range(backend.store.writers)))
    assert read(backend.store, backend.table, mine) == [(row.key, 5, row.value) for row in put]


def test_a_date_is_found_under_every_salt(backend: Backend, unique: Callable[[str], str]) -> None:
    table = unique("salts")
    backend.store.create(table)
    accounts = ["10", "11", "12", "19", "2a", "3余", "4:x", "9}"]
    days = ["20200610", "20200611", "20200612"]
    keys = [f"{account[-1]}|{day}|{account}|7|T1".encode() for account in accounts for day in days]
    strangers = [b"no separator", b"12|20200611|12|7|T1", b"1"]
    backend.store.put(table, [Row(key, b"{}") for key in keys + strangers], 5)

    def found(**wanted: object) -> list[bytes]:
        ranges = select(backend.store, table, **wanted)
        return [key for start, stop in ranges for key in backend.store.keys(table, start, stop)]

    try:
        on_the_day = [key for key in [*keys, *strangers] if b"|20200611|" in key]
        assert found(day=date(2020, 6, 11)) == sorted(on_the_day)
        assert found(day=date(2020, 6, 13)) == []
        assert found(account="3余") == [f"余|{day}|3余|7|T1".encode() for day in days]
        assert found(account="3余", day=date(2020, 6, 10)) == ["余|20200610|3余|7|T1".encode()]
        assert found(prefix="0|202006") == [f"0|{day}|10|7|T1".encode() for day in days]
        assert found(prefix="0|", day=date(2020, 6, 12)) == [b"0|20200612|10|7|T1"]
        assert found() == sorted(keys + strangers)
    finally:
        if isinstance(backend.store, HBaseStore):
            drop(backend.store, table)


def test_rows_that_are_refused_fail_their_units_and_the_others_are_stored(backend: Backend, mine: bytes) -> None:
    put = rows(mine, 60)
    put[7] = Row(mine + b"large", b"x" * (10 << 20))
    put[30] = Row(b"k" * 32_768, b"{}")
    put[31] = Row(b"", b"{}")
    stored, rejected = write(backend.store, backend.table, put)
    assert stored == set(range(60)) - {7, 30, 31}
    assert rejected.keys() == {7, 30, 31}
    assert (mine + b"large").decode() in rejected[7]
    assert "row key of 32768 bytes" in rejected[30]
    assert "row key of 0 bytes" in rejected[31]
    held = [row.key for number, row in enumerate(put) if number in stored]
    assert list(backend.store.keys(backend.table, *prefixed(mine))) == held
