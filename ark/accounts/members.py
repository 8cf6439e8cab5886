"""What a member of a Redis list and its score may be, and the account of those that cannot be used."""

import re
from collections.abc import Callable, Iterable

from ark.errors import InputDataError, UsageError

LIMIT = 2**53
"""The first score that may stand for two ids: scores are doubles."""

EXAMPLES = 5
"""How many of something a message names."""

_LONGEST_SHOWN = 64
_ACCOUNT = re.compile(rb"[0-9]{1,32}")


def is_account(member: bytes) -> bool:
    """Whether `member` is an account id: digits, in all three media."""
    return bool(_ACCOUNT.fullmatch(member))


def is_agent(score: float) -> bool:
    """Whether a score is the id of one agent and of no other."""
    return 1 <= score < LIMIT and score == int(score)


def score_of(agent: str) -> int:
    """The score of an agent; UsageError where the id is no number or too large to be kept exactly."""
    if not re.fullmatch("[0-9]{1,16}", agent) or not is_agent(int(agent)):
        raise UsageError(f"agent {agent!r} is no id from 1 to {LIMIT - 1}: Redis scores keep no others exactly")
    return int(agent)


def shown(member: bytes) -> str:
    """The raw member, escaped and of bearable length."""
    text = repr(member[:_LONGEST_SHOWN])[1:]
    return text if len(member) <= _LONGEST_SHOWN else f"{text}... ({len(member)} bytes)"


class Faults:
    """Members of one key that cannot be used: told to `refused` one by one, or raised together by `check`."""

    def __init__(self, key: str, refused: Callable[[str], None] | None) -> None:
        self.count = 0
        self._key, self._refused = key, refused
        self._first: list[str] = []

    def add(self, reasons: Iterable[str]) -> None:
        """Count each reason, such as `'abc' is no account id`."""
        for reason in reasons:
            self.count += 1
            if self._refused:
                self._refused(f"{self._key}: {reason}")
            if len(self._first) < EXAMPLES:
                self._first.append(reason)

    def check(self) -> None:
        """Raise InputDataError with the first reasons where nobody was told."""
        if self._first and not self._refused:
            raise InputDataError(f"{self._key} holds what cannot be used: {self.examples}; remove it")

    @property
    def examples(self) -> str:
        """The first reasons, and how many more there are."""
        more = f" and {self.count - len(self._first)} more" if self.count > len(self._first) else ""
        return ", ".join(self._first) + more
