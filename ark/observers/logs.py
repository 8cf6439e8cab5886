"""Log lines: on stderr and in a file, for people, and safe to read.

    2020-05-10T03:20:11.482+00:00 warning  quota is nearly spent  agent=1050262 minute=3

Every line, those of a traceback too, begins with its own time (UTC) and level. Nothing from outside can forge a line or
steer a terminal: control characters, and those that turn the reading direction, are shown as escapes. Secrets are
hidden last of all, on the finished line. What libraries log goes the same way, from WARNING on.
A log never fails a run.
"""

import logging
import os
import re
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import structlog

from ark.observers.append import AppendFile
from ark.redact import redact, redact_to

if TYPE_CHECKING:
    from structlog.typing import EventDict

OURS = ("ark", "handlers", "media")
"""The packages that log at the configured level."""
LONGEST_TEXT = 65_536
"""Characters of one message, value or traceback; the rest is cut."""

_UNSAFE = re.compile(
    "[\\x00-\\x1f\\x7f-\\x9f\\u061c\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff\\ufff9-\\ufffb\\ud800-\\udfff]"
)
_QUOTED = re.compile(r"[\s\"=]|^$")
_COLOURS = {"warning": "\x1b[33m", "error": "\x1b[31m", "critical": "\x1b[1;31m"}
_RESET = "\x1b[0m"


def configure(level: str, file: Path | None, stream: TextIO | None = None) -> None:
    """Send all logging of this process to `stream` (default: stderr) and to `file`; may be called again.

    `level` (debug, info, warning, error) holds for Ark's own packages, WARNING for everybody else. Python's warnings
    and the errors that it prints by itself (of threads, of destructors) become log lines too: it would not redact them.
    """
    terminal = StreamLines(stream or sys.stderr)
    _install([terminal] if file is None else [terminal, FileLines(file, terminal)])
    for name in OURS:
        logging.getLogger(name).setLevel(level.upper())
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )


def escape(text: str) -> str:
    r"""`text` with control characters, line ends, reading directions and lone surrogates as escapes (`\n`, `\x1b`)."""
    return _UNSAFE.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


class Lines(logging.Handler, ABC):
    """A handler whose finished, redacted lines go to `put`; a wrong log call costs one line, not the run."""

    def __init__(self, *, colour: bool = False) -> None:
        super().__init__()
        self.setFormatter(_formatter(colour=colour))

    @abstractmethod
    def put(self, lines: str) -> None:
        """Write one or more lines; raises nothing."""

    def emit(self, record: logging.LogRecord) -> None:
        """Format and write; the report that logging itself would print shows the arguments as they are."""
        try:
            lines = self.format(record)
        except Exception as error:  # noqa: BLE001  whatever a value's `__str__` raises, the run goes on
            where = f"{record.name} at {record.filename}:{record.lineno}"
            lines = self.format(_record(f"a log call of {where} cannot be shown: {type(error).__name__}"))
        self.put(lines)


class StreamLines(Lines):
    """Lines on a terminal or a pipe, coloured only on a terminal, in whatever encoding it has."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(colour=_wants_colour(stream))
        self._stream = stream
        self._encoding = getattr(stream, "encoding", None) or "utf-8"

    def put(self, lines: str) -> None:
        """Write at once; a reader that went away is no trouble of the run."""
        shown = lines.encode(self._encoding, "backslashreplace").decode(self._encoding)
        try:
            self._stream.write(shown + "\n")
            self._stream.flush()
        except (OSError, ValueError):  # nobody listens: a broken pipe, a closed stream
            return


class FileLines(Lines):
    """Lines appended to a file; what the disk refuses is counted, and told on the terminal at first and at the end."""

    def __init__(self, path: Path, terminal: StreamLines) -> None:
        super().__init__()
        self._terminal = terminal
        self._file = AppendFile(path, self._tell)

    def _tell(self, text: str) -> None:
        self._terminal.handle(_record(text))

    def put(self, lines: str) -> None:
        """Append."""
        self._file.write(lines.encode())

    def close(self) -> None:
        """Let go of the file and tell what is missing in it."""
        super().close()
        self._file.close()
        if self._file.lost:
            self._tell(f"{self._file.lost} log entries are missing in {self._file.path}")
            self._file.lost = 0


def _record(text: str) -> logging.LogRecord:
    return logging.LogRecord(__name__, logging.WARNING, __file__, 0, text, (), None)


def _wants_colour(stream: TextIO) -> bool:
    return not stream.closed and stream.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def _install(handlers: list[Lines]) -> None:
    root = logging.getLogger()
    for old in [handler for handler in root.handlers if isinstance(handler, Lines)]:
        root.removeHandler(old)
        old.close()
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.captureWarnings(True)
    threading.excepthook = _log_thread_error
    sys.unraisablehook = _log_unraisable


def _log_thread_error(args: threading.ExceptHookArgs) -> None:
    if args.exc_type is not SystemExit and args.exc_value is not None:
        name = args.thread.name if args.thread else "unknown"
        logging.getLogger(__name__).error("thread %s ended with an error", name, exc_info=args.exc_value)


def _log_unraisable(args: "sys.UnraisableHookArgs") -> None:
    logging.getLogger(__name__).error("%s", args.err_msg or "an error nobody could catch", exc_info=args.exc_value)


def _formatter(*, colour: bool) -> structlog.stdlib.ProcessorFormatter:
    def render(_logger: object, _method: str, event: "EventDict") -> str:
        return redact("\n".join(_render(event, colour=colour)))

    return structlog.stdlib.ProcessorFormatter(
        processors=[structlog.processors.format_exc_info, render],
        foreign_pre_chain=[structlog.contextvars.merge_contextvars],
    )


def _render(event: "EventDict", *, colour: bool) -> Iterator[str]:
    """The line of one event, and one more for each line of its traceback."""
    record: logging.LogRecord = event.pop("_record")
    event.pop("_from_structlog", None)
    start = _start(record, colour=colour)
    text, arguments = str(event.pop("event", "")), event.pop("positional_args", ())
    traceback = _shown(event.pop("exception", ""))
    fields = [f"{escape(key)}={_value(value)}" for key, value in event.items()]
    yield start + "  ".join(filter(None, [escape(_shown(text % arguments if arguments else text)), " ".join(fields)]))
    for line in traceback.split("\n") if traceback else ():
        yield f"{start}| {escape(line)}"


def _start(record: logging.LogRecord, *, colour: bool) -> str:
    moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    level = record.levelname.lower()
    padded = f"{level:<8}"
    if colour and level in _COLOURS:
        padded = f"{_COLOURS[level]}{padded}{_RESET}"
    return f"{moment} {padded} "


def _shown(value: object) -> str:
    text = str(value)
    return text if len(text) <= LONGEST_TEXT else redact_to(text, LONGEST_TEXT)


def _value(value: object) -> str:
    text = escape(_shown(value))
    return '"' + text.replace('"', r"\"") + '"' if _QUOTED.search(text) else text
