"""Daemons: started once, known by pid and start time, stopped only if they are ours."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

TAIL_LINES = 5


class ServiceError(Exception):
    """A service cannot be had; the text says why and what to do."""


def start_time(pid: int) -> str | None:
    """When the process began, in clock ticks since boot; None if it is gone or a zombie that nobody reaped."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, *fields = stat.rpartition(")")[2].split()
    return None if state in "ZX" else fields[18]


def identity(pid: int) -> str:
    """What a pid file holds: pid and start time, so that a reused pid is not mistaken for ours."""
    return f"{pid} {start_time(pid)}\n"


def wait(condition: Callable[[], bool], seconds: float, pause: float = 0.02) -> bool:
    """Poll until the condition holds; False when the time is over."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
    return True


class Daemon:
    """One server process with its own session, pid file and log in `folder`."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.log = folder / f"{name}.log"
        self.pid_file = folder / f"{name}.pid"
        self._child: subprocess.Popen[bytes] | None = None

    def pid(self) -> int | None:
        """The pid, if the very process that was started here still lives."""
        try:
            text = self.pid_file.read_text(encoding="ascii")
            pid = int(text.split()[0])
        except (FileNotFoundError, ValueError, IndexError):
            return None
        return pid if start_time(pid) and text == identity(pid) else None

    def spawn(self, argv: Sequence[str], env: Mapping[str, str] | None = None) -> None:
        """Start the server; returns when its pid file is there. The log before this one is kept as .log.1."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.log.exists():
            self.log.replace(self.log.with_suffix(".log.1"))
        self.pid_file.unlink(missing_ok=True)
        with self.log.open("wb") as log:
            self._child = subprocess.Popen(
                [sys.executable, "-I", "-S", __file__, str(self.pid_file), *argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env={**os.environ, **(env or {})},
                start_new_session=True,
            )
        child = self._child
        wait(lambda: self.pid_file.exists() or child.poll() is not None, 30)

    def thaw(self) -> None:
        """Let it go on if somebody had paused it with SIGSTOP."""
        self._signal(signal.SIGCONT)

    def stop(self, grace: float) -> bool:
        """Stop it within `grace` seconds, else kill it; False if it did not run. A foreign process is not touched."""
        if self.pid() is None:
            self.pid_file.unlink(missing_ok=True)
            return False
        self._signal(signal.SIGTERM)
        self.thaw()
        if not wait(self._gone, grace):
            self._signal(signal.SIGKILL)
            if not wait(self._gone, 10):
                raise ServiceError(f"{self.name}: pid {self.pid()} survives SIGKILL")
        self.pid_file.unlink(missing_ok=True)
        return True

    def tail(self) -> str:
        """The end of its log, for an error message."""
        try:
            lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return "(no log)"
        return "\n".join(f"  | {line}" for line in lines[-TAIL_LINES:])

    def _gone(self) -> bool:
        if self._child is not None:
            self._child.poll()
        return self.pid() is None

    def _signal(self, number: signal.Signals) -> None:
        pid = self.pid()
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):  # it ended in between
                os.kill(pid, number)


def become(pid_file: Path, argv: Sequence[str]) -> None:
    """Write the pid file, then become the server: at no moment does a server run that no pid file names."""
    new = pid_file.with_suffix(".new")
    new.write_text(identity(os.getpid()), encoding="ascii")
    new.replace(pid_file)
    os.execv(argv[0], list(argv))  # noqa: S606 - that is the point


if __name__ == "__main__":
    become(Path(sys.argv[1]), sys.argv[2:])
