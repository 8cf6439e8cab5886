"""Which agents Redis knows of a tenant, and which interfaces are run for which of them."""

import datetime as dt
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ark.accounts.directory import Directory
from ark.accounts.keys import Keys
from ark.errors import EmptyListError
from handlers.api import ApiHandler

Told = Callable[[str], None]


class Agent(NamedTuple):
    """An agent of a tenant in one of a medium's dialects; `child`: of the second generation."""

    section: str
    id: str
    child: bool


async def agents_of(
    directory: Directory, sections: Sequence[str], tenant: str, day: dt.date, told: Told
) -> list[Agent]:
    """The tenant's agents in these dialects; raises EmptyListError, which names the keys, where there is none."""
    found: list[Agent] = []
    empty: list[str] = []
    for section in sections:
        keys = Keys.of(section, tenant, day, "")
        ids: dict[str, list[str]] = {"": []}
        for key in filter(None, (keys.agents, keys.all_agents)):
            try:
                ids[key] = await directory.agents(key, told)
            except EmptyListError:
                ids[key] = []
                empty.append(key)
        first = ids[keys.agents]
        found += [Agent(section, agent, child=False) for agent in first]
        found += [Agent(section, agent, child=True) for agent in ids[keys.all_agents] if agent not in first]
    if not found:
        looked = ", ".join(dict.fromkeys(empty))
        raise EmptyListError(f"tenant {tenant} has no agents in Redis ({looked}): check -t, or run `ark tenants sync`")
    return found


def only(agents: Sequence[Agent], agent: str, tenant: str) -> list[Agent]:
    """Those of `agents` that are this one; raises EmptyListError, which names the others, where there is none."""
    found = [each for each in agents if each.id == agent]
    if not found:
        there = ", ".join(dict.fromkeys(each.id for each in agents))
        raise EmptyListError(f"agent {agent} is none of tenant {tenant} in Redis, which has {there}: check -g")
    return found


def applies(handler: type[ApiHandler], agent: Agent) -> bool:
    """Whether an interface is run for an agent of this dialect and generation."""
    if handler.section != agent.section:
        return False
    brings_second = "child_accounts" in {handler.fills, handler.feeds}
    if agent.child:
        return brings_second or (handler.by == "account" and handler.works_on == "accounts")
    return not brings_second
