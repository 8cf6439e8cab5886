"""Events: what each run tells the world, one record per event, on the topic `{medium}_api_log`.

The record's nine keys of seed 003 §3.2 are what readers rely on and never change; the others are named as Elastic's
common schema names them. Nothing here can fail or slow a run.
"""

import functools
import os
import socket
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum

import msgspec

from ark.clock import SHANGHAI
from ark.redact import CUT, redact_to, redact_value

MAX_RECORD = 64 * 1024
"""Bytes of a record as JSON; what is longer is cut, its texts end in CUT."""

Record = dict[str, object]
"""One event, flat: only texts, numbers, booleans and None, already redacted."""


class LogType(StrEnum):
    """All kinds of events there are."""

    JOB_START = "API_JOB_ATSRT"
    """Misspelt on the wire since the beginning (seed 003 §3.2): readers look for exactly this."""
    JOB_END = "API_JOB_END"
    JOB_ERROR = "API_JOB_ERROR"
    UNIT_FAILURES = "API_UNIT_FAILURES"
    """One record per run that says which kinds of failures its units had, and how many of each."""
    NEXT_JOB = "API_NEXT_JOB"
    JOB_NOTICE = "API_JOB_NOTICE"
    """Something to know while the job runs: how much of it fits into the day's quota."""


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What the records of one run have in common.

    `interface` is the path at the medium (`funds/get`), as in the seed; `date` has dashes; `argv` is the encoded
    argument.
    """

    tenant: str
    job: str
    interface: str
    agent: str
    date: str
    run_id: str
    argv: str = ""


def record(
    log_type: LogType,
    content: object,
    subject: Subject,
    *,
    level: str = "info",
    extra: Mapping[str, object] | None = None,
    now: datetime | None = None,
) -> Record:
    """The one place where an event becomes a record; never raises, whatever `content` and `extra` hold.

    `content` that is not text is shown as JSON, and where that cannot be as its `repr`. `extra` adds keys
    (`event.outcome`, `error.type`, `trace.id`); it cannot replace one.
    """
    moment = now or datetime.now(UTC)
    fields = {
        "tenant": subject.tenant,
        "cur_job": subject.job,
        "interface": subject.interface,
        "agent_id": subject.agent,
        "data_date": subject.date,
        "argv": subject.argv,
        "log_content": _text(content),
        "log_type": log_type.value,
        "log_time": f"{moment.astimezone(SHANGHAI):%Y-%m-%d %H:%M:%S}",
        "event_id": os.urandom(16).hex(),
        "run_id": subject.run_id,
        "@timestamp": moment.astimezone(UTC).isoformat(timespec="milliseconds"),
        "log.level": level,
        "host.name": socket.gethostname(),
        "process.pid": os.getpid(),
        "service.name": "ark",
        "service.version": version(),
    }
    return _fit({key: _plain(value) for key, value in {**(extra or {}), **fields}.items()})


def encode(event: Record) -> bytes:
    """A record as one line of JSON, without the newline."""
    return msgspec.json.encode(event)


@functools.cache
def version() -> str:
    """Ark's version, or "unknown" where it runs from a tree that was never installed."""
    import importlib.metadata

    try:
        return importlib.metadata.version("ark")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def _plain(value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return redact_value(value)
    shown = redact_to(_text(value), MAX_RECORD)
    return shown.encode("utf-8", "backslashreplace").decode()


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    try:
        return msgspec.json.encode(value, enc_hook=repr).decode()
    except Exception:  # noqa: BLE001  any object may come here, and a log record must not fail a run
        return _repr(value)


def _repr(value: object) -> str:
    try:
        return repr(value)
    except Exception as error:  # noqa: BLE001  as above: a `repr` may raise anything
        return f"<{type(value).__name__} that cannot be shown: {type(error).__name__}>"


def _fit(event: Record) -> Record:
    """`event` in at most MAX_RECORD bytes: its longest text is halved until it fits."""
    while _size(event) > MAX_RECORD:
        longest = max((key for key in event if isinstance(event[key], str)), key=lambda key: len(str(event[key])))
        text = str(event[longest]).removesuffix(CUT)
        event[longest] = text[: len(text) // 2] + CUT
    return event


def _size(event: Record) -> int:
    try:
        return len(encode(event))
    except (OverflowError, msgspec.EncodeError):  # a number that JSON's encoder does not take
        event.update({key: str(value) for key, value in event.items() if not isinstance(value, str)})
        return len(encode(event))
