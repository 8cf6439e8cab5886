"""Connections to HBase's Thrift gateway.

thriftpy2 matches no answer to its question: after a call that was interrupted, the next one on the same connection
gets the old answer, a wrong value or a false acknowledgement. Hence the one rule of this file: a connection is lent
to one thread at a time, and after *any* exception, KeyboardInterrupt included, it is thrown away.
"""

import math
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlsplit

from happybase.connection import THRIFT_PROTOCOLS, THRIFT_TRANSPORTS
from Hbase_thrift import Hbase, IllegalArgument  # made by happybase from its Hbase.thrift
from Hbase_thrift import IOError as HBaseError
from thriftpy2.protocol.cybin.cybin import ProtocolError
from thriftpy2.protocol.exc import TProtocolException
from thriftpy2.thrift import TApplicationException, TClient
from thriftpy2.transport import TSocket, TTransportException

from ark.errors import ServiceDownError

IDLE_SECONDS = 45.0
"""A gateway closes a connection idle for 60 s (hbase.thrift.server.socket.read.timeout); before that, a new one."""
CONNECT = 5.0
"""Seconds to connect at most, where hbase.timeout is longer."""

Broken = (TTransportException, TProtocolException, ProtocolError, OSError, EOFError)
"""The stream ended, stalled or made no sense: nobody knows whether the call was done."""
Refused = (HBaseError, IllegalArgument, TApplicationException)
"""The gateway's complete answer is an error."""


class Link:
    """One connection: a Thrift client, and the socket under it. `timeout` in seconds, of one call.

    Put together here, of happybase's parts: its own Connection keeps the socket to itself, and a call that hangs in it
    could neither be cut off nor given another time.
    """

    def __init__(
        self, host: str, port: int, timeout: float, *, transport: str = "buffered", protocol: str = "binary"
    ) -> None:
        self._socket: Any = TSocket(host, port)  # type: ignore[no-untyped-call]
        self._transport = THRIFT_TRANSPORTS[transport](self._socket)
        self.client = TClient(Hbase, THRIFT_PROTOCOLS[protocol](self._transport, decode_response=False))
        self.limit(timeout)
        self.used_at = 0.0

    @property
    def is_open(self) -> bool:
        """Whether it is connected, as far as this side knows."""
        return bool(self._transport.is_open())

    def open(self) -> None:
        """Connect."""
        self._transport.open()

    def limit(self, timeout: float) -> None:
        """Calls from now on take at most so many seconds, to connect at most CONNECT."""
        self._socket.set_timeout(max(1, int(timeout * 1000)))
        self._socket.connect_timeout = min(self._socket.socket_timeout, CONNECT)

    def close(self) -> None:
        """Hang up."""
        self._transport.close()

    def abort(self) -> None:
        """Hang up while another thread waits for an answer: its call fails at once."""
        sock = self._socket.sock
        if sock is not None:
            with suppress(OSError):  # it has ended by itself
                sock.shutdown(socket.SHUT_RDWR)


class Gateway:
    """Connections to one Thrift gateway, each lent to one thread at a time."""

    def __init__(self, url: str, timeout: float, clock: Callable[[], float] = time.monotonic) -> None:
        parts = urlsplit(url)
        self.name = f"HBase at {parts.hostname}:{parts.port}"
        options: dict[str, Any] = {key: values[0] for key, values in parse_qs(parts.query).items()}
        self._timeout = timeout
        self._link: Callable[[float], Link] = partial(Link, str(parts.hostname), int(parts.port or 0), **options)
        self._clock = clock
        self._lock = threading.Lock()
        self._idle: list[Link] = []
        self._lent: set[Link] = set()
        self._closed = False

    @contextmanager
    def client(self, *, fresh: bool = False, timeout: float = math.inf) -> Iterator[Any]:
        """Lends a Thrift client; `fresh` opens a new connection. Raises ServiceDownError if nobody answers.

        To connect, and each of its calls, takes at most `timeout` seconds, or what is set if that is less.
        """
        timeout = min(timeout, self._timeout)
        link = (None if fresh else self._rested()) or self._link(timeout)
        with self._lock:
            self._lent.add(link)
        try:
            self._ready(link)
            link.limit(timeout)
            yield link.client
        except BaseException:
            link.close()
            raise
        else:
            link.used_at = self._clock()
            with self._lock:
                self._idle.append(link)
        finally:
            with self._lock:
                self._lent.discard(link)

    def close(self) -> None:
        """Close every connection, for good; a call under way in another thread fails at once."""
        self._closed = True
        self._forget()
        with self._lock:
            for link in self._lent:
                link.abort()

    def _rested(self) -> Link | None:
        """The connection given back last, unless the gateway may have closed it by now; then all of them are old."""
        with self._lock:
            if self._idle and self._clock() - self._idle[-1].used_at < IDLE_SECONDS:
                return self._idle.pop()
        self._forget()
        return None

    def _forget(self) -> None:
        with self._lock:
            while self._idle:
                self._idle.pop().close()

    def _ready(self, link: Link) -> None:
        """Connect, unless it is connected or nothing more is wanted of this gateway."""
        if not (link.is_open or self._closed):
            try:
                link.open()
            except (TTransportException, OSError) as error:
                raise ServiceDownError(
                    f"{self.name} does not answer: {message_of(error)}; check hbase.url and the gateway"
                ) from error
        if self._closed:
            raise ServiceDownError(f"{self.name} is not used any more")


def is_broken(error: BaseException) -> bool:
    """Whether the stream is at fault; an answer without a result is an answer to another question."""
    if isinstance(error, TApplicationException):
        return bool(error.type == TApplicationException.MISSING_RESULT)
    return isinstance(error, Broken)


def message_of(error: BaseException) -> str:
    """What an exception says; HBase's own are bytes with a Java stack trace from the second line on."""
    message = getattr(error, "message", None) or str(error) or type(error).__name__
    return message.decode(errors="replace") if isinstance(message, bytes) else str(message)
