"""Tenants, agents and accounts, as pure functions of the seed: nothing is kept per account.

An account's place is (agent, index). Generated ids are a keyed permutation of all places: they are unique, have 8 to 10
digits in no order (every salt is met), and the way back from an id to its place is a computation, not a table. Accounts
that the scenario names come first in their agent.
"""

from collections.abc import Iterator
from hashlib import blake2b
from typing import NamedTuple

from media.simulator.scenario import Agents, Scenario, ScenarioError

_INDEX_BITS = 20  # generated accounts of one agent, scenario.MAX_GENERATED
_HALF = 15  # the permutation works on two halves: 2**10 agents x 2**20 accounts
_MASK = (1 << _HALF) - 1
_FIRST_ID = 10_000_000


class Agent(NamedTuple):
    """One agency: `slot` is its place among all, `named` its accounts by name, `generated` how many follow them."""

    slot: int
    tenant: str
    app: str
    id: str
    token: str
    token_age: float
    named: tuple[str, ...]
    generated: int

    @property
    def size(self) -> int:
        """Its accounts."""
        return len(self.named) + self.generated


class Dice:
    """Seeded bytes: the same for the same purpose and numbers, on every machine."""

    def __init__(self, seed: int, purpose: str) -> None:
        self._start = blake2b(purpose.encode(), digest_size=32, key=seed.to_bytes(8, "big"))

    def roll(self, *parts: object) -> bytes:
        """32 bytes for these parts."""
        dice = self._start.copy()
        dice.update(repr(parts).encode())
        return dice.digest()

    def share(self, *parts: object) -> float:
        """A number in [0, 1) for these parts."""
        return int.from_bytes(self.roll(*parts)[:6], "big") / (1 << 48)


class World:
    """The agents of one medium and their accounts."""

    def __init__(self, seed: int, medium: str, groups: tuple[Agents, ...]) -> None:
        dice = Dice(seed, f"{medium} agents")
        self._keys = [int.from_bytes(Dice(seed, f"{medium} accounts").roll(turn)[:4], "big") | 1 for turn in range(4)]
        self.agents = tuple(_agents(dice, groups))
        if len(self.agents) > 1 << (2 * _HALF - _INDEX_BITS):
            raise ScenarioError(f"{len(self.agents)} agents: 1024 at most")
        self.by_id = {agent.id: agent for agent in self.agents}
        self._named = {account: (agent, i) for agent in self.agents for i, account in enumerate(agent.named)}
        self._refuse_clashes()

    def account(self, agent: Agent, index: int) -> str:
        """The id at a place."""
        if index < len(agent.named):
            return agent.named[index]
        place = agent.slot << _INDEX_BITS | index - len(agent.named)
        return str(_FIRST_ID + self._permuted(place))

    def accounts(self, agent: Agent, start: int = 0, stop: int | None = None) -> Iterator[str]:
        """The ids of one agent, those of its places start <= index < stop."""
        for index in range(start, min(agent.size, agent.size if stop is None else stop)):
            yield self.account(agent, index)

    def find(self, account: str) -> Agent | None:
        """The agent of an account id, None where there is no such account."""
        named = self._named.get(account)
        return named[0] if named else self._generated(account)

    def _generated(self, account: str) -> Agent | None:
        number = int(account) - _FIRST_ID if account.isascii() and account.isdigit() and account[0] != "0" else -1
        if not 0 <= number < 1 << 2 * _HALF:
            return None
        place = self._restored(number)
        slot, index = place >> _INDEX_BITS, place & (1 << _INDEX_BITS) - 1
        if slot >= len(self.agents) or index >= self.agents[slot].generated:
            return None
        return self.agents[slot]

    def _permuted(self, place: int) -> int:
        left, right = place >> _HALF, place & _MASK
        for key in self._keys:
            left, right = right, left ^ _scramble(right, key)
        return left << _HALF | right

    def _restored(self, number: int) -> int:
        left, right = number >> _HALF, number & _MASK
        for key in reversed(self._keys):
            left, right = right ^ _scramble(left, key), left
        return left << _HALF | right

    def _refuse_clashes(self) -> None:
        if len(self.by_id) < len(self.agents):
            raise ScenarioError("agents: an id is named twice")
        if len(self._named) < sum(len(agent.named) for agent in self.agents):
            raise ScenarioError("account_ids: an id is named twice")
        for account in self._named:
            if self._generated(account) or account in self.by_id:
                raise ScenarioError(f"account_ids: {account} is also a generated id; choose another")


def _scramble(half: int, key: int) -> int:
    """The round function of the permutation; it need not be invertible."""
    mixed = (half * 0x9E3779B1 + key) & 0xFFFFFFFF
    mixed = ((mixed ^ mixed >> 15) * key) & 0xFFFFFFFF
    return (mixed ^ mixed >> 13) & _MASK


def _agents(dice: Dice, groups: tuple[Agents, ...]) -> Iterator[Agent]:
    taken = {group.id for group in groups}
    slot = 0
    for group in groups:
        for _ in range(group.count):
            yield Agent(
                slot,
                group.tenant,
                group.app,
                group.id or _fresh_id(dice, slot, taken),
                group.token or dice.roll("token", slot)[:16].hex(),
                group.token_age,
                group.account_ids,
                group.accounts,
            )
            slot += 1


def _fresh_id(dice: Dice, slot: int, taken: set[str]) -> str:
    """Seven digits, as agencies have, met nowhere else."""
    turn = 0
    while (agent_id := str(1_000_000 + int.from_bytes(dice.roll("id", slot, turn)[:4], "big") % 9_000_000)) in taken:
        turn += 1
    taken.add(agent_id)
    return agent_id


def worlds(scenario: Scenario) -> dict[str, World]:
    """The world of each medium."""
    return {"gdt": World(scenario.seed, "gdt", scenario.gdt.agents)}
