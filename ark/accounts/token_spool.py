"""New tokens on this machine's disk, until Redis has them: a medium hands them out once."""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from urllib.parse import quote

import msgspec

from ark.errors import LocalDiskError
from ark.redact import register


class Renewal(msgspec.Struct, frozen=True, kw_only=True):
    """A renewal that has begun: `used` was sent to the medium. `access` is empty until the answer is here.

    `ends`: unix seconds when the access token ends, 0 where that is not known. `who`: process and host.
    """

    id: str
    agent: str
    used: str
    old_access: Sequence[str]
    old_refresh: Sequence[str]
    who: str
    access: str = ""
    refresh: str = ""
    ends: float = 0


_DECODER = msgspec.json.Decoder(Renewal)


class TokenSpool:
    """A folder with one file (mode 0600) per renewal; `name` tells the tenants and media apart.

    Every renewal has its own file, so that of two processes neither removes what the other has written.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, quote(name, safe="")

    def path(self, renewal: Renewal) -> Path:
        """Where it is kept."""
        return self._folder / f"{self._name}.{renewal.agent}.{renewal.id}.json"

    def begin(self, agent: str, used: str, old_access: Sequence[str], old_refresh: Sequence[str], who: str) -> Renewal:
        """Note that a renewal begins; a disk that refuses says so before a refresh token is spent."""
        renewal = Renewal(
            id=token_hex(4), agent=agent, used=used, old_access=old_access, old_refresh=old_refresh, who=who
        )
        self.keep(renewal)
        return renewal

    def keep(self, renewal: Renewal) -> None:
        """Have it on the disk, whole, before this returns."""
        path = self.path(renewal)
        draft = path.with_suffix(".tmp")
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:  # noqa: PTH123
                    file.write(msgspec.json.encode(renewal))
                    file.flush()
                    os.fsync(file.fileno())
                draft.replace(path)
            except OSError:
                draft.unlink(missing_ok=True)
                raise
            self._sync()
        except OSError as error:
            raise LocalDiskError(f"{path} cannot be written: {error.strerror}; correct ARK_HOME") from error

    def of(self, agent: str) -> Iterator[Renewal]:
        """What is kept of an agent, the oldest first; its tokens are registered for redaction."""
        for _, path, body in sorted(self._files(agent)):
            try:
                renewal = _DECODER.decode(body)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise LocalDiskError(f"{path} is damaged ({error}): move it away") from None
            for token in (renewal.used, renewal.access, renewal.refresh, *renewal.old_access, *renewal.old_refresh):
                register(token)
            yield renewal

    def drop(self, renewal: Renewal) -> None:
        """Forget it: Redis has the pair, or there is none."""
        with suppress(OSError):  # what is left is looked at, and dropped, the next time
            self.path(renewal).unlink(missing_ok=True)
            self._sync()

    def _files(self, agent: str) -> Iterator[tuple[int, Path, bytes]]:
        """Each file of an agent: when it was written, where it is, what is in it."""
        for path in self._folder.glob(f"{self._name}.{agent}.*.json"):
            with suppress(FileNotFoundError):  # dropped meanwhile
                try:
                    found = path.stat().st_mtime_ns, path, path.read_bytes()
                except PermissionError as error:
                    raise LocalDiskError(f"{path} cannot be read: {error.strerror}") from error
                yield found

    def _sync(self) -> None:
        descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
