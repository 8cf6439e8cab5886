"""`ApiHandler`: what an author declares of an interface, and the hooks that a medium's base fills in.

An interface is a module `media/<medium>/<name>.py` with one class: a declaration and at most two pure functions. No
I/O, no token, no clock, no paging, no retry in there. The hooks, all pure:

    hook      who writes it   what for
    params    the interface   its own query parameters for one unit
    records   the interface   where the records are, if not in the answer's list
    page      the medium      the query parameters that ask for page n, or for what comes at a cursor
    narrow    the medium      the query parameters that ask for the records of some ids only
    sign      the medium      parameters + token -> the request
    read      the medium      body -> Answer
    quota     the medium      headers -> what is left of the quota
    trace     the medium      headers -> the medium's id of this answer
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import ClassVar, Literal, NamedTuple, get_args

import msgspec

from ark.answers import Answer, CodeTable
from ark.governor import Dialect
from ark.http import Request
from ark.quota import Quota
from ark.rows import RowKey
from ark.settings import Medium
from ark.units import Unit

Params = Mapping[str, object]
"""Query parameters; a value that is not text is sent as JSON text (gdt, jrtt and wx alike)."""

List = Literal["accounts", "agents", "child_agents", "child_accounts"]
"""A sorted set in Redis: [redis] of conf/{section}.toml."""


class Stamp(NamedTuple):
    """What makes a request unique, made anew for every attempt: unix seconds, and a nonce of 32 characters at most."""

    timestamp: int
    nonce: str


class Level(NamedTuple):
    """A coarser interface of the same medium that lists the ids by which a long list is read in parts."""

    interface: type["ApiHandler"]
    field: str
    """The field of its records that holds such an id."""


class ApiHandler(ABC):
    """One interface of one medium. Subclasses are declarations; see the module's table of hooks."""

    medium: ClassVar[str]
    """Set by the medium's base: gdt, jrtt or wx."""
    section: ClassVar[str]
    """Set by the medium's base: its section of the settings and its file in conf/; the medium's name, or wx_b."""
    codes: ClassVar[CodeTable]
    """Set by the medium's base: what each body code means."""
    quota_rule: ClassVar[str]
    """Set by the medium's base: how the medium limits calls, in a few words for docs/interfaces.md."""

    dialect: ClassVar[Dialect]
    """Set by the medium's base: what answers tell of the quota, as in `ark.governor`."""
    quota_of: ClassVar[Literal["app", "account"]] = "app"
    """Set by the medium's base: whose calls are counted; nobody waits for the quota of another account."""

    path: ClassVar[str]
    """The endpoint, without host and version: `funds/get`."""
    table: ClassVar[str]
    """The table its rows go to, as named in conf/tables.toml."""
    row_key: ClassVar[RowKey]
    """The fields of the row key, in order."""
    source: ClassVar[str]
    """Where the facts of this declaration come from: a page of the medium, a recorded client, a seed."""
    by: ClassVar[Literal["account", "agent"]] = "account"
    """A unit is one account, or, for list interfaces, one agent."""
    works_on: ClassVar[List] = "accounts"
    """The Redis list that the accounts come from, where the argument names neither accounts nor a key."""
    opened_by: ClassVar[Literal["agent", "account"]] = "agent"
    """Whose token opens a unit first; where a medium has generations, an agent without one uses its parent's."""
    of_agent: ClassVar[bool] = False
    """By agent: its record is the agent's own, and not one of its accounts'."""
    batch: ClassVar[int] = 1
    """How many accounts one call asks for."""
    fields: ClassVar[Sequence[str]] = ()
    """The record's fields to ask for; empty: the medium's default."""
    variants: ClassVar[Mapping[str, Sequence[str]]] = {}
    """Parameters that multiply each account: every combination is a unit of its own and in the row key."""
    named: ClassVar[Mapping[str, str]] = {}
    """Key field -> where it stands in a record, if not under its own name: `dimensions.ad_id`; empty: the record.

    `id|ad_id`: under the one name or the other.
    """
    pages: ClassVar[Literal["", "list_page", "report_page"]] = ""
    """The setting that says how many records a page holds; empty: the endpoint has no pages."""
    reach: ClassVar[int] = 0
    """How many records paging reaches: so long a list may be cut off there; 0: no limit is known."""
    whole_pages: ClassVar[bool] = False
    """Of these, the last page must be within reach as a whole: page x page_size is what is limited."""
    levels: ClassVar[Sequence[Level]] = ()
    """What a list beyond `reach` is read in parts by, from coarse to fine."""
    cursors: ClassVar[bool] = False
    """A list beyond `reach` is read by cursor. Without levels and cursors it fails."""
    fills: ClassVar[List | None] = None
    """The Redis list that a list interface replaces for its agent."""
    may_be_empty: ClassVar[bool] = False
    """A list without members is no fault, unless the one in Redis has some."""
    feeds: ClassVar[List | None] = None
    """The Redis list that it adds its agent's accounts to."""
    restated: ClassVar[int] = 0
    """For how many days after a date the medium still changes that date's records."""
    complete_at: ClassVar[int | None] = None
    """The hour of the next day (Shanghai) from which on a date's records are complete; None: they are of the moment."""

    def __init_subclass__(cls) -> None:
        if "row_key" in cls.__dict__:
            _check_declaration(cls)

    def __init__(self, settings: Medium) -> None:
        self.settings = settings
        self.page_size: int = getattr(settings, self.pages) if self.pages else 0
        self.most = self.reach - (self.reach % self.page_size if self.whole_pages else 0)
        """Records that paging reaches with this page size; 0: no limit is known."""

    def params(self, unit: Unit) -> Params:
        """The interface's own parameters; the medium adds account, fields, page and signature."""
        return dict(unit.variant)

    def records(self, answer: Answer) -> Sequence[msgspec.Raw]:
        """The records of an answer that was taken, each as its own bytes."""
        return answer.records or ()

    @abstractmethod
    def page(self, number: int, cursor: str = "") -> Params:
        """The parameters that ask for page `number`, counted from 1; for what comes at `cursor` where that is given."""

    @abstractmethod
    def narrow(self, field: str, ids: Sequence[str]) -> Params:
        """The parameters that ask only for the records whose `field` is one of `ids`, at most 100."""

    @abstractmethod
    def sign(self, base_url: str, unit: Unit, params: Params, token: str, stamp: Stamp) -> Request:
        """The request for `params` of this unit, with the token where the medium wants it."""

    @abstractmethod
    def read(self, body: bytes) -> Answer:
        """The answer in a body; raises BadBodyError where there is none."""

    @abstractmethod
    def quota(self, headers: Mapping[str, str]) -> Quota | None:
        """What the headers say is left of this (app, interface)'s quota; never raises."""

    def trace(self, headers: Mapping[str, str]) -> str:  # noqa: ARG002 - most media have none
        """The medium's id of an answer where it stands in a header; empty where it does not."""
        return ""

    @classmethod
    def name(cls) -> str:
        """The interface's name: `gdt.funds` for media/gdt/funds.py."""
        return cls.__module__.removeprefix("media.")

    @classmethod
    def variant_values(cls) -> Iterator[dict[str, str]]:
        """Every combination of the declared variants; one empty combination where there are none."""
        for values in product(*cls.variants.values()):
            yield dict(zip(cls.variants, values, strict=True))


def spelled(value: object) -> str:
    """A parameter's value as it goes into a query, before it is quoted: text as it is, anything else as JSON."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _check_declaration(handler: type[ApiHandler]) -> None:
    """Two units of a run must never meet on one row key: each dimension of a unit is in the key.

    And somebody has said how the medium tells of its quota.
    """
    if getattr(handler, "dialect", None) not in get_args(Dialect):
        raise TypeError(f"{handler.__name__}.dialect: the medium's base sets it to one of {get_args(Dialect)}")
    missing = {"account_id", "agent_id", *handler.variants} - set(handler.row_key.fields)
    if missing:
        raise TypeError(
            f"{handler.__name__}.row_key lacks {', '.join(sorted(missing))}: rows of two units would collide"
        )
