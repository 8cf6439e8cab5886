"""What is particular to the embedded tables: files, processes, disks."""

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest

from ark.errors import LocalDiskError, TableMissingError
from ark.rows import Row
from ark.stores.embedded import EmbeddedStore
from ark.stores.tables import Catalog
from tests.interrupts import Interrupt, alarm

CATALOG = Catalog(
    {"families": ["info"], "compression": "NONE", "versions": 1, "splits": []},
    {"declared": {}, "versioned": {"versions": 2}},
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EmbeddedStore]:
    store = EmbeddedStore(tmp_path / "some where?" / "tables", CATALOG)
    yield store
    store.close()


def stored(store: EmbeddedStore, table: str) -> dict[bytes, bytes]:
    return {cell.row: cell.value for cell in store.scan(table, b"", b"")}


def test_a_fresh_machine_gets_its_declared_tables_by_checking(store: EmbeddedStore) -> None:
    assert store.tables() == []
    store.check("declared")
    store.check("declared")
    assert store.tables() == ["declared"]
    with pytest.raises(TableMissingError):
        store.check("undeclared")
    assert store.create("undeclared")
    store.check("undeclared")


def test_a_declared_table_is_missing_until_it_is_created(store: EmbeddedStore) -> None:
    with pytest.raises(TableMissingError):
        list(store.scan("declared", b"", b""))
    with pytest.raises(TableMissingError):
        store.put("declared", [Row(b"a", b"{}")], 5)


@pytest.mark.parametrize("table", ["declared", "versioned"])
def test_many_may_create_and_write_one_table(store: EmbeddedStore, tmp_path: Path, table: str) -> None:
    others = [EmbeddedStore(tmp_path / "some where?" / "tables", CATALOG) for _ in range(4)]

    def write(n: int) -> bool:
        created = others[n].create(table)
        for batch in range(20):
            others[n].put(table, [Row(b"%d|%d|%d" % (row, n, batch), b"{}") for row in range(20)], 5)
        others[n].close()
        return created

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(write, range(4))) == 1
    assert len(stored(store, table)) == 4 * 20 * 20
    assert [path.name for path in (tmp_path / "some where?" / "tables").iterdir()] == [f"{table}.sqlite"]


def test_what_is_acknowledged_survives_kill_9(store: EmbeddedStore, tmp_path: Path) -> None:
    store.create("versioned")
    script = """
import sys
from pathlib import Path
from ark.rows import Row
from ark.stores.embedded import EmbeddedStore
from ark.stores.tables import Catalog
store = EmbeddedStore(Path(sys.argv[1]), Catalog({}, {}))
for batch in range(10**6):
    store.put("versioned", [Row(b"%d|%d" % (row, batch), b"%d" % batch) for row in range(50)], 5)
    print(batch, flush=True)
"""
    command = [sys.executable, "-c", script, str(tmp_path / "some where?" / "tables")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        acknowledged = -1
        while acknowledged < 30:
            acknowledged = int(writer.stdout.readline())
        writer.kill()
        acknowledged = max([acknowledged, *map(int, writer.stdout.read().split("\n")[:-1])])
    found = stored(store, "versioned")
    expected = {b"%d|%d" % (row, batch): b"%d" % batch for row in range(50) for batch in range(acknowledged + 1)}
    assert expected.items() <= found.items()
    assert len(found) - len(expected) in (0, 50), "a batch is there whole or not at all"


def test_an_interrupted_put_leaves_no_part_of_its_transaction(store: EmbeddedStore) -> None:
    store.create("declared")
    put = [Row(b"%06d" % n, b"x" * 500) for n in range(10_000)]

    def put_for_ever() -> None:
        for timestamp in count(1):
            store.put("declared", put, timestamp)

    with alarm() as after:
        for seconds in (0.01, 0.02, 0.05, 0.1):
            after(seconds)
            with pytest.raises(Interrupt):
                put_for_ever()
    assert len({cell.timestamp for cell in store.scan("declared", b"", b"")}) <= 1
    store.put("declared", put, 10**6)
    assert {cell.timestamp for cell in store.scan("declared", b"", b"")} == {10**6}


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Nobody may write a file beyond `size`: to SQLite this is a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_told_and_nothing_acknowledged_is_lost(store: EmbeddedStore) -> None:
    store.create("declared")
    store.put("declared", [Row(b"before", b"{}")], 5)
    with largest_file(1 << 20), pytest.raises(LocalDiskError, match=r"declared\.sqlite: .*full"):
        store.put("declared", [Row(b"%06d" % n, os.urandom(1000)) for n in range(5000)], 5)
    assert stored(store, "declared") == {b"before": b"{}"}
    store.put("declared", [Row(b"after", b"{}")], 5)
    assert stored(store, "declared") == {b"before": b"{}", b"after": b"{}"}


def test_a_file_that_is_no_table_is_told(store: EmbeddedStore, tmp_path: Path) -> None:
    store.create("declared")
    path = tmp_path / "some where?" / "tables" / "declared.sqlite"
    path.write_bytes(b"something else entirely, and long enough to be looked at" * 100)
    for attempt in (
        lambda: store.check("declared"),
        lambda: list(store.scan("declared", b"", b"")),
        lambda: store.put("declared", [Row(b"a", b"{}")], 5),
    ):
        with pytest.raises(LocalDiskError, match=r"declared\.sqlite: file is not a database"):
            attempt()


def test_a_home_that_cannot_hold_tables_is_told(tmp_path: Path) -> None:
    (tmp_path / "tables").write_text("in the way")
    store = EmbeddedStore(tmp_path / "tables", CATALOG)
    with pytest.raises(LocalDiskError, match="tables"):
        store.check("declared")
