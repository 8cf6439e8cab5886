"""The tokens of agents: where they are cached, and what happens when a medium refuses one."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable

from ark.accounts.directory import Directory
from ark.accounts.keys import Keys
from ark.errors import ServiceDownError, TokenError

PAUSES = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Seconds between the tries to read a new token while Redis is down in the middle of a run: one minute in all."""


class Tokens:
    """The tokens of one tenant's agents, read once and again when the medium refuses one."""

    def __init__(
        self, directory: Directory, keys: Keys, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._directory, self._keys, self._sleep = directory, keys, sleep
        self._known: dict[str, list[str]] = {}
        self._doubted: set[str] = set()
        self._refused: set[str] = set()
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def get(self, agent: str) -> str:
        """A token of `agent` that was not refused, rather one that is not in doubt; TokenError where there is none."""
        if agent not in self._known or self._locks[agent].locked():
            async with self._locks[agent]:
                if agent not in self._known:
                    self._known[agent] = await self._directory.tokens(self._keys.tokens, agent)
        left = [token for token in self._known[agent] if token not in self._refused]
        if not left:
            raise await self._none(agent)
        return next((token for token in left if token not in self._doubted), left[0])

    async def doubted(self, agent: str, token: str) -> None:
        """A call with `token` was refused for the first time: look once whether there is another by now.

        However many calls were refused at the same time, Redis is asked once. The same token may be tried again: one
        wrong answer of a medium does not cost an agent.
        """
        async with self._locks[agent]:
            if token not in self._doubted:
                self._doubted.add(token)
                await self._read_again(agent)

    async def refused(self, agent: str, token: str) -> None:
        """A call was refused again: never give `token` out any more, and look once whether there is another."""
        async with self._locks[agent]:
            if token not in self._refused:
                self._refused.add(token)
                await self._read_again(agent)

    async def _read_again(self, agent: str) -> None:
        """Where Redis is down it is tried for a minute (PAUSES); then TokenError."""
        for pause in PAUSES:
            try:
                self._known[agent] = await self._directory.tokens(self._keys.tokens, agent)
            except ServiceDownError as error:
                down = error
                await self._sleep(pause)
            else:
                return
        raise TokenError(f"the token of agent {agent} was refused and no other can be read: {down}") from down

    async def _none(self, agent: str) -> TokenError:
        key = self._keys.tokens
        if self._known[agent]:
            return TokenError(f"the medium refuses the token of agent {agent} in {key}: run `ark tokens refresh`")
        tokens, agents = await self._directory.size(key), await self._directory.size(self._keys.agents)
        shared = ""
        if 0 < tokens < agents:
            shared = (
                f" ({tokens} tokens for {agents} agents; a token shared by two agents is kept for one of them only)"
            )
        return TokenError(f"no token of agent {agent} in {key}{shared}: run `ark tokens refresh`, or check the agent")
