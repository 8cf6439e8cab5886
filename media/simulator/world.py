"""Tenants, agents and accounts, as pure functions of the seed: nothing is kept per account.

An account's place is (agent, index). Generated ids are a keyed permutation of all places: they are unique, have 8 to 10
digits (jrtt: 16) in no order (every salt is met), and the way back from an id to its place is a computation, not a
table. Accounts that the scenario names come first in their agent.
"""

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Literal, NamedTuple

from media.simulator.scenario import Agents, JrttAgents, Scenario, ScenarioError

_INDEX_BITS = 20  # generated accounts of one agent, scenario.MAX_GENERATED
_HALF = 15  # the permutation works on two halves: 2**10 agents x 2**20 accounts
_MASK = (1 << _HALF) - 1
_FIRST_IDS = {"": (1_000_000, 10_000_000), "jrtt": (1_650_000_000_000_000, 1_664_000_000_000_000)}
"""Medium -> where the ids of its agents and those of its accounts begin."""


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
    parent: str = ""
    """Its first-generation agent, where it is of the second generation."""

    @property
    def generation(self) -> Literal["one", "child"]:
        """Agents that stand below another are of the second generation."""
        return "child" if self.parent else "one"

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

    def __init__(self, seed: int, medium: str, groups: Sequence[Agents]) -> None:
        self.medium = medium
        dice = Dice(seed, f"{medium} agents")
        self._keys = [int.from_bytes(Dice(seed, f"{medium} accounts").roll(turn)[:4], "big") | 1 for turn in range(4)]
        first_agent, self._first_account = _FIRST_IDS.get(medium, _FIRST_IDS[""])
        self.agents = tuple(_agents(dice, groups, first_agent))
        if len(self.agents) > 1 << (2 * _HALF - _INDEX_BITS):
            raise ScenarioError(f"{len(self.agents)} agents: 1024 at most")
        self.by_id = {agent.id: agent for agent in self.agents}
        self.children = _children(self.agents)
        self._named = {account: (agent, i) for agent in self.agents for i, account in enumerate(agent.named)}
        self._refuse_clashes()

    def account(self, agent: Agent, index: int) -> str:
        """The id at a place."""
        if index < len(agent.named):
            return agent.named[index]
        place = agent.slot << _INDEX_BITS | index - len(agent.named)
        return str(self._first_account + self._permuted(place))

    def accounts(self, agent: Agent, start: int = 0, stop: int | None = None) -> Iterator[str]:
        """The ids of one agent, those of its places start <= index < stop."""
        for index in range(start, min(agent.size, agent.size if stop is None else stop)):
            yield self.account(agent, index)

    def find(self, account: str) -> Agent | None:
        """The agent of an account id, None where there is no such account."""
        named = self._named.get(account)
        return named[0] if named else self._generated(account)

    def _generated(self, account: str) -> Agent | None:
        known = account.isascii() and account.isdigit() and account[0] != "0"
        number = int(account) - self._first_account if known else -1
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


def _agents(dice: Dice, groups: Sequence[Agents], first_id: int) -> list[Agent]:
    """The agents of all groups, then the children of those that have some."""
    taken = {group.id for group in groups}
    each = [group for group in groups for _ in range(group.count)]
    agents = [_agent(dice, slot, group, _fresh_id(dice, slot, taken, first_id)) for slot, group in enumerate(each)]
    for agent, group in list(zip(agents, each, strict=True)):
        if isinstance(group, JrttAgents):
            for number in range(group.children):
                slot = len(agents)
                child = agent._replace(slot=slot, id=_fresh_id(dice, slot, taken, first_id), parent=agent.id)
                token = _token(dice, slot) if number < round(group.child_tokens * group.children) else ""
                agents.append(child._replace(token=token, named=(), generated=group.child_accounts))
    return agents


def _agent(dice: Dice, slot: int, group: Agents, fresh_id: str) -> Agent:
    parent = group.parent if isinstance(group, JrttAgents) else ""
    token = group.token or ("" if parent else _token(dice, slot))
    return Agent(
        slot,
        group.tenant,
        group.app,
        group.id or fresh_id,
        token,
        group.token_age,
        group.account_ids,
        group.accounts,
        parent,
    )


def _token(dice: Dice, slot: int) -> str:
    return dice.roll("token", slot)[:16].hex()


def _children(agents: Sequence[Agent]) -> dict[str, tuple[Agent, ...]]:
    """Each first-generation agent's second-generation agents."""
    children: dict[str, tuple[Agent, ...]] = {agent.id: () for agent in agents if not agent.parent}
    for agent in agents:
        if agent.parent and agent.parent not in children:
            raise ScenarioError(f"agents: parent {agent.parent} is not a first-generation agent of this medium")
        if agent.parent:
            children[agent.parent] += (agent,)
    return children


def _fresh_id(dice: Dice, slot: int, taken: set[str], first: int) -> str:
    """One of nine million from `first` on (for agencies of gdt: seven digits), met nowhere else."""
    turn = 0
    while (agent_id := str(first + int.from_bytes(dice.roll("id", slot, turn)[:4], "big") % 9_000_000)) in taken:
        turn += 1
    taken.add(agent_id)
    return agent_id


def worlds(scenario: Scenario) -> dict[str, World]:
    """The world of each medium."""
    media = {"gdt": scenario.gdt, "wx": scenario.wx, "wx_b": scenario.wx_b, "jrtt": scenario.jrtt}
    return {name: World(scenario.seed, name, medium.agents) for name, medium in media.items()}
