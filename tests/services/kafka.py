"""One Kafka broker, controller included, from Maven artifacts."""

import string
import struct
from pathlib import Path

from tests.services.install import FILES, build, fetch_jars, run, tool
from tests.services.ports import HOST, ask
from tests.services.service import Service

API_VERSIONS = 18
NO_CLIENT_ID = -1
CLUSTER_ID = "MkU3OEVBNTcwNTJENDM2Qg"  # any 22 characters of base64


class Kafka(Service):
    """Topics are created by their first use; it is ready when the listener answers."""

    name = "kafka"
    tools = ("java", "mvn")
    port_names = ("port", "controller_port")
    has_bench = True

    def prepare(self) -> None:
        fetch_jars(FILES / "pom-kafka.xml", self.root / "lib" / "kafka", self.folder / "install.log", self.say)
        template = string.Template((FILES / "kafka.properties").read_text(encoding="utf-8"))
        values = {"port": self.port, "controller_port": self.port_of("controller_port"), "data": self.folder / "data"}
        self._properties.write_text(template.substitute(values), encoding="utf-8")
        build(self.folder / "data", "1", self._format)

    def launch(self) -> None:
        heap = ["-Xmx512m"] if self.bench else ["-Xmx192m", "-XX:TieredStopAtLevel=1"]
        self.daemons["server"].spawn([*self._java(*heap), "kafka.Kafka", str(self._properties)])

    def answers(self) -> bool:
        question = struct.pack(">ihhih", 10, API_VERSIONS, 0, 1, NO_CLIENT_ID)
        return bool(ask(self.port, question))

    def urls(self) -> dict[str, str]:
        return {"url": f"{HOST}:{self.port}"}

    @property
    def _properties(self) -> Path:
        return self.folder / "server.properties"

    def _format(self) -> None:
        arguments = ("format", "-t", CLUSTER_ID, "-c", str(self._properties))
        java = self._java("-Xmx64m", "-XX:TieredStopAtLevel=1")
        run((*java, "kafka.tools.StorageTool", *arguments), self.folder / "install.log")

    def _java(self, *options: str) -> list[str]:
        return [
            tool("java"),
            *options,
            "-XX:+UseSerialGC",
            "-Djava.awt.headless=true",
            f"-Dkafka.logs.dir={self.folder}",
            f"-Dlog4j2.configurationFile={FILES / 'log4j2-kafka.properties'}",
            "-cp",
            f"{self.root}/lib/kafka/*",
        ]
