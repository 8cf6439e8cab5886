"""The tokens of agents: where they are cached, and what happens when a medium refuses one."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress

import structlog

from ark.accounts.directory import Directory
from ark.accounts.keys import Keys
from ark.errors import ArkError, ServiceDownError, TokenError

log = structlog.get_logger(__name__)

PATIENCE = 60.0
"""Seconds for which a Redis that is down in the middle of a run is waited for, its own time-outs included."""
PAUSES = (1.0, 2.0, 4.0, 8.0, 15.0, 15.0, 15.0)
"""Seconds between the tries to reach it."""

Refresh = Callable[[str, Collection[str]], Awaitable[None]]
"""(agent, its refused tokens): has the medium issue a new one, and puts it into Redis."""


class Tokens:
    """The tokens of one tenant's agents, read once and again when the medium refuses one.

    An owner is an agent, or an account where each has its own token. One without a token is served by its
    first-generation agent. With `refresh` a token that is refused is renewed, once.
    """

    def __init__(
        self,
        directory: Directory,
        keys: Keys,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        refresh: Refresh | None = None,
    ) -> None:
        self._directory, self._keys, self._sleep, self._refresh = directory, keys, sleep, refresh
        self._known: dict[str, list[str]] = {}
        self._parents: dict[str, str] = {}
        self._holders: dict[str, str] = {}
        self._doubted: set[str] = set()
        self._refused: set[str] = set()
        self._renewed: set[str] = set()
        self._troubles: dict[str, str] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def get(self, owner: str, fallback: str = "") -> str:
        """A token for `owner` that was not refused, rather one that is not in doubt; TokenError where there is none.

        Its own; else, where the medium has generations, that of its first-generation agent, which is found in
        `child_agents`, or of `fallback`.
        """
        holder = await self._holder(owner, fallback)
        left = [token for token in self._known[holder] if token not in self._refused]
        if not left:
            trouble = self._troubles.get(holder)
            way_out = f"renewing it failed: {trouble}" if trouble else self._way_out
            raise TokenError(f"the medium refuses the token of agent {holder} in {self._keys.tokens}: {way_out}")
        return next((token for token in left if token not in self._doubted), left[0])

    async def doubted(self, owner: str, token: str) -> None:
        """A call with `token` was refused for the first time: look once whether there is another by now, or renew it.

        However many calls were refused at the same time, Redis and the medium are asked once. Where that brings no
        other token, the same may be tried again: one wrong answer of a medium does not cost an agent.
        """
        holder = self._holders.get(owner, owner)
        async with self._locks[holder]:
            if token not in self._doubted:
                self._doubted.add(token)
                self._note_renewed(holder, token)
                await self._replace(holder)

    async def refused(self, owner: str, token: str) -> None:
        """A call was refused again: never give `token` out any more, and look once whether there is another."""
        holder = self._holders.get(owner, owner)
        async with self._locks[holder]:
            if token not in self._refused:
                self._refused.add(token)
                self._note_renewed(holder, token)
                await self._replace(holder)

    async def _holder(self, owner: str, fallback: str) -> str:
        """The agent whose token opens what is `owner`'s."""
        if await self._has_token(owner):
            self._holders[owner] = owner
            return owner
        for agent in (await self._parent(owner), fallback) if self._keys.child_agents else ():
            if agent not in {"", owner} and await self._has_token(agent):
                self._holders[owner] = agent
                return agent
        raise await self._none(owner)

    async def _has_token(self, agent: str) -> bool:
        if agent not in self._known or self._locks[agent].locked():
            async with self._locks[agent]:
                if agent not in self._known:
                    self._known[agent] = await self._read(agent)
        return bool(self._known[agent])

    async def _parent(self, owner: str) -> str:
        async with self._locks[owner]:
            if owner not in self._parents:
                self._parents[owner] = await self._directory.parent(self._keys.child_agents, owner)
        return self._parents[owner]

    def _note_renewed(self, agent: str, token: str) -> None:
        """A token that this run has renewed is not renewed again."""
        if token in self._renewed:
            self._troubles.setdefault(agent, "the medium refuses the renewed token as well")

    async def _replace(self, agent: str) -> None:
        """Find a token that is not in doubt: somebody may have renewed it, else it is renewed here, once."""
        await self._read_again(agent)
        bad = frozenset(self._doubted | self._refused)
        if self._refresh is None or agent in self._troubles or not bad.issuperset(self._known[agent]):
            return
        try:
            await self._refresh(agent, bad)
        except ArkError as error:
            self._troubles[agent] = str(error)
            log.warning("the token could not be renewed", agent=agent, error=str(error))
        await self._read_again(agent)
        self._renewed |= set(self._known[agent]) - bad

    async def _read_again(self, agent: str) -> None:
        """TokenError where Redis stays down."""
        try:
            self._known[agent] = await self._read(agent)
        except ServiceDownError as down:
            trouble = f"; renewing it failed: {self._troubles[agent]}" if agent in self._troubles else ""
            raise TokenError(
                f"the token of agent {agent} was refused and no other can be read: {down}{trouble}"
            ) from down

    async def _read(self, agent: str) -> list[str]:
        """The agent's tokens in Redis; ServiceDownError where it stays down for PATIENCE seconds."""
        down = ServiceDownError(f"Redis at {self._directory.place} does not answer within {PATIENCE:g} s")
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                for pause in PAUSES:
                    try:
                        return await self._directory.tokens(self._keys.tokens, agent)
                    except ServiceDownError as error:
                        down = error
                    await self._sleep(pause)
        raise down

    @property
    def _way_out(self) -> str:
        return "run `ark tokens refresh`" if self._keys.refresh_tokens else "write a new one there"

    async def _none(self, owner: str) -> TokenError:
        keys = self._keys
        tokens, agents = await self._directory.size(keys.tokens), await self._directory.size(keys.agents)
        shared = ""
        if 0 < tokens < agents:
            shared = (
                f" ({tokens} tokens for {agents} agents; a token shared by two agents is kept for one of them only)"
            )
        missing = f"no token of agent {owner} in {keys.tokens}{shared}"
        if not keys.child_agents:
            return TokenError(f"{missing}: {self._way_out}, or check the agent")
        parent = self._parents[owner]
        if parent and parent != owner:
            return TokenError(
                f"{missing}, nor one of agent {parent}, whose child it is in {keys.child_agents}:"
                f" {self._way_out}, or authorise one of them"
            )
        return TokenError(
            f"{missing}, and {keys.child_agents} names no first-generation agent of it:"
            f" list the child agents again, {self._way_out}, or check the agent"
        )
