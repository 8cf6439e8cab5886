"""The real HBase behind a network that breaks: no wrong value, no false acknowledgement, nothing lost."""

import random
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest

from ark.errors import ConfigError, ServiceDownError, TableMissingError
from ark.rows import Row
from ark.stores import hbase
from ark.stores.hbase import Gateway, HBaseStore
from ark.stores.ranges import prefixed
from ark.stores.tables import Catalog
from tests.interrupts import Interrupt, alarm
from tests.proxy import Proxy

CATALOG = Catalog({"families": ["info"], "compression": "NONE", "versions": 3, "splits": []}, {})


def open_hbase(url: str, timeout: float = 30, batch: int = 1000) -> HBaseStore:
    return HBaseStore(url, CATALOG, batch=batch, batch_bytes=1 << 20, timeout=timeout)


@pytest.fixture(scope="module")
def direct(services) -> Iterator[HBaseStore]:
    store = open_hbase(services.hbase_url)
    yield store
    store.close()


@pytest.fixture(scope="module")
def table(direct: HBaseStore) -> Iterator[str]:
    name = f"faults_{random.SystemRandom().randrange(16**8):08x}"
    direct.create(name)
    yield name
    direct._call(name, "disableTable", name.encode())
    direct._call(name, "deleteTable", name.encode())


@pytest.fixture
def proxy(services) -> Iterator[Proxy]:
    address = urlsplit(services.hbase_url)
    with Proxy(str(address.hostname), int(address.port or 0)) as proxy:
        yield proxy


@pytest.fixture
def store(proxy: Proxy) -> Iterator[HBaseStore]:
    store = open_hbase(f"thrift://127.0.0.1:{proxy.port}")
    yield store
    store.close()


@pytest.fixture
def mine(unique: Callable[[str], str]) -> bytes:
    return f"{unique('t')}|".encode()


def rows(prefix: bytes, count: int) -> list[Row]:
    return [Row(b"%b%05d" % (prefix, n), b"value of %05d" % n * 5) for n in range(count)]


def values(store: HBaseStore, table: str, prefix: bytes) -> list[tuple[bytes, bytes]]:
    return [(cell.row, cell.value) for cell in store.scan(table, *prefixed(prefix), versions=3)]


@pytest.mark.parametrize("passed", [1, 30, 200, 4096, 20_000, 60_000])
def test_a_put_cut_on_its_way_is_sent_again(
    proxy: Proxy, store: HBaseStore, direct: HBaseStore, table: str, mine: bytes, passed: int
) -> None:
    put = rows(mine, 800)
    proxy.cut_up = passed
    store.put(table, put, 5)
    assert proxy.connections == 2
    assert values(direct, table, mine) == put


def test_a_put_whose_answer_is_lost_is_one_version(
    proxy: Proxy, store: HBaseStore, direct: HBaseStore, table: str, mine: bytes
) -> None:
    proxy.cut_down = 1
    store.put(table, rows(mine, 10), 5)
    assert proxy.connections == 2
    assert values(direct, table, mine) == rows(mine, 10)


def test_a_gateway_that_is_away_is_told_in_one_line(proxy: Proxy, store: HBaseStore, table: str, mine: bytes) -> None:
    store.put(table, rows(mine, 1), 5)
    proxy.open = False
    proxy.drop()
    for attempt in (
        lambda: store.put(table, rows(mine, 1), 5),
        lambda: store.check(table),
        store.tables,
        lambda: list(store.scan(table, b"", b"")),
    ):
        with pytest.raises(ServiceDownError) as caught:
            attempt()
        assert f"HBase at 127.0.0.1:{proxy.port}" in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_gateway_that_restarts_is_found_again_without_an_error(
    proxy: Proxy, store: HBaseStore, table: str, mine: bytes
) -> None:
    for n in range(5):
        store.put(table, rows(mine, 3 + n), 5)
        proxy.drop()
        assert len(list(store.keys(table, *prefixed(mine)))) == 3 + n
        proxy.drop()
    assert proxy.connections == 10


def test_a_connection_idle_for_long_is_not_used_again(services, table: str, mine: bytes) -> None:
    now = [0.0]
    gateway = Gateway(services.hbase_url, 30, clock=lambda: now[0])
    used = []
    for seconds in (0.0, 40.0, 44.0, 46.0, 10.0):
        now[0] += seconds
        with gateway.client() as client:
            assert client.isTableEnabled(table.encode())
            used.append(client)
    gateway.close()
    assert used[0] is used[1] is used[2]
    assert used[3] is not used[2]
    assert used[4] is used[3]


def test_200_interrupted_calls_give_no_wrong_value_and_no_false_acknowledgement(
    proxy: Proxy, store: HBaseStore, table: str, mine: bytes
) -> None:
    put = rows(mine, 50)
    store.put(table, put, 5)
    proxy.delay = 0.004
    chance = random.Random(3)
    interrupted = wrong = 0

    def is_wrong(row: Row) -> bool:
        return [cell.value for cell in store.scan(table, row.key, row.key + b"\x00", versions=3)] != [row.value]

    with alarm() as after:
        while interrupted < 200:
            row, other = chance.choice(put), chance.choice(put)
            try:
                after(chance.uniform(0.001, 0.012))
                if chance.random() < 0.5:
                    store.put(table, [row], 5)
                wrong += is_wrong(row)
                after(0)
            except Interrupt:
                interrupted += 1
            if chance.random() < 0.5:
                with pytest.raises(TableMissingError):
                    store.put("nowhere", [other], 5)
            wrong += is_wrong(other)
    assert wrong == 0
    proxy.delay = 0
    assert values(store, table, mine) == put


def test_after_a_timeout_nobody_hears_the_late_answer(
    proxy: Proxy, direct: HBaseStore, table: str, mine: bytes
) -> None:
    direct.put(table, rows(mine, 3), 5)
    store = open_hbase(f"thrift://127.0.0.1:{proxy.port}", timeout=0.3)
    store.check(table)
    proxy.calm.clear()
    with pytest.raises(ServiceDownError, match="timed out"):
        store.put(table, rows(mine, 3), 5)
    proxy.calm.set()
    with pytest.raises(TableMissingError):
        store.put("nowhere", rows(mine, 1), 5)
    assert values(store, table, mine) == rows(mine, 3)
    store.close()


@pytest.mark.parametrize("passed", [10, 3_000, 50_000, 150_000, 400_000])
def test_a_scan_goes_on_behind_the_last_row(
    proxy: Proxy, store: HBaseStore, direct: HBaseStore, table: str, mine: bytes, passed: int
) -> None:
    put = rows(mine, 7000)
    direct.put(table, put, 5)
    proxy.cut_down = passed
    assert [(cell.row, cell.value) for cell in store.scan(table, *prefixed(mine))] == put
    proxy.cut_down = passed // 4
    assert list(store.keys(table, *prefixed(mine), limit=6000)) == [row.key for row in put[:6000]]


def test_an_expired_scanner_is_opened_again(store: HBaseStore, direct: HBaseStore, table: str, mine: bytes) -> None:
    put = rows(mine, hbase.FIRST_ROWS + 10)
    direct.put(table, put, 5)
    with direct._gateway.client() as client:
        before = client.scannerOpenWithScan(table.encode(), hbase.TScan(), {})
        cells = store.scan(table, *prefixed(mine))
        found = [next(cells).row]
        after = client.scannerOpenWithScan(table.encode(), hbase.TScan(), {})
        for scanner in range(before, after + 1):  # the gateway counts up
            client.scannerClose(scanner)
    assert found + [cell.row for cell in cells] == [row.key for row in put]


def test_a_batch_is_bounded_whatever_the_caller_gives(proxy: Proxy, table: str, mine: bytes) -> None:
    store = open_hbase(f"thrift://127.0.0.1:{proxy.port}", batch=10)
    store.put(table, rows(mine, 35), 5)
    assert proxy.sent.count(b"mutateRowsTs") == 4
    assert values(store, table, mine) == rows(mine, 35)
    store.close()


def test_a_table_without_the_family_is_told(direct: HBaseStore, unique: Callable[[str], str]) -> None:
    name = unique("nofamily")
    direct._call(name, "createTable", name.encode(), [hbase.ColumnDescriptor(name=b"other:")])
    try:
        for attempt in (lambda: direct.check(name), lambda: direct.put(name, [Row(b"a", b"{}")], 5)):
            with pytest.raises(ConfigError, match=f"{name} in .* has no family info.*`ark tables ddl {name}`"):
                attempt()
        direct._call(name, "disableTable", name.encode())
    finally:
        direct._call(name, "deleteTable", name.encode())


def test_a_disabled_table_is_told(direct: HBaseStore, unique: Callable[[str], str]) -> None:
    name = unique("disabled")
    direct.create(name)
    direct._call(name, "disableTable", name.encode())
    try:
        with pytest.raises(ConfigError, match=f"{name} in .* is disabled: enable '{name}'"):
            direct.check(name)
        with pytest.raises(ServiceDownError) as caught:
            direct.put(name, [Row(b"a", b"{}")], 5)
        assert "\n" not in str(caught.value)
    finally:
        direct._call(name, "deleteTable", name.encode())


def test_a_gateway_that_speaks_otherwise_is_told(services) -> None:
    store = open_hbase(services.hbase_url + "?transport=buffered&protocol=compact", timeout=2)
    with pytest.raises(ServiceDownError, match="check transport and protocol in hbase"):
        store.tables()
    store.close()
