"""`python -m handlers.cli`, which bin/ark runs, and `ark`: one command per process, which ends with its command."""

import logging
import os
import signal
import sys
from contextlib import suppress
from typing import NoReturn

from handlers.stopping import SIGNALS, watch

INTERRUPTED = 128 + signal.SIGINT
PARENT = "_ARK_PARENT"
"""The environment variable in which bin/ark hands on the pid of the process that has started it."""


def enter() -> NoReturn:
    """Run one command and end the process with its exit code, whatever hangs in its threads."""
    watch.enter(os.environ.pop(PARENT, ""))
    try:
        from handlers.cli.main import main

        main()
    except SystemExit as end:
        _leave(end.code)
    except KeyboardInterrupt:  # before the command began to catch it
        _leave(INTERRUPTED)
    _leave(0)


def _leave(code: object) -> NoReturn:
    """What the interpreter does at its end, without waiting for anybody's threads; nobody need read our last words."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    enter()
