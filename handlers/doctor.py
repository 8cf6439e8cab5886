"""One look at each service: does it answer, and if not, what is the way out.

Each check belongs to one service: it returns a few words about what it found, or raises. All run at the same time, in
daemon threads, so that one which hangs holds up neither the others nor the end of the process.
"""

import os
import resource
import shutil
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import closing
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, NamedTuple, TypeVar
from urllib.parse import urlsplit

from ark import urls
from ark.accounts import embedded_redis
from ark.accounts.keys import Keys
from ark.clock import today
from ark.errors import ArkError, ConfigError, LocalDiskError, ServiceDownError
from ark.redact import redact
from ark.settings import DIALECTS, Settings

if TYPE_CHECKING:
    from ark.accounts.directory import Directory

T = TypeVar("T")

LIMIT = 4.8
"""Seconds after which a check counts as unanswered."""

CONNECT = 4.0
FREE = 2**30
"""Bytes that a disk should have left."""

OWN_FILES = 100
"""Files and sockets that Ark needs beside its calls in flight."""

PORTS = {"https": 443, "http": 80, "mysql": 3306}

Check = Callable[[Settings], str]


class Finding(NamedTuple):
    """What became of one check: a few words, or what is wrong and the way out."""

    service: str
    ok: bool
    text: str


def examine(settings: Settings, checks: Mapping[str, Check] | None = None) -> list[Finding]:
    """One finding per check, in the order of `checks` (default: all services), within LIMIT seconds."""
    checks = checks or {name: check for name, check in CHECKS.items() if _applies(name, settings)}
    done: SimpleQueue[Finding] = SimpleQueue()
    for name, check in checks.items():
        threading.Thread(target=lambda *task: done.put(_find(*task)), args=(name, check, settings), daemon=True).start()
    findings: dict[str, Finding] = {}
    deadline = time.monotonic() + LIMIT
    while len(findings) < len(checks):
        try:
            finding = done.get(timeout=max(0.0, deadline - time.monotonic()))
        except Empty:
            break
        findings[finding.service] = finding
    return [findings.get(name, Finding(name, False, f"no answer within {LIMIT:g} s")) for name in checks]


def _find(name: str, check: Check, settings: Settings) -> Finding:
    try:
        return Finding(name, True, redact(check(settings)))
    except ArkError as error:
        return Finding(name, False, redact(str(error)))
    except Exception as error:  # noqa: BLE001  whatever a client raises is what is wrong with its service
        return Finding(name, False, redact(f"{type(error).__name__}: {error}; check {name}.* in `ark settings`"))


def _applies(name: str, settings: Settings) -> bool:
    return name != "tenant" or bool(settings.tenant.url)


def _redis(settings: Settings) -> str:
    place = _ask_redis(settings, _place)
    if settings.redis.url:
        return place
    process = embedded_redis.pid(settings.home)
    return f"embedded, {place}; it keeps running as pid {process}, `kill {process}` ends it"


def _hbase(settings: Settings) -> str:
    from ark.stores import open_store

    with closing(open_store(settings.hbase.url, settings)) as store:
        return f"{store.name}, {len(store.tables())} tables"


def _kafka(settings: Settings) -> str:
    if not settings.kafka.url:
        return f"not configured: events go to {settings.home / 'log'}"
    from ark.observers.kafka_events import probe

    probe(settings.kafka.url)
    return settings.kafka.url


def _sentry(settings: Settings) -> str:
    if not settings.sentry.dsn:
        return "not configured: no alarms"
    try:
        dsn = urls.check_dsn(settings.sentry.dsn)
    except ValueError as error:
        raise ConfigError(f"sentry.dsn is no DSN, no alarms are sent: expected {error}") from None
    return f"{_reach('sentry.dsn', dsn)} (no event was sent)"


def _ledger(settings: Settings) -> str:
    from ark.ledger import open_ledger

    with closing(open_ledger(settings)) as ledger:
        ledger.runs(1)
    return urls.masked(settings.ledger.url) or f"SQLite under {settings.home}"


def _tenant(settings: Settings) -> str:
    from ark.tenants.views import probe

    missing = probe(settings.tenant.url)
    return f"{urls.masked(settings.tenant.url)}{missing and f', but {missing}'}"


def _medium(name: str) -> Check:
    """Reach a medium that is in use: its url was set, or Redis holds tokens for it."""

    def check(settings: Settings) -> str:
        if settings.origins[f"{name}.url"].startswith("conf/"):
            tokens = Keys.of(name, "*", today(), "*").tokens
            try:
                in_use = _ask_redis(settings, lambda directory: directory.has_key_like(tokens))
            except ServiceDownError:
                return "not tried: Redis does not tell whether it is in use"
            if not in_use:
                return f"not in use: there is no {tokens} in Redis"
        return _reach(f"{name}.url", getattr(settings, name).url)

    return check


async def _place(directory: "Directory") -> str:
    return directory.place


def _ask_redis(settings: Settings, question: "Callable[[Directory], Awaitable[T]]") -> T:
    import asyncio

    from ark.accounts.directory import connect

    async def ask() -> T:
        directory = await connect(settings)
        try:
            return await question(directory)
        finally:
            await directory.aclose()

    return asyncio.run(ask())


def _disk(settings: Settings) -> str:
    home = settings.home
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=home) as file:
            file.write(b"ark")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise LocalDiskError(f"{home} cannot be written: {error.strerror}; correct ARK_HOME") from error
    free = shutil.disk_usage(home).free
    if free < FREE:
        raise LocalDiskError(f"{home} has only {free / 2**20:.0f} MiB left: make room, or move ARK_HOME")
    return f"{home}, {free / 2**30:.1f} GiB free"


def _files(settings: Settings) -> str:
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    needed = settings.http.concurrency + OWN_FILES
    if allowed != resource.RLIM_INFINITY and allowed < needed:
        raise ConfigError(
            f"{allowed} open files are allowed, http.concurrency {settings.http.concurrency} needs {needed}:"
            f" `ulimit -n {needed}`, or lower ARK_HTTP_CONCURRENCY"
        )
    return (
        f"{'any number of' if allowed == resource.RLIM_INFINITY else allowed} open files are allowed, {needed} needed"
    )


def _reach(key: str, url: str) -> str:
    """Connect and, for https, shake hands as a call would; nothing is sent."""
    parts = urlsplit(url)
    host, port = parts.hostname or "localhost", parts.port or PORTS.get(parts.scheme.partition("+")[0], 0)
    place = f"{host}:{port}"
    try:
        with socket.create_connection((host, port), CONNECT) as connection:
            if parts.scheme == "https":
                with ssl.create_default_context().wrap_socket(connection, server_hostname=host):
                    pass
    except ssl.SSLCertVerificationError as error:
        raise ServiceDownError(f"{place} shows a certificate that is not trusted: {error.verify_message}") from error
    except OSError as error:
        raise ServiceDownError(f"{place} does not answer ({error}): check the network, or correct {key}") from error
    return place


CHECKS: Mapping[str, Check] = {
    "redis": _redis,
    "hbase": _hbase,
    "kafka": _kafka,
    "sentry": _sentry,
    "ledger": _ledger,
    "tenant": _tenant,
    **{medium: _medium(medium) for medium in DIALECTS},
    "disk": _disk,
    "files": _files,
}
"""Service -> its check."""
