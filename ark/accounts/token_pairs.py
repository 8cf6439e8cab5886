"""An agent's access and refresh tokens in Redis, and how a new pair takes the place of the old one."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from ark.accounts.directory import Directory
from ark.accounts.keys import Keys
from ark.accounts.lease import Lease
from ark.accounts.members import score_of
from ark.accounts.token_spool import Renewal
from ark.errors import LaterError, TokenError

_REPLACE = """
local agent, lease, used = ARGV[1], ARGV[2], ARGV[3]
local function owns(key, member)
    return tonumber(redis.call('ZSCORE', key, member) or '') == tonumber(agent)
end
local function replace(key, new, old)
    redis.call('ZADD', key, 'NX', agent, new)
    if not owns(key, new) then return false end
    for _, member in ipairs(cjson.decode(old)) do
        if member ~= new and owns(key, member) then redis.call('ZREM', key, member) end
    end
    return true
end
local holder = redis.call('GET', KEYS[3])
if holder and holder ~= lease then return 'lost' end
if not holder and not owns(KEYS[2], used) and not owns(KEYS[2], ARGV[6]) then return 'lost' end
local access, refresh = replace(KEYS[1], ARGV[4], ARGV[5]), replace(KEYS[2], ARGV[6], ARGV[7])
return access and refresh and 'stored' or 'taken'
"""
"""Adds the new pair, then removes the old one; of both only what belongs to the agent. May run twice.

`lost`: somebody else holds the lease, or it has ended and the refresh token was replaced meanwhile.
`taken`: a new token stands under another agent, from whom it is not taken away; nothing old of that kind is removed.
"""


class Pairs(NamedTuple):
    """An agent's tokens as Redis has them; usually one each."""

    access: Sequence[str]
    refresh: Sequence[str]


class TokenPairs:
    """The pairs of one tenant's agents."""

    def __init__(self, directory: Directory, keys: Keys) -> None:
        self._directory, self._keys = directory, keys

    async def read(self, agent: str) -> Pairs:
        """What Redis holds for `agent`, perhaps nothing."""
        return Pairs(
            await self._directory.tokens(self._keys.tokens, agent),
            await self._directory.tokens(self._keys.refresh_tokens, agent),
        )

    async def store(self, new: Renewal, lease: Lease) -> None:
        """Put a new pair into the place of the one that it replaces, all at once.

        Raises LaterError, and changes nothing, if the lease is not ours any more; TokenError where a new token is
        another agent's, which keeps it.
        """
        keys = [self._keys.tokens, self._keys.refresh_tokens, lease.key]
        old = [msgspec.json.encode(tokens).decode() for tokens in (new.old_access, new.old_refresh)]
        values = [str(score_of(new.agent)), lease.value, new.used, new.access, old[0], new.refresh, old[1]]
        outcome: bytes = await self._directory.script(_REPLACE, keys, *values)
        if outcome == b"lost":
            raise LaterError(f"the lease {lease.key} was lost before the new tokens of agent {new.agent} were stored")
        if outcome == b"taken":
            raise TokenError(
                f"a new token of agent {new.agent} in {keys[0]} or {keys[1]} is kept for another agent: one token can"
                " be kept for one agent only"
            )


def is_pending(renewal: Renewal, there: Pairs) -> bool:
    """Whether a pair from the spool belongs into Redis, which holds `there`.

    A pair whose refresh token was used up in exchange for a new one must be stored as long as the used one stands
    there: it is of no use any more. Where the medium left the refresh token as it was, a newer access token wins. An
    agent with other refresh tokens was authorised again since.
    """
    if not there.refresh:
        return True
    if renewal.used not in there.refresh:
        return False
    return renewal.refresh != renewal.used or set(there.access) <= set(renewal.old_access)
