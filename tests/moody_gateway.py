"""A Thrift gateway in this process that answers puts with the errors a test wants: what a real one seldom says."""

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import happybase  # noqa: F401  # makes Hbase_thrift
from Hbase_thrift import BatchMutation, ColumnDescriptor, Hbase, TCell, TRowResult
from Hbase_thrift import IOError as HBaseError
from thriftpy2.protocol import TBinaryProtocol
from thriftpy2.thrift import TProcessor
from thriftpy2.transport import TBufferedTransport, TSocket, TTransportException

JAVA = b"org.apache.hadoop.hbase.client.RetriesExhaustedWithDetailsException: Failed 1 action: %b: 1 time, \n\tat Java"


class MoodyGateway:
    """Holds rows in memory. `moods`: row key -> the Java exception of every put that this row is in.

    A batch is not atomic, as in HBase: the rows beside it are stored. `readable` False: reads fail as well.
    """

    def __init__(self) -> None:
        self.rows: dict[bytes, tuple[int, bytes]] = {}
        self.moods: dict[bytes, str] = {}
        self.readable = True
        self.puts = 0

    def getColumnDescriptors(self, _table: bytes) -> dict[bytes, ColumnDescriptor]:  # noqa: N802
        return {b"info:": ColumnDescriptor(name=b"info:")}

    def isTableEnabled(self, _table: bytes) -> bool:  # noqa: N802
        return True

    def mutateRowsTs(  # noqa: N802
        self, _table: bytes, batches: Sequence[BatchMutation], timestamp: int, _attributes: dict[bytes, bytes]
    ) -> None:
        self.puts += 1
        moods = [self.moods[batch.row] for batch in batches if batch.row in self.moods]
        self.rows |= {it.row: (timestamp, it.mutations[0].value) for it in batches if it.row not in self.moods}
        if moods:
            raise HBaseError(message=JAVA % moods[0].encode())

    def getRowsWithColumns(  # noqa: N802
        self, _table: bytes, keys: Sequence[bytes], columns: Sequence[bytes], _attributes: dict[bytes, bytes]
    ) -> list[TRowResult]:
        if not self.readable:
            raise HBaseError(message=JAVA % b"java.net.ConnectException")
        found = [(key, *self.rows[key]) for key in keys if key in self.rows]
        return [
            TRowResult(row=key, columns={columns[0]: TCell(value=value, timestamp=timestamp)})
            for key, timestamp, value in found
        ]


@contextmanager
def moody_gateway() -> Iterator[tuple[MoodyGateway, str]]:
    """A running one and its url."""
    gateway = MoodyGateway()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_accept, args=(listener, TProcessor(Hbase, gateway)), daemon=True).start()
        yield gateway, f"thrift://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, processor: TProcessor) -> None:
    with suppress(OSError):  # the listener is closed
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=_serve, args=(connection, processor), daemon=True).start()


def _serve(connection: socket.socket, processor: TProcessor) -> None:
    protocol = TBinaryProtocol(TBufferedTransport(TSocket(sock=connection)), decode_response=False)
    with connection, suppress(TTransportException, OSError):  # the client has gone
        while True:
            processor.process(protocol, protocol)
