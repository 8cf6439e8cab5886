"""HTTP to the media: one session per run, as many connections as calls in flight, every body capped, no redirects.

The only file that knows aiohttp's client; all its exceptions leave as TransportError or BadBodyError, without the URL,
which may carry a token. Certificates are checked against the system's authorities, or those in SSL_CERT_FILE.
"""

import errno
import resource
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

import aiohttp
import msgspec
import structlog
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from ark.answers import BadBodyError
from ark.errors import TransportError
from ark.settings import Http, Settings

log = structlog.get_logger(__name__)

KEEPALIVE = 90.0
"""Seconds an idle connection is kept: longer than a minute's quota pause, so that no handshake is paid twice."""
LONGEST_WAIT = 120.0
"""Seconds; a medium that asks for a longer pause is not taken at its word."""
MODEST = 1 << 20
"""Bytes that a body may have however well it was packed."""
DENSEST = 200
"""Beyond MODEST, how many bytes one byte on the wire may unpack to: records that differ come nowhere near it."""
OTHER_FILES = 40
"""Open files that a run needs beside its calls: ledger, tables, Redis, events, store."""
_NONE_LEFT = {errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS}
_REDIRECT, _CLIENT_ERROR, _TOO_MANY, _SERVER_ERROR = 300, 400, 429, 500


class Request(NamedTuple):
    """One call, signed: the whole URL (query encoded), its headers, and a JSON body for the few POSTs."""

    url: str
    headers: Mapping[str, str] = {}
    method: str = "GET"
    body: bytes | None = None


class Reply(NamedTuple):
    """One answer as it came: HTTP status, headers (any case), the decompressed body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def retry_after(self) -> float:
        """Seconds that the Retry-After header asks for: 0 where it cannot be read, never more than LONGEST_WAIT."""
        text = self.headers.get("Retry-After", "")
        try:
            seconds = float(text) if text.isdigit() else _until(parsedate_to_datetime(text))
        except (TypeError, ValueError, OverflowError):
            return 0
        return min(max(seconds, 0), LONGEST_WAIT)

    def clock_ahead(self, now: float) -> float:
        """Seconds that `now` (unix) is ahead of the server's Date, negative if behind it; 0 where there is none."""
        try:
            return now - parsedate_to_datetime(self.headers.get("Date", "")).timestamp()
        except (TypeError, ValueError, OverflowError):
            return 0


class ExhaustedError(TransportError):
    """A call that never left this machine, which has no file descriptor or port for it just now."""


class _Connector(aiohttp.TCPConnector):
    """Drops a kept connection on which something came although nothing was asked.

    aiohttp would take it for the answer to the next request, and be one answer behind from then on. It has no public
    place to look at a connection before it is used again.
    """

    async def _get(self, *args: Any) -> aiohttp.connector.Connection | None:  # noqa: ANN401 - aiohttp's own
        while (connection := await super()._get(*args)) is not None:
            if connection.protocol is None or not connection.protocol.should_close:
                return connection
            connection.close()
        return None


class HttpClient:
    """The session of one run; use it as an async context manager."""

    def __init__(self, settings: Http) -> None:
        self._max_body = settings.max_body
        self._session = aiohttp.ClientSession(
            connector=_Connector(limit=settings.concurrency, keepalive_timeout=KEEPALIVE, ttl_dns_cache=300),
            timeout=aiohttp.ClientTimeout(total=settings.total, sock_connect=settings.connect, sock_read=settings.read),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Accept": "application/json", "Accept-Encoding": "gzip, deflate", "User-Agent": "ark"},
            trust_env=False,
        )
        # aiohttp would repeat a GET by itself when a kept connection turns out to be closed: with the same nonce, and
        # uncounted. Tries are decided in one place, so its repeating is switched off; it has no public switch.
        self._session._retry_connection = False  # noqa: SLF001

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def send(self, request: Request, on_headers: Callable[[Mapping[str, str]], None]) -> Reply:
        """Send one request and read its body; `on_headers` is told the headers before the body is read.

        Raises TransportError for what is worth another try, BadBodyError for a redirect or a body that is too large.
        """
        try:
            async with self._session.request(
                request.method,
                URL(request.url, encoded=True),
                headers=request.headers,
                data=request.body,
                allow_redirects=False,
            ) as response:
                on_headers(response.headers)
                if _REDIRECT <= response.status < _CLIENT_ERROR:
                    raise BadBodyError(_redirect(response.status, response.headers.get("Location", "")))
                return Reply(response.status, response.headers, await self._read(response))
        except TimeoutError as error:
            raise TransportError(f"timed out ({type(error).__name__})") from None
        except (aiohttp.ClientError, HttpProcessingError, OSError) as error:
            raise _trouble(error) from None

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        chunks = []
        size = 0
        while chunk := await response.content.readany():
            chunks.append(chunk)
            size += len(chunk)
            if size > self._max_body:
                raise BadBodyError(f"body is larger than http.max_body ({self._max_body} bytes)")
            if size > MODEST and size > DENSEST * response.content.total_raw_bytes:
                raise BadBodyError(f"body unpacks to more than {DENSEST} times what was sent, as no records do")
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def worth_another_try(reply: Reply) -> bool:
    """Whether a reply whose body says nothing is a trouble on the way: 5xx or 429."""
    return reply.status >= _SERVER_ERROR or is_refusal(reply)


def is_refusal(reply: Reply) -> bool:
    """Whether a reply whose body says nothing asks for fewer calls."""
    return reply.status == _TOO_MANY


def _until(moment: datetime) -> float:
    return (moment - datetime.now(UTC)).total_seconds()


def _redirect(status: int, location: str) -> str:
    try:
        host = urlsplit(location).hostname or "the same host"
    except ValueError:
        host = "what is no URL"
    return f"HTTP {status} redirects to {host}; redirects are not followed, the token is not sent on"


def _trouble(error: Exception) -> TransportError:
    """The kind of trouble in plain words, never the URL."""
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return TransportError(_certificate(error.certificate_error))
    if isinstance(error, aiohttp.ClientSSLError):
        return TransportError(f"TLS fails: {(getattr(cause, 'reason', '') or 'unknown').replace('_', ' ').lower()}")
    if isinstance(cause, OSError) and cause.errno in _NONE_LEFT:
        return ExhaustedError(f"no socket can be opened here: {cause.strerror}; raise `ulimit -n`", pause=1)
    if isinstance(cause, OSError) and cause.strerror:
        return TransportError(f"{type(error).__name__}: {cause.strerror}")
    return TransportError(type(error).__name__)


def _certificate(error: Exception) -> str:
    why = getattr(error, "verify_message", "") or type(error).__name__
    return f"TLS: the certificate is refused: {why}; for an authority of your own set SSL_CERT_FILE to its certificate"


def fitted(settings: Settings) -> Settings:
    """The settings with as many calls in flight as this process may have open files for.

    The soft limit is raised as far as that is allowed.
    """
    wanted = 2 * settings.http.concurrency + OTHER_FILES  # beside each socket that is opened, one that is being closed
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return settings
    allowed = wanted if hard == resource.RLIM_INFINITY else max(soft, min(wanted, hard))
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    except (OSError, ValueError):
        allowed = soft
    fits = max((allowed - OTHER_FILES) // 2, 1)
    if fits >= settings.http.concurrency:
        return settings
    log.warning("fewer calls at once than http.concurrency: raise `ulimit -n`", open_files=allowed, calls=fits)
    return msgspec.structs.replace(settings, http=msgspec.structs.replace(settings.http, concurrency=fits))
