"""MariaDB with a database `ark` and a user `app` who may do anything, such as make a database per test."""

import os
import secrets
from pathlib import Path

from tests.services.install import build, run, tool
from tests.services.ports import HOST, ask
from tests.services.service import Service


class MariaDB(Service):
    """A private data directory; the unix socket is relative to it, so that its path cannot be too long."""

    name = "mariadb"
    tools = ("mariadbd", "mariadb-install-db")

    def prepare(self) -> None:
        if "password" not in self.facts:
            self.keep(password=secrets.token_hex(12))
        build(self.folder / "data", "1", self._create)
        users = [f"app@{host}" for host in ("'127.0.0.1'", "localhost")]  # TCP and socket
        self._init_file.touch(mode=0o600)
        lines = ["CREATE DATABASE IF NOT EXISTS ark CHARACTER SET utf8mb4;"]
        for user in users:
            lines.append(f"CREATE USER IF NOT EXISTS {user} IDENTIFIED BY '{self.facts['password']}';")
            lines.append(f"GRANT ALL ON *.* TO {user};")
        self._init_file.write_text("\n".join(lines) + "\n", encoding="ascii")

    def launch(self) -> None:
        options = {
            "datadir": self.folder / "data",
            "socket": "server.sock",
            "bind-address": HOST,
            "port": self.port,
            "init-file": self._init_file,
            "innodb-buffer-pool-size": "64M",
            "innodb-log-file-size": "16M",
            "innodb-flush-log-at-trx-commit": 2,
            "innodb-lock-wait-timeout": 5,
            "performance-schema": "OFF",
            "character-set-server": "utf8mb4",
            "collation-server": "utf8mb4_unicode_ci",
        }
        words = [f"--{key}={value}" for key, value in options.items()]
        server = self.daemons["server"]
        server.spawn([tool("mariadbd"), "--no-defaults", *words, "--skip-log-bin", "--skip-name-resolve", *as_root()])

    def answers(self) -> bool:
        return b"MariaDB" in ask(self.port, b"")  # its greeting

    def urls(self) -> dict[str, str]:
        password = self.facts.get("password", "")
        return {"url": f"mysql+pymysql://app:{password}@{HOST}:{self.port}/ark?charset=utf8mb4"}

    @property
    def _init_file(self) -> Path:
        return self.folder / "init.sql"

    def _create(self) -> None:
        self.say("creating the data directory")
        options = ("--no-defaults", f"--datadir={self.folder / 'data'}", "--skip-test-db")
        # root through the socket only: nobody else on this machine gets in without a password
        root = "--auth-root-authentication-method=socket"
        run((tool("mariadb-install-db"), *options, root, *as_root()), self.folder / "install.log")


def as_root() -> list[str]:
    """The server refuses to run as root unless told that it is meant."""
    return ["--user=root"] if os.geteuid() == 0 else []
