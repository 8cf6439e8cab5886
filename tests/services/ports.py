"""Loopback ports: free ones, and whether somebody answers."""

import contextlib
import random
import socket
from types import TracebackType
from typing import Self

from tests.services.process import wait

HOST = "127.0.0.1"
PATIENCE = 3.0
BELOW_EPHEMERAL = range(15000, 32000)
"""Not the ports of outgoing connections, so that a server that was killed finds its own free again."""


class PortClaims:
    """Chooses ports and holds them bound until all are chosen, so that no two servers get the same."""

    def __init__(self) -> None:
        self._held: list[socket.socket] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for held in self._held:
            held.close()

    def claim(self, kept: int | None) -> int:
        """The kept port if it is free or becomes so while the children of a killed server end, else another one."""
        if kept is not None and wait(lambda: self._hold(kept), PATIENCE):
            return kept
        while True:
            port = random.choice(BELOW_EPHEMERAL)
            if self._hold(port):
                return port

    def _hold(self, port: int) -> bool:
        held = socket.socket()
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            held.bind((HOST, port))
        except OSError:
            held.close()
            return False
        self._held.append(held)
        return True


def ask(port: int, question: bytes) -> bytes:
    """The first bytes that come back, before or after a question; empty if nobody answers within 2 s."""
    with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=2) as connection:
        connection.sendall(question)
        return connection.recv(65536)
    return b""
