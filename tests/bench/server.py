"""A medium that costs the client nothing: the same good answer to every GET, after a fixed time.

The simulator (media/simulator) judges every call as gdt does, which costs it about as much as a bare client's call; a
client under measurement would wait for it. This one judges nothing. Whatever the path, the answer serves `funds/get`
and `daily_reports/get` of DATE alike.

    python -m tests.bench.server '{"latency": 0.05, "rows": 1}'     first line on stdout: its port
    GET /tally      what was served so far; times are of the clock that all processes share (CLOCK_MONOTONIC)
"""

import asyncio
import json
import re
import sys
import time

import uvloop

DATE = "2020-05-30"
ROW_BYTES = 640
"""Of one record; the cell in the store is some 60 bytes longer."""
_TARGET = re.compile(rb"GET (\S+)")
_ACCOUNT = re.compile(rb"[?&]account_id=(\d+)")
_PLACE = b"00000000"
"""Stands for the account id in the ready body; the ids of the benchmarks are as long."""
_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\n"
    b"X-RateLimit-Remaining: 99%%,98%%\r\nX-TSA-Trace-Id: 5f3a9c0123456789abcdef0123456789\r\n"
    b"Content-Length: %d\r\n\r\n"
)


class Tally:
    """What was served; `waited` is the sum of the times between a request and its answer."""

    def __init__(self):
        self.requests = 0
        self.connections = 0
        self.first = self.last = self.waited = 0.0

    def begun(self, now):
        self.first = self.first or now

    def ended(self, begun, now):
        self.requests += 1
        self.last = now
        self.waited += now - begun


class Medium(asyncio.Protocol):
    """One connection; a request has no body and is answered before the next one comes."""

    def __init__(self, tally, body, latency):
        self._tally, self._body, self._latency = tally, body, latency
        self._received = b""
        self._later = asyncio.get_running_loop().call_later

    def connection_made(self, transport):
        self._tally.connections += 1
        self._transport = transport

    def data_received(self, data):
        self._received += data
        if not self._received.endswith(b"\r\n\r\n"):
            return
        target = _TARGET.match(self._received)[1]
        self._received = b""
        if target == b"/tally":
            self._send(json.dumps(vars(self._tally)).encode())
            return
        now = time.monotonic()
        self._tally.begun(now)
        account = _ACCOUNT.search(target)
        body = self._body.replace(_PLACE, account[1]) if account else self._body
        if self._latency:
            self._later(self._latency, self._answer, now, body)
        else:
            self._answer(now, body)

    def _answer(self, begun, body):
        self._tally.ended(begun, time.monotonic())
        self._send(body)

    def _send(self, body):
        self._transport.write(_HEAD % len(body) + body)


def envelope(rows):
    """One page that holds all there is."""
    data = {
        "list": [record(number) for number in range(rows)],
        "page_info": {"page": 1, "page_size": 1000, "total_number": rows, "total_page": 1},
    }
    return json.dumps({"code": 0, "message": "", "data": data}, separators=(",", ":")).encode()


def record(number):
    """Figures as a report has them, and a text that brings the record to ROW_BYTES."""
    figures = {name: 7919 * (number + 1) * place for place, name in enumerate(_FIGURES, 1)}
    shown = {
        "account_id": int("1" + "0" * 7),
        "fund_type": f"FUND_{number}",
        "ad_id": 300_000_000 + number,
        "date": DATE,
    }
    text = json.dumps(shown | figures | {"promoted_object_id": ""}, separators=(",", ":"))
    return shown | figures | {"promoted_object_id": "x" * (ROW_BYTES - len(text))}


_FIGURES = (
    "campaign_id", "adgroup_id", "view_count", "valid_click_count", "ctr", "cpc", "cost", "thousand_display_price",
    "download_count", "activated_count", "activated_rate", "activated_cost", "conversions_count", "conversions_cost",
    "conversions_rate", "key_page_view_count", "order_amount", "order_roi",
)  # fmt: skip


async def serve(latency, rows):
    tally, body = Tally(), envelope(rows).replace(b'"account_id":10000000', b'"account_id":' + _PLACE)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Medium(tally, body, latency), "127.0.0.1", 0, backlog=4096)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)  # until the benchmark ends, in whatever way


if __name__ == "__main__":
    uvloop.run(serve(**json.loads(sys.argv[1])))
