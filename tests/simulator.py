"""The media simulator for tests: a subprocess on a free port, ended with the test.

    with simulator({"gdt": {"agents": [{"tenant": "T100117", "id": "1050262", "accounts": 20}]}}) as media:
        environ["ARK_GDT_URL"] = media.url
        ...
        assert media.stats()["media"]["gdt"]["funds/get"]["requests"] == 20
        assert stored == media.truth("gdt.funds", "2020-05-30")

The scenario is the one of `media.simulator.scenario`, as a mapping.
"""

import json
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

_nonces = count(time.time_ns())


class Reply(NamedTuple):
    """One answer to `Media.get`."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Media:
    """A running simulator."""

    def __init__(self, url: str, pid: int) -> None:
        self.url = url
        self.pid = pid

    def stats(self) -> dict[str, Any]:
        """Counts so far: `["media"]["gdt"]["funds/get"]` has requests, refusals, faults, rows, codes, fault_kinds."""
        return json.loads(self._sim("stats"))

    def clear_stats(self) -> None:
        """Begin counting at 0."""
        self._sim("stats", method="DELETE")

    def truth(self, interface: str, date: str, **query: Any) -> list[dict[str, Any]]:
        """Every record as it will be served: tenant, agent, account, variant, record. `fields` may be a list."""
        return self._lines("truth", interface=interface, date=date, **query)

    def directory(self) -> list[dict[str, Any]]:
        """Every agent: medium, tenant, agent, accounts (how many), token, refresh_token, client_id..."""
        return self._lines("directory")

    def accounts(self, agent: str, medium: str = "gdt") -> list[str]:
        """The account ids of an agent."""
        return self._lines("accounts", agent=agent, medium=medium)

    def scenario(self) -> dict[str, Any]:
        """The whole scenario as it is."""
        return json.loads(self._sim("scenario"))

    def set_scenario(self, changes: Mapping[str, Any], *, replace: bool = False) -> None:
        """Merge `changes` into the scenario (or put them in its place): sections key by key, lists as a whole."""
        self._sim("scenario", body=json.dumps(changes).encode(), **({"replace": "1"} if replace else {}))

    def get(self, path: str, token: str | None = None, raw: str = "", **query: Any) -> Reply:
        """One signed gdt call, such as get("/v1.1/funds/get", token, account_id=...); lists and dicts become JSON.

        `raw` is a query that is sent as it stands; a token of None signs nothing.
        """
        signed = {"access_token": token, "timestamp": int(time.time()), "nonce": next(_nonces)} if token else {}
        return self.send("GET", path, raw or _encoded({**signed, **query}))

    def send(
        self, method: str, path: str, raw: str = "", *, body: bytes | None = None, headers: Mapping[str, str] = {}
    ) -> Reply:
        """Any call, as it stands; `raw` is the query."""
        url = f"{self.url}{path}?{raw}" if raw else f"{self.url}{path}"
        request = urllib.request.Request(url, data=body, headers=dict(headers), method=method)
        opener = urllib.request.build_opener(_NoRedirect)
        try:
            with opener.open(request, timeout=10) as answer:
                return Reply(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Reply(error.code, error.headers, error.read())

    def _lines(self, door: str, **query: Any) -> list[Any]:
        return [json.loads(line) for line in self._sim(door, **query).splitlines()]

    def _sim(self, door: str, method: str | None = None, body: bytes | None = None, **query: Any) -> bytes:
        request = urllib.request.Request(f"{self.url}/_sim/{door}?{_encoded(query)}", data=body, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            with error:
                raise ValueError(json.loads(error.read())["error"]) from None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def _encoded(query: Mapping[str, Any]) -> str:
    return urllib.parse.urlencode({
        name: value if isinstance(value, str) else json.dumps(value) for name, value in query.items()
    })  # fmt: skip


@contextmanager
def simulator(scenario: Mapping[str, Any] | None = None, *, port: int = 0) -> Iterator[Media]:
    """Start the simulator with a scenario; it ends with the block, and with this process."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "scenario.json")
        file.write_text(json.dumps(scenario or {}), encoding="utf-8")
        command = [sys.executable, "-m", "media.simulator", "--until-eof", "--port", str(port), "--scenario", str(file)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=_ROOT) as process:
            try:
                first = process.stdout.readline()
                if not first:
                    raise RuntimeError(f"the simulator did not start: exit {process.wait()}")
                yield Media(**json.loads(first))
            finally:
                process.kill()


_ROOT = Path(__file__).parent.parent
