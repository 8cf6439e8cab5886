"""Encoded answers to calls that were made before, so that benchmarks measure the client and not the simulator."""

from collections import OrderedDict
from typing import NamedTuple


class Body(NamedTuple):
    """An encoded answer, how many rows are in it, and its media type."""

    content: bytes
    rows: int
    kind: str = "application/json"


class Bodies:
    """The bodies used last, `size` bytes of them at most."""

    def __init__(self, size: int) -> None:
        self._left = size
        self._bodies: OrderedDict[object, Body] = OrderedDict()

    def get(self, key: object) -> Body | None:
        """What was put, if it is still there."""
        if key in self._bodies:
            self._bodies.move_to_end(key)
        return self._bodies.get(key)

    def put(self, key: object, body: Body) -> None:
        """Keep it; the ones that were not used for longest go."""
        self._bodies[key] = body
        self._left -= len(body.content)
        while self._left < 0:
            _, oldest = self._bodies.popitem(last=False)
            self._left += len(oldest.content)
