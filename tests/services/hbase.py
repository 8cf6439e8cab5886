"""HBase and its Thrift gateway from Maven artifacts: two JVMs, so that either can be killed alone."""

import os
import struct
from collections.abc import Sequence
from pathlib import Path

from tests.services.install import FILES, build, fetch_jars, run, tool
from tests.services.ports import HOST, ask
from tests.services.process import ServiceError
from tests.services.service import Service

OPEN_MODULES = (
    "--add-modules=jdk.unsupported",
    *(
        f"--add-opens=java.base/{package}=ALL-UNNAMED"
        for package in (
            "java.io",
            "java.lang",
            "java.lang.reflect",
            "java.nio",
            "java.util",
            "java.util.concurrent",
            "jdk.internal.ref",
            "sun.nio.ch",
        )
    ),
    *(
        f"--add-exports={package}=ALL-UNNAMED"
        for package in (
            "java.base/jdk.internal.misc",
            "java.base/sun.net.dns",
            "java.base/sun.net.util",
            "java.security.jgss/sun.security.krb5",
        )
    ),
)
JVM = (
    "-Dorg.apache.hbase.thirdparty.io.netty.tryReflectionSetAccessible=true",
    *OPEN_MODULES,
    "-Djava.util.logging.config.class=org.apache.hadoop.hbase.logging.JulToSlf4jInitializer",
    "-Djava.net.preferIPv4Stack=true",
    "-XX:+UseSerialGC",
)
SOURCES = (FILES / "Cluster.java", FILES / "CreateTable.java")
QUICK_START = "-XX:TieredStopAtLevel=1"
THRIFT_CALL, THRIFT_REPLY = 0x80010001, 0x80010002


class HBase(Service):
    """ZooKeeper, master and region server in `cluster`, Thrift in `gateway`."""

    name = "hbase"
    tools = ("java", "javac", "mvn")
    port_names = ("port", "zookeeper", "master", "regionserver")
    daemon_names = ("gateway", "cluster")
    ready_within = 120
    has_bench = True

    def prepare(self) -> None:
        fetch_jars(FILES / "pom-hbase.xml", self._lib, self.folder / "install.log", self.say)
        recipe = "".join(source.read_text(encoding="utf-8") for source in SOURCES)
        build(self._classes, recipe, self._compile)
        (self.folder / "tmp").mkdir(exist_ok=True)

    def launch(self) -> None:
        if not self.alive("cluster"):
            self._ready_file.unlink(missing_ok=True)
            heap = ["-Xmx1g"] if self.bench else ["-Xmx512m", QUICK_START]
            self.daemons["cluster"].spawn([*self._java(*heap), "Cluster", str(self._ready_file)])
        if not self.alive("gateway"):
            heap = ["-Xmx256m"] if self.bench else ["-Xmx192m", QUICK_START]
            words = ("org.apache.hadoop.hbase.thrift.ThriftServer", "-b", HOST, "-p", str(self.port), "start")
            self.daemons["gateway"].spawn([*self._java(*heap), *words])

    def answers(self) -> bool:
        """Every region was read once, and the gateway reaches the region server too."""
        return self._ready_file.exists() and gateway_reads_meta(self.port)

    def urls(self) -> dict[str, str]:
        return {"url": f"thrift://{HOST}:{self.port}", "zookeeper": f"{HOST}:{self.port_of('zookeeper')}"}

    def create_tables(self, names: Sequence[str], versions: int) -> None:
        """Create tables as production has them (SNAPPY, ten regions), which Thrift cannot."""
        if not self.alive("cluster"):
            raise ServiceError("hbase is not running: bin/services start hbase")
        java = self._java("-Xmx128m", QUICK_START, "-Dark.log.level=error")
        for line in run((*java, "CreateTable", str(versions), *names), self.folder / "create-table.log").splitlines():
            self.say(line)

    @property
    def _lib(self) -> Path:
        return self.root / "lib" / "hbase"

    @property
    def _classes(self) -> Path:
        return self.root / "lib" / "hbase-classes"

    @property
    def _ready_file(self) -> Path:
        return self.folder / "ready"

    def _compile(self) -> None:
        sources = map(str, SOURCES)
        javac = (tool("javac"), "-cp", f"{self._lib}/*", "-d", str(self._classes), *sources)
        run(javac, self.folder / "install.log")

    def _java(self, *options: str) -> list[str]:
        values = {
            "ark.state": self.folder,
            "ark.zk.port": self.port_of("zookeeper"),
            "ark.master.port": self.port_of("master"),
            "ark.rs.port": self.port_of("regionserver"),
            "ark.thrift.port": self.port,
            "java.io.tmpdir": self.folder / "tmp",
            "log4j2.configurationFile": FILES / "log4j2-hbase.properties",
        }
        properties = [f"-D{key}={value}" for key, value in values.items()]
        class_path = os.pathsep.join((str(FILES), str(self._classes), f"{self._lib}/*"))
        return [tool("java"), *JVM, *properties, *options, "-cp", class_path]


def gateway_reads_meta(port: int) -> bool:
    """Whether the gateway reads a row of hbase:meta: getRow(1: tableName, 2: row, 3: attributes), binary protocol."""
    method = b"getRow"
    call = struct.pack(">II", THRIFT_CALL, len(method)) + method + struct.pack(">I", 0)
    call += thrift_string(1, b"hbase:meta") + thrift_string(2, b"hbase:namespace")
    call += struct.pack(">bhbbI", 13, 3, 11, 11, 0) + b"\0"
    answer = ask(port, call)
    header = struct.pack(">II", THRIFT_REPLY, len(method)) + method + struct.pack(">I", 0)
    success = struct.pack(">bh", 15, 0)  # field 0 is the result, any other field an exception
    return answer.startswith(header + success)


def thrift_string(field: int, value: bytes) -> bytes:
    """A field of type string."""
    return struct.pack(">bhI", 11, field, len(value)) + value
