"""A TCP proxy on loopback that breaks on command: what a network, a gateway or its machine does to a client."""

import socket
import struct
import threading
import time
from types import TracebackType
from typing import Self

RESET = struct.pack("ii", 1, 0)
"""SO_LINGER of zero: close() sends a reset instead of an orderly end."""


class Proxy:
    """Forwards to one address. Settings hold for what is forwarded from then on.

    `cut_up`, `cut_down`: bytes towards the server or back after which a connection is reset; each cut uses the
    number up, the next connection lives. `delay`: seconds a piece of an answer is held back. `open` False: new
    connections are reset at once. `calm` cleared: nothing passes.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.cut_up: int | None = None
        self.cut_down: int | None = None
        self.delay = 0.0
        self.open = True
        self.calm = threading.Event()
        self.calm.set()
        self.connections = 0
        self.sent = bytearray()
        self._sockets: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.calm.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._threads[0].join()
        self.drop()
        for thread in self._threads[1:]:
            thread.join()

    def drop(self) -> None:
        """End every connection there is, as a gateway that stops does."""
        with self._lock:
            for each in self._sockets:
                _shut(each)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if not self.open:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                client.close()
                continue
            self.connections += 1
            server = socket.create_connection(self._target)
            server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            thread = threading.Thread(target=self._serve, args=(client, server), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket, server: socket.socket) -> None:
        with self._lock:
            self._sockets |= {client, server}
        back = threading.Thread(target=self._pump, args=(server, client, "cut_down"), daemon=True)
        back.start()
        self._pump(client, server, "cut_up")
        back.join()
        with self._lock:
            self._sockets -= {client, server}
        client.close()
        server.close()

    def _pump(self, source: socket.socket, target: socket.socket, cut: str) -> None:
        passed = 0
        try:
            while piece := source.recv(65536):
                self.calm.wait()
                if cut == "cut_down":
                    time.sleep(self.delay)
                else:
                    self.sent += piece
                limit = getattr(self, cut)
                if limit is not None and passed + len(piece) >= limit:
                    setattr(self, cut, None)
                    target.sendall(piece[: limit - passed])
                    break
                target.sendall(piece)
                passed += len(piece)
        except OSError:  # the other side has gone: so do we
            pass
        _shut(source)
        _shut(target)


def _shut(one: socket.socket) -> None:
    try:
        one.shutdown(socket.SHUT_RDWR)
    except OSError:
        return
