"""A fresh ARK_HOME for one run: an embedded Redis that holds a token and the accounts, nothing else."""

import asyncio
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

from tests.bench.server import DATE

TENANT, AGENT = "T100117", "1050262"
TOKEN = "5f3a9c0123456789abcdef0123456789"
ACCOUNTS_KEY = f"gdt_advertiser_v1.1_{TENANT}_{DATE.replace('-', '')}"
TOKENS_KEY = f"gdt_new_access_token_{TENANT}"


def accounts(number):
    """Account ids of eight digits, their last digits evenly spread, as salts are."""
    return map(str, range(10_000_000, 10_000_000 + number))


@contextmanager
def home(number):
    """A home for `number` accounts, gone after the block."""
    from ark.accounts import embedded_redis

    folder = Path(tempfile.mkdtemp(prefix="ark-"))
    try:
        fill(folder, "", ACCOUNTS_KEY, accounts(number))
        yield folder
    finally:
        embedded_redis.stop(folder)
        shutil.rmtree(folder)


def fill(folder, url, key, some):
    """The token and, under `key`, these accounts, in the Redis at `url`; empty: in the one of the home `folder`."""
    asyncio.run(_fill(folder, url, key, some))


async def _fill(folder, url, key, some):
    from ark.accounts.directory import connect
    from ark.settings import load

    directory = await connect(load({"ARK_HOME": str(folder), "ARK_REDIS_URL": url}))
    try:
        await directory.client.zadd(TOKENS_KEY, {TOKEN: AGENT})
        await directory.client.zadd(key, dict.fromkeys(some, AGENT))
    finally:
        await directory.aclose()
