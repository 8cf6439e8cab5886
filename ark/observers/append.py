"""A file to which many threads and processes append whole lines, and which can never fail a run."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

MODE = 0o640
"""Readable by the group that looks after the machine, by nobody else."""


class AppendFile:
    """Each line is one write in append mode, so that lines of several processes never mix.

    A disk that refuses raises nothing: the line is counted in `lost`, and `tell` hears of it the first time.
    """

    def __init__(self, path: Path, tell: Callable[[str], None]) -> None:
        self.path = path
        self.written = 0
        self.lost = 0
        self._tell = tell
        self._lock = threading.Lock()
        self._file: int | None = None
        self._torn = False

    def write(self, line: bytes) -> bool:
        """Append `line` and a newline; False if the disk refused."""
        with self._lock:
            trouble = self._append(line)
            if trouble is None:
                self.written += 1
                return True
            self.lost += 1
            first = self.lost == 1
        if first:
            self._tell(f"cannot write {self.path}: {trouble}; the run goes on without it")
        return False

    def _append(self, line: bytes) -> str | None:
        """What went wrong, or None. A line that was cut short is closed before the next one begins."""
        text = (b"\n" if self._torn else b"") + line + b"\n"
        try:
            if self._file is None:
                self._file = self._open()
            sent = os.write(self._file, text)
        except OSError as error:
            return error.strerror or type(error).__name__
        self._torn = sent < len(text)
        return "the line was cut short" if self._torn else None

    def _open(self) -> int:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), MODE)

    def close(self) -> None:
        """Let go of the file; a later `write` opens it again."""
        with self._lock:
            if self._file is not None:
                os.close(self._file)
                self._file = None
