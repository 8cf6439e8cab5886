"""Outputs that only take rows: JSON lines in files (FILE), and nothing at all (NONE)."""

import os
import re
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from uuid import uuid4

import msgspec

from ark.errors import InputDataError, LocalDiskError, UsageError
from ark.rows import Row
from ark.stores import check_rows
from ark.stores.tables import check_name

TENANT = re.compile("[A-Za-z0-9_][A-Za-z0-9_.-]*")


class FileStore:
    """Batches as files `{folder}/{yyyymmdd}/{tenant}/{table}_{yyyymmdd}_{n}.json`, for one tenant and date.

    Each line is `{"row", "timestamp", "data"}`, `data` the cell's JSON as a store would hold it. A file is there
    whole or not at all, and what is acknowledged is on disk. Many processes may write into one folder: each file
    has its own n. A replay writes its rows again, into another file; the line with the greatest timestamp counts.
    Of two lines with one key and one timestamp (a list that moved and was read again, a rerun) the one that was
    written later counts: that of the newer file, in one file the lower line.
    """

    writers = 2

    def __init__(self, folder: Path, tenant: str, day: str) -> None:
        if not TENANT.fullmatch(tenant):
            raise UsageError(f"tenant {tenant!r} cannot be a folder's name: letters, digits, '_', '.' and '-'")
        self._folder = folder / day / tenant
        self._day = day
        self._lock = threading.Lock()
        self._numbers: dict[str, Iterator[int]] = {}

    def check(self, table: str) -> None:
        """Raise LocalDiskError unless the folder is there and can be written to."""
        check_name(table)
        with _disk(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=self._folder).close()

    def put(self, table: str, rows: Sequence[Row], timestamp: int) -> None:
        """Write all rows as one file. Raises InputDataError for a key that is not text or a cell that is not JSON."""
        check_rows(rows)
        check_name(table)
        lines = b"".join(_line(row, timestamp) for row in rows)
        if not lines:
            return
        with _disk(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            scratch = self._folder / f".{uuid4().hex}.part"
            try:
                with scratch.open("xb") as file:
                    file.write(lines)
                    file.flush()
                    os.fsync(file.fileno())
                self._publish(scratch, table)
            finally:
                scratch.unlink(missing_ok=True)

    def close(self) -> None:
        """Nothing is kept open."""

    def _publish(self, scratch: Path, table: str) -> None:
        """Give the file the next free number; a link is refused where the name is taken, a rename would replace."""
        with self._lock:
            numbers = self._numbers.setdefault(table, count(1))
            for number in numbers:
                try:
                    os.link(scratch, self._folder / f"{table}_{self._day}_{number}.json")
                except FileExistsError:
                    continue
                break
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


class NullStore:
    """Takes rows and keeps none: what a run would cost without storing anything. `rows` counts them."""

    writers = 1

    def __init__(self) -> None:
        self.rows = 0

    def check(self, table: str) -> None:
        """Raise UsageError for a name that no table can have."""
        check_name(table)

    def put(self, table: str, rows: Sequence[Row], timestamp: int) -> None:  # noqa: ARG002  # the port's shape
        """Count the rows."""
        check_rows(rows)
        self.rows += len(rows)

    def close(self) -> None:
        """Nothing is kept open."""


def _line(row: Row, timestamp: int) -> bytes:
    try:
        key = msgspec.json.encode(row.key.decode())
        data = msgspec.json.format(row.value, indent=-1)  # on one line, every number digit for digit
    except (UnicodeDecodeError, msgspec.DecodeError) as error:
        shown = row.key.decode(errors="backslashreplace")
        raise InputDataError(f"row {shown} cannot be a line of JSON: {error}") from error
    return b'{"row":%b,"timestamp":%d,"data":%b}\n' % (key, timestamp, data)


@contextmanager
def _disk(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise LocalDiskError(f"{folder}: {error.strerror}; file.dir says where files go") from error
