"""What the interfaces of gdt share: whose account may be asked for, which fields are shown, what a page looks like."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from media.simulator import gdt_params as params
from media.simulator.answers import Call
from media.simulator.gdt_data import GdtData
from media.simulator.gdt_fields import FIELDS
from media.simulator.gdt_params import RefusedError
from media.simulator.world import Agent, World

_EMPTY: Mapping[str, object] = {"int": 0, "float": 0.0, "str": "", "bool": False, "list": (), "object": {}}

Record = Mapping[str, object]


class Page(NamedTuple):
    """The rows of one answer, None where its data is no list; and what stands beside the list."""

    rows: Sequence[Record] | None
    beside: Mapping[str, object] = {}


class Desk:
    """Who may ask about which account."""

    def __init__(self, world: World, data: GdtData) -> None:
        self._world = world
        self._data = data

    def own(self, account: str, agent: Agent) -> str:
        """An active account of the caller; agencies are refused."""
        if account in self._world.by_id:
            raise RefusedError(12203, "account_id: an agency is not permitted here")
        self.listed(account, agent)
        if self._data.inactive(account):
            raise RefusedError(32211, "the advertiser account is not active")
        return account

    def listed(self, account: str, agent: Agent) -> str:
        """An account of the caller, active or not."""
        owner = self._world.find(account)
        if owner is None or owner.id != agent.id:
            raise RefusedError(12201, "account_id is not valid for this token")
        return account

    def agency(self, account: str, agent: Agent) -> str:
        """The caller itself; accounts are refused."""
        if account != agent.id:
            raise RefusedError(12203, "account_id: only the agency of this token is permitted here")
        return account


def wanted(call: Call) -> tuple[str, ...]:
    """The fields that a call asks for, empty where it names none."""
    return params.fields(call.query["fields"], call.interface) if "fields" in call.query else ()


def shown(row: Record, fields: tuple[str, ...]) -> Record:
    """The row cut down to `fields`; all of it where there are none."""
    return {name: row[name] for name in fields if name in row} if fields else row


def filled(row: Record, fields: Iterable[str], interface: str) -> Record:
    """The row cut down to `fields`; a field without a value is there and empty."""
    types = FIELDS[interface]
    return {name: row[name] if name in row else _EMPTY[types[name]] for name in fields}


def page_of(call: Call, rows: Sequence[Record], most: int = 100) -> Page:
    """The page of all `rows` that a call asks for, with the fields it names."""
    page = params.number(call.query, "page", 1, 99_999)
    size = params.number(call.query, "page_size", 10, most)
    fields = wanted(call)
    return Page([shown(row, fields) for row in rows[(page - 1) * size : page * size]], page_info(page, size, len(rows)))


def page_info(page: int, size: int, total: int) -> dict[str, object]:
    """What stands beside the list of a page."""
    return {"page_info": {"page": page, "page_size": size, "total_number": total, "total_page": -(-total // size)}}
