"""What the world is told of a run: the result as `ark show --json` and the last line on stdout have it."""

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from ark.ledger import Run

VERSION = 1
LONGEST = 3_999
"""Characters of the line at most: schedulers cut log lines of 4,000."""


def result(run: "Run") -> dict[str, Any]:
    """A run in the words of ARK_RESULT; `rerun` only where something is left to do.

    `pending` counts the next jobs that are not started, or not done with all that follows, where there are any.
    """
    told: dict[str, Any] = {
        "v": VERSION,
        "run_id": run.run_id,
        "interface": run.interface,
        "status": run.status,
        "exit": run.exit_code,
        "planned": run.planned,
        "verified": run.verified,
        "failed": run.failed,
        "skipped": run.skipped,
        "rows": run.rows,
        "requests": run.requests,
        "refused": run.refused,
        "seconds": round(run.seconds, 2),
        "next": run.next,
    }
    if run.pending:
        told["pending"] = run.pending
    if run.status != "done" or run.pending:
        told["rerun"] = f"ark rerun {run.run_id}"
    return told


def result_line(run: "Run") -> str:
    r"""`ARK_RESULT {...}`: one line of less than 4,000 characters.

    Where `next` is too long it is cut, and `next_left_out` counts what is missing. A scheduler that looks for the end
    of the value by a bracket finds none inside: `)` is written `\u0029`.
    """
    told = result(run)
    names: list[str] = told["next"]
    while len(line := _line(told)) > LONGEST and told["next"]:
        told["next"] = told["next"][:-1]
        told["next_left_out"] = len(names) - len(told["next"])
    return line


def _line(told: dict[str, Any]) -> str:
    return "ARK_RESULT " + msgspec.json.encode(told).decode().replace(")", "\\u0029")
