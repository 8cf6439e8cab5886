"""The agents in Redis: what is there is compared with what is to be, and all of it changes in one transaction."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ark.accounts.directory import CHUNK, Directory, translate
from ark.accounts.members import is_agent, shown
from ark.errors import UsageError
from ark.job import PARENT
from ark.job.argument import nearest
from ark.tenants.judge import Agent, Judged
from ark.tenants.rules import AgentList, Rules, child_key_of, keys_of


class Scope(NamedTuple):
    """What a sync is limited to; no tenant: all of them."""

    tenant: str | None
    media: Sequence[str]


class AgentSet(NamedTuple):
    """One sorted set: the agents of a tenant on a medium, score = agent id, member = its text."""

    medium: str
    tenant: str
    name: AgentList
    key: str


class Target(NamedTuple):
    """What Redis is to hold."""

    sets: Mapping[AgentSet, frozenset[str]]
    unclear: frozenset[Agent]
    """Agents that stay as they are."""
    children: frozenset[Agent]
    """Agents that stay in the list of both generations."""
    tenants_key: str
    listed: frozenset[str]
    """Tenants that are to be in `tenants_key`."""
    unlisted: frozenset[str]
    """Tenants that are to leave it."""


class Changes(NamedTuple):
    """What a sync changes: agents that come, go, or move to another list or another spelling of their member."""

    added: list[Agent]
    removed: list[Agent]
    changed: list[Agent]
    unchanged: int
    lists: Mapping[Agent, frozenset[str]]
    """Every agent that is in Redis afterwards, and the lists it is in."""


Contents = Mapping[AgentSet, list[tuple[bytes, float]]]
"""The members of each set, with their scores."""
Standing = Mapping[Agent, frozenset[tuple[str, bytes]]]
"""Where each agent stands: the names of lists, and the member that it is there."""


class Known(NamedTuple):
    """What Redis knows from before."""

    tenants: frozenset[str]
    """Those whose agents a sync has put there."""
    children: frozenset[Agent]
    """Second-generation agents that the medium has listed for an agent that counts."""


async def known(directory: Directory, rules: Rules, judged: Judged) -> Known:
    """What a target needs to know of Redis."""
    (tenants,) = await _members(directory, [rules.redis.tenants])
    keys = {
        key: (medium, tenant)
        for medium in rules.platforms
        for tenant in judged.active
        if (key := child_key_of(medium, tenant))
    }
    children = {
        Agent(medium, tenant, member.decode(errors="replace"))
        for (medium, tenant), members in zip(keys.values(), await _members(directory, list(keys)), strict=True)
        for member, score in members
        if is_agent(score) and Agent(medium, tenant, str(int(score))) in judged.agents
    }
    return Known(frozenset(member.decode(errors="replace") for member, _ in tenants), frozenset(children))


def aim(judged: Judged, rules: Rules, before: Known, scope: Scope) -> Target:
    """The target for `scope`.

    A tenant that is known from before and left the view has ended as well. A second-generation agent that the medium
    has listed stays, although the view may not know it.

    Raises UsageError for a tenant that nobody knows.
    """
    tenants = judged.active | judged.ended | (before.tenants - judged.unclear_tenants)
    if scope.tenant is not None:
        if scope.tenant not in tenants | judged.unclear_tenants:
            hint = nearest(scope.tenant, tenants) or ": see that view"
            raise UsageError(f"there is no tenant {scope.tenant} in ark_tenants{hint}")
        tenants &= {scope.tenant}
    ids: defaultdict[tuple[str, str, str], set[str]] = defaultdict(set)
    for agent, level in judged.agents.items():
        for name in ("agents", "all_agents") if level == PARENT else ("all_agents",):
            ids[agent.medium, agent.tenant, name].add(agent.id)
    sets = {
        AgentSet(medium, tenant, name, key): frozenset(ids[medium, tenant, name])
        for medium in scope.media
        for tenant in sorted(tenants)
        for name, key in keys_of(medium, tenant).items()
    }
    everything = set(scope.media) == set(rules.platforms)
    gone = (tenants & before.tenants) - judged.active - {agent.tenant for agent in judged.unclear}
    listed = (tenants & judged.active) - before.tenants
    children = before.children - judged.agents.keys()
    return Target(sets, judged.unclear, children, rules.redis.tenants, listed, gone if everything else frozenset())


async def replace(directory: Directory, target: Target, *, dry_run: bool) -> Changes:
    """Bring Redis to the target, and answer what that changes; a `dry_run` writes nothing.

    One transaction for everything, on sets that nobody else has changed since they were read, and it may safely run
    twice: where its answer is lost, the next attempt finds the work done, and what is answered is the difference
    to what was there at first.
    """
    seen: list[Contents] = []

    async def replacement(pipe: Any) -> None:  # noqa: ANN401  # the client's annotations lack `multi`
        seen.append(await _contents(directory, target))
        pipe.multi()
        for one, members in seen[-1].items():
            stale, missing = _difference(one, members, target)
            if stale:
                pipe.zrem(one.key, *stale)
            if missing:
                pipe.zadd(one.key, missing)
        if target.listed:
            pipe.zadd(target.tenants_key, dict.fromkeys(sorted(target.listed), 0))
        if target.unlisted:
            pipe.zrem(target.tenants_key, *sorted(target.unlisted))

    if dry_run:
        seen.append(await _contents(directory, target))
    else:
        keys = (one.key for one in target.sets)
        await directory.transaction(target.tenants_key, replacement, target.tenants_key, *keys)
    return compare(seen[0], target)


def compare(contents: Contents, target: Target) -> Changes:
    """What becomes of every agent."""
    before = _standing(contents)
    after = _standing({one: _wanted(one, members, target) for one, members in contents.items()})
    changed = [agent for agent in before.keys() & after.keys() if before[agent] != after[agent]]
    return Changes(
        added=sorted(after.keys() - before.keys(), key=_order),
        removed=sorted(before.keys() - after.keys(), key=_order),
        changed=sorted(changed, key=_order),
        unchanged=len(before.keys() & after.keys()) - len(changed),
        lists={agent: frozenset(name for name, _ in after[agent]) for agent in sorted(after, key=_order)},
    )


async def _contents(directory: Directory, target: Target) -> Contents:
    sets = list(target.sets)
    return dict(zip(sets, await _members(directory, [one.key for one in sets]), strict=True))


async def _members(directory: Directory, keys: Sequence[str]) -> list[list[tuple[bytes, float]]]:
    """What each of these sorted sets holds."""
    found: list[list[tuple[bytes, float]]] = []
    for start in range(0, len(keys), CHUNK):
        chunk = keys[start : start + CHUNK]
        with directory.translated("ZRANGE", chunk[0]):
            async with directory.client.pipeline(transaction=False) as pipe:
                for key in chunk:
                    pipe.zrange(key, 0, -1, withscores=True)
                answers: list[Any] = await pipe.execute(raise_on_error=False)
        for key, answer in zip(chunk, answers, strict=True):
            if isinstance(answer, Exception):
                raise translate(answer, f"ZRANGE {key}", directory.place) from answer
            found.append(answer)
    return found


def _wanted(one: AgentSet, members: list[tuple[bytes, float]], target: Target) -> list[tuple[bytes, float]]:
    """What the set is to hold, given what it holds."""
    staying = target.unclear | target.children if one.name == "all_agents" else target.unclear
    stays = [(member, score) for member, score in members if _agent(one, member, score) in staying]
    return [*((agent.encode(), float(agent)) for agent in target.sets[one]), *stays]


def _difference(
    one: AgentSet, members: list[tuple[bytes, float]], target: Target
) -> tuple[list[bytes], dict[bytes, float]]:
    """The members to remove, and those to add."""
    wanted = dict(_wanted(one, members, target))
    there = dict(members)
    stale = [member for member, score in members if wanted.get(member) != score]
    return stale, {member: score for member, score in wanted.items() if there.get(member) != score}


def _standing(contents: Contents) -> Standing:
    standing: defaultdict[Agent, set[tuple[str, bytes]]] = defaultdict(set)
    for one, members in contents.items():
        for member, score in members:
            standing[_agent(one, member, score)].add((one.name, member))
    return {agent: frozenset(places) for agent, places in standing.items()}


def _agent(one: AgentSet, member: bytes, score: float) -> Agent:
    """The agent that a member stands for: its score tells, and where that is no id, the member itself."""
    return Agent(one.medium, one.tenant, str(int(score)) if is_agent(score) else f"{shown(member)} ({score!r})")


def _order(agent: Agent) -> tuple[str, str, int, str]:
    return agent.medium, agent.tenant, len(agent.id), agent.id
