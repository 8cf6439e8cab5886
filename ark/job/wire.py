"""The keys of the job argument: how each is checked, and how to write it."""

import datetime as dt
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from ark.errors import UsageError
from ark.job.argument import shown

MAX_TEXT = 512
MAX_COUNT = 2**31 - 1
FIRST_YEAR = 2000


def checked(key: str, value: object) -> object:
    """The value of a known key as `Job` holds it; raises UsageError that says how to write it."""
    return FIELDS[key].check(key, value)


def how(key: str) -> str:
    """How to write a key, for errors."""
    field = FIELDS[key]
    return f"write '{key}': {field.sample}" + (f" or {field.flag}" if field.flag else "")


def iso(text: str) -> str:
    """A date with or without dashes as yyyy-mm-dd; empty where it is none from FIRST_YEAR on."""
    parts = re.fullmatch(r"([0-9]{4})(-?)([0-9]{2})\2([0-9]{2})", text)
    if parts is None or int(parts[1]) < FIRST_YEAR:
        return ""
    try:
        return dt.date(int(parts[1]), int(parts[3]), int(parts[4])).isoformat()
    except ValueError:
        return ""


def _wrong(key: str, value: object, rule: str) -> UsageError:
    return UsageError(f"{key} is {shown(value)}: {rule}; {how(key.partition('[')[0])}")


def _id(key: str, value: object) -> str:
    text = str(value) if type(value) is int else value
    if isinstance(text, str) and re.fullmatch("[1-9][0-9]{0,19}", text):
        return text
    raise _wrong(key, value, "an id is 1 to 20 digits, the first not 0")


def _tenant(key: str, value: object) -> str:
    if isinstance(value, str) and re.fullmatch("[A-Za-z0-9][A-Za-z0-9_-]{0,63}", value):
        return value
    raise _wrong(key, value, "a tenant is letters, digits, '_' and '-', at most 64")


def _date(key: str, value: object) -> dt.date:
    if isinstance(value, str) and (day := iso(value)):
        return dt.date.fromisoformat(day)
    raise _wrong(key, value, f"a date is quoted text, from {FIRST_YEAR} on, with or without dashes")


def _text(key: str, value: object) -> str:
    if isinstance(value, str) and value.isprintable() and len(value) <= MAX_TEXT:
        return value
    raise _wrong(key, value, f"it must be quoted text of at most {MAX_TEXT} characters that can be seen")


def _channel(key: str, value: object) -> str:
    text = _text(key, value)
    return "" if text == "None" else text


def _count(key: str, value: object) -> int:
    if type(value) is int and 0 <= value <= MAX_COUNT:
        return value
    raise _wrong(key, value, "it must be a whole number from 0, without quotes")


def _output(key: str, value: object) -> str:
    if value in ("HBASE", "FILE", "NONE"):
        return str(value)
    raise _wrong(key, value, "it must be HBASE, FILE or NONE, in capitals")


def _list_of(check: Callable[[str, object], str]) -> Callable[[str, object], tuple[str, ...]]:
    """A check of lists; an item that stands in one twice counts once."""

    def each(key: str, value: object) -> tuple[str, ...]:
        if not isinstance(value, list):
            raise _wrong(key, value, "it must be a list in [ ]")
        return tuple(dict.fromkeys(check(f"{key}[{at}]", item) for at, item in enumerate(value)))

    return each


class _Field(NamedTuple):
    check: Callable[[str, object], object]
    sample: str
    flag: str = ""


FIELDS: Mapping[str, _Field] = {
    "agent_id": _Field(_id, "1050262", "-g 1050262"),
    "tenant_alias": _Field(_tenant, "'T100117'", "-t T100117"),
    "data_date": _Field(_date, "'2020-05-30'", "-d 2020-05-30"),
    "media_name": _Field(_text, "'gdt'"),
    "cur_job_name": _Field(_text, "'HourlyReportAdvertiser'"),
    "redis_accounts_key": _Field(_text, "'gdt_advertiser_v1.1_T100117_20200530'", "-k KEY"),
    "redis_keys": _Field(_list_of(_text), "[]"),
    "account_list": _Field(_list_of(_id), "['10058169']", "-a 10058169"),
    "agents_list": _Field(_list_of(_id), "['1050262']"),
    "task_type_list": _Field(_text, "'SAVE'"),
    "shown_count": _Field(_count, "10"),
    "redis_channel": _Field(_channel, "'None'"),
    "incr_min": _Field(_count, "60"),
    "output": _Field(_output, "'HBASE'", "-o HBASE"),
    "minutely_control": _Field(_count, "1000"),
    "agent_level": _Field(_text, "'parent'"),
    "agent_total": _Field(_count, "6"),
    "batch_key": _Field(_text, "'57ed39cc25bd5f43fa106779e405a189'"),
    "data_type": _Field(_text, "'day'"),
}
"""Every key of the argument: how it is checked, how to write it, and the flag that does the same."""
