"""What an answer's headers say of the quota: read where it can be read, else ignored, never raised about."""

import re
from functools import lru_cache
from typing import NamedTuple

_REMAINING = re.compile(r"\s*(-?\d+)(?:\.\d+)?\s*%?\s*,\s*(-?\d+)(?:\.\d+)?\s*%?\s*", re.ASCII)
_FULL = 100


class Quota(NamedTuple):
    """What an answer's headers say of this app's calls on this interface; None or 0: they do not say.

    `day` and `minute` are whole percents that are left, `retry_in` seconds to wait after a refusal.
    """

    day: int | None = None
    minute: int | None = None
    retry_in: float = 0


@lru_cache(maxsize=256)
def parse_remaining(header: str | None) -> Quota | None:
    """`X-RateLimit-Remaining: 99%,74%` (day, minute) as a Quota; None for whatever cannot be read, never an error."""
    match = _REMAINING.fullmatch(header) if header and len(header) < _FULL else None
    if not match:
        return None
    day, minute = int(match[1]), int(match[2])
    return Quota(day, minute) if 0 <= day <= _FULL and 0 <= minute <= _FULL else None
