"""The proxy of the tests: each toxic does what it says, to connections that live, and lets go of them."""

import queue
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.proxy import (
    Bandwidth,
    CutMessage,
    Latency,
    LimitData,
    Proxy,
    ResetPeer,
    Rewrite,
    Slicer,
    SlowClose,
    Timeout,
    Toxic,
    Way,
)

A_WHILE = 0.2
"""Seconds of what takes time by definition."""
FOREVER = 3600


class Server(socketserver.ThreadingTCPServer):
    """Answers each request, which ends with a newline, in capitals."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.requests: queue.Queue[bytes] = queue.Queue()

    def heard(self, number: int) -> list[bytes]:
        """So many requests that came, and no more; half of one is one where the connection ended there."""
        found = [self.requests.get(timeout=20) for _ in range(number)]
        assert self.requests.empty()
        return found


class Answering(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        try:
            for line in self.rfile:
                self.server.requests.put(line)
                self.wfile.write(line.upper())
        except ConnectionError:  # what the proxy is for
            return


class Client:
    """A connection to the proxy."""

    def __init__(self, proxy: Proxy) -> None:
        self.socket = socket.create_connection(("127.0.0.1", proxy.port), timeout=20)

    def ask(self, line: bytes) -> bytes:
        """The answer, or what there is of it when the connection ends."""
        self.say(line)
        return self.read()

    def say(self, line: bytes) -> None:
        self.socket.sendall(line + b"\n")

    def read(self) -> bytes:
        found = bytearray()
        while not found.endswith(b"\n") and (piece := self.socket.recv(65536)):
            found += piece
        return bytes(found)

    def hears_nothing(self) -> bool:
        self.socket.settimeout(A_WHILE)
        try:
            return not self.socket.recv(1)
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(20)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    with Proxy(*server.server_address) as proxy:
        yield proxy


@pytest.fixture
def connect(proxy: Proxy) -> Iterator[type[Client]]:
    made: list[Client] = []

    def connect() -> Client:
        made.append(Client(proxy))
        return made[-1]

    yield connect
    for client in made:
        client.socket.close()


@contextmanager
def at_least(seconds: float) -> Iterator[None]:
    begun = time.monotonic()
    yield
    assert time.monotonic() - begun >= seconds


def test_without_toxics_everything_passes_and_each_side_ends_by_itself(proxy, connect, server):
    client = connect()
    long = b"x" * 1_000_000
    assert client.ask(long) == long.upper() + b"\n"
    client.say(b"last")
    client.socket.shutdown(socket.SHUT_WR)
    assert client.read() == b"LAST\n"
    assert client.socket.recv(1) == b""
    assert (proxy.connections, bytes(proxy.sent)) == (1, long + b"\nlast\n")


@pytest.mark.parametrize("way", [Way.UP, Way.DOWN, Way.BOTH])
def test_latency(proxy, connect, way):
    client = connect()
    client.ask(b"before")
    with proxy.toxic(Latency(A_WHILE, way)), at_least(A_WHILE * (1 + (way is Way.BOTH))):
        assert client.ask(b"slow") == b"SLOW\n"


def test_latency_with_jitter(proxy, connect):
    client = connect()
    with proxy.toxic(Latency(A_WHILE, Way.UP, jitter=A_WHILE / 2)), at_least(A_WHILE * 2):
        for _ in range(4):
            assert client.ask(b"slow") == b"SLOW\n"


@pytest.mark.parametrize("toxic", [Latency(FOREVER), Bandwidth(1), Slicer(1, FOREVER), Timeout()])
def test_what_is_held_back_passes_when_the_toxic_is_gone(proxy, connect, toxic):
    client = connect()
    proxy.add(toxic)
    client.say(b"a request of some length")
    assert client.hears_nothing()
    proxy.remove(toxic)
    assert client.read() == b"A REQUEST OF SOME LENGTH\n"
    assert client.ask(b"another") == b"ANOTHER\n"


def test_bandwidth(proxy, connect):
    client, line = connect(), b"x" * 9_999
    with proxy.toxic(Bandwidth(20_000, Way.DOWN)), at_least(0.5):
        assert client.ask(line) == line.upper() + b"\n"


def test_slicer(proxy, connect):
    client = connect()
    with proxy.toxic(Slicer(3, A_WHILE / 5, Way.DOWN)), at_least(A_WHILE / 5 * 3):
        assert client.ask(b"0123456789") == b"0123456789\n"


def test_slow_close(proxy, connect):
    client = connect()
    client.ask(b"before")
    with proxy.toxic(SlowClose(A_WHILE, Way.UP)), at_least(A_WHILE):
        client.socket.shutdown(socket.SHUT_WR)
        assert client.socket.recv(1) == b""


def test_timeout_ends_orderly_and_passes_nothing(proxy, connect, server):
    living = connect()
    living.ask(b"before")
    with proxy.toxic(Timeout(A_WHILE)), at_least(A_WHILE):
        new = connect()
        assert (living.ask(b"swallowed"), new.ask(b"swallowed")) == (b"", b"")
    assert server.heard(1) == [b"before\n"]
    assert connect().ask(b"after") == b"AFTER\n"


@pytest.mark.parametrize("seconds", [0, A_WHILE])
def test_reset_peer_resets_the_living_and_the_new(proxy, connect, seconds):
    living = connect()
    living.ask(b"before")
    with proxy.toxic(ResetPeer(seconds)), at_least(seconds):
        with pytest.raises(ConnectionResetError):
            living.socket.recv(1)
        with pytest.raises(ConnectionResetError):  # by a reset at once, connecting itself may fail
            connect().socket.recv(1)
    assert connect().ask(b"after") == b"AFTER\n"


def test_a_toxic_that_is_removed_in_time_does_nothing(proxy, connect):
    client = connect()
    with proxy.toxic(ResetPeer(A_WHILE)), proxy.toxic(Timeout(A_WHILE)):
        pass
    assert client.hears_nothing()
    assert client.ask(b"after") == b"AFTER\n"


def test_limit_data_cuts_at_the_byte_once(proxy, connect, server):
    proxy.add(LimitData(9, Way.DOWN))
    client = connect()
    assert client.ask(b"0123") == b"0123\n"
    assert client.ask(b"4567890") == b"4567"
    assert connect().ask(b"0123456789") == b"0123456789\n"
    assert server.heard(3)[:2] == [b"0123\n", b"4567890\n"]


def test_limit_data_counts_from_where_it_comes_in_and_may_cut_every_connection(proxy, connect, server):
    client = connect()
    client.ask(b"x" * 100)
    with proxy.toxic(LimitData(3, Way.UP, times=None)):
        assert [each.ask(b"012345") for each in (client, connect(), connect())] == [b"", b"", b""]
    assert server.heard(4)[1:] == [b"012"] * 3
    assert connect().ask(b"after") == b"AFTER\n"


# What the client gets for its second request and whether the server did it, by where the connection is cut
CUTS = [
    (Way.UP, False, b"", False),
    (Way.UP, True, b"", True),
    (Way.DOWN, False, b"TWO", True),
    (Way.DOWN, True, b"TWO\n", True),
]


@pytest.mark.parametrize(("way", "whole", "got", "done"), CUTS)
def test_the_second_message_is_cut_before_its_last_byte_or_behind_it(proxy, connect, server, way, whole, got, done):
    proxy.add(CutMessage(2, way, whole=whole))
    client = connect()
    assert client.ask(b"one") == b"ONE\n"
    assert client.ask(b"two") == got
    assert client.socket.recv(1) == b"" if not got.endswith(b"\n") else client.ask(b"three") == b""
    assert connect().ask(b"next") == b"NEXT\n"
    assert sorted(server.heard(3)) == sorted([b"one\n", b"two\n" if done else b"two", b"next\n"])


def test_messages_are_counted_over_all_connections_from_where_the_cut_comes_in(proxy, connect):
    clients = [connect() for _ in range(3)]
    for client in clients:
        client.ask(b"before")
    with proxy.toxic(CutMessage(2, Way.UP, every=True)):
        answers = [client.ask(b"now") for client in (*clients, connect())]
    assert answers == [b"NOW\n", b"", b"NOW\n", b""]
    assert clients[0].ask(b"after") == b"AFTER\n"


def test_a_message_may_come_in_pieces(proxy, connect):
    proxy.add(CutMessage(2, Way.DOWN))
    client, long = connect(), b"x" * 1_000_000
    for part in (long, long, b"\n"):
        client.socket.sendall(part)
    assert len(client.read()) == 2_000_001
    assert client.ask(b"two") == b"TWO\n"
    assert client.ask(b"three") == b""


def test_toxics_work_one_behind_the_other(proxy, connect):
    proxy.add(Rewrite(b"o", b"0", Way.UP))
    proxy.add(Slicer(2, way=Way.UP))
    proxy.add(LimitData(6, Way.UP))
    client = connect()
    assert client.ask(b"foot") == b"F00T\n"
    assert client.ask(b"foot") == b""


def test_a_server_that_is_not_there_is_a_reset(connect, server, proxy):
    server.server_close()
    with pytest.raises(ConnectionResetError):
        connect().socket.recv(1)


def test_drop_ends_what_lives_orderly(proxy, connect):
    client = connect()
    client.ask(b"before")
    proxy.drop()
    assert client.socket.recv(1) == b""
    assert connect().ask(b"after") == b"AFTER\n"


def test_a_bare_toxic_does_nothing(proxy, connect):
    with proxy.toxic(Toxic()):
        assert connect().ask(b"one") == b"ONE\n"
