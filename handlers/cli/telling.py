"""What commands that run interfaces say to people, on stderr, and how they answer on stdout."""

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ark.ledger import Run


def say(text: str) -> None:
    """Tell a human; that nobody listens (a closed log pipe) is no trouble of the run."""
    with suppress(OSError):
        click.echo(text, err=True)


def tell(done: "Run") -> None:
    """The human summary of a run, on stderr."""
    words = f"{done.run_id} {done.interface} {done.status}: planned {done.planned} = verified {done.verified}"
    words += f" + failed {done.failed} + skipped {done.skipped}"
    words += f" + open {done.open}" if done.open else ""
    calls = f"{done.requests} calls" + (f", {done.refused} refused by the quota" if done.refused else "")
    say(f"{words}; {done.rows} rows in {done.table}, {calls}, {done.seconds:.1f} s")
    if done.error:
        say(f"  {done.error}")
    if done.failed:
        say(f"  reasons: ark show {done.run_id} --state failed")
    if done.status != "done":
        say(f"  take up: ark rerun {done.run_id}")


def answer(text: str | bytes) -> None:
    """A line of the result, on stdout."""
    try:
        click.echo(text)
    except OSError:
        # Whoever read our output has left, or its terminal has: the work goes on, and Python's own flush must not fail.
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
