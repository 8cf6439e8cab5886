"""Rows: the key of each record, and the cell it is stored in.

A row key is `salt|yyyymmdd|account|agent[|more...]|tenant`, its fields declared in full, in order, per table
(design 5.3, seed 003 §2). The salt is the last character of the account id. The cell `info:data` holds
`{"tenant_alias", "data", "timestamp"}` with the record's own bytes, as the medium sent them.
"""

from collections.abc import Mapping, Sequence
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

    def bind(self, known: Mapping[str, str]) -> "BoundKey":
        """The key with the fields that are the same for many records; only the others are looked at for each."""
        return BoundKey(self.fields, known)

    def __repr__(self) -> str:
        return SEPARATOR.join(self.fields)


class BoundKey:
    """A row key of which some fields are known. Raises InputDataError naming a field that cannot be in a key."""

    def __init__(self, fields: Sequence[str], known: Mapping[str, str]) -> None:
        if "account_id" in known:
            known = {**known, "salt": known["account_id"][-1:]}
        self._parts = [_checked(field, known[field]) if field in known else "" for field in fields]
        self._open = [(place, field) for place, field in enumerate(fields) if field not in known]

    def build(self, values: Mapping[str, str]) -> bytes:
        """The key of the record whose own fields are `values`, one text per field that is not known."""
        parts = self._parts.copy()
        for place, field in self._open:
            parts[place] = _checked(field, values["account_id"][-1:] if field == "salt" else values[field])
        key = SEPARATOR.join(parts).encode()
        if len(key) > MAX_KEY_BYTES:
            raise InputDataError(f"row key of {len(key)} bytes is longer than HBase takes ({MAX_KEY_BYTES})")
        return key


def _checked(field: str, value: str) -> str:
    """`value`, if it can be in a row key: not empty, no separator, nothing that cannot be seen."""
    if value.isalnum() or (value and SEPARATOR not in value and value.isprintable()):
        return value
    raise InputDataError(f"row key field {field!r} is {value!r}: it must be printable text without '|'")


def compact(day: date) -> str:
    """A date as row keys and Redis keys spell it: yyyymmdd."""
    return f"{day:%Y%m%d}"
