"""Where an id stands in Redis, for whoever asks about one account."""

from collections.abc import Iterable
from typing import NamedTuple

from ark.accounts.directory import Directory
from ark.accounts.members import is_agent


class Place(NamedTuple):
    """One sorted set that was looked into: `score` is None where the id is not in it, `size` 0 where there is none."""

    key: str
    size: int
    score: float | None

    @property
    def agent(self) -> str:
        """Whose the id is there; empty where it is not in it, or its score is no agent."""
        return str(int(self.score)) if self.score is not None and is_agent(self.score) else ""


async def places(directory: Directory, keys: Iterable[str], member: str) -> list[Place]:
    """Look for `member` in each of `keys`."""
    found = []
    for key in dict.fromkeys(keys):
        with directory.translated("ZSCORE", key):
            async with directory.client.pipeline(transaction=False) as pipe:
                pipe.zcard(key)
                pipe.zscore(key, member)
                size, score = await pipe.execute()
        found.append(Place(key, int(size), score))
    return found
