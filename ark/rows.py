"""Rows: the key of each record, and the cell it is stored in.

A row key is `salt|yyyymmdd|account|agent[|more...]|tenant`, its fields declared in full, in order, per table
(design 5.3, seed 003 §2). The salt is the last character of the account id. The cell `info:data` holds
`{"tenant_alias", "data", "timestamp"}` with the record's own bytes, as the medium sent them.
"""

from collections.abc import Mapping
from datetime import date
from typing import NamedTuple

from ark.errors import InputDataError

SEPARATOR = "|"
COLUMN = b"info:data"
MAX_KEY_BYTES = 32767
"""Longest row key that HBase takes (its own limit, Short.MAX_VALUE)."""


class Row(NamedTuple):
    """One record on its way to a store: the row key and the bytes of its `info:data` cell."""

    key: bytes
    value: bytes


class RowKey:
    """The declared fields of one table's row keys, in order.

    `salt`, `date` and `tenant` are filled in by the engine; every other name is a field of the unit
    (`account_id`, `agent_id`, a variant such as `time_line`) or, where the unit has none, of the record.
    """

    def __init__(self, *fields: str) -> None:
        if fields[:2] != ("salt", "date") or "account_id" not in fields or "tenant" not in fields:
            raise ValueError(f"a row key starts with salt, date and holds account_id and tenant, not {fields}")
        if len(set(fields)) != len(fields):
            raise ValueError(f"a row key names each field once, not {fields}")
        self.fields = fields

    def build(self, values: Mapping[str, str]) -> bytes:
        """The key for `values`, one text per declared field but the salt.

        Raises InputDataError naming the field that is empty, holds the separator or a control character.
        """
        parts = []
        for field in self.fields:
            value = values["account_id"][-1:] if field == "salt" else values[field]
            if not value or SEPARATOR in value or not value.isprintable():
                raise InputDataError(f"row key field {field!r} is {value!r}: it must be printable text without '|'")
            parts.append(value)
        key = SEPARATOR.join(parts).encode()
        if len(key) > MAX_KEY_BYTES:
            raise InputDataError(f"row key of {len(key)} bytes is longer than HBase takes ({MAX_KEY_BYTES})")
        return key

    def __repr__(self) -> str:
        return SEPARATOR.join(self.fields)


def compact(day: date) -> str:
    """A date as row keys and Redis keys spell it: yyyymmdd."""
    return f"{day:%Y%m%d}"
