"""`ark tables` and `ark rows`: the same command, the same answer, from both stores."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from ark.rows import Row
from ark.settings import load
from ark.stores import open_store
from ark.stores.hbase import HBaseStore
from handlers.cli.main import main

DAYS = ("20200610", "20200611")
ACCOUNTS = ("10058169", "10058170", "9998960")


class Said(NamedTuple):
    code: object
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


@pytest.fixture
def ark(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Said]:
    monkeypatch.setenv("ARK_HOME", str(tmp_path))

    def run(*arguments: str) -> Said:
        with pytest.raises(SystemExit) as left:
            main(list(arguments))
        return Said(left.value.code, *capsys.readouterr())

    return run


@pytest.fixture(params=["embedded", "hbase"])
def reference(request: pytest.FixtureRequest, tmp_path: Path, unique: Callable[[str], str]) -> Iterator[str]:
    """TABLE@STORE of a table with three accounts on two days, and one row that is not JSON."""
    url = "embedded:" if request.param == "embedded" else request.getfixturevalue("services").hbase_url
    table = unique("cli")
    store = open_store(url, load({"ARK_HOME": str(tmp_path)}))
    store.create(table)
    cell = '{"data":{"cash":0.10,"name":"余额 [b]"},\n"timestamp":1588984341}'.encode()
    for timestamp in (1000, 2000):
        put = [Row(f"{account[-1]}|{day}|{account}|24641|T1".encode(), cell) for account in ACCOUNTS for day in DAYS]
        store.put(table, [*put, Row(b"x|20200611|x\xff", b"\xfe\n")], timestamp)
    yield f"{table}@{url}"
    if isinstance(store, HBaseStore):
        store._call(table, "disableTable", table.encode())
        store._call(table, "deleteTable", table.encode())
    store.close()


def keys(said: Said) -> list[str]:
    assert said.code == 0, said.err
    return [json.loads(line)["row"] for line in said.lines]


def test_rows_are_json_lines_with_exact_numbers(ark: Callable[..., Said], reference: str) -> None:
    said = ark("rows", reference, "--account", "10058169", "--date", "2020-06-11", "--versions", "9", "--json")
    assert said.out == (
        '{"row":"9|20200611|10058169|24641|T1","column":"info:data","timestamp":2000,'
        '"value":{"data":{"cash":0.10,"name":"余额 [b]"},"timestamp":1588984341}}\n'
    )
    stranger = ark("rows", reference, "--prefix", "x|", "--json")
    assert json.loads(stranger.out) == {
        "row": "x|20200611|x\\xff",
        "column": "info:data",
        "timestamp": 2000,
        "value": "\\xfe\n",
    }


def test_rows_are_chosen_by_date_account_and_prefix(ark: Callable[..., Said], reference: str) -> None:
    everything = [f"{a[-1]}|{day}|{a}|24641|T1" for a in ("10058170", "9998960") for day in DAYS]
    everything = sorted([*everything, *(f"9|{day}|10058169|24641|T1" for day in DAYS)])
    assert keys(ark("rows", reference, "--json")) == [*everything, "x|20200611|x\\xff"]
    assert keys(ark("rows", reference, "--date", "20200610", "--json")) == [k for k in everything if "|20200610|" in k]
    assert keys(ark("rows", reference, "--account", "10058170", "--json")) == everything[:4:2]
    assert keys(ark("rows", reference, "--prefix", "0|20200611|1", "--json")) == ["0|20200611|10058170|24641|T1"]
    assert keys(ark("rows", reference, "--date", "2020-06-10", "--limit", "2", "--json")) == [
        "0|20200610|10058170|24641|T1",
        "0|20200610|9998960|24641|T1",
    ]


def test_rows_are_plain_lines_where_nobody_sits_before_a_terminal(ark: Callable[..., Said], reference: str) -> None:
    said = ark("rows", reference, "--limit", "1")
    assert said.out == (
        "0|20200610|10058170|24641|T1\tinfo:data\t1970-01-01T08:00:02.000+08:00\t"
        '{"data":{"cash":0.10,"name":"余额 [b]"},"timestamp":1588984341}\n'
    )


def test_rows_are_a_table_before_a_terminal(
    ark: Callable[..., Said], reference: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "200")
    said = ark("rows", reference)
    assert "the first 100 rows; --limit N for more" in said.err
    assert "0|20200610|10058170|24641|T1 │ info:data │ 1970-01-01T08:00:02.000+08:00 │" in said.out
    assert '"name":"余额 [b]"' in said.out


def test_a_missing_table_is_told(ark: Callable[..., Said], reference: str) -> None:
    said = ark("rows", "nowhere@" + reference.partition("@")[2], "--date", "2020-06-11", "--json")
    assert (said.code, said.out) == (78, "")
    assert said.err.startswith("ark: table nowhere does not exist in ")
    assert said.err.count("\n") == 1


def test_tables_are_listed_and_created(ark: Callable[..., Said]) -> None:
    name = "tenant_gdt_funds_get_v2"
    before = {each["table"]: each for each in json.loads(ark("tables", "--json").out)}
    assert before[name]["declared"]
    assert not before[name]["exists"]
    assert ark("tables", "create", name, "my_test").lines[0].startswith(f"created: {name} in ")
    assert ark("tables", "create", name).lines[0].startswith(f"exists already: {name} in ")
    after = {each["table"]: each for each in json.loads(ark("tables", "--json").out)}
    assert after[name]["exists"]
    assert (after["my_test"]["exists"], after["my_test"]["declared"]) == (True, False)
    shown = ark("tables").lines
    assert any(line.startswith("exists") and name in line for line in shown)
    assert ark("rows", name).out == ""


def test_the_ddl_is_one_line_to_paste(ark: Callable[..., Said]) -> None:
    assert ark("tables", "ddl", "tenant_gdt_daily_report_adgroup_v3").out == (
        "create 'tenant_gdt_daily_report_adgroup_v3',{NAME=>'info',COMPRESSION=>'SNAPPY'},"
        "{NAME=>'col',COMPRESSION=>'SNAPPY'},{SPLITS=>['1|','2|','3|','4|','5|','6|','7|','8|','9|']}\n"
    )


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("rows", "../x"), 2, "cannot be a table"),
        (("rows", "x@"), 2, "names no store"),
        (("rows", "x@http://user:secret@h"), 78, "thrift://host:port"),
        (("rows", "x", "--limit", "0"), 2, "limit"),
        (("rows", "x", "--date", "yesterday"), 2, "date"),
        (("tables", "create", "x@thrift://127.0.0.1:1"), 69, "does not answer"),
    ],
)
def test_a_mistake_is_one_line(ark: Callable[..., Said], arguments: tuple[str, ...], code: int, said: str) -> None:
    got = ark(*arguments)
    assert got.code == code
    assert said in got.err
    assert "secret" not in got.err
    assert got.err.count("\n") == 1
