"""What conf/tables.toml says, the HBase shell statement, how batches are cut and keys are ranged."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ark.errors import ConfigError, InputDataError, UsageError
from ark.rows import Row
from ark.stores import batches, check_rows
from ark.stores.ranges import prefixed
from ark.stores.tables import Catalog, catalog, load

LAYOUT = {"families": ["info"], "compression": "NONE", "versions": 1, "splits": []}


def test_the_ddl_is_the_statement_people_paste() -> None:
    assert catalog().spec("tenant_gdt_daily_report_adgroup_v3").ddl() == (
        "create 'tenant_gdt_daily_report_adgroup_v3',"
        "{NAME=>'info',COMPRESSION=>'SNAPPY'},{NAME=>'col',COMPRESSION=>'SNAPPY'},"
        "{SPLITS=>['1|','2|','3|','4|','5|','6|','7|','8|','9|']}"
    )


def test_versions_and_splits_appear_where_they_differ_from_hbase() -> None:
    spec = Catalog(LAYOUT, {"t": {"versions": 3}}).spec("t")
    assert spec.ddl() == "create 't',{NAME=>'info',COMPRESSION=>'NONE',VERSIONS=>3}"


def test_the_known_tables_are_declared_and_say_what_they_hold() -> None:
    declared = catalog().declared
    assert {
        "tenant_gdt_funds_get_v2",
        "tenant_gdt_advertiser_get_v2",
        "tenant_gdt_daily_report_ad_v3",
        "tenant_gdt_hourly_report_ad_v3",
        "tenant_gdt_daily_report_adgroup_v3",
        "tenant_jrtt_advertiser_fund_get_v2",
        "tenant_gdt_hourly_report_ad_test",
        "tenant_gdt_funds_qiyuan",
    } <= set(declared)
    assert all(spec.about and "info" in spec.families for spec in declared.values())


def test_any_other_table_gets_the_defaults() -> None:
    assert catalog().spec("ns:own_table").families == ("info", "col")
    with pytest.raises(UsageError, match="cannot be a table"):
        catalog().spec("create 'x'")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[tables.t]\n", "default"),
        ("[default]\nfamilies = ['info'", "tables.toml"),
        ("[default]\nfamilies=['info']\ncompression='NONE'\nversions=0\nsplits=[]\n[tables.t]\n", "versions"),
        ("[default]\nfamilies=['info']\ncompression='NONE'\nversions=1\nsplits=[]\n[tables.t]\nverions=2\n", "verions"),
        ("[default]\nfamilies=['info']\ncompression='NONE'\nversions=1\nsplits=[\"'\"]\n[tables.t]\n", "splits"),
    ],
)
def test_a_mistake_in_the_file_is_told(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "tables.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=said):
        load(path)


@given(
    st.lists(st.builds(Row, st.binary(min_size=1, max_size=9), st.binary(max_size=50))),
    st.integers(1, 10),
    st.integers(1, 100),
)
def test_batches_hold_every_row_in_order_within_both_bounds(rows: list[Row], most: int, most_bytes: int) -> None:
    cut = list(batches(rows, most, most_bytes))
    assert [row for some in cut for row in some] == rows
    for some in cut:
        assert 0 < len(some) <= most
        assert len(some) == 1 or sum(len(row.key) + len(row.value) for row in some) <= most_bytes


@given(st.lists(st.builds(Row, st.binary(min_size=1, max_size=9), st.binary(max_size=50)), min_size=1))
def test_batches_are_as_large_as_they_may_be(rows: list[Row]) -> None:
    assert list(batches(rows, len(rows), 10_000_000)) == [rows]


def test_a_key_that_hbase_does_not_take_is_refused() -> None:
    check_rows([Row(b"k" * 32767, b"")])
    for key in (b"", b"k" * 32768):
        with pytest.raises(InputDataError, match="HBase takes 1 to 32767"):
            check_rows([Row(b"a", b""), Row(key, b"")])


@given(st.binary(max_size=6), st.binary(max_size=6))
def test_a_range_holds_exactly_the_keys_with_its_prefix(prefix: bytes, key: bytes) -> None:
    start, stop = prefixed(prefix)
    assert (start <= key and (not stop or key < stop)) == key.startswith(prefix)
