"""Renews the tokens of agents: one writer per refresh token, and no new pair is lost once it is here.

Under a lease: read what Redis holds; store what an earlier renewal left in the spool; else ask the medium, put the new
pair on the disk, store it in Redis in one step with the removal of the old one, and forget it on the disk. What happens
when something breaks in between is in docs/decisions/014-token-refresh.md.
"""

import asyncio
import os
import random
import socket
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine
from contextlib import suppress
from typing import NamedTuple, TypeVar

import msgspec
import structlog

from ark.accounts import lease
from ark.accounts.directory import Directory
from ark.accounts.keys import Keys
from ark.accounts.token_pairs import Pairs, TokenPairs, is_pending
from ark.accounts.token_spool import Renewal, TokenSpool
from ark.accounts.tokens import PAUSES, Refresh
from ark.answers import BadBodyError, Verdict
from ark.errors import (
    ArkError,
    ConfigError,
    LaterError,
    LocalDiskError,
    ServiceDownError,
    TokenError,
    TransportError,
    UnitError,
    UsageError,
)
from ark.http import HttpClient, worth_another_try
from ark.settings import AppMedium, Settings
from handlers.oauth import App, Oauth, find

log = structlog.get_logger(__name__)
T = TypeVar("T")

PATIENCE = 180.0
"""Seconds that a run waits for another process that is renewing the same agent's token."""
FIRST_BACKOFF = 0.5
"""Seconds before the second try; doubled for each further one, with jitter."""
LOST = "; {} got no answer: if the medium issued a pair then, it is lost"
OK = 200


class Target(NamedTuple):
    """Whose tokens these are, and how a message names the way out."""

    medium: str
    tenant: str
    keys: Keys

    def command(self, agent: str) -> str:
        """What to run by hand."""
        return f"`ark tokens refresh -m {self.medium} -t {self.tenant} -g {agent}`"


class Refresher:
    """Renews tokens of one tenant's agents at one medium."""

    def __init__(
        self,
        target: Target,
        settings: Settings,
        oauth: Oauth,
        directory: Directory,
        http: HttpClient,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.time,
    ) -> None:
        medium: AppMedium = getattr(settings, target.medium)
        self._target, self._oauth, self._directory, self._http = target, oauth, directory, http
        self._sleep, self._clock = sleep, clock
        self._app = App(medium.url, medium.client_id, medium.client_secret)
        self._window, self._attempts = medium.window, settings.http.attempts
        self._pairs = TokenPairs(directory, target.keys)
        self._spool = TokenSpool(settings.home / "tokens", target.keys.refresh_tokens)

    async def renew(self, agent: str, refused: Collection[str] = (), patience: float = PATIENCE) -> None:
        """Have a token of `agent` in Redis that is not in `refused`; without `refused` a new one in any case.

        Raises TokenError where the medium refuses, LaterError while somebody else holds the agent's lease or the
        medium's quota is spent, ServiceDownError where medium or Redis do not answer.
        """
        name = f"{self._target.keys.refresh_tokens}:{agent}"
        async with lease.hold(self._directory, name, patience, self._sleep) as held:
            there = await self._pairs.read(agent)
            if refused and set(there.access) - set(refused):
                return  # somebody has renewed it
            if not await self._stored_before(agent, held, refused):
                await self._exchange(agent, held)
        log.info("the token was renewed", medium=self._target.medium, tenant=self._target.tenant, agent=agent)

    async def _stored_before(self, agent: str, held: lease.Lease, refused: Collection[str]) -> bool:
        """Store the pairs that earlier renewals left in the spool; whether that brought a token that is still good."""
        good = False
        for renewal in [each for each in self._spool.of(agent) if each.access]:
            if is_pending(renewal, await self._pairs.read(agent)):
                await self._store(renewal, held)
                good = renewal.access not in refused and (not renewal.ends or self._clock() < renewal.ends)
            self._spool.drop(renewal)
        return good

    async def _exchange(self, agent: str, held: lease.Lease) -> None:
        """Ask the medium for a new pair, and store it. Where Redis has several refresh tokens, the first that works."""
        there = await self._pairs.read(agent)
        refusal = TokenError(
            f"agent {agent} has no token in {self._target.keys.refresh_tokens}: {self._way_out(agent)}"
        )
        for used in there.refresh:
            try:
                renewal = await self._ask(agent, used, there)
            except TokenError as error:
                refusal = error
                continue
            await self._store(renewal, held)
            for each in [renewal, *(each for each in self._spool.of(agent) if not each.access)]:
                self._spool.drop(each)
            return
        if not await self._stored_before(agent, held, there.access):  # perhaps by one who woke up without the lease
            raise refusal

    async def _ask(self, agent: str, used: str, there: Pairs) -> Renewal:
        """The medium's answer, on the disk. Tried again with the same refresh token after troubles on the way.

        Should the answer of the first try have been lost, a medium that rotates has ended the refresh token with it,
        and nothing that is left undone would bring it back; if the call never arrived, the next try is the cure.
        """
        earlier = next((each for each in self._spool.of(agent) if each.used == used and not each.access), None)
        lost = LOST.format(earlier.who) if earlier else ""
        renewal = self._spool.begin(
            agent, used, there.access, there.refresh, f"process {os.getpid()} on {socket.gethostname()}"
        )
        for attempt in range(1, self._attempts + 1):
            try:
                return await _to_the_end(self._call(renewal))
            except UnitError as error:
                trouble, pause = error, self._pause(error, attempt)
            if isinstance(trouble, TransportError):
                lost = lost or LOST.format("an earlier try")
            if pause is None or attempt == self._attempts:
                break
            await self._sleep(pause)
        if earlier or not lost:
            self._spool.drop(renewal)  # nothing was lost that is not noted already
        raise self._failure(agent, trouble, lost, again=pause is not None)

    async def _call(self, renewal: Renewal) -> Renewal:
        """One call; between its answer and the disk nothing comes, not even another task of this process."""
        request = self._oauth.request(self._app, renewal.used)
        reply = await self._http.send(request, lambda _headers: None)
        try:
            grant = self._oauth.read(reply.body)
        except BadBodyError as error:
            if worth_another_try(reply) or reply.status == OK:
                raise TransportError(f"HTTP {reply.status}: {error.reason}", pause=reply.retry_after()) from None
            raise BadBodyError(f"HTTP {reply.status}: {error.reason}") from None
        answered = msgspec.structs.replace(
            renewal,
            access=grant.access_token,
            refresh=grant.refresh_token or renewal.used,
            ends=self._clock() + grant.expires_in if grant.expires_in else 0,
        )
        try:
            self._spool.keep(answered)
        except LocalDiskError as error:
            log.error("a new token is in memory only", agent=renewal.agent, error=str(error))  # noqa: TRY400
        return answered

    async def _store(self, renewal: Renewal, held: lease.Lease) -> None:
        """Put the pair into Redis, which may be away for a minute (PAUSES); an error says where the pair is."""
        try:
            for pause in PAUSES:
                with suppress(ServiceDownError):
                    return await self._pairs.store(renewal, held)
                await self._sleep(pause)
            await self._pairs.store(renewal, held)
        except ArkError as error:
            error.args = (f"{error}; {self._where(renewal)}",)
            raise

    def _where(self, renewal: Renewal) -> str:
        if any(each.access == renewal.access for each in self._spool.of(renewal.agent)):
            command = self._target.command(renewal.agent)
            return f"the new pair is safe in {self._spool.path(renewal)}, and {command} stores it"
        return f"the new pair is lost: {self._way_out(renewal.agent)}"

    def _pause(self, error: UnitError, attempt: int) -> float | None:
        """Seconds to wait before the same call is worth another try; None where it is not."""
        backoff: float = FIRST_BACKOFF * 2 ** (attempt - 1) * random.uniform(0.5, 1)  # noqa: S311 - jitter
        if isinstance(error, TransportError):
            return max(backoff, error.pause)
        if error.code is None:
            return None
        code = self._oauth.codes[error.code]
        waits = {Verdict.RETRY: backoff, Verdict.WAIT: max(backoff, code.windows * self._window)}
        return waits.get(code.verdict)

    def _failure(self, agent: str, error: UnitError, lost: str, *, again: bool) -> ArkError:
        """What to raise after the last try; `again`: another one might have succeeded."""
        medium, tenant, _ = self._target
        if again or error.code is None:
            text = f"{medium} at {self._app.base_url} does not renew the token of agent {agent}: {self._said(error)}"
            way_out = f"run {self._target.command(agent)} later" if again else f"correct ARK_{medium.upper()}_URL"
            return ServiceDownError(f"{text}; {way_out}")
        verdict = self._oauth.codes[error.code].verdict
        text = f"{medium} refuses to renew the token of agent {agent} of {tenant}: {self._said(error)}{lost}"
        if verdict is Verdict.LATER:
            return LaterError(f"{text}; run {self._target.command(agent)} after 00:00 Asia/Shanghai")
        if verdict is not Verdict.TOKEN:
            text += f"; check ARK_{medium.upper()}_CLIENT_ID and its secret, or authorise the agent again"
        return TokenError(f"{text}; {self._way_out(agent)}")

    def _said(self, error: UnitError) -> str:
        if error.code is None:
            return error.reason
        return f"code {error.code}: {self._oauth.codes[error.code].meaning} ({error.reason})"

    def _way_out(self, agent: str) -> str:
        page = self._oauth.authorize_url(self._app.client_id)
        keys = self._target.keys
        return f"authorise agent {agent} at {page} and write its tokens into {keys.tokens} and {keys.refresh_tokens}"


def refresher(
    settings: Settings, section: str, tenant: str, directory: Directory, keys: Keys, http: HttpClient
) -> Refresh | None:
    """What renews a run's tokens; None where the app's id or secret is not set, or the medium has no refresh tokens."""
    medium = getattr(settings, section)
    has_app = isinstance(medium, AppMedium) and medium.client_id and medium.client_secret
    oauth = find(section) if keys.refresh_tokens and has_app else None
    return Refresher(Target(section, tenant, keys), settings, oauth, directory, http).renew if oauth else None


class Renewed(NamedTuple):
    """What became of one agent; `error` is None where it has a new token."""

    agent: str
    error: ArkError | None


async def refresh(
    settings: Settings, target: Target, directory: Directory, agent: str, tell: Callable[[Renewed], None]
) -> list[Renewed]:
    """Renew the tokens of all agents that have a refresh token, or of one; each is told as it ends.

    Where medium, Redis or disk are down, those that are left are not tried.
    """
    agents = [agent] if agent else await _agents(directory, target.keys.refresh_tokens)
    oauth = find(target.medium)
    assert oauth is not None
    done: list[Renewed] = []
    down: ArkError | None = None
    async with HttpClient(settings.http) as http:
        engine = Refresher(target, settings, oauth, directory, http)
        for each in agents:
            error = down and type(down)(f"not tried: {down}")
            if down is None:
                try:
                    await engine.renew(each, patience=0)
                except (TokenError, LaterError) as refusal:
                    error = refusal
                except (ServiceDownError, LocalDiskError) as trouble:
                    error = down = trouble
            done.append(Renewed(each, error))
            tell(done[-1])
    return done


def check(settings: Settings, section: str, keys: Keys) -> None:
    """UsageError where the medium has no refresh tokens, ConfigError where the app's id or secret is not set."""
    if not keys.refresh_tokens or find(section) is None:
        raise UsageError(
            f"tokens of {section} are not renewed by Ark: whoever issues them writes them to {keys.tokens}"
        )
    medium: AppMedium = getattr(settings, section)
    missing = [
        f"ARK_{section.upper()}_{name.upper()}" for name in ("client_id", "client_secret") if not getattr(medium, name)
    ]
    if missing:
        raise ConfigError(f"{' and '.join(missing)} must be set to renew tokens: the app that the agents authorised")


async def _agents(directory: Directory, key: str) -> list[str]:
    if not await directory.size(key):
        raise TokenError(f"no agent has a token in {key} (member: the token, score: the agent): write it, or check -t")
    return await directory.agents(key)


async def _to_the_end(work: Coroutine[object, object, T]) -> T:
    """The result of `work`, which goes on to its end even if we are cancelled: its answer comes only once."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        with suppress(Exception):
            await task
        raise
