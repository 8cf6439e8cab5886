"""One call of a unit: what it is sent with, and what its reply says."""

from typing import NamedTuple

from ark.answers import Answer, BadBodyError, Code, Verdict
from ark.circuit import Leave
from ark.errors import TransportError, UnitError
from ark.governor.gate import REST_OF_DAY, Gate, Permit
from ark.http import Reply, is_refusal, worth_another_try
from ark.quota import Quota
from handlers.api import ApiHandler
from handlers.task import Task


class Call(NamedTuple):
    """One call under way: what it asks, with which token, under which permit and leave."""

    handler: ApiHandler
    token: str
    gate: Gate
    permit: Permit
    leave: Leave


class RefusedError(UnitError):
    """The call was too many, for `windows` windows, REST_OF_DAY where it is one too many for today.

    `wait` is how many seconds its gate makes of that.
    """

    def __init__(
        self, reason: str, gate: Gate, windows: float, quota: Quota | None, *, code: int | None = None
    ) -> None:
        super().__init__(reason, code=code)
        self.gate, self.windows, self.quota = gate, windows, quota
        self.wait = 0.0


def read(task: Task, call: Call, reply: Reply) -> Answer:
    """The answer in a reply. The body's code decides, not the HTTP status; a 5xx without one is tried again.

    Raises RefusedError where the call was too many, by its code or by HTTP 429 without one.
    """
    try:
        answer = call.handler.read(reply.body)
    except BadBodyError as error:
        if is_refusal(reply):
            quota = Quota(retry_in=reply.retry_after())
            raise RefusedError("HTTP 429: too many calls", call.gate, 1, quota) from None
        if worth_another_try(reply):
            raise TransportError(f"HTTP {reply.status}", pause=reply.retry_after()) from None
        kind = reply.headers.get("Content-Type", "no content type")
        raise BadBodyError(f"HTTP {reply.status}, {kind}: {error.reason}", trace=task.trace) from None
    task.code, task.trace = answer.code, answer.trace or task.trace
    code = call.handler.codes[answer.code]
    if code.verdict in (Verdict.WAIT, Verdict.LATER):
        left = call.handler.quota(reply.headers)
        windows = code.windows if code.verdict is Verdict.WAIT else REST_OF_DAY
        raise RefusedError(said(code, answer), call.gate, windows, left, code=answer.code)
    return answer


def said(code: Code, answer: Answer) -> str:
    """What an answer's code says, in words."""
    return f"code {answer.code}: {code.meaning}" + (f" ({answer.message})" if answer.message else "")
