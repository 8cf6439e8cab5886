"""Access and refresh tokens of the agents: who holds what, until when."""

import math
from typing import NamedTuple

from media.simulator.scenario import Tokens
from media.simulator.world import Agent, Dice, World


class TokenRefusedError(Exception):
    """A token or code that is not accepted; `kind` says why: unknown, expired, used."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class Grant(NamedTuple):
    """A pair of tokens of one agent and when each ends."""

    agent: Agent
    access: str
    access_ends: float
    refresh: str
    refresh_ends: float


class TokenStore:
    """Starts with one grant and one authorization code per agent; memory grows with refreshes only."""

    def __init__(self, world: World, tokens: Tokens, seed: int, start: float) -> None:
        self._tokens = tokens
        self._dice = Dice(seed, f"{world.medium} tokens")
        self._by_access: dict[str, Grant] = {}
        self._by_refresh: dict[str, Grant] = {}
        self._by_code: dict[str, Agent | None] = {}
        self._issued = 0
        self._codes_end = start + tokens.code_life if tokens.code_life else math.inf
        for agent in world.agents:
            if not agent.token:
                continue
            begun = start - agent.token_age
            self._keep(
                Grant(agent, agent.token, begun + tokens.life, self.refresh_token(agent), begun + tokens.refresh_life)
            )
            self._by_code[self.code(agent)] = agent

    def refresh_token(self, agent: Agent) -> str:
        """The refresh token an agent starts with."""
        return self._dice.roll("refresh", agent.id)[:16].hex()

    def code(self, agent: Agent) -> str:
        """The authorization code of an agent, good for one use."""
        return self._dice.roll("code", agent.id)[:16].hex()

    def agent(self, access: str, now: float) -> Agent:
        """Whose access token this is. Raises TokenRefusedError."""
        grant = self._by_access.get(access)
        if grant is None:
            raise TokenRefusedError("unknown")
        if now >= grant.access_ends:
            raise TokenRefusedError("expired")
        return grant.agent

    def knows(self, credential: str) -> bool:
        """Whether it is an access token, a refresh token or an authorization code of these agents, good or not."""
        return credential in self._by_access or credential in self._by_refresh or credential in self._by_code

    def authorize(self, code: str, now: float) -> Grant:
        """A new grant for an authorization code. Raises TokenRefusedError."""
        if code not in self._by_code:
            raise TokenRefusedError("unknown")
        agent = self._by_code[code]
        if agent is None:
            raise TokenRefusedError("used")
        if now >= self._codes_end:
            raise TokenRefusedError("expired")
        self._by_code[code] = None
        return self._issue(agent, "", now)

    def refresh(self, token: str, now: float) -> Grant:
        """A new access token for a refresh token, a new refresh token too if they rotate. Raises TokenRefusedError."""
        grant = self._by_refresh.get(token)
        if grant is None:
            raise TokenRefusedError("unknown")
        if now >= grant.refresh_ends:
            raise TokenRefusedError("expired")
        if not self._tokens.rotate:
            return self._issue(grant.agent, token, now)
        del self._by_refresh[token]
        self._by_access.pop(grant.access, None)
        return self._issue(grant.agent, "", now)

    def _issue(self, agent: Agent, refresh: str, now: float) -> Grant:
        self._issued += 1
        access = self._dice.roll("access", agent.id, self._issued)[:16].hex()
        ends = self._by_refresh[refresh].refresh_ends if refresh else now + self._tokens.refresh_life
        refresh = refresh or self._dice.roll("refresh", agent.id, self._issued)[:16].hex()
        return self._keep(Grant(agent, access, now + self._tokens.life, refresh, ends))

    def _keep(self, grant: Grant) -> Grant:
        self._by_access[grant.access] = self._by_refresh[grant.refresh] = grant
        return grant
