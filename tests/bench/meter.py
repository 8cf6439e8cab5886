"""What one measured process says of itself: one JSON line at its end, times in seconds, memory in bytes."""

import json
import resource
import sys
import time
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def run():
    """Measure the block; what came before it is start-up. Of all threads."""
    start_up, begun = _cpu(), time.monotonic()
    yield
    wall, cpu = time.monotonic() - begun, _cpu()
    told = {"wall": wall, "cpu": cpu - start_up, "start_up": start_up, "peak": _peak()}
    sys.stdout.write(f"{json.dumps(told)}\n")


def _cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _peak():
    """Peak resident memory of this program alone; `ru_maxrss` would count the process that started it as well."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024
