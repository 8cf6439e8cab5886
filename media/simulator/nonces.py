"""Nonces that were used: each only once per token within the time window.

Two generations of hashes: when the younger one is as old as the window, or holds half of the limit, the older one is
forgotten. So a nonce is remembered for one window at least (while the limit is not met) and for two at most. One costs
about 75 bytes: 300,000 calls are some 22 MB, the default limit some 150 MB at the very most.
"""


class Nonces:
    """`seconds` is the window, `limit` how many are remembered at most."""

    def __init__(self, seconds: float, limit: int) -> None:
        self._seconds = seconds
        self._half = limit // 2
        self._young: set[int] = set()
        self._old: set[int] = set()
        self._since = 0.0

    def use(self, token: str, nonce: str, now: float) -> bool:
        """Note it; False where this token used it before."""
        if now - self._since >= self._seconds or len(self._young) >= self._half:
            self._old, self._young, self._since = self._young, set(), now
        mark = hash((token, nonce))
        if mark in self._young or mark in self._old:
            return False
        self._young.add(mark)
        return True
