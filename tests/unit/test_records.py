"""Records become rows: exact bytes, keys from the declared fields, and whatever does not fit fails with its name."""

from datetime import date

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ark.errors import InputDataError, UnitError
from ark.rows import RowKey
from ark.units import Unit
from handlers.records import RecordReader, account_ids, by_account
from media.gdt.advertisers import GdtAdvertisers
from media.gdt.daily_report_ad import GdtDailyReportAd
from media.gdt.funds import GdtFunds
from media.jrtt.account_info import JrttAccountInfo
from media.jrtt.accounts import JrttAccounts
from media.jrtt.campaigns import JrttCampaigns
from media.jrtt.fund_daily_stat import JrttFundDailyStat
from media.jrtt.report_ad import JrttReportAd
from media.jrtt.report_integrated import JrttReportIntegrated
from media.wx.agency import WxAgency

DAY = date(2020, 5, 30)
VERSION = 1_588_984_341_123
FUNDS_UNIT = Unit("T100117", DAY, "1050262", "10707125", {})


def raw(*records: str) -> list[msgspec.Raw]:
    return [msgspec.Raw(record.encode()) for record in records]


def rows_of(handler, unit, *records, collected=None):
    reader = RecordReader(handler, unit.tenant, unit.date, VERSION)
    return reader.rows(unit, raw(*records), {} if collected is None else collected)


def test_a_row_holds_the_records_own_bytes():
    record = '{"fund_type": "FUND_TYPE_CASH", "balance": 12345678901234567890123, "rate": 1.10, "name": "杭\\u5dde"}'
    (row,) = rows_of(GdtFunds, FUNDS_UNIT, record)
    assert row.key == b"5|20200530|10707125|1050262|FUND_TYPE_CASH|T100117"
    assert row.value.decode() == f'{{"tenant_alias":"T100117","data":{record},"timestamp":1588984341}}'


def test_each_table_has_its_own_order_of_key_fields():
    unit = Unit("T100117", DAY, "8442129383", "9871225279", {"time_line": "REQUEST_TIME"})
    (row,) = rows_of(GdtDailyReportAd, unit, '{"ad_id": 3001, "account_id": 9871225279, "date": "2020-05-30"}')
    assert row.key == b"9|20200530|9871225279|8442129383|3001|T100117|REQUEST_TIME"


def test_a_list_interface_takes_the_accounts_from_the_records():
    unit = Unit("T100117", DAY, "1050262", "", {})
    rows = rows_of(GdtAdvertisers, unit, '{"account_id": 20458}', '{"account_id": 9223372036854775807}')
    assert account_ids(GdtAdvertisers.row_key, rows) == ["20458", "9223372036854775807"]
    assert rows[1].key == b"7|20200530|9223372036854775807|1050262|T100117"


def test_bare_ids_are_records():
    unit = Unit("T100117", DAY, "3367268016", "", {})
    (row,) = rows_of(JrttAccounts, unit, "9223372036854775807")
    assert row.key == b"7|20200530|9223372036854775807|3367268016|T100117"
    assert row.value.decode() == '{"tenant_alias":"T100117","data":9223372036854775807,"timestamp":1588984341}'
    with pytest.raises(UnitError, match="cannot be keyed"):
        rows_of(JrttAccounts, unit, "1.5")


def test_key_fields_may_stand_inside_of_the_record():
    unit = Unit("T100117", DAY, "3367268016", "1664757665615880", {})
    record = '{"dimensions": {"ad_id": 17, "bidword_id": "18"}, "metrics": {"cost": 1.10}}'
    (row,) = rows_of(JrttReportIntegrated, unit, record)
    assert row.key == b"0|20200530|1664757665615880|3367268016|17|18|T100117"
    other = '{"dimensions": {"ad_id": 17, "bidword_id": 18, "advertiser_id": 5}, "metrics": {}}'
    with pytest.raises(UnitError, match="record of account 5"):
        rows_of(JrttReportIntegrated, unit, other)


def test_a_time_of_another_day_fails_the_unit():
    unit = Unit("T100117", DAY, "3367268016", "1664757665615880", {})
    assert rows_of(JrttReportAd, unit, '{"ad_id": 17, "stat_datetime": "2020-05-30 00:00:00"}')
    with pytest.raises(UnitError, match="2020-05-31 00:00:00"):
        rows_of(JrttReportAd, unit, '{"ad_id": 17, "stat_datetime": "2020-05-31 00:00:00"}')


def test_a_record_of_the_agent_itself_names_the_agent():
    unit = Unit("T100117", DAY, "4011704", "", {})
    (row,) = rows_of(WxAgency, unit, '{"account_id": 4011704}')
    assert row.key == b"4|20200530|4011704|4011704|T100117"
    with pytest.raises(UnitError, match="record of account 77777, asked was 4011704"):
        rows_of(WxAgency, unit, '{"account_id": 77777}')


@pytest.mark.parametrize("record", ['{"id": 17, "campaign_id": 18}', '{"id": 17}', '{"campaign_id": 17}'])
def test_an_id_may_stand_under_one_name_or_the_other(record):
    unit = Unit("T100117", DAY, "3367268016", "1664757665615880", {})
    (row,) = rows_of(JrttCampaigns, unit, record)
    assert row.key == b"0|20200530|1664757665615880|3367268016|17|T100117"


def test_an_id_under_neither_name_fails_the_unit():
    unit = Unit("T100117", DAY, "3367268016", "1664757665615880", {})
    with pytest.raises(UnitError, match="its id is missing"):
        rows_of(JrttCampaigns, unit, '{"name": "c"}')


@pytest.mark.parametrize("record", ["{}", "{ }"])
def test_a_record_without_a_field_fails_the_unit_although_its_key_needs_none(record):
    unit = Unit("T100117", DAY, "3367268016", "1664757665615880", {})
    with pytest.raises(UnitError, match="without any field"):
        rows_of(JrttFundDailyStat, unit, record)


def test_rows_of_many_accounts_are_told_apart():
    unit = Unit("T100117", DAY, "3367268016", "", {}, ("11", "12", "13"))
    rows = rows_of(JrttAccountInfo, unit, '{"id": 12}', '{"id": 11}')
    found = by_account(JrttAccountInfo.row_key, rows, unit.accounts)
    assert {account: len(own) for account, own in found.items()} == {"11": 1, "12": 1, "13": 0}
    with pytest.raises(UnitError, match="account 12, which was not asked for"):
        by_account(JrttAccountInfo.row_key, rows, ("11",))


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ("null", "cannot be keyed"),
        ("[]", "cannot be keyed"),
        ("{}", "fund_type"),
        ('{"fund_type": null}', "fund_type"),
        ('{"fund_type": 1.0}', "float"),
        ('{"fund_type": ""}', "fund_type"),
        ('{"fund_type": "A|B"}', "fund_type"),
        ('{"fund_type": "A\\u0000"}', "fund_type"),
        ('{"fund_type": "A", "account_id": 10707126}', "account 10707126"),
    ],
)
def test_what_cannot_be_keyed_fails_the_unit(record, words):
    with pytest.raises(UnitError, match=words):
        rows_of(GdtFunds, FUNDS_UNIT, record)


def test_a_record_of_another_day_fails_the_unit():
    unit = Unit("T1", DAY, "1", "2", {"time_line": "REQUEST_TIME"})
    with pytest.raises(UnitError, match="2020-05-29"):
        rows_of(GdtDailyReportAd, unit, '{"ad_id": 3001, "date": "2020-05-29"}')


def test_two_records_on_one_key_are_both_named():
    with pytest.raises(UnitError) as error:
        rows_of(GdtFunds, FUNDS_UNIT, '{"fund_type": "A", "balance": 1}', '{"fund_type": "A", "balance": 2}')
    assert '"balance": 1' in error.value.reason
    assert '"balance": 2' in error.value.reason
    assert "5|20200530|10707125|1050262|A|T100117" in error.value.reason


def test_the_same_record_on_a_later_page_is_noticed():
    collected = {}
    rows_of(GdtFunds, FUNDS_UNIT, '{"fund_type": "A"}', collected=collected)
    with pytest.raises(UnitError, match="one row key"):
        rows_of(GdtFunds, FUNDS_UNIT, '{"fund_type": "A"}', collected=collected)


FIELDS = ("salt", "date", "account_id", "agent_id", "fund_type", "tenant")
TEXT = st.text(st.characters(categories=("L", "N", "P", "S"), exclude_characters="|"), min_size=1, max_size=12)


@given(st.fixed_dictionaries(dict.fromkeys(FIELDS[1:], TEXT)), st.fixed_dictionaries(dict.fromkeys(FIELDS[1:], TEXT)))
def test_row_keys_are_injective(one, other):
    build = RowKey(*FIELDS).bind({}).build
    assert (build(one) == build(other)) == (one == other)


@given(st.fixed_dictionaries(dict.fromkeys(FIELDS[1:], TEXT)), st.sets(st.sampled_from(FIELDS[1:])))
def test_it_does_not_matter_which_fields_are_known_before(values, known):
    bound = RowKey(*FIELDS).bind({field: values[field] for field in known})
    assert bound.build(values) == RowKey(*FIELDS).bind({}).build(values)


@given(st.sampled_from(FIELDS[1:]), st.sampled_from(["", "|", "a|b", "\n", "\x00", "\u2028"]))
def test_row_keys_refuse_what_would_make_two_keys_one(field, value):
    with pytest.raises(InputDataError, match=field if field != "account_id" else "salt|account_id"):
        RowKey(*FIELDS).bind({}).build(dict.fromkeys(FIELDS, "1") | {field: value})


def test_row_keys_longer_than_hbase_takes_are_refused():
    with pytest.raises(InputDataError, match="32767"):
        RowKey(*FIELDS).bind({}).build(dict.fromkeys(FIELDS, "1") | {"fund_type": "x" * 33000})


@pytest.mark.parametrize("fields", [("date", "account_id", "tenant"), ("salt", "date", "tenant"), (*FIELDS, "date")])
def test_a_row_key_is_checked_when_it_is_declared(fields):
    with pytest.raises(ValueError, match="row key"):
        RowKey(*fields)


def test_a_declaration_whose_units_would_collide_is_refused():
    with pytest.raises(TypeError, match="time_line"):

        class Careless(GdtFunds):
            row_key = RowKey(*FIELDS)
            variants = {"time_line": ("REQUEST_TIME",)}
