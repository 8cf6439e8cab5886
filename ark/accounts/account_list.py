"""How a list interface replaces the accounts of its agent."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from ark.accounts.directory import CHUNK, EXPIRY, Directory, private_key
from ark.accounts.members import EXAMPLES, is_account, score_of
from ark.errors import EmptyListError, InputDataError, ServiceDownError


class AccountList:
    """The accounts of one agent as an interface brings them, all at once.

    They replace the agent's old ones, or (`adds`) join them. Readers see the old list or the new one. Nothing changes
    before `publish`.
    """

    def __init__(
        self, directory: Directory, key: str, agent: str, *, adds: bool = False, may_be_empty: bool = False
    ) -> None:
        self._directory, self._key, self._agent = directory, key, agent
        self._adds, self._may_be_empty = adds, may_be_empty
        self._score = score_of(agent)
        self._draft = private_key()
        self._begun = False

    async def add(self, ids: Sequence[str]) -> None:
        """Take some more accounts; one that comes twice counts once. InputDataError for what is no account id."""
        wrong = [account for account in ids if not is_account(account.encode("utf-8", "replace"))]
        if wrong:
            raise InputDataError(f"{wrong[0]!r} is no account id: agent {self._agent}, for {self._key}")
        for start in range(0, len(ids), CHUNK):
            chunk = dict.fromkeys(ids[start : start + CHUNK], self._score)
            with self._directory.translated("ZADD", self._draft):
                async with self._directory.client.pipeline() as pipe:
                    pipe.exists(self._draft)
                    pipe.zadd(self._draft, chunk)
                    pipe.expire(self._draft, EXPIRY)
                    existed = (await pipe.execute())[0]
            self._require(existed or not self._begun)
            self._begun = True

    async def publish(self) -> list[str]:
        """Put those that were added into the list, in one transaction that may safely run twice.

        An account that another agent has keeps that agent; such accounts come back as text for the log
        ("123 (agent 7)", at most EXAMPLES and how many more). Raises EmptyListError where none was added to a list
        that is to be replaced: an empty answer of a medium does not erase a list. One that `may_be_empty` may stay
        empty.
        """
        if not self._begun:
            if self._adds or (self._may_be_empty and not await self._directory.members(self._key, self._agent)):
                return []
            raise EmptyListError(f"no account of agent {self._agent} was listed: {self._key} stays as it was")
        count, examples = await self._replace()
        await self.discard()
        shown = [f"{member.decode()} (agent {int(score)})" for member, score in examples]
        return shown + [f"and {count - len(shown)} more"] * (count > len(shown))

    async def discard(self) -> None:
        """Forget what was added."""
        with suppress(ServiceDownError), self._directory.translated("UNLINK", self._draft):  # it expires by itself
            await self._directory.client.unlink(self._draft)

    async def _replace(self) -> tuple[int, list[tuple[bytes, float]]]:
        """How many accounts belong to other agents, and some of them with their agent.

        The draft is watched and only read: a transaction whose answer was lost is repeated and changes nothing more.
        A time to live of the list survives.
        """
        key, draft, new, taken = self._key, self._draft, private_key(), private_key()

        async def replacement(pipe: Any) -> None:  # noqa: ANN401  # the client's annotations lack `multi`
            self._require(await pipe.exists(draft))
            expiry = await pipe.pttl(key)
            pipe.multi()
            if not self._adds:
                pipe.zremrangebyscore(key, self._score, self._score)
            pipe.zinterstore(taken, {key: 1, draft: 0}, aggregate="SUM")
            pipe.zremrangebyscore(taken, self._score, self._score)
            pipe.zdiffstore(new, [draft, key])
            pipe.zunionstore(key, [key, new], aggregate="MAX")
            if expiry > 0:
                pipe.pexpire(key, expiry)
            pipe.zcard(taken)
            pipe.zrange(taken, 0, EXAMPLES - 1, withscores=True)
            pipe.unlink(new, taken)

        *_, count, examples, _ = await self._directory.transaction(key, replacement, draft)
        return int(count), examples

    def _require(self, there: object) -> None:
        if not there:
            raise ServiceDownError(
                f"Redis at {self._directory.place} lost the new accounts of agent {self._agent} before they were"
                f" complete; {self._key} stays as it was: run again"
            )
