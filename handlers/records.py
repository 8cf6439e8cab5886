"""From a medium's records to rows: the key fields are decoded, everything else stays the medium's own bytes."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from ark.answers import excerpt
from ark.errors import InputDataError, UnitError
from ark.rows import BoundKey, Row, RowKey, compact
from ark.units import Unit
from handlers.api import ApiHandler

ECHOES = ("account_id", "date")
"""Fields of a record that repeat what was asked for; where they are there, they must agree."""
BY_ENGINE = ("salt", "date", "tenant", "agent_id")
"""Key fields that the unit always knows."""

Collected = dict[bytes, bytes]
"""Row key -> the first KEPT bytes of its record: what a unit has brought so far."""
KEPT = 80


class RecordReader:
    """Makes the rows of one run: one table, one tenant, one date, one data version (ms)."""

    def __init__(self, handler: ApiHandler, tenant: str, day: date, version: int) -> None:
        self._handler = handler
        known = {*BY_ENGINE, *handler.variants, *(["account_id"] if handler.by == "account" else [])}
        self._from_record = [field for field in handler.row_key.fields if field not in known]
        self._decoder = msgspec.json.Decoder(_shape(self._from_record))
        self._before = b'{"tenant_alias":' + msgspec.json.encode(tenant) + b',"data":'
        self._after = b',"timestamp":%d}' % (version // 1000)
        self._day = day.isoformat()
        self._fixed = {"date": compact(day), "tenant": tenant}

    def rows(self, unit: Unit, records: Sequence[Raw], collected: Collected) -> list[Row]:
        """The rows of one page. `collected` holds the unit's keys so far and grows by this page's.

        Raises UnitError for a record that is not an object, lacks a key field, belongs to another account or day, or
        has the same row key as another record of the unit (both are named).
        """
        bound = self._bind(unit)
        rows = []
        for record in records:
            decoded = self._decode(record)
            self._check_echo(unit, decoded)
            key = self._key(bound, decoded, record)
            if key in collected:
                both = f"{excerpt(collected[key])} and {excerpt(bytes(record))}"
                raise UnitError(f"two records have one row key {key.decode()}: {both}")
            collected[key] = bytes(record)[:KEPT]
            rows.append(Row(key, b"".join((self._before, record, self._after))))
        return rows

    def _bind(self, unit: Unit) -> BoundKey:
        known = self._fixed | {"agent_id": unit.agent_id} | unit.variant
        try:
            return self._handler.row_key.bind(known | ({"account_id": unit.account_id} if unit.account_id else {}))
        except InputDataError as error:
            raise UnitError(str(error)) from None

    def _key(self, bound: BoundKey, decoded: Any, record: Raw) -> bytes:  # noqa: ANN401 - a struct made for this table
        try:
            return bound.build({field: str(getattr(decoded, field)) for field in self._from_record})
        except InputDataError as error:
            raise UnitError(f"{error}, in {excerpt(bytes(record))}") from None

    def _decode(self, record: Raw) -> Any:  # noqa: ANN401 - a struct made for this table
        try:
            return self._decoder.decode(record)
        except (msgspec.DecodeError, RecursionError) as error:
            raise UnitError(f"a record cannot be keyed ({error}): {excerpt(bytes(record))}") from None

    def _check_echo(self, unit: Unit, decoded: Any) -> None:  # noqa: ANN401
        if unit.account_id and decoded.account_id is not UNSET and str(decoded.account_id) != unit.account_id:
            raise UnitError(f"the answer holds a record of account {decoded.account_id}, asked was {unit.account_id}")
        if decoded.date is not UNSET and decoded.date != self._day:
            raise UnitError(f"the answer holds a record of {decoded.date}, asked was {self._day}")


def account_ids(row_key: RowKey, rows: Sequence[Row]) -> list[str]:
    """The account ids in the keys of these rows, for a list interface."""
    position = row_key.fields.index("account_id")
    return [row.key.decode().split("|")[position] for row in rows]


def _shape(from_record: Sequence[str]) -> type[msgspec.Struct]:
    """A struct of the fields that are decoded: ids are whole numbers or text, a float or a null is refused."""
    fields: list[tuple[str, Any, Any]] = [(echo, int | str | UnsetType, UNSET) for echo in ECHOES]
    required: list[tuple[str, Any]] = [(field, int | str) for field in from_record]
    optional = [field for field in fields if field[0] not in from_record]
    return msgspec.defstruct("Record", [*required, *optional], gc=False)
