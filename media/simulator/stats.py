"""What has happened: calls, refusals, faults by medium and interface; connections."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

from media.simulator.answers import Answer


class Tally:
    """The figures of one interface."""

    def __init__(self) -> None:
        self.requests = 0
        self.rows = 0
        self.refusals = 0
        self.codes: Counter[int] = Counter()
        self.faults: Counter[str] = Counter()

    def told(self) -> dict[str, Any]:
        """As /_sim/stats tells them; `codes` are those the medium meant, faults apart."""
        return {
            "requests": self.requests,
            "refusals": self.refusals,
            "faults": self.faults.total(),
            "rows": self.rows,
            "codes": {str(code): count for code, count in sorted(self.codes.items())},
            "fault_kinds": dict(self.faults),
        }


class Stats:
    """The figures of the whole simulator."""

    def __init__(self) -> None:
        self.tallies: defaultdict[tuple[str, str], Tally] = defaultdict(Tally)
        self.unknown = 0
        self.in_flight = 0
        self.most_in_flight = 0
        self.connections = 0
        self.open_connections = 0

    def enter(self) -> None:
        """A call has come."""
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)

    def leave(self) -> None:
        """A call is answered, or its connection is gone."""
        self.in_flight -= 1

    def answered(self, medium: str, interface: str, answer: Answer, fault: str) -> None:
        """Count what the medium said; `fault` is the kind of what spoiled it, empty if nothing did."""
        tally = self.tallies[medium, interface]
        tally.requests += 1
        tally.rows += answer.rows
        tally.refusals += answer.refused
        tally.codes[answer.code] += 1
        if fault:
            tally.faults[fault] += 1

    def told(self, quotas: Mapping[str, Mapping[str, object]]) -> dict[str, Any]:
        """The document of /_sim/stats."""
        media: dict[str, dict[str, Any]] = defaultdict(dict)
        for (medium, interface), tally in sorted(self.tallies.items()):
            media[medium][interface] = tally.told()
        totals = {
            name: sum(getattr(tally, name) for tally in self.tallies.values()) for name in ("requests", "refusals")
        }
        return {
            **totals,
            "faults": sum(tally.faults.total() for tally in self.tallies.values()),
            "unknown": self.unknown,
            "in_flight": self.in_flight,
            "max_in_flight": self.most_in_flight,
            "connections": self.connections,
            "open_connections": self.open_connections,
            "media": media,
            "quotas": quotas,
        }

    def clear(self) -> None:
        """Begin again at 0; what is open stays counted as open."""
        self.tallies.clear()
        self.unknown = self.connections = 0
        self.most_in_flight = self.in_flight
