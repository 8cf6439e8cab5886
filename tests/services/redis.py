"""redis-server with an append-only file: what was written survives SIGKILL."""

from tests.services.install import tool
from tests.services.ports import HOST, ask
from tests.services.service import Service


class Redis(Service):
    """Sixteen databases for each of four testing processes; Ark's is 2. DEBUG commands are allowed, for fault tests."""

    name = "redis"
    tools = ("redis-server",)

    def launch(self) -> None:
        options = {
            "bind": HOST,
            "port": str(self.port),
            "dir": str(self.folder),
            "save": "",
            "databases": "64",
            "appendonly": "yes",
            "enable-debug-command": "local",
        }
        words = [word for key, value in options.items() for word in (f"--{key}", value)]
        self.daemons["server"].spawn([tool("redis-server"), *words])

    def answers(self) -> bool:
        return ask(self.port, b"PING\r\n").startswith(b"+PONG")

    def urls(self) -> dict[str, str]:
        return {"url": f"redis://{HOST}:{self.port}/2"}
