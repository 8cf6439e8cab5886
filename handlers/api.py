"""`ApiHandler`: what an author declares of an interface, and the hooks that a medium's base fills in.

An interface is a module `media/<medium>/<name>.py` with one class: a declaration and at most two pure functions. No
I/O, no token, no clock, no paging, no retry in there. The hooks, all pure:

    hook      who writes it   what for
    params    the interface   its own query parameters for one unit
    records   the interface   where the records are, if not in the answer's list
    page      the medium      the query parameters that ask for page n
    sign      the medium      parameters + token -> the request
    read      the medium      body -> Answer
    quota     the medium      headers -> what is left of the quota
    trace     the medium      headers -> the medium's id of this answer
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import ClassVar, Literal, NamedTuple

import msgspec

from ark.answers import Answer, CodeTable
from ark.http import Request
from ark.quota import Quota
from ark.rows import RowKey
from ark.units import Unit

Params = Mapping[str, object]
"""Query parameters; a value that is not text is sent as JSON text (gdt, jrtt and wx alike)."""


class Stamp(NamedTuple):
    """What makes a request unique, made anew for every attempt: unix seconds, and a nonce of 32 characters at most."""

    timestamp: int
    nonce: str


class ApiHandler(ABC):
    """One interface of one medium. Subclasses are declarations; see the module's table of hooks."""

    medium: ClassVar[str]
    """Set by the medium's base: gdt, jrtt or wx."""
    codes: ClassVar[CodeTable]
    """Set by the medium's base: what each body code means."""

    path: ClassVar[str]
    """The endpoint, without host and version: `funds/get`."""
    table: ClassVar[str]
    """The table its rows go to, as named in conf/tables.toml."""
    row_key: ClassVar[RowKey]
    """The fields of the row key, in order."""
    by: ClassVar[Literal["account", "agent"]] = "account"
    """A unit is one account, or, for list interfaces, one agent."""
    fields: ClassVar[Sequence[str]] = ()
    """The record's fields to ask for; empty: the medium's default."""
    variants: ClassVar[Mapping[str, Sequence[str]]] = {}
    """Parameters that multiply each account: every combination is a unit of its own and in the row key."""
    page_size: ClassVar[int] = 0
    """Records per page; 0: the endpoint has no pages."""
    reach: ClassVar[int] = 0
    """How many records paging reaches at most; 0: no limit is known."""
    fills: ClassVar[str] = ""
    """The Redis list (`accounts`) that a list interface replaces for its agent."""

    def __init_subclass__(cls) -> None:
        if "row_key" in cls.__dict__:
            _check_declaration(cls)

    def params(self, unit: Unit) -> Params:
        """The interface's own parameters; the medium adds account, fields, page and signature."""
        return dict(unit.variant)

    def records(self, answer: Answer) -> Sequence[msgspec.Raw]:
        """The records of an answer that was taken, each as its own bytes."""
        return answer.records or ()

    @abstractmethod
    def page(self, number: int) -> Params:
        """The parameters that ask for page `number`, counted from 1."""

    @abstractmethod
    def sign(self, base_url: str, unit: Unit, params: Params, token: str, stamp: Stamp) -> Request:
        """The request for `params` of this unit, with the token where the medium wants it."""

    @abstractmethod
    def read(self, body: bytes) -> Answer:
        """The answer in a body; raises BadBodyError where there is none."""

    @abstractmethod
    def quota(self, headers: Mapping[str, str]) -> Quota | None:
        """What the headers say is left of this (app, interface)'s quota; never raises."""

    @abstractmethod
    def trace(self, headers: Mapping[str, str]) -> str:
        """The medium's id of an answer, for its support and our ledger; empty where it has none."""

    @classmethod
    def name(cls) -> str:
        """The interface's name: `gdt.funds` for media/gdt/funds.py."""
        return cls.__module__.removeprefix("media.")

    def variant_values(self) -> Iterator[dict[str, str]]:
        """Every combination of the declared variants; one empty combination where there are none."""
        for values in product(*self.variants.values()):
            yield dict(zip(self.variants, values, strict=True))


def _check_declaration(handler: type[ApiHandler]) -> None:
    """Two units of a run must never meet on one row key: each dimension of a unit is in the key."""
    missing = {"account_id", "agent_id", *handler.variants} - set(handler.row_key.fields)
    if missing:
        raise TypeError(
            f"{handler.__name__}.row_key lacks {', '.join(sorted(missing))}: rows of two units would collide"
        )
