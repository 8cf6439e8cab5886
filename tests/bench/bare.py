"""The reference: what somebody writes who only wants the answers. An aiohttp worker pool on uvloop.

As many connections as workers, a signed query with a fresh nonce and timestamp for each call, the quota header read,
the JSON decoded by the standard library, everything dropped. No ledger, no gate, no check, no retry, no store.

    python -m tests.bench.bare '{"url": "http://127.0.0.1:1234/v1.1/funds/get", "accounts": 100, "width": 10}'
"""

import asyncio
import json
import sys
import time
from itertools import product
from uuid import uuid4

import aiohttp
import uvloop

from tests.bench import meter
from tests.bench.home import TOKEN, accounts


async def pool(url, calls, width):
    async def work():
        for account, query in calls:
            signed = {"access_token": TOKEN, "timestamp": int(time.time()), "nonce": uuid4().hex}
            async with session.get(url, params={"account_id": account, **query, **signed}) as response:
                answer = json.loads(await response.read())
                left = response.headers["X-RateLimit-Remaining"].split(",")
                if answer["code"] != 0 or len(left) != 2:
                    raise RuntimeError(answer["message"])

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=width)) as session:
        await asyncio.gather(*(work() for _ in range(width)))


def main(url, accounts_, width, queries=({},)):
    with meter.run():
        uvloop.run(pool(url, iter(product(accounts(accounts_), queries)), width))


if __name__ == "__main__":
    options = json.loads(sys.argv[1])
    main(options["url"], options["accounts"], options["width"], options.get("queries", ({},)))
