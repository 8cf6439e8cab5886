"""A task ends although its cancellation is lost, as the client of Redis may lose one; in virtual time."""

import asyncio
from contextlib import suppress

from ark.accounts import lease
from ark.cancelling import end
from tests.virtual_time import run


async def deaf(times: int) -> None:
    """Goes on for ever, after so many cancellations too."""
    for _ in range(times):
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(1e6)
    await asyncio.sleep(1e6)


def test_a_task_is_cancelled_until_it_has_ended():
    async def go():
        for times in (0, 1, 3):
            task = asyncio.create_task(deaf(times))
            await asyncio.sleep(0)
            await end(task)
            assert task.cancelled()
            await end(task)

    run(go())


def test_a_lease_is_given_back_although_its_renewal_loses_the_cancellation():
    asked = []

    class Directory:
        async def script(self, text, keys, value, *_):
            asked.append(text)
            if text == lease._RENEW:
                with suppress(asyncio.CancelledError):
                    await asyncio.sleep(1.0)
            return value.encode()

    async def go():
        async with lease.hold(Directory(), "name", 0.0):
            await asyncio.sleep(lease.LIFE / 3 + 0.5)

    run(go())
    assert asked == [lease._TAKE, lease._RENEW, lease._RELEASE]
