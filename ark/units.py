"""The smallest thing that is done or not done: one account under one variant, all its pages together."""

from datetime import date
from typing import NamedTuple


class Unit(NamedTuple):
    """What an interface's pure functions may know of a unit; ids are text.

    `account_id` is empty for list interfaces, which work by agent. `variant` holds the values that the declaration's
    `variants` multiply the account by, e.g. {"time_line": "REQUEST_TIME"}. Where one call asks for many accounts, they
    are `accounts`, and `account_id` is empty.
    """

    tenant: str
    date: date
    agent_id: str
    account_id: str
    variant: dict[str, str]
    accounts: tuple[str, ...] = ()


def spell(variant: dict[str, str]) -> str:
    """A variant as the ledger and `ark show` spell it: `time_line=REQUEST_TIME`; empty where there is none."""
    return ",".join(f"{name}={value}" for name, value in variant.items())
