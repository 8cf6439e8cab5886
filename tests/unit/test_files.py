"""FILE and NONE: whole files or none, a line per row, every number as it came."""

import json
import resource
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import date
from multiprocessing import get_context
from pathlib import Path

import pytest

from ark.errors import InputDataError, LocalDiskError, UsageError
from ark.rows import Row
from ark.settings import load
from ark.stores import open_sink
from ark.stores.embedded import EmbeddedStore
from ark.stores.files import FileStore, NullStore
from ark.stores.hbase import HBaseStore

TABLE = "tenant_gdt_funds_get_v2"


def lines(folder: Path) -> list[bytes]:
    return [line for path in sorted(folder.rglob("*.json")) for line in path.read_bytes().splitlines()]


def test_each_batch_is_a_file_of_lines(tmp_path: Path) -> None:
    store = FileStore(tmp_path, "T100117", "20200611")
    store.check(TABLE)
    cell = b'{ "data" : {"cash":0.10,\r\n "big":12345678901234567890123, "exp":1E400,\t"name":"\\u4f59 \xe9\xa2\x9d"}}'
    store.put(TABLE, [Row("9|20200611|余".encode(), cell), Row(b"8|x", b"[]")], 1588984341000)
    store.put(TABLE, [], 5)
    store.put(TABLE, [Row(b"7|x", b"1")], 6)
    store.close()
    folder = tmp_path / "20200611" / "T100117"
    assert sorted(path.name for path in folder.iterdir()) == [f"{TABLE}_20200611_1.json", f"{TABLE}_20200611_2.json"]
    compact = '{"data":{"cash":0.10,"big":12345678901234567890123,"exp":1E400,"name":"\\u4f59 额"}}'
    assert lines(folder) == [
        f'{{"row":"9|20200611|余","timestamp":1588984341000,"data":{compact}}}'.encode(),
        b'{"row":"8|x","timestamp":1588984341000,"data":[]}',
        b'{"row":"7|x","timestamp":6,"data":1}',
    ]


def write(job: tuple[Path, int]) -> None:
    folder, writer = job
    store = FileStore(folder, "T1", "20200611")
    with ThreadPoolExecutor(store.writers) as pool:
        rows = [[Row(b"%d|%d|%d" % (writer, batch, n), b"{}") for n in range(10)] for batch in range(20)]
        list(pool.map(lambda batch: store.put(TABLE, batch, 5), rows))


def test_many_processes_write_into_one_folder(tmp_path: Path) -> None:
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        list(pool.map(write, [(tmp_path, writer) for writer in range(4)]))
    found = [json.loads(line)["row"] for line in lines(tmp_path)]
    assert len(found) == len(set(found)) == 4 * 20 * 10
    names = {path.name for path in (tmp_path / "20200611" / "T1").iterdir()}
    assert names == {f"{TABLE}_20200611_{n}.json" for n in range(1, 81)}


def test_a_full_disk_leaves_no_part_of_a_file(tmp_path: Path) -> None:
    store = FileStore(tmp_path, "T1", "20200611")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(LocalDiskError, match=r"20200611/T1: .*file\.dir"):
            store.put(TABLE, [Row(b"%d" % n, b"[%d]" % n) for n in range(10_000)], 5)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list((tmp_path / "20200611" / "T1").iterdir()) == []


@pytest.mark.parametrize("row", [Row(b"\xff", b"{}"), Row(b"a", b"{"), Row(b"a", b""), Row(b"", b"{}")])
def test_what_cannot_be_a_line_is_refused_whole(tmp_path: Path, row: Row) -> None:
    store = FileStore(tmp_path, "T1", "20200611")
    with pytest.raises(InputDataError):
        store.put(TABLE, [Row(b"good", b"{}"), row], 5)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_told_before_the_first_call(tmp_path: Path) -> None:
    (tmp_path / "20200611").write_text("in the way")
    with pytest.raises(LocalDiskError, match="20200611"):
        FileStore(tmp_path, "T1", "20200611").check(TABLE)


def test_no_name_leads_out_of_the_folder(tmp_path: Path) -> None:
    for tenant in ("", "..", "../T1", "T1/x", ".T1"):
        with pytest.raises(UsageError, match="tenant"):
            FileStore(tmp_path, tenant, "20200611")
    with pytest.raises(UsageError, match="cannot be a table"):
        FileStore(tmp_path, "T1", "20200611").put("../t", [Row(b"a", b"{}")], 5)


def test_none_counts() -> None:
    store = NullStore()
    store.check(TABLE)
    store.put(TABLE, [Row(b"a", b"{}")] * 3, 5)
    store.close()
    assert store.rows == 3


def test_an_output_leads_to_its_store(tmp_path: Path) -> None:
    settings = load({"ARK_HOME": str(tmp_path)})
    day = date(2020, 6, 11)
    assert isinstance(open_sink("HBASE", settings, tenant="T1", day=day), EmbeddedStore)
    assert isinstance(open_sink("NONE", settings, tenant="T1", day=day), NullStore)
    open_sink("FILE", settings, tenant="T1", day=day).put(TABLE, [Row(b"a", b"{}")], 5)
    assert (tmp_path / "files" / "20200611" / "T1" / f"{TABLE}_20200611_1.json").exists()
    elsewhere = load({"ARK_HOME": str(tmp_path), "ARK_FILE_DIR": str(tmp_path / "other")})
    open_sink("FILE", elsewhere, tenant="T1", day=day).put(TABLE, [Row(b"a", b"{}")], 5)
    assert (tmp_path / "other" / "20200611" / "T1" / f"{TABLE}_20200611_1.json").exists()
    real = load({"ARK_HOME": str(tmp_path), "ARK_HBASE_URL": "thrift://127.0.0.1:1?transport=framed"})
    assert isinstance(open_sink("HBASE", real, tenant="T1", day=day), HBaseStore)
    with pytest.raises(UsageError, match="output is 'hbase': HBASE, FILE or NONE"):
        open_sink("hbase", settings, tenant="T1", day=day)
