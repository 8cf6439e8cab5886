"""HTTP to the media: one session per run, as many connections as calls in flight, every body capped, no redirects.

The only file that knows aiohttp's client; all its exceptions leave as TransportError or BadBodyError, without the URL,
which may carry a token.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple, Self
from urllib.parse import urlsplit

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from ark.answers import BadBodyError
from ark.errors import TransportError
from ark.settings import Http

KEEPALIVE = 90.0
"""Seconds an idle connection is kept: longer than a minute's quota pause, so that no handshake is paid twice."""
LONGEST_WAIT = 120.0
"""Seconds; a medium that asks for a longer pause is not taken at its word."""
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
        except (TypeError, ValueError):
            return 0
        return min(max(seconds, 0), LONGEST_WAIT)


class HttpClient:
    """The session of one run; use it as an async context manager."""

    def __init__(self, settings: Http) -> None:
        self._max_body = settings.max_body
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=settings.concurrency, keepalive_timeout=KEEPALIVE, ttl_dns_cache=300),
            timeout=aiohttp.ClientTimeout(total=settings.total, sock_connect=settings.connect, sock_read=settings.read),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Accept": "application/json", "User-Agent": "ark"},
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
            raise TransportError(_describe(error)) from None

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        chunks = []
        size = 0
        while chunk := await response.content.readany():
            chunks.append(chunk)
            size += len(chunk)
            if size > self._max_body:
                raise BadBodyError(f"body is larger than http.max_body ({self._max_body} bytes)")
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


def _describe(error: Exception) -> str:
    """The kind of trouble and its errno text, never the URL."""
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(cause, OSError) and cause.strerror:
        return f"{type(error).__name__}: {cause.strerror}"
    return type(error).__name__
