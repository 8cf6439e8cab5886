"""The governor: takes a medium's quota to its last call and is not refused.

`Governor` is pure policy for one scope, (app, interface): no I/O, no clock, no asyncio. Every `now` is seconds of one
monotonic clock, never decreasing; every duration is seconds. The interface is a promise:

    Governor(dialect, *, window=60.0, cap=50, hint=None)
        dialect   "percent": every answer's header tells the percent left of the day and of the minute (gdt, wx);
                  "refusals": nothing tells; a refusal names a time to wait, or none; limits are by the second (jrtt);
                  "codes": nothing tells but a refusal's code: this minute's or this day's calls are used up (wx.b)
        window    seconds of the medium's minute
        cap       calls in flight at most
        hint      a `Hint` of an earlier governor of the same scope, or None; believed as far as answers bear it out

    wait(now) -> float
        0.0: one call may be sent now. Otherwise seconds after which to ask again; inf: not before the next event.
        May be called as often as one likes, and is to be called again after every event: this is also how time passes.
    sent(now) -> Call
        One call leaves, after `wait(now)` was 0.0. The Call goes into exactly one of `answered`, `refused`, `lost`;
        `refused` or `lost` may also follow `answered` of the same call, where the body refuses what the headers did
        not, or never came.
    answered(call, now, day=None, minute=None)
        Headers are here, at the time they are received. `day`, `minute`: percent left, 0 to 100, as the header has
        them (whole or not); None: the header is absent or unreadable ("no information").
    refused(call, now, limit, retry_in=0.0)
        The medium refuses the call. `limit` is which quota it names: "second", "minute" or "day". `retry_in`: seconds
        after which it says to come back; 0.0: it does not say.
    lost(call, now)
        No information: timed out, cut off, or never sent.
    take_share(rank, of, quota=0.0)
        The scope is shared by `of` processes of which this is number `rank` (from 0); `quota`: the calls per window
        that all of them together have measured, 0.0: unknown. of = 0: no share yet, one call at a time.
    learn(kind, boundary)
        What the fleet has found: "fixed", "sliding" or "bucket", and when a fixed window began (seconds, `now`'s clock;
        0.0: unknown). Process number 0 knows itself when windows begin.
    allow(calls)
        This governor lets at most so many more calls through today.
    spent -> str
        Empty, or in words why nothing may be sent any more today.
    day_left() -> int | None
        At least so many more calls fit into the day, as far as is known.
    state(now) -> State; hint() -> Hint
        To be looked at; to be kept for the next governor of the scope.
"""

from ark.governor.flow import Call, Limit
from ark.governor.policy import Dialect, Governor, Hint, State

__all__ = ["Call", "Dialect", "Governor", "Hint", "Limit", "State"]
