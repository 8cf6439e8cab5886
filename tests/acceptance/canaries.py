"""Secrets that can be told from everything else, in whatever spelling, and a look at all processes of one home."""

import base64
import json
import os
import threading
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Self
from urllib.parse import quote, quote_plus

HEAD, TAIL = 'cnry/of+Zq"\\&%=9b1d', "<7e'?#~Kept/+x=Yw4"
"""With everything that URLs, JSON and shells spell in another way."""

_numbers = count(10_000)
canaries: list[str] = []
"""All secrets that were made."""


def canary() -> str:
    """A secret that nobody else has."""
    canaries.append(f"{HEAD}{next(_numbers)}{TAIL}")
    return canaries[-1]


def spellings(secret: str) -> Iterator[str]:
    """How a secret, or the beginning or end of one, may stand in a text, at whatever place its base64 begins."""
    yield from (secret, quote(secret, safe=""), quote(secret, safe="").lower(), quote_plus(secret), quote(secret))
    yield quote(quote(secret, safe=""), safe="")
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret)[1:-1].replace("/", "\\/")
    yield json.dumps(json.dumps(secret))[3:-3]
    yield repr(secret)[1:-1]
    for lead in range(3):
        whole = base64.b64encode(b"x" * lead + secret.encode()).decode()
        yield whole[4:-4]
        yield whole[4:-4].replace("+", "-").replace("/", "_")


SPELLED = sorted({each.encode() for part in (HEAD, TAIL) for each in spellings(part)})


def hits(sinks: dict[str, bytes]) -> dict[str, set[bytes]]:
    """Where something of a secret is, and how it is spelled there."""
    found = {name: {each for each in SPELLED if each in sink} for name, sink in sinks.items()}
    return {name: spelled for name, spelled in found.items() if spelled}


class Watch:
    """Looks at the command lines and environments of all processes whose ARK_HOME begins like ours."""

    def __init__(self, home: Path) -> None:
        self.lines: set[bytes] = set()
        self.environments: set[bytes] = set()
        self._mark = f"ARK_HOME={home}".encode()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.05):
            for process in Path("/proc").iterdir():
                if process.name.isdigit() and process.name != str(os.getpid()):
                    try:
                        environment = (process / "environ").read_bytes()
                        line = (process / "cmdline").read_bytes()
                    except OSError:  # it has ended, or is not ours to look at
                        continue
                    if self._mark in environment:
                        self.lines.add(line)
                        self.environments.add(environment)
