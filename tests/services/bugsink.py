"""bugsink, a receiver for Sentry's clients, in its own virtual environment (PolyForm Shield licence: a test tool)."""

import json
import secrets
import shutil
import sys
import urllib.request
from pathlib import Path

from tests.services.install import CHECKOUT, FILES, build, find, run
from tests.services.ports import HOST
from tests.services.service import Service

VERSION = "2.6.1"
UV = shutil.which("uv", path=CHECKOUT / ".venv" / "bin") or find("uv")


class Bugsink(Service):
    """Events are stored while their request waits, and read back over HTTP with a token."""

    name = "bugsink"
    tools = () if UV else ("ensurepip",)

    def prepare(self) -> None:
        if "secret" not in self.facts:
            self.keep(secret=secrets.token_hex(25))
        build(self._venv, VERSION, self._install)
        build(self.folder / "data", VERSION, self._create)

    def launch(self) -> None:
        words = (
            "--bind",
            f"{HOST}:{self.port}",
            "--workers",
            "1",
            "--threads",
            "4",
            "--no-control-socket",
            "bugsink.wsgi",
        )
        self.daemons["server"].spawn([str(self._venv / "bin" / "gunicorn"), *words], self._env())

    def answers(self) -> bool:
        request = urllib.request.Request(
            f"{self._base}/api/canonical/0/projects/",
            headers={"Authorization": f"Bearer {self.facts['token']}"},
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def urls(self) -> dict[str, str]:
        if "key" not in self.facts:
            return {"url": self._base}
        dsn = self._base.replace("//", f"//{self.facts['key']}@") + f"/{self.facts['project']}"
        return {"url": self._base, "dsn": dsn, "api": f"{self._base}/api/canonical/0/", "token": self.facts["token"]}

    @property
    def _base(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def _venv(self) -> Path:
        return self.root / "bugsink-venv"

    def _env(self) -> dict[str, str]:
        return {
            "PYTHONPATH": str(FILES),
            "DJANGO_SETTINGS_MODULE": "bugsink_conf",
            "BUGSINK_STATE": str(self.folder / "data"),
            "BUGSINK_URL": self._base,
            "BUGSINK_SECRET": self.facts["secret"],
        }

    def _install(self) -> None:
        log = self.folder / "install.log"
        self.say(f"installing bugsink {VERSION} with {'uv' if UV else 'pip'}")
        if UV:
            run((UV, "venv", "--clear", "--python", sys.executable, str(self._venv)), log)
            python = ("--python", str(self._venv / "bin" / "python"))
            run((UV, "pip", "install", *python, f"bugsink=={VERSION}"), log)
        else:
            run((sys.executable, "-m", "venv", str(self._venv)), log)
            run((str(self._venv / "bin" / "pip"), "install", f"bugsink=={VERSION}"), log)

    def _create(self) -> None:
        self.say("creating its database")
        self._manage("migrate")
        self._manage("migrate", "--database=snappea")
        seed = (FILES / "bugsink_seed.py").read_text(encoding="utf-8")
        self.keep(**json.loads(self._manage("shell", "--command", seed).strip().rpartition("\n")[2]))

    def _manage(self, *words: str) -> str:
        return run((str(self._venv / "bin" / "bugsink-manage"), *words), self.folder / "install.log", env=self._env())
