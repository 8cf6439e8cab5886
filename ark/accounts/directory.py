"""What Redis knows: which accounts an agent has, which agents there are, and their tokens.

Everything is a sorted set, score = agent id, member = account id or token. Scores are doubles: from 2^53 on, two ids
may share one score, so such a score is refused, never rounded. Ids are text on this side.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager, suppress
from secrets import token_hex
from typing import Any

from redis import exceptions
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff

from ark.accounts import embedded_redis
from ark.accounts.members import EXAMPLES, LIMIT, Faults, is_account, is_agent, score_of, shown
from ark.errors import ArkError, ConfigError, EmptyListError, InternalError, ServiceDownError, TokenError
from ark.redact import register
from ark.settings import Settings

CHUNK = 1000
"""Members per command."""
EXPIRY = 3600
"""Seconds after which a private key that nobody came back for is gone."""
PATIENCE = 30.0
"""Seconds for one transaction, with all its repetitions."""
START = 3.5
"""Seconds in which a Redis that is needed has to answer first."""

_TOKEN = re.compile(rb"[!-~]+")

_KINDS: tuple[tuple[tuple[type[Exception], ...], type[ArkError], str], ...] = (
    (
        (
            exceptions.AuthenticationError,
            exceptions.AuthenticationWrongNumberOfArgsError,
            exceptions.AuthorizationError,
            exceptions.ExternalAuthProviderError,
            exceptions.NoPermissionError,
        ),
        TokenError,
        "refuses {command}: correct the user or password in ARK_REDIS_URL, or the user's ACL",
    ),
    (
        (exceptions.MovedError, exceptions.AskError, exceptions.ClusterError, exceptions.ClusterCrossSlotError),
        ConfigError,
        "is a node of a cluster, which Ark does not use: set ARK_REDIS_URL to a single server",
    ),
    ((exceptions.ReadOnlyError,), ServiceDownError, "is a read-only replica: set ARK_REDIS_URL to the primary"),
    ((exceptions.OutOfMemoryError,), ServiceDownError, "is out of memory: raise maxmemory or remove old keys"),
    (
        (
            exceptions.ConnectionError,
            exceptions.TimeoutError,
            exceptions.InvalidResponse,
            exceptions.ClusterDownError,
            exceptions.TryAgainError,
            exceptions.WatchError,
            OSError,
        ),
        ServiceDownError,
        "does not answer {command}: start it, or correct ARK_REDIS_URL",
    ),
)
"""Foreign error -> what it means here; the first that fits. What is in none of them is a bug of ours."""

_UNFIT = ("MISCONF", "NOREPLICAS", "MASTERDOWN", "BUSY ")
"""How the answer of a server begins that takes no command for now: a full disk, no replicas, a script that runs."""


def private_key() -> str:
    """A new key that nobody else knows."""
    return f"ark:tmp:{token_hex(8)}"


async def connect(settings: Settings) -> "Directory":
    """The directory at redis.url, or at the embedded server of home, which is started where it does not run.

    Raises ServiceDownError within five seconds where nobody answers.
    """
    url = settings.redis.url or await asyncio.to_thread(embedded_redis.ensure, settings.home, settings.redis.server)
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=20,
        timeout=5,
        socket_connect_timeout=1,
        socket_timeout=5,
        health_check_interval=30,
        retry=Retry(ExponentialWithJitterBackoff(base=0.05, cap=0.5), 3),
    )
    options = pool.connection_kwargs
    address = options.get("path") or f"{options['host']}:{options.get('port', 6379)}"
    directory = Directory(Redis.from_pool(pool), f"{address}/{options.get('db', 0)}")
    try:
        await directory.ping()
    except BaseException:
        await directory.aclose()
        raise
    return directory


class Directory:
    """Reads and replaces the lists; one per process, safe for concurrent use."""

    def __init__(self, client: Redis, place: str) -> None:
        self.client = client
        self.place = place

    async def ping(self) -> None:
        """Raise ServiceDownError unless Redis answers soon, TokenError where it wants another password."""
        try:
            async with asyncio.timeout(START):
                with self.translated("PING"):
                    await _reply(self.client.ping())
        except TimeoutError:
            raise ServiceDownError(
                f"Redis at {self.place} does not answer within {START:g} s: start it, or correct ARK_REDIS_URL"
            ) from None

    async def aclose(self) -> None:
        """Close every connection."""
        await self.client.aclose()

    async def accounts(
        self, key: str, agent: str, refused: Callable[[str], None] | None = None
    ) -> AsyncGenerator[list[str], None]:
        """The accounts of `agent` in `key`, each once, in chunks.

        What is read is a snapshot: Redis copies the agent's members to a private key (ZRANGESTORE, which expires by
        itself), and the pages are read from there. So the list is exact although others replace it meanwhile, and
        memory stays flat. Where Redis does not allow the copy (a replica, an ACL), one ZRANGEBYSCORE reads
        all at once: as exact, but not flat.

        Raises EmptyListError where the agent has none, and names the agents that are there; ServiceDownError where
        the database holds nothing at all. A member that is no account id, or whose score is no agent id,
        is told to `refused`, one line each, and the rest goes on; without `refused` InputDataError comes at the end.
        """
        if "token" in key:
            raise ConfigError(f"{key} holds tokens, not accounts: give the accounts key")
        faults = Faults(key, refused)
        found = 0
        async with aclosing(self._snapshot(key, score_of(agent))) as snapshot:
            async for members in snapshot:
                good = [member.decode() for member in members if is_account(member)]
                faults.add(f"{shown(member)} is no account id" for member in members if not is_account(member))
                found += len(good)
                if good:
                    yield good
        faults.add([f"{shown(member)} has score {score!r}" for member, score in await self._strays(key, agent)])
        if not found and not faults.count:
            raise await self._absent(key, agent)
        faults.check()
        if not found:
            raise EmptyListError(
                f"no account of agent {agent} in {key} is usable ({faults.examples}): correct or replace that list"
            )

    async def agents(self, key: str, refused: Callable[[str], None] | None = None) -> list[str]:
        """The agents in `key`, ascending; raises and reports as `accounts` does."""
        with self.translated("ZRANGE", key):
            members: list[tuple[bytes, float]] = await _reply(self.client.zrange(key, 0, -1, withscores=True))
        if not members:
            raise await self._absent(key)
        faults = Faults(key, refused)
        faults.add(f"{shown(member)} has score {score!r}" for member, score in members if not is_agent(score))
        faults.check()
        return [str(agent) for agent in sorted({int(score) for _, score in members if is_agent(score)})]

    async def tokens(self, key: str, agent: str) -> list[str]:
        """The tokens of `agent` in `key`, perhaps none; each is registered for redaction before anything else."""
        score = score_of(agent)
        with self.translated("ZRANGEBYSCORE", key):
            members: list[bytes] = await _reply(self.client.zrangebyscore(key, score, score))
        tokens = [member.decode("utf-8", "surrogateescape") for member in members]
        for token in tokens:
            register(token)
        if not all(_TOKEN.fullmatch(member) for member in members):
            raise TokenError(f"a token of agent {agent} in {key} is empty or not printable: write it anew")
        return tokens

    async def members(self, key: str, agent: str) -> list[str]:
        """The ids under `agent` in `key`, perhaps none, all at once: for lists of agents, which are short."""
        score = score_of(agent)
        with self.translated("ZRANGEBYSCORE", key):
            found: list[bytes] = await _reply(self.client.zrangebyscore(key, score, score))
        return [member.decode() for member in found if is_account(member)]

    async def parent(self, key: str, member: str) -> str:
        """The agent that `member` of `key` belongs to; empty where it is no member."""
        with self.translated("ZSCORE", key):
            score: float | None = await _reply(self.client.zscore(key, member))
        if score is not None and not is_agent(score):
            raise TokenError(f"{member} in {key} has score {score!r}, which is no agent: read that list anew")
        return "" if score is None else str(int(score))

    async def transaction(self, key: str, function: Callable[[Any], Awaitable[None]], *watched: str) -> list[Any]:
        """What the commands answer that `function` queues on the pipeline it is given, if nobody has changed `watched`.

        Where somebody has, or the connection broke, it is done again; ServiceDownError, which names `key`, when that
        has taken too long: the client itself would go on for ever.
        """
        clock = asyncio.get_running_loop().time
        deadline = clock() + PATIENCE
        with self.translated("MULTI", key):
            async with self.client.pipeline() as pipe:
                while clock() < deadline:
                    # not within asyncio.timeout: the client may take its cancellation for a connection that broke
                    with suppress(exceptions.WatchError):
                        await pipe.watch(*watched)
                        await function(pipe)
                        answers: list[Any] = await pipe.execute()
                        return answers
        raise ServiceDownError(
            f"Redis at {self.place} has not done MULTI {key} in {PATIENCE:g} s: see who else writes there"
        )

    async def script(self, text: str, keys: Sequence[str], *values: str | int) -> Any:  # noqa: ANN401
        """What a Lua script answers: several commands between which nobody else's come. It may be sent twice."""
        with self.translated("EVAL", keys[0]):
            return await _reply(self.client.eval(text, len(keys), *keys, *values))

    async def add_agents(self, key: str, agents: Sequence[str]) -> None:
        """Put agents into a list of agents, each under its own score; those that are there stay."""
        scores = {agent: score_of(agent) for agent in agents}
        if scores:
            with self.translated("ZADD", key):
                await self.client.zadd(key, scores, nx=True)

    async def has_key_like(self, pattern: str) -> bool:
        """Whether there is a key that fits a pattern such as `gdt_new_access_token_*`."""
        with self.translated("SCAN", pattern):
            async for _ in self.client.scan_iter(match=pattern, count=10_000):
                return True
        return False

    async def size(self, key: str) -> int:
        """How many members `key` has; 0 where it does not exist."""
        with self.translated("ZCARD", key):
            return int(await _reply(self.client.zcard(key)))

    @contextmanager
    def translated(self, command: str, key: str = "") -> Iterator[None]:
        """Turn what the client raises into an ArkError that names the server, the command and the key."""
        try:
            yield
        except (exceptions.RedisError, OSError) as error:
            raise translate(error, f"{command} {key}".strip(), self.place) from error
        except RuntimeError as error:
            if "handler is closed" not in str(error):
                raise
            # uvloop's words for a connection that was reset while it was being made; redis-py lets them through
            lost = exceptions.ConnectionError(str(error))
            raise translate(lost, f"{command} {key}".strip(), self.place) from error

    async def _snapshot(self, key: str, score: int) -> AsyncGenerator[list[bytes], None]:
        copy = private_key()
        try:
            with self.translated("ZRANGESTORE", key):
                async with self.client.pipeline() as pipe:
                    pipe.zrangestore(copy, key, score, score, byscore=True)
                    pipe.expire(copy, EXPIRY)
                    total = int((await pipe.execute())[0])
        except ArkError as error:
            if not isinstance(error.__cause__, exceptions.ResponseError):
                raise
            with self.translated("ZRANGEBYSCORE", key):
                everything: list[bytes] = await _reply(self.client.zrangebyscore(key, score, score))
            yield everything
            return
        try:
            async for members in self._pages(copy):
                total -= len(members)
                yield members
        finally:
            with suppress(exceptions.RedisError):  # it expires by itself
                await self.client.unlink(copy)
        if total:
            raise ServiceDownError(f"Redis at {self.place} lost the copy of {key} while it was read: run again")

    async def _pages(self, key: str) -> AsyncGenerator[list[bytes], None]:
        start = 0
        while True:
            with self.translated("ZRANGE", key):
                async with self.client.pipeline() as pipe:
                    pipe.zrange(key, start, start + CHUNK - 1)
                    pipe.expire(key, EXPIRY)
                    members: list[bytes] = (await pipe.execute())[0]
            if members:
                yield members
            if len(members) < CHUNK:
                return
            start += CHUNK

    async def _strays(self, key: str, agent: str) -> list[tuple[bytes, float]]:
        """Some members whose score is no agent id at all, or only nearly this one's: they would be absent silently."""
        score = score_of(agent)
        bounds: list[tuple[float | str, float | str]] = [
            ("-inf", "(1"),
            (f"({score - 1}", f"({score}"),
            (f"({score}", f"({score + 1}"),
            (LIMIT, "+inf"),
        ]
        with self.translated("ZRANGEBYSCORE", key):
            async with self.client.pipeline(transaction=False) as pipe:
                for low, high in bounds:
                    pipe.zrangebyscore(key, low, high, start=0, num=CHUNK, withscores=True)
                found: dict[bytes, float] = dict(pair for pairs in await pipe.execute() for pair in pairs)
        return list(found.items())

    async def _absent(self, key: str, agent: str = "") -> ArkError:
        """Why there is nothing: other agents' members only, no such key, or an empty database."""
        others = await self._some_agents(key)
        if others:
            return EmptyListError(
                f"no accounts of agent {agent} in {key}, which holds those of {', '.join(others)}: check the agent"
            )
        with self.translated("DBSIZE"):
            keys = await _reply(self.client.dbsize())
        if not keys:
            return ServiceDownError(f"Redis at {self.place} holds no key at all: fill it, or correct ARK_REDIS_URL")
        return EmptyListError(f"{key} is absent or empty: run the list job that fills it, or check tenant and date")

    async def _some_agents(self, key: str) -> list[str]:
        found: list[str] = []
        low = "-inf"
        while len(found) <= EXAMPLES:
            with self.translated("ZRANGEBYSCORE", key):
                first = await _reply(self.client.zrangebyscore(key, low, "+inf", start=0, num=1, withscores=True))
            if not first:
                return found
            found.append(f"{first[0][1]:.17g}")
            low = f"({found[-1]}"
        return [*found[:EXAMPLES], "..."]


def translate(error: Exception, command: str, place: str) -> ArkError:
    """What an error of the client means: the ArkError to raise, naming server, command and key."""
    if type(error) is exceptions.ConnectionError and isinstance(error.__cause__, exceptions.RedisError):
        # a refusal of the password comes wrapped as if nobody had answered
        error = error.__cause__
    text = str(error)
    if text.startswith("WRONGTYPE"):
        return ConfigError(
            f"{command.partition(' ')[2]} in Redis at {place} is no sorted set: remove or rename that key"
        )
    if "unknown command" in text:
        return ConfigError(f"Redis at {place} does not know {command.partition(' ')[0]}: Ark needs Redis 6.2 or newer")
    if text.startswith(_UNFIT):
        return ServiceDownError(f"Redis at {place} takes no {command} for now: correct what it says ({text})")
    for classes, kind, meaning in _KINDS:
        if isinstance(error, classes):
            return kind(f"Redis at {place} {meaning.format(command=command)} ({text})")
    return InternalError(f"Redis at {place} rejects {command}: {type(error).__name__}: {text}")


async def _reply(answer: Any) -> Any:  # noqa: ANN401  # the client's annotations mix its two kinds of answers
    return await answer
