"""A lease: one holder of a name at a time, on all machines that share the Redis.

It ends by itself LIFE seconds after its holder was last alive, so that a process that dies holds up nobody for long. A
holder that was only asleep may wake up without it: whoever writes under a lease asks in the same step whether it still
holds (`token_pairs`).
"""

import asyncio
import os
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from secrets import token_hex
from typing import NamedTuple

from ark.accounts.directory import Directory
from ark.cancelling import end
from ark.errors import ArkError, LaterError

LIFE = 30.0
"""Seconds that a lease outlives its holder."""
POLL = 0.25
"""Seconds between two looks at a lease that somebody else holds."""

_TAKE = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return holder end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return ARGV[1]
"""
_RENEW = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end"
_RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end"


class Lease(NamedTuple):
    """What is held: a key, and the value that only its holder knows, `HOST:PID:RANDOM`."""

    key: str
    value: str


@asynccontextmanager
async def hold(
    directory: Directory, name: str, patience: float, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> AsyncGenerator[Lease, None]:
    """Hold the lease `name`, and keep it alive for as long as the block takes.

    Where somebody else holds it, wait for `patience` seconds; then LaterError that names the holder.
    """
    lease = Lease(f"ark:lease:{name}", f"{socket.gethostname()}:{os.getpid()}:{token_hex(8)}")
    await _take(directory, lease, patience, sleep)
    alive = asyncio.create_task(_keep_alive(directory, lease))
    try:
        yield lease
    finally:
        await end(alive)
        with suppress(ArkError):  # it ends by itself
            await directory.script(_RELEASE, [lease.key], lease.value)


async def _take(directory: Directory, lease: Lease, patience: float, sleep: Callable[[float], Awaitable[None]]) -> None:
    waited = 0.0
    while True:
        holder = bytes(await directory.script(_TAKE, [lease.key], lease.value, int(LIFE * 1000))).decode()
        if holder == lease.value:
            return
        if waited >= patience:
            raise LaterError(f"{_name(holder)} holds {lease.key}: wait until it is done, {LIFE:g} s if it died")
        await sleep(POLL)
        waited += POLL


async def _keep_alive(directory: Directory, lease: Lease) -> None:
    while True:
        await asyncio.sleep(LIFE / 3)
        with suppress(ArkError):  # the next time, perhaps
            await directory.script(_RENEW, [lease.key], lease.value, int(LIFE * 1000))


def _name(holder: str) -> str:
    host, pid, _ = holder.rsplit(":", 2)
    return f"process {pid} on {host}"
