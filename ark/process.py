"""Who a process is, told so that another one on the same machine can see whether it still lives.

A pid alone comes again, in a container the first one every time. Together with the machine's boot, the namespace the
pid is counted in and the moment the process began, all of which the Linux kernel tells under /proc, it never does.
"""

import os
from functools import cache
from pathlib import Path

PROC = Path("/proc")
_STATE, _STARTED = 0, 19
"""Fields of /proc/PID/stat behind the name of the command; see proc(5)."""
_GONE = {"Z", "X", "x"}
"""States of a process that does nothing any more: nobody has asked for its exit code yet."""


@cache
def boot() -> str:
    """What this machine calls its present boot; empty where the kernel does not tell."""
    return _read(PROC / "sys/kernel/random/boot_id").strip()


def identity(pid: int | None = None) -> str:
    """`BOOT:NAMESPACE:PID:STARTED` of a process of this machine, by default of this one."""
    pid = pid or os.getpid()
    stat = _stat(pid)
    return ":".join((boot(), _namespace(), str(pid), stat[_STARTED] if stat else ""))


def is_dead(other: str, *, same_machine: bool = False) -> bool:
    """Whether the kernel says that the process with this identity is no more; False where it cannot tell.

    Another boot is another machine, unless `same_machine` is known: then the process ended with that boot.
    """
    parts = other.split(":")
    if not boot() or len(parts) != len(identity().split(":")):
        return False
    booted, namespace, pid, started = parts
    if booted != boot():
        return same_machine
    if namespace != _namespace() or not (pid.isdigit() and started):
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # somebody else's, which lives
    stat = _stat(int(pid))
    return bool(stat) and (stat[_STARTED] != started or stat[_STATE] in _GONE)


def _stat(pid: int) -> list[str]:
    """The fields behind the command's name, which may hold anything; none where the kernel does not show them."""
    return _read(PROC / str(pid) / "stat").rpartition(")")[2].split()


@cache
def _namespace() -> str:
    try:
        return str((PROC / "self/ns/pid").stat().st_ino)
    except OSError:
        return ""


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
