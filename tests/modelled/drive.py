"""A pool of callers in simulated time between a governor and a modelled server: discrete events, no asyncio, seeded.

    governor, server = Governor("percent", cap=100), Fixed(600)
    outcome = drive(governor, server, cap=100, seconds=300, latency=lognormal(0.27), rng=Random(1))
    outcome.accepted, outcome.refused, outcome.within(60, 300)

A call is sent whenever a slot is free and `governor.wait(now)` is 0.0; it arrives at the server after half its latency,
its answer is there after the rest. `wait` is asked again after every event of the process, and when the seconds it
named have passed. Whatever has the Governor's methods can be driven: see `tests.modelled.references`.

    cap             slots of the pool; the governor should be told the same
    starts, seconds when it begins and ends, simulated; what has arrived at the server by the end counts
    latency         a function of `rng` that gives seconds for one call: `lognormal`, `constant`, `uniform`
    even            False: not half of the latency but a random share of it is the way to the server
    work            calls to be done, then the drive ends; None: endless. A refused call is to be done again
    header_faults   share of answers without readable percents: `answered(call, now, None, None)`
    lost            share of calls that are counted but whose answer never comes: `lost` after `lost_after` seconds
    pauses          [(at, seconds), ...]: the process handles nothing meanwhile; the server goes on
    refusal         "both": `answered` with percents, then `refused`; "only": `refused` alone; "blind": as both, but
                    without percents; "mixed": one of them at random

A governor that polls, that waits for an event where none can come, or whose wait is no number of seconds, is an
AssertionError. `drive_fleet` has several `Member`s, each with a governor and a pool of its own, on one server.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import pairwise
from math import inf
from random import Random
from typing import Any, Literal

from tests.modelled.servers import Fixed, Server

Latency = Callable[[Random], float]
LEAST = 1e-6
"""Seconds; no timer is more exact."""
POOL = 8191
"""Latencies drawn beforehand, used in turn."""
ASKS = 1000
"""Asked so often without any event, a governor polls."""


def constant(seconds: float) -> Latency:
    """Every call takes the same time."""
    return lambda rng: seconds


def uniform(low: float, high: float) -> Latency:
    """Seconds between `low` and `high`."""
    return lambda rng: rng.uniform(low, high)


def lognormal(mean: float, sigma: float = 0.3, tail: float = 0.0, times: float = 6.0) -> Latency:
    """Around `mean` seconds; the share `tail` of calls takes so many `times` as long."""

    def draw(rng: Random) -> float:
        seconds = mean * rng.lognormvariate(-sigma * sigma / 2, sigma)
        return seconds * times if tail and rng.random() < tail else seconds

    return draw


@dataclass
class Outcome:
    """What one pool got. Times are simulated seconds."""

    sent: int = 0
    lost: int = 0
    asks: int = 0
    """How often `wait` was asked."""
    in_flight: int = 0
    """At the end."""
    ended: float = 0.0
    """The end of the drive, or when the work was done."""
    accepted_at: list[float] = field(default_factory=list)
    """When each accepted call arrived at the server."""
    refused_at: list[float] = field(default_factory=list)
    """When each refused one did."""

    @property
    def accepted(self) -> int:
        return len(self.accepted_at)

    @property
    def refused(self) -> int:
        return len(self.refused_at)

    def within(self, since: float, until: float) -> int:
        """Calls accepted in that time."""
        return bisect_left(self.accepted_at, until) - bisect_left(self.accepted_at, since)

    def refused_within(self, since: float, until: float) -> int:
        """Calls refused in that time."""
        return bisect_left(self.refused_at, until) - bisect_left(self.refused_at, since)

    def windows(self, server: Server) -> list[int]:
        """Accepted calls per window of the server, the first one cut off by the start (empty where phase is 0)."""
        edges = [0.0]
        while edges[-1] < self.ended:
            edges.append(edges[-1] + server.window if len(edges) > 1 else server.phase % server.window)
        return [self.within(since, until) for since, until in pairwise(edges)]

    def behind(self, other: "Outcome", calls: int) -> float:
        """Seconds by which the call number `calls` was accepted later than the other's: what a cold start has lost."""
        at = min(calls, self.accepted, other.accepted) - 1
        return self.accepted_at[at] - other.accepted_at[at] if at >= 0 else inf

    def idle_after(self, server: Fixed, since: float = 0.0) -> list[float]:
        """Seconds from each boundary after `since` to the first call that was accepted after it."""
        found, boundary = [], server.boundary_after(since)
        while boundary < self.ended:
            place = bisect_left(self.accepted_at, boundary)
            if place < self.accepted:
                found.append(self.accepted_at[place] - boundary)
            boundary = server.boundary_after(boundary)
        return found


@dataclass
class Member:
    """One process of a fleet; it starts at `starts` and is gone, its calls in flight too, at `ends`."""

    governor: Any
    cap: int
    starts: float = 0.0
    ends: float = inf
    pauses: Sequence[tuple[float, float]] = ()
    work: int | None = None
    on_call: Callable[[float], None] | None = None
    """For an oracle: told of each call's arrival at the server."""
    outcome: Outcome = field(default_factory=Outcome)
    timer: float = inf
    ask_at: float = inf
    asked: int = 0

    def handles(self, now: float) -> float:
        """When the process handles what comes to it at `now`: now, or at the end of a pause."""
        for at, seconds in self.pauses:
            if at <= now < at + seconds:
                return at + seconds
        return now


Refusal = Literal["both", "only", "blind", "mixed"]
ARRIVE, ANSWER, LOST, TIMER = range(4)


def drive(
    governor: Any,
    server: Server,
    *,
    cap: int,
    seconds: float,
    latency: Latency,
    rng: Random,
    work: int | None = None,
    starts: float = 0.0,
    pauses: Sequence[tuple[float, float]] = (),
    on_call: Callable[[float], None] | None = None,
    **faults: Any,
) -> Outcome:
    """One process on one server; `faults` as `drive_fleet` has them."""
    member = Member(governor, cap, starts, pauses=pauses, work=work, on_call=on_call)
    return drive_fleet([member], server, seconds=seconds, latency=latency, rng=rng, **faults)[0]


def drive_fleet(  # noqa: C901, PLR0912, PLR0915 - one loop for speed
    members: Sequence[Member],
    server: Server,
    *,
    seconds: float,
    latency: Latency,
    rng: Random,
    header_faults: float = 0.0,
    lost: float = 0.0,
    lost_after: float = 30.0,
    refusal: Refusal = "both",
    even: bool = True,
) -> list[Outcome]:
    """The processes on the one server; an outcome for each."""
    drawn = [latency(rng) for _ in range(POOL)]
    ways = [(one / 2, one / 2) if even else (one * (way := rng.random()), one * (1 - way)) for one in drawn]
    turn = number = 0
    last = 0.0
    random, arrive = rng.random, server.arrive
    events: list[tuple[Any, ...]] = []
    for member in members:
        heappush(events, (member.starts, number, TIMER, member))
        member.timer = member.ask_at = member.starts
        number += 1
    working = len(members)
    while events:
        event = heappop(events)
        now = event[0]
        if now > seconds:
            break
        kind, member = event[2], event[3]
        outcome = member.outcome
        if kind == ARRIVE:
            call, back = event[4], event[5]
            refused, day, minute = arrive(now)
            (outcome.refused_at if refused else outcome.accepted_at).append(now)
            if member.on_call is not None:
                member.on_call(now)
            if now < member.ends:
                number += 1
                if lost and random() < lost:
                    heappush(events, (max(now, now - event[6] + lost_after), number, LOST, member, call))
                else:
                    heappush(events, (now + back, number, ANSWER, member, call, refused, day, minute))
            continue
        if now >= member.ends:
            continue
        if member.pauses and (handled := member.handles(now)) > now:
            number += 1
            heappush(events, (handled, number, *event[2:]))
            continue
        governor = member.governor
        if kind == ANSWER:
            refused = event[5]
            outcome.in_flight -= 1
            if not refused:
                if header_faults and random() < header_faults:
                    governor.answered(event[4], now, None, None)
                else:
                    governor.answered(event[4], now, event[6], event[7])
            else:
                if member.work is not None:
                    member.work += 1
                way = rng.choice(("both", "only", "blind")) if refusal == "mixed" else refusal
                if way == "both":
                    governor.answered(event[4], now, event[6], event[7])
                elif way == "blind":
                    governor.answered(event[4], now, None, None)
                governor.refused(event[4], now, refused)
            member.asked = 0
        elif kind == LOST:
            outcome.in_flight -= 1
            outcome.lost += 1
            governor.lost(event[4], now)
            member.asked = 0
        else:
            member.timer = inf
            if now < member.ask_at:
                number += 1
                member.timer = member.ask_at
                heappush(events, (member.ask_at, number, TIMER, member))
                continue
            member.asked += 1
            if member.asked > ASKS:
                raise AssertionError(f"the governor polls: {ASKS} timers without an event, now every {now - last:g} s")
            last = now
        cap, wait, sent = member.cap, governor.wait, governor.sent
        while outcome.in_flight < cap and member.work != 0:
            outcome.asks += 1
            delay = wait(now)
            if delay == 0.0:
                if member.work is not None:
                    member.work -= 1
                outcome.sent += 1
                outcome.in_flight += 1
                out, back = ways[turn]
                turn = turn + 1 if turn < POOL - 1 else 0
                number += 1
                heappush(events, (now + out, number, ARRIVE, member, sent(now), back, out))
                continue
            if not delay > 0.0:
                raise AssertionError(f"wait() is {delay!r} at {now!r}")
            if delay == inf and not outcome.in_flight and not getattr(governor, "spent", ""):
                raise AssertionError(f"nothing is in flight at {now!r}, no timer is set, and the day is not spent")
            member.ask_at = now + max(LEAST, delay)
            if member.ask_at < member.timer:
                number += 1
                member.timer = member.ask_at
                heappush(events, (member.ask_at, number, TIMER, member))
            break
        else:
            member.ask_at = member.timer
            if member.work == 0 and not outcome.in_flight and not outcome.ended:
                outcome.ended = now
                working -= 1
                if not working:
                    break
    for member in members:
        member.outcome.ended = member.outcome.ended or seconds
    return [member.outcome for member in members]


class Oracle:
    """Sees the server's counter, and what is under way to it: takes all that can be had by `cap` slots."""

    def __init__(self, server: Server, ahead: float) -> None:
        self._server, self._ahead = server, ahead
        self._under_way = 0

    def wait(self, now: float) -> float:
        at = now + self._ahead
        if self._server.left(at) - self._under_way >= 1:
            return 0.0
        return max(0.001, self._server.more_at(at) - at) if not self._under_way else max(0.005, self._ahead)

    def sent(self, now: float) -> None:
        self._under_way += 1

    def arrived(self, now: float) -> None:
        self._under_way -= 1

    def answered(self, call: object, now: float, day: float | None = None, minute: float | None = None) -> None:
        pass

    def refused(self, call: object, now: float, limit: str, retry_in: float = 0.0) -> None:
        pass

    def lost(self, call: object, now: float) -> None:
        pass


def oracle(server: Server, *, cap: int, seconds: float, latency: Latency, rng: Random, **options: Any) -> Outcome:
    """What somebody with sight of the server's counter gets of it, with the same slots and latencies."""
    draws = Random(7)
    ahead = min(latency(draws) for _ in range(200)) / 2
    all_knowing = Oracle(server, ahead)
    return drive(
        all_knowing, server, cap=cap, seconds=seconds, latency=latency, rng=rng, on_call=all_knowing.arrived, **options
    )


def fixed_at_best(size: int, window: float, cap: int, latency: float, since: float, until: float) -> float:
    """Calls that fit between two boundaries of a fixed window, alone: the quota, or what the slots can do."""
    return min(size, cap / latency * window) * (until - since) / window
