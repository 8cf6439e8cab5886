"""From a medium's records to rows: the key fields are decoded, everything else stays the medium's own bytes."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from operator import attrgetter
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
DAY = len("2020-05-30")


class RecordReader:
    """Makes the rows of one run: one table, one tenant, one date, one data version (ms)."""

    def __init__(self, handler: type[ApiHandler], tenant: str, day: date, version: int) -> None:
        self._handler = handler
        by_unit = handler.of_agent or (handler.by == "account" and handler.batch == 1)
        known = {*BY_ENGINE, *handler.variants, *(["account_id"] if by_unit else [])}
        places = {field: handler.named.get(field, field) for field in (*ECHOES, *handler.row_key.fields)}
        from_record = [field for field in handler.row_key.fields if field not in known]
        bare = "" in (places[field] for field in from_record)  # the record is an id and has no fields
        echoes = [] if bare else [field for field in ECHOES if field not in from_record]
        self._fields = [(field, _reader(places[field])) for field in from_record]
        self._echoed_account = _reader(places["account_id"]) if "account_id" in echoes else None
        self._echoed_day = _reader(places["date"]) if "date" in echoes else None
        alternatives = [name for field in from_record for name in places[field].split("|") if "|" in places[field]]
        required = [places[field] for field in from_record if "|" not in places[field]]
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(
            _shape(required, [places[field] for field in echoes] + alternatives)
        )
        self._before = b'{"tenant_alias":' + msgspec.json.encode(tenant) + b',"data":'
        self._after = b',"timestamp":%d}' % (version // 1000)
        self._day = day.isoformat()
        self._fixed = {"date": compact(day), "tenant": tenant}

    def rows(self, unit: Unit, records: Sequence[Raw], collected: Collected) -> list[Row]:
        """The rows of one page. `collected` holds the unit's keys so far and grows by this page's.

        Raises UnitError for a record that is not an object, lacks a key field, belongs to another account or day, or
        has the same row key as another record of the unit (both are named).
        """
        unit = unit._replace(account_id=unit.agent_id) if self._handler.of_agent else unit
        bound = self._bind(unit)
        rows = []
        for record in records:
            if not self._fields and not bytes(record).strip(b"{} \t\r\n"):  # a key field would have been missed
                raise UnitError("the answer holds a record without any field")
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
            return bound.build({field: str(read(decoded)) for field, read in self._fields})
        except StopIteration:
            raise UnitError(f"a record cannot be keyed (its id is missing): {excerpt(bytes(record))}") from None
        except InputDataError as error:
            raise UnitError(f"{error}, in {excerpt(bytes(record))}") from None

    def _decode(self, record: Raw) -> Any:  # noqa: ANN401 - a struct made for this table
        try:
            return self._decoder.decode(record)
        except (msgspec.DecodeError, RecursionError) as error:
            raise UnitError(f"a record cannot be keyed ({error}): {excerpt(bytes(record))}") from None

    def _check_echo(self, unit: Unit, decoded: Any) -> None:  # noqa: ANN401
        account = self._echoed_account(decoded) if self._echoed_account else UNSET
        if account is not UNSET and unit.account_id and str(account) != unit.account_id:
            raise UnitError(f"the answer holds a record of account {account}, asked was {unit.account_id}")
        day = self._echoed_day(decoded) if self._echoed_day else UNSET
        if day is not UNSET and str(day)[:DAY] != self._day:
            raise UnitError(f"the answer holds a record of {day}, asked was {self._day}")


def account_ids(row_key: RowKey, rows: Sequence[Row]) -> list[str]:
    """The account ids in the keys of these rows, for a list interface."""
    position = row_key.fields.index("account_id")
    return [row.key.decode().split("|")[position] for row in rows]


def by_account(row_key: RowKey, rows: Sequence[Row], accounts: Sequence[str]) -> Mapping[str, list[Row]]:
    """The rows of each of these accounts. Raises UnitError for a row of another account."""
    found: dict[str, list[Row]] = {account: [] for account in accounts}
    for account, row in zip(account_ids(row_key, rows), rows, strict=True):
        if account not in found:
            raise UnitError(f"the answer holds a record of account {account}, which was not asked for")
        found[account].append(row)
    return found


def _reader(place: str) -> Callable[[Any], Any]:
    """How a decoded record tells the value at `place`; an empty place is the record itself.

    Of two names (`id|ad_id`) the first that is there tells; StopIteration where none is.
    """
    if "|" in place:
        either = attrgetter(*place.split("|"))
        return lambda record: next(value for value in either(record) if value is not UNSET)
    return attrgetter(place) if place else lambda record: record


def _shape(required: Sequence[str], optional: Sequence[str]) -> Any:  # noqa: ANN401 - a type made for one table
    """What is decoded of a record: ids are whole numbers or text, a float or a null is refused.

    A dotted place is an object inside of the record; with an empty place the record itself is the id.
    """
    if "" in required:
        return int | str
    fields: dict[str, Any] = {}
    inside: dict[str, tuple[list[str], list[str]]] = {}
    for places, position in ((required, 0), (optional, 1)):
        for place in places:
            first, _, rest = place.partition(".")
            if rest:
                inside.setdefault(first, ([], []))[position].append(rest)
            else:
                fields[first] = (first, int | str) if position == 0 else (first, int | str | UnsetType, UNSET)
    fields |= {first: (first, _shape(*places)) for first, places in inside.items()}
    ordered = sorted(fields.values(), key=len)
    return msgspec.defstruct("Record", ordered, gc=False)
