"""A medium on loopback that answers whatever a test scripts, byte by byte: what no honest server would send.

    def script(call):
        yield answer(b'{"code":0,"data":{"list":[]}}')     # a whole answer; the connection lives on
        ...
    with hostile(script) as server:
        environ["ARK_GDT_URL"] = server.url
        assert server.calls[0].account == "10058169"

A script yields, per call: bytes (sent at once), seconds (a pause), or an ending (CLOSE, RESET).
"""

import gzip
import json
import socket
import ssl
import struct
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from typing import NamedTuple
from urllib.parse import parse_qsl

TRACE = "5f3a9c0123456789abcdef0123456789"
HEADERS = {"Content-Type": "application/json", "X-RateLimit-Remaining": "99%,98%", "X-TSA-Trace-Id": TRACE}


class Ending(Enum):
    """How a connection ends before its answer is whole."""

    CLOSE = "an orderly end"
    RESET = "a reset (RST)"


CLOSE, RESET = Ending.CLOSE, Ending.RESET


class Call(NamedTuple):
    """One request. `number` counts the calls for the same account, time line and page, from 1."""

    path: str
    query: Mapping[str, str]
    target: str
    number: int

    @property
    def account(self) -> str:
        return self.query.get("account_id", "")

    @property
    def page(self) -> int:
        return int(self.query.get("page", "1"))


Script = Callable[[Call], Iterable["bytes | float | Ending"]]


def answer(body: bytes | str, status: int = 200, headers: Mapping[str, "str | bytes | None"] | None = None) -> bytes:
    """A whole HTTP answer; `headers` replace HEADERS and Content-Length, None leaves one out."""
    data = body.encode() if isinstance(body, str) else body
    shown = {**HEADERS, "Content-Length": str(len(data)), **(headers or {})}
    lines = [b"HTTP/1.1 %d Whatever" % status]
    for name, value in shown.items():
        if value is not None:
            lines.append(name.encode() + b": " + (value if isinstance(value, bytes) else value.encode()))
    return b"\r\n".join(lines) + b"\r\n\r\n" + data


def good(*records: Mapping[str, object], **page_info: object) -> str:
    """A gdt body with these records."""
    data: dict[str, object] = {"list": list(records)} | ({"page_info": page_info} if page_info else {})
    return json.dumps({"code": 0, "message": "", "message_cn": "", "data": data})


def zipped(body: bytes) -> bytes:
    return gzip.compress(body, mtime=0)


def bomb(size: int) -> bytes:
    """Gzip that unpacks to `size` bytes of blanks; about a thousandth of it travels."""
    packer = zlib.compressobj(9, wbits=31)
    blanks = b" " * (1 << 20)
    first = packer.compress(blanks) + packer.flush(zlib.Z_FULL_FLUSH)
    again = packer.compress(blanks) + packer.flush(zlib.Z_FULL_FLUSH)  # stands for itself, so it may be repeated
    return first + again * ((size >> 20) - 1)


class Hostile:
    """The running server; `calls` holds every request in the order in which they came."""

    def __init__(self, script: Script, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.script, self._tls = script, tls
        self.calls: list[Call] = []
        self._numbers: Counter[tuple[str, ...]] = Counter()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", port), backlog=256)
        self._ended = threading.Event()
        self.port: int = self._listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"

    def accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def end(self) -> None:
        """Listen no more, and end what hangs; a second time does nothing."""
        if self._ended.is_set():
            return
        self._ended.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self, accepted: socket.socket) -> None:
        try:
            client = self._tls.wrap_socket(accepted, server_side=True) if self._tls else accepted
        except OSError:  # the client does not trust us
            return
        with client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                while (target := _target(client)) and not self._answer(client, target):
                    pass
            except OSError:  # the client has gone, which is its right
                return

    def _answer(self, client: socket.socket, target: str) -> bool:
        """Play the script of one call; True where the connection has ended with it."""
        for step in self.script(self._noted(target)):
            if isinstance(step, bytes):
                client.sendall(step)
            elif isinstance(step, Ending):
                if step is RESET:
                    time.sleep(0.02)  # what was sent has to leave: a reset takes it back
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return True
            elif self._ended.wait(step):
                return True
        return False

    def _noted(self, target: str) -> Call:
        path, _, text = target.partition("?")
        query = dict(parse_qsl(text, keep_blank_values=True))
        same = tuple(query.get(name, "") for name in ("account_id", "time_line", "page"))
        with self._lock:
            self._numbers[same] += 1
            call = Call(path, query, target, self._numbers[same])
            self.calls.append(call)
        return call


def _target(client: socket.socket) -> str:
    """The target of the next request, empty where none comes."""
    head = b""
    while b"\r\n\r\n" not in head:
        piece = client.recv(65536)
        if not piece:
            return ""
        head += piece
    return head.split(b" ", 2)[1].decode()


@contextmanager
def hostile(script: Script, port: int = 0, tls: ssl.SSLContext | None = None) -> Iterator[Hostile]:
    """Serve `script` until the block ends, on any port unless one is given, over TLS where there is a context."""
    server = Hostile(script, port, tls)
    threading.Thread(target=server.accept, daemon=True).start()
    try:
        yield server
    finally:
        server.end()
