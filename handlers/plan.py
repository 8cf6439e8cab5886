"""A run's plan: every unit is in the ledger before the first call, then the open ones are streamed from there."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import TypeVar

import structlog

from ark.accounts.directory import Directory
from ark.accounts.keys import Keys
from ark.errors import EmptyListError
from ark.job import Job
from ark.ledger import Ledger, UnitKey, UnitResult
from ark.units import Unit, spell
from handlers.api import ApiHandler
from handlers.lists import list_key
from handlers.task import Task

log = structlog.get_logger(__name__)
T = TypeVar("T")

CHUNK = 1000
"""Units that are planned, or drawn from the ledger, at a time."""
UNUSABLE = "unusable"
"""The variant under which members of an account list that are no accounts are kept: failed, and never called for."""


class LedgerThread:
    """Calls the ledger, which blocks, in one thread of its own, in order."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "ledger")

    async def __call__(self, function: Callable[..., T], *arguments: object) -> T:
        """The answer of `function(*arguments)`, called after everything that was asked for before."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)

    def close(self) -> None:
        """Wait for the last call."""
        self._thread.shutdown()


class Plan:
    """The units of one run."""

    def __init__(self, ledger: Ledger, call: LedgerThread, run_id: str, handler: ApiHandler, job: Job) -> None:
        self._ledger, self._call, self._run_id, self._handler, self._job = ledger, call, run_id, handler, job
        self._variants = {spell(variant): variant for variant in handler.variant_values()}

    async def make(self, directory: Directory, keys: Keys) -> None:
        """Write down every unit; may be repeated after a crash. Raises EmptyListError where there is nothing to do."""
        unusable: list[str] = []
        async with aclosing(self._accounts(directory, keys, unusable.append)) as chunks:
            async for accounts in chunks:
                await self._write(accounts)
        await self._write_unusable(unusable)
        if not await self._call(self._ledger.freeze, self._run_id):
            raise EmptyListError(f"nothing to do for agent {self._job.agent_id}")

    async def tasks(self, states: Sequence[str]) -> AsyncIterator[Sequence[Task]]:
        """The units in `states`, in chunks; the next chunk is read while one is worked on."""

        def read(after: UnitKey | None) -> "asyncio.Future[list[UnitKey]]":
            return asyncio.ensure_future(self._call(self._ledger.open_units, self._run_id, after, CHUNK, states))

        keys = await read(None)
        while keys:
            ahead = read(keys[-1])
            tasks = [self._task(key) for key in keys if key.variant in self._variants]
            yield tasks if self._handler.batch == 1 else _together(tasks, self._handler.batch)
            keys = await ahead

    def _accounts(self, directory: Directory, keys: Keys, unusable: Callable[[str], None]) -> AsyncGenerator[list[str]]:
        """What the job works on: the accounts it names, else those of its agent in its key; the agent for a list."""
        if self._handler.by == "agent":
            return _once([""])
        if self._job.account_list:
            return _once(list(dict.fromkeys(self._job.account_list)))
        return directory.accounts(list_key(self._handler, self._job, keys), self._job.agent_id, unusable)

    async def _write(self, accounts: Sequence[str]) -> None:
        units = [UnitKey(self._job.agent_id, account, variant) for account in accounts for variant in self._variants]
        for start in range(0, len(units), CHUNK):
            await self._call(self._ledger.plan, self._run_id, units[start : start + CHUNK])

    async def _write_unusable(self, unusable: Sequence[str]) -> None:
        """Members of the list that are no accounts become failed units: they are counted, never left out."""
        results = [
            UnitResult(UnitKey(self._job.agent_id, f"member {number}", UNUSABLE), "failed", reason)
            for number, reason in enumerate(unusable, 1)
        ]
        if results:
            log.warning("unusable members of the account list", members=len(results), first=unusable[0])
        for start in range(0, len(results), CHUNK):
            chunk = results[start : start + CHUNK]
            await self._call(self._ledger.plan, self._run_id, [result.key for result in chunk])
            await self._call(self._ledger.settle, self._run_id, chunk)

    def _task(self, key: UnitKey) -> Task:
        job, variant = self._job, self._variants[key.variant]
        return Task(key, Unit(job.tenant_alias, job.data_date, key.agent, key.account, variant))


def _together(tasks: Sequence[Task], size: int) -> list[Task]:
    return [Task.of(tasks[start : start + size]) for start in range(0, len(tasks), size)]


async def _once(accounts: list[str]) -> AsyncGenerator[list[str]]:
    yield accounts
