"""What passes between the frame and a medium's dialect: a call comes in, an answer goes out."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple, Protocol

import msgspec

from media.simulator.scenario import Scenario
from media.simulator.world import World


class Call(NamedTuple):
    """One request: its interface as the medium names it (`funds/get`) and its parameters, decoded."""

    interface: str
    method: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    now: float
    repeated: bool = False
    """Whether a name stands in the query twice; `query` has the last of them."""


_FRESH = {"access_token", "nonce", "timestamp"}


def parameters(call: Call) -> dict[str, str]:
    """What its query says, and its body where that is a JSON object: values other than text as JSON."""
    return _members(call.body) | dict(call.query) if call.body.startswith(b"{") else dict(call.query)


def _members(body: bytes) -> dict[str, str]:
    try:
        members = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        return {name: _text(bytes(value)) for name, value in members.items()}
    except msgspec.DecodeError:
        return {}


def _text(value: bytes) -> str:
    return msgspec.json.decode(value, type=str) if value.startswith(b'"') else value.decode()


def same_call(call: Call) -> tuple[tuple[str, str], ...]:
    """Its parameters without those that differ between the tries of one call."""
    return tuple(sorted(item for item in parameters(call).items() if item[0] not in _FRESH))


class Answer(NamedTuple):
    """What the medium says: body bytes, its code, how many rows; `refused` where a quota said no."""

    body: bytes
    headers: dict[str, str]
    code: int = 0
    rows: int = 0
    refused: bool = False
    status: int = 200


class Truth(NamedTuple):
    """One record as it will be served; `variant` as in `time_line=REQUEST_TIME`."""

    tenant: str
    agent: str
    account: str
    variant: str
    record: object


class Dialect(Protocol):
    """One medium as the frame sees it."""

    name: str
    world: World

    def interface(self, path: str) -> str | None:
        """The interface that a path names, None where the path is not of this medium."""

    def knows(self, call: Call) -> bool:
        """Whether a call is of one of its agents: asked where two media have the same path."""

    def subject(self, call: Call) -> str:
        """Whom a call is about: an account, or the agent where none is named; faults are chosen by it."""

    def answer(self, call: Call) -> Answer:
        """The answer, refusals included; never raises for what a client sent."""

    def truth(self, interface: str, query: Mapping[str, str], now: float) -> Iterator[Truth]:
        """Every record of an interface, named as clients name it; raises KeyError or ValueError for a bad query."""

    def directory(self) -> Iterator[Mapping[str, object]]:
        """Every agent with what a client needs to call on its behalf."""

    def quotas(self, now: float) -> Mapping[str, object]:
        """The counters so far, by app and interface."""

    def changed(self, scenario: Scenario, now: float) -> "Dialect":
        """The same medium under another scenario."""
