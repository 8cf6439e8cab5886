"""Whether the medium is there, and how often a call that brought no answer may be repeated.

A trouble is a call without an answer: refused, reset, timed out, cut short, or a 5xx without a body code. After some of
them the circuit opens: nobody calls but one probe at a time, until a probe is answered. Repeats of calls in trouble
have a budget for the whole run, so that a medium that staggers is not pushed over.

Pure policy: the clock is passed in (seconds, monotonic), and nobody waits in here.
"""

from math import inf
from typing import NamedTuple

THRESHOLD = 10
"""Troubles that open the circuit; fewer where fewer calls are under way at once."""
PER_TROUBLE = 3
"""Answers that make good for one trouble: a medium that fails more than a quarter of the calls is in trouble, too."""
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 5.0
"""Seconds before the first probe; doubled after each trouble of a probe."""
SHARE = 0.1
"""Repeats per answer that the budget allows; from the start it is as many as an outage brings into trouble at once."""


class Leave(NamedTuple):
    """Leave to send one call; `round` counts how often the circuit had closed again before."""

    round: int
    probe: bool = False
    repeat: bool = False


class Circuit:
    """One medium in one run. Every `admit` is followed by `answered`, `trouble`, `unsent` or `dropped`.

    `slots` calls are under way at most. The medium counts as gone when a probe finds it silent and it has been silent
    for `patience` seconds, or from the start.
    """

    def __init__(self, slots: int, patience: float) -> None:
        self._at_once = slots + THRESHOLD
        self._threshold = min(THRESHOLD, slots + 1)
        self._patience = patience
        self._answers = 0
        self._repeats = 0
        self._weight = 0
        self._round = 0
        self._probing = False
        self._pause = FIRST_PAUSE
        self._probe_at = 0.0
        self._unsent_since = inf
        self.opened_at: float | None = None
        self.troubles = 0
        """Since the last answer."""
        self.gone = False

    @property
    def heard(self) -> bool:
        """The medium has answered at least once."""
        return self._answers > 0

    @property
    def next_call(self) -> float:
        """The moment from which on a call may be sent: -inf at any time, inf when the probe has its answer."""
        if self.opened_at is None:
            return -inf
        return inf if self._probing else self._probe_at

    @property
    def may_repeat(self) -> bool:
        """The budget allows one more repeat of a call in trouble."""
        return self._repeats < max(self._at_once, SHARE * self._answers)

    def admit(self, now: float, *, repeat: bool = False) -> Leave | None:
        """Leave to send a call now; None: the circuit is open, or the budget for repeats is spent."""
        if now < self.next_call or (repeat and not self.may_repeat):
            return None
        self._repeats += repeat
        self._probing = probe = self.opened_at is not None
        return Leave(self._round, probe, repeat)

    def answered(self, leave: Leave, now: float) -> bool:
        """The call has an answer, whatever it says; True where that may let others call.

        A probe's answer closes the circuit. That of a call from before it opened only brings the next probe forward.
        """
        self._answers += 1
        self.troubles = 0
        self._weight = max(0, self._weight - 1)
        self._unsent_since = inf
        if self.opened_at is None:
            return False
        if leave.probe:
            self._probing, self.opened_at, self._pause = False, None, FIRST_PAUSE
            self._weight = 0
            self._round += 1
        else:
            self._probe_at = min(self._probe_at, now)
        return True

    def trouble(self, leave: Leave, now: float, pause: float = 0, *, last: bool = False) -> bool:
        """The call has no answer; True where that has opened the circuit.

        `pause`: seconds that the medium asks to wait; `last`: the call's tries are spent. What concerns the medium are
        first troubles: a repeat's may be the unit's own, except for a medium that has never answered, which opens the
        circuit with the first call whose tries are spent, too.
        """
        self.troubles += 1
        self._unsent_since = inf
        self._repeats -= leave.repeat and leave.probe
        if self.opened_at is not None:
            self._still_open(leave, now, pause)
            return False
        counts = leave.round == self._round and (not leave.repeat or not self.heard)
        self._weight += PER_TROUBLE * counts
        if self._weight < PER_TROUBLE * self._threshold and (self.heard or not last):
            return False
        self.opened_at = now
        self._probe_at = now + max(pause, self._pause)
        return True

    def unsent(self, leave: Leave, now: float, pause: float) -> bool:
        """The call never left this machine, which tells nothing of the medium; the next probe comes after `pause`.

        True where none has left it for `patience` seconds.
        """
        self._repeats -= leave.repeat
        if leave.probe:
            self._probing = False
            self._probe_at = now + pause
        self._unsent_since = min(self._unsent_since, now)
        return now - self._unsent_since >= self._patience

    def dropped(self, leave: Leave) -> None:
        """The call ended without telling anything: it was cancelled, or a bug."""
        self._probing = self._probing and not leave.probe

    def _still_open(self, leave: Leave, now: float, pause: float) -> None:
        """A probe's trouble, or that of a call from before."""
        if leave.probe:
            assert self.opened_at is not None
            self._probing = False
            self.gone = not self.heard or now - self.opened_at >= self._patience
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
            self._probe_at = now + self._pause
        self._probe_at = max(self._probe_at, now + pause)
