"""What all servers have in common: a folder, kept facts, ports, a start that may be repeated."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from tests.services.install import Debian, Say
from tests.services.ports import PortClaims
from tests.services.process import Daemon, ServiceError, wait


class Service:
    """One service in `root/{name}`. A subclass says how to prepare it, launch it and ask whether it answers."""

    name: ClassVar[str]
    tools: ClassVar[Sequence[str]] = ()
    port_names: ClassVar[Sequence[str]] = ("port",)
    daemon_names: ClassVar[Sequence[str]] = ("server",)
    """In the order in which they stop."""
    ready_within: ClassVar[float] = 60
    stopped_within: ClassVar[float] = 30
    has_bench: ClassVar[bool] = False
    """Whether `bench` makes a difference."""

    def __init__(self, root: Path, say: Say, *, bench: bool = False) -> None:
        self.root = root
        self.folder = root / self.name
        self.daemons = {name: Daemon(name, self.folder) for name in self.daemon_names}
        self.bench = bench
        self.say: Say = lambda text: say(f"{self.name}: {text}")
        self._facts_file = self.folder / "facts.json"
        self.facts: dict[str, Any] = {}
        if self._facts_file.exists():
            self.facts = json.loads(self._facts_file.read_text(encoding="utf-8"))

    def prepare(self) -> None:
        """Fetch and configure what is missing; the Debian packages are there."""

    def launch(self) -> None:
        """Spawn the daemons that do not live."""
        raise NotImplementedError

    def answers(self) -> bool:
        """Whether it serves, asked as a client would."""
        raise NotImplementedError

    def urls(self) -> dict[str, str]:
        """Where clients find it; only asked when the ports are chosen."""
        raise NotImplementedError

    @property
    def port(self) -> int:
        """The port for clients."""
        return self.port_of("port")

    def port_of(self, name: str) -> int:
        """One of the chosen ports."""
        return int(self.facts["ports"][name])

    def keep(self, **facts: object) -> None:
        """Remember facts over restarts; the file is for the owner's eyes, it may hold a password."""
        self.facts.update(facts)
        self.folder.mkdir(parents=True, exist_ok=True)
        new = self._facts_file.with_suffix(".new")
        new.touch(mode=0o600)
        new.write_text(json.dumps(self.facts), encoding="utf-8")
        new.replace(self._facts_file)

    def alive(self, name: str) -> bool:
        """Whether this daemon runs."""
        return self.daemons[name].pid() is not None

    def claim_ports(self, claims: PortClaims) -> None:
        """Choose the ports, unless a part of the service is running and knows them."""
        if any(map(self.alive, self.daemons)):
            return
        kept = self.facts.get("ports", {})
        self.keep(ports={name: claims.claim(kept.get(name)) for name in self.port_names})

    def start(self, debian: Debian) -> None:
        """Have it answer: nothing to do if it does, else start what is dead and wait."""
        for daemon in self.daemons.values():
            daemon.thaw()
        if all(map(self.alive, self.daemons)):
            if self.has_bench and self.bench and not self.facts["bench"]:
                raise ServiceError("runs with the small heap; stop it, then start --bench")
            self._wait_ready()
            return
        debian.require(self.tools)
        self.prepare()
        self.keep(bench=self.bench)
        self.say("starting")
        begun = time.monotonic()
        self.launch()
        self._wait_ready()
        self.say(f"ready after {time.monotonic() - begun:.1f} s")

    def stop(self) -> None:
        """Stop what was started here."""
        for daemon in self.daemons.values():
            pid = daemon.pid()
            if daemon.stop(self.stopped_within):
                self.say(f"{daemon.name} (pid {pid}) stopped")

    def status(self) -> dict[str, Any]:
        """`up`, pids and URLs, as `status --json` tells them."""
        pids = {name: daemon.pid() for name, daemon in self.daemons.items()}
        known = "ports" in self.facts
        up = known and None not in pids.values() and self.answers()
        return {"up": up, "pids": pids, **(self.urls() if known else {})}

    def _wait_ready(self) -> None:
        ready = wait(lambda: bool(self._dead()) or self.answers(), self.ready_within, pause=0.05)
        dead = self._dead()
        if dead:
            raise ServiceError(f"{dead[0].name} ended by itself; log {dead[0].log}:\n{dead[0].tail()}")
        if not ready:
            last = list(self.daemons.values())[-1]
            raise ServiceError(f"no answer within {self.ready_within:.0f} s; log {last.log}:\n{last.tail()}")

    def _dead(self) -> list[Daemon]:
        return [daemon for daemon in self.daemons.values() if daemon.pid() is None]
