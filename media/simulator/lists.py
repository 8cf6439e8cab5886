"""What Redis would hold if the scenario were real: agents, tokens and accounts, list by list."""

from collections.abc import Iterator
from typing import NamedTuple

from media.simulator.scenario import Scenario
from media.simulator.tokens import TokenStore
from media.simulator.world import Agent, World, worlds
from media.simulator.wx_b_tokens import AccountTokens


class Listed(NamedTuple):
    """Some members of one list of `agent`; `name` is the list's as clients call it, `score` under what they stand."""

    medium: str
    tenant: str
    agent: str
    name: str
    score: str
    members: Iterator[str]


def lists(scenario: Scenario) -> Iterator[Listed]:
    """Every list of every agent, tokens first; lists of accounts are of a date, the others are not."""
    for medium, world in worlds(scenario).items():
        store = TokenStore(world, getattr(scenario, medium).tokens, scenario.seed, 0.0)
        for agent in world.agents:
            if medium == "wx_b":
                yield from _accounts_tokens(scenario, world, agent)
            elif agent.token:
                yield _one(medium, agent, "tokens", agent.id, agent.token)
                yield _one(medium, agent, "refresh_tokens", agent.id, store.refresh_token(agent))
            if agent.parent:
                yield _one(medium, agent, "child_agents", agent.parent, agent.id)
            else:
                yield _one(medium, agent, "agents", agent.id, agent.id)
            if medium == "jrtt":
                yield _one(medium, agent, "all_agents", agent.id, agent.id)
            name = "child_accounts" if agent.parent else "accounts"
            yield Listed(medium, agent.tenant, agent.id, name, agent.id, world.accounts(agent))


def _one(medium: str, agent: Agent, name: str, score: str, member: str) -> Listed:
    return Listed(medium, agent.tenant, agent.id, name, score, iter([member]))


def _accounts_tokens(scenario: Scenario, world: World, agent: Agent) -> Iterator[Listed]:
    """In WeChat's own dialect every account has a token."""
    tokens = AccountTokens(world, scenario.wx_b.tokens, scenario.seed, 0.0)
    for account in world.accounts(agent):
        yield Listed(world.medium, agent.tenant, agent.id, "tokens", account, iter([tokens.token(account)]))
