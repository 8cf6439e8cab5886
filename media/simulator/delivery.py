"""How an answer leaves: whole, or with a fault on the connection."""

import asyncio
import socket
import struct
import zlib
from functools import lru_cache

from aiohttp import web

from media.simulator.answers import Answer
from media.simulator.scenario import Fault

_BOMB = 128 << 20
_BLANKS = b" " * (1 << 20)
_LINGER_NOT = struct.pack("ii", 1, 0)


def whole(answer: Answer) -> web.Response:
    """The answer as it is."""
    return web.Response(body=answer.body, status=answer.status, headers=answer.headers)


async def broken(request: web.BaseRequest, answer: Answer, fault: Fault) -> web.StreamResponse:
    """The answer with a fault on its connection."""
    if fault.kind in {"close", "hang"}:
        await asyncio.sleep(fault.seconds if fault.kind == "hang" else 0)
        _abort(request)
        return web.Response()
    if fault.kind == "bomb":
        return await _bomb(answer, fault.size or _BOMB)
    response = web.StreamResponse(status=answer.status, headers=answer.headers)
    response.content_length = len(answer.body)
    await response.prepare(request)
    if fault.kind == "drip":
        await _drip(response, answer.body, fault)
        return response
    await response.write(answer.body[: len(answer.body) // 2])
    if fault.kind == "hang_body":
        await asyncio.sleep(fault.seconds)
    elif fault.kind == "reset":
        await asyncio.sleep(0.02)  # the half has to leave: a reset takes unsent bytes back
        _linger_not(request)
    _abort(request)
    return response


async def _drip(response: web.StreamResponse, body: bytes, fault: Fault) -> None:
    step = fault.size or 1
    for start in range(0, len(body), step):
        await response.write(body[start : start + step])
        await asyncio.sleep(fault.seconds)


async def _bomb(answer: Answer, size: int) -> web.Response:
    packed = await asyncio.to_thread(_packed_blanks, size)
    tail = zlib.compressobj(wbits=31)
    body = packed + tail.compress(answer.body) + tail.flush()
    return web.Response(body=body, headers={**answer.headers, "Content-Encoding": "gzip"})


@lru_cache(maxsize=4)
def _packed_blanks(size: int) -> bytes:
    packer = zlib.compressobj(level=1, wbits=31)
    parts = [packer.compress(_BLANKS) for _ in range(size >> 20)]
    return b"".join(parts) + packer.flush()


def _linger_not(request: web.BaseRequest) -> None:
    sock = request.transport.get_extra_info("socket") if request.transport else None
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)


def _abort(request: web.BaseRequest) -> None:
    if request.transport is not None:
        request.transport.close()
