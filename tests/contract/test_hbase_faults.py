"""The real HBase behind a network that breaks: no wrong value, no false acknowledgement, nothing lost."""

import gc
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from thriftpy2.thrift import TClient

from ark.errors import ConfigError, InputDataError, ServiceDownError, TableMissingError
from ark.rows import Row
from ark.stores import UnclearError, hbase
from ark.stores.gateway import Gateway
from ark.stores.hbase import HBaseStore
from ark.stores.ranges import prefixed
from ark.stores.tables import Catalog
from tests.interrupts import Interrupt, alarm
from tests.moody_gateway import MoodyGateway, moody_gateway
from tests.proxy import Latency, LimitData, Proxy, ResetPeer, Timeout, Way
from tests.writing import write

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
    proxy.add(LimitData(passed, Way.UP))
    store.put(table, put, 5)
    assert proxy.connections == 2
    assert values(direct, table, mine) == put


def test_a_put_whose_answer_is_lost_is_one_version(
    proxy: Proxy, store: HBaseStore, direct: HBaseStore, table: str, mine: bytes
) -> None:
    proxy.add(LimitData(1, Way.DOWN))
    store.put(table, rows(mine, 10), 5)
    assert proxy.connections == 2
    assert values(direct, table, mine) == rows(mine, 10)


def test_a_gateway_that_is_away_is_told_in_one_line(proxy: Proxy, store: HBaseStore, table: str, mine: bytes) -> None:
    store.put(table, rows(mine, 1), 5)
    proxy.add(ResetPeer())
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


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")  # one may come before anybody has the socket
def test_1000_interrupted_calls_give_no_wrong_value_and_no_false_acknowledgement(
    proxy: Proxy, store: HBaseStore, table: str, mine: bytes
) -> None:
    put = rows(mine, 50)
    store.put(table, put, 5)
    slow = Latency(0.002, Way.DOWN)
    proxy.add(slow)
    chance = random.Random(3)
    interrupted = wrong = 0

    def is_wrong(row: Row) -> bool:
        if chance.random() < 0.5:
            return [cell.value for cell in store.read(table, [row.key])] != [row.value]
        return [cell.value for cell in store.scan(table, row.key, row.key + b"\x00")] != [row.value]

    with alarm() as after:
        while interrupted < 1000:
            row, other = chance.choice(put), chance.choice(put)
            try:
                after(chance.uniform(0.0005, 0.005))
                if chance.random() < 0.5:
                    store.put(table, [row], 5)
                wrong += is_wrong(row)
                after(0)
            except Interrupt:
                interrupted += 1
            if chance.random() < 0.2:
                with pytest.raises(TableMissingError):
                    store.put("nowhere", [other], 5)
            wrong += is_wrong(other)
    assert wrong == 0
    proxy.remove(slow)
    assert values(store, table, mine) == put
    gc.collect()


def test_after_a_timeout_nobody_hears_the_late_answer(
    proxy: Proxy, direct: HBaseStore, table: str, mine: bytes
) -> None:
    direct.put(table, rows(mine, 3), 5)
    store = open_hbase(f"thrift://127.0.0.1:{proxy.port}", timeout=0.3)
    store.check(table)
    with proxy.toxic(Timeout()), pytest.raises(ServiceDownError, match="timed out"):
        store.put(table, rows(mine, 3), 5)
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
    proxy.add(LimitData(passed, Way.DOWN))
    assert [(cell.row, cell.value) for cell in store.scan(table, *prefixed(mine))] == put
    proxy.add(LimitData(passed // 4, Way.DOWN))
    assert list(store.keys(table, *prefixed(mine), limit=6000)) == [row.key for row in put[:6000]]


def test_an_expired_scanner_is_opened_again(
    store: HBaseStore, direct: HBaseStore, table: str, mine: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = rows(mine, hbase.FIRST_ROWS + 10)
    direct.put(table, put, 5)
    opened = []
    asked = TClient._req

    def noted(client: TClient, name: str, *words: Any, **named: Any) -> Any:
        answer = asked(client, name, *words, **named)
        if name == "scannerOpenWithScan":
            opened.append(answer)
        return answer

    monkeypatch.setattr(TClient, "_req", noted)
    cells = store.scan(table, *prefixed(mine))
    found = [next(cells).row]
    with direct._gateway.client() as client:
        client.scannerClose(opened[-1])
    assert found + [cell.row for cell in cells] == [row.key for row in put]
    assert len(opened) > 1


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


@pytest.fixture
def moody() -> Iterator[tuple[MoodyGateway, HBaseStore]]:
    with moody_gateway() as (gateway, url):
        store = open_hbase(url, timeout=5)
        yield gateway, store
        store.close()


@pytest.mark.parametrize("key", [b"", b"k" * 32_768])
def test_a_row_that_the_gateway_chokes_on_is_no_gateway_that_is_away(
    direct: HBaseStore, table: str, mine: bytes, monkeypatch: pytest.MonkeyPatch, key: bytes
) -> None:
    """The gateway says nothing but "Internal error" of it, and stores none of its batch."""
    monkeypatch.setattr(hbase, "check_rows", lambda _rows: None)
    with pytest.raises(InputDataError, match=r"refuses a row of .*Internal error processing mutateRowsTs"):
        direct.put(table, [*rows(mine, 3), Row(key, b"{}")], 5)
    direct.put(table, rows(mine, 3), 5)
    with pytest.raises(TableMissingError):
        direct.put("nowhere", [Row(key, b"{}")], 5)
    put = rows(mine, 200)
    put[77] = Row(key, b"{}")
    stored, rejected = write(direct, table, put)
    assert (stored, list(rejected)) == (set(range(200)) - {77}, [77])
    assert "Internal error" in rejected[77]


def test_what_hbase_refuses_for_good_is_a_matter_of_the_row(moody: tuple[MoodyGateway, HBaseStore]) -> None:
    gateway, store = moody
    gateway.moods[b"b"] = "org.apache.hadoop.hbase.DoNotRetryIOException: Cell with size 99 exceeds limit of 9 bytes"
    with pytest.raises(InputDataError, match="Cell with size 99 exceeds limit"):
        store.put("t", [Row(b"a", b"1"), Row(b"b", b"2")], 5)
    assert gateway.rows == {b"a": (5, b"1")}
    assert gateway.puts == 1  # a complete answer is not asked for again
    stored, rejected = write(store, "t", [Row(b"%d" % n, b"b") if n != 3 else Row(b"b", b"") for n in range(9)])
    assert (len(stored), list(rejected)) == (8, [3])


def test_what_hbase_refuses_while_it_answers_may_be_a_matter_of_the_row(
    moody: tuple[MoodyGateway, HBaseStore],
) -> None:
    gateway, store = moody
    gateway.moods[b"a"] = "org.apache.hadoop.hbase.RegionTooBusyException"
    assert write(store, "t", [Row(b"b", b"2"), Row(b"a", b"1"), Row(b"c", b"3")], patience=0.6)[0] == {0, 2}
    assert gateway.rows == {b"b": (5, b"2"), b"c": (5, b"3")}
    with pytest.raises(UnclearError, match="RegionTooBusyException") as caught:
        store.put("t", [Row(b"a", b"1")], 5)
    assert isinstance(caught.value, ServiceDownError)


def test_what_hbase_refuses_while_nothing_can_be_read_is_a_store_that_is_away(
    moody: tuple[MoodyGateway, HBaseStore],
) -> None:
    gateway, store = moody
    gateway.moods[b"a"] = "org.apache.hadoop.hbase.DoNotRetryIOException"
    gateway.readable = False
    with pytest.raises(ServiceDownError) as caught:
        store.put("t", [Row(b"a", b"1")], 5)
    assert not isinstance(caught.value, UnclearError)


@pytest.fixture(params=["accepts and is silent", "does not accept"])
def black_hole(request: pytest.FixtureRequest) -> Iterator[str]:
    """A gateway's address behind which nobody answers."""
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        if request.param == "does not accept":  # the queue of those to be accepted is full
            for each in (first, second):
                each.setblocking(False)
                each.connect_ex(listener.getsockname())
        yield f"thrift://127.0.0.1:{listener.getsockname()[1]}"


def test_who_hangs_at_the_first_look_is_told_within_5_seconds(black_hole: str) -> None:
    store = open_hbase(black_hole, timeout=30)
    begun = time.monotonic()
    with pytest.raises(ServiceDownError, match=r"HBase at 127\.0\.0\.1"):
        store.check("t")
    assert time.monotonic() - begun < 5
    store.close()


def test_after_the_first_look_calls_have_their_whole_time(proxy: Proxy, table: str, mine: bytes) -> None:
    store = open_hbase(f"thrift://127.0.0.1:{proxy.port}", timeout=7)
    store.check(table)
    with proxy.toxic(Latency(hbase.FIRST_LOOK + 0.5, Way.DOWN)):
        store.put(table, rows(mine, 3), 5)
    assert proxy.connections == 1
    store.close()


def test_a_call_that_hangs_ends_when_the_store_is_closed(proxy: Proxy, table: str, mine: bytes) -> None:
    """So that a run that stops is not held up by the time-out of its last batch."""
    store = open_hbase(f"thrift://127.0.0.1:{proxy.port}")
    store.check(table)
    ended: list[Exception] = []

    def put() -> None:
        try:
            store.put(table, rows(mine, 3), 5)
        except ServiceDownError as error:
            ended.append(error)

    with proxy.toxic(Timeout()):
        thread = threading.Thread(target=put)
        sent = len(proxy.sent)
        thread.start()
        while len(proxy.sent) == sent:
            time.sleep(0.01)
        store.close()
        thread.join(10)
        assert not thread.is_alive()
    assert len(ended) == 1
    with pytest.raises(ServiceDownError, match="is not used any more"):
        store.check(table)


def test_an_unknown_namespace_is_told(direct: HBaseStore) -> None:
    with pytest.raises(TableMissingError, match="table nobody:home does not exist"):
        direct.check("nobody:home")


def test_what_it_does_not_refuse_is_stored_as_it_is(direct: HBaseStore, table: str, mine: bytes) -> None:
    odd = [Row(mine + b"a\x00b", b"\x00"), Row(mine + "中文 \u2028".encode(), b""), Row(mine + b"k" * 32_000, b"|")]
    direct.put(table, odd, 5)
    assert values(direct, table, mine) == sorted(odd)
