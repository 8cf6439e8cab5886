"""How many accounts a job works on, and the first of them: for commands that show what a run would do."""

from collections.abc import Callable
from typing import NamedTuple, Self

from ark.accounts.directory import Directory, connect
from ark.accounts.keys import Keys
from ark.job import Job
from ark.settings import Settings
from handlers.api import ApiHandler
from handlers.lists import list_key


class Members(NamedTuple):
    """The accounts of one job. By agent there is one, and it is empty: the agent itself."""

    size: int
    first: tuple[str, ...]


class AccountLists:
    """Reads the account lists as a run would, each once. Redis is not asked before a list of it is needed.

    Members that are no accounts are told to `unusable`.
    """

    def __init__(self, settings: Settings, unusable: Callable[[str], None]) -> None:
        self._settings, self._unusable = settings, unusable
        self._directory: Directory | None = None
        self._known: dict[tuple[str, str], Members] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._directory is not None:
            await self._directory.aclose()

    async def directory(self) -> Directory:
        """Redis; raises as `connect` does."""
        if self._directory is None:
            self._directory = await connect(self._settings)
        return self._directory

    async def of(self, handler: ApiHandler | type[ApiHandler], job: Job, samples: int = 0) -> Members:
        """What the job works on, and the first `samples` of it; raises EmptyListError where there is nothing."""
        if handler.by == "agent":
            return Members(1, ("",)[:samples])
        if job.account_list:
            return Members(len(job.account_list), job.account_list[:samples])
        keys = Keys.of(handler.section, job.tenant_alias, job.data_date, job.agent_id)
        key = (list_key(handler, job, keys), job.agent_id)
        known = self._known.get(key)
        if known is None or len(known.first) < min(samples, known.size):
            known = self._known[key] = await self._read(*key, samples)
        return known

    async def _read(self, key: str, agent: str, samples: int) -> Members:
        directory = await self.directory()
        count, first = 0, list[str]()
        async for chunk in directory.accounts(key, agent, self._unusable):
            count += len(chunk)
            first += chunk[: samples - len(first)]
        return Members(count, tuple(first))
