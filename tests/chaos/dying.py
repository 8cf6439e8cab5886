"""`python -m tests.chaos.dying POINT NTH -- run gdt.funds ...`: Ark's command line, which dies at one point.

The product has no hooks for it: a method is wrapped from outside, and its N-th call ends the process as SIGKILL does,
before it does anything or after it has done everything.
"""

import os
import signal
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

POINTS = ("freeze", "put", "settle", "finish", "begin", "mark_sent")
WHEN = ("before", "after")


def main() -> None:
    """Arm the point, then be Ark."""
    (when, name), nth, separator = sys.argv[1].split(":"), int(sys.argv[2]), sys.argv[3]
    if when not in WHEN or name not in POINTS or separator != "--":
        raise SystemExit(f"dying: {when}:{name}: there is {', '.join(WHEN)}; {', '.join(POINTS)}")
    arm(when, name, nth)
    from handlers.cli.main import main as ark

    ark(sys.argv[4:])


def arm(when: str, name: str, nth: int) -> None:
    """Have the N-th call of the method, whichever store or ledger it belongs to, be the last."""
    from ark.ledger import Ledger
    from ark.stores.embedded import EmbeddedStore
    from ark.stores.files import FileStore
    from ark.stores.hbase import HBaseStore

    calls = iter(range(1, nth + 1))
    for owner in (EmbeddedStore, FileStore, HBaseStore) if name == "put" else (Ledger,):
        setattr(owner, name, _dying(getattr(owner, name), when, lambda: next(calls, nth) == nth))


def _dying(method: Callable[..., Any], when: str, is_last: Callable[[], bool]) -> Callable[..., Any]:
    @wraps(method)
    def call(*arguments: Any, **named: Any) -> Any:
        last = is_last()
        if last and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        answer = method(*arguments, **named)
        if last:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    return call


if __name__ == "__main__":
    main()
