"""What the servers need on this machine: Debian packages, Maven artifacts, things built once."""

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from tests.services.process import ServiceError

CHECKOUT = Path(__file__).resolve().parents[2]
FILES = Path(__file__).with_name("files")
PACKAGES = {
    "redis-server": "redis-server",
    "mariadbd": "mariadb-server",
    "mariadb-install-db": "mariadb-server",
    "java": "default-jdk-headless",
    "javac": "default-jdk-headless",
    "mvn": "maven",
    "ensurepip": "python3-venv",
    "strace": "strace",
}
POLICY = Path("/usr/sbin/policy-rc.d")
POLICY_TEXT = "#!/bin/sh\n# bin/services installs without starting anything\nexit 101\n"

Say = Callable[[str], None]


def find(tool: str) -> str | None:
    """The system's own executable; what virtual environments of this checkout bring along does not count.

    One tool is a module: without ensurepip Python makes no virtual environments.
    """
    if tool == "ensurepip":
        importlib.invalidate_caches()
        spec = importlib.util.find_spec(tool)
        return spec.origin if spec else None
    folders = [folder for folder in os.get_exec_path() if CHECKOUT not in Path(folder).resolve().parents]
    return shutil.which(tool, path=os.pathsep.join([*folders, "/usr/local/sbin", "/usr/sbin", "/sbin"]))


def tool(name: str) -> str:
    """As find, for a tool that was required before."""
    path = find(name)
    if path is None:
        raise ServiceError(f"{name} is not on PATH although {PACKAGES[name]} is installed")
    return path


@contextlib.contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold a lock file; others wait."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def run(argv: Sequence[str], log: Path, env: Mapping[str, str] | None = None) -> str:
    """Run to the end and return its output; raises ServiceError with the last line, all of it goes to the log."""
    done = subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, **(env or {})},
        text=True,
        errors="replace",
        check=False,
    )
    with log.open("a", encoding="utf-8") as file:
        file.write(f"$ {' '.join(argv)}\n{done.stdout}")
    if done.returncode:
        last = done.stdout.strip().rpartition("\n")[2]
        raise ServiceError(f"{Path(argv[0]).name} failed ({done.returncode}): {last}; all of it: {log}")
    return done.stdout


def build(folder: Path, recipe: str, make: Callable[[], object]) -> None:
    """Fill `folder` by `make` unless that was done to the end before, by the same recipe; what was there goes."""
    stamp = folder.with_name(folder.name + ".made")
    wanted = hashlib.sha256(recipe.encode()).hexdigest()
    if stamp.exists() and stamp.read_text(encoding="ascii") == wanted:
        return
    stamp.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    make()
    stamp.write_text(wanted, encoding="ascii")


def fetch_jars(pom: Path, folder: Path, log: Path, say: Say) -> None:
    """Copy what the pom names into `folder`."""

    def fetch() -> None:
        say(f"fetching what {pom.name} names with Maven")
        local = Path.home() / ".m2"
        local.mkdir(parents=True, exist_ok=True)
        with exclusive(local / "ark-services.lock"):  # Maven's local repository bears one writer
            goal = "dependency:copy-dependencies"
            options = ("-DincludeScope=runtime", f"-DoutputDirectory={folder}")
            run((tool("mvn"), "-B", "-q", "-f", str(pom), goal, *options), log)
        say(f"{len(list(folder.glob('*.jar')))} jars fetched")

    build(folder, pom.read_text(encoding="utf-8"), fetch)


class Debian:
    """Installs what is missing of all that a start needs, once, whoever asks first."""

    def __init__(self, tools: Sequence[str], log: Path, say: Say) -> None:
        self._tools = tools
        self._log = log
        self._say = say
        self._lock = threading.Lock()
        self._error: ServiceError | None = None

    def require(self, tools: Sequence[str]) -> None:
        """Return when all these tools are there. Raises ServiceError naming the packages if it may not install."""
        if not missing(tools):
            return
        with self._lock:
            if self._error is None and missing(tools):
                try:
                    self._install(missing(self._tools))
                except ServiceError as error:
                    self._error = error
        if missing(tools):
            raise ServiceError(f"needs {', '.join(missing(tools))}; {self._error}")

    def _install(self, packages: Sequence[str]) -> None:
        command = f"apt-get install --no-install-recommends {' '.join(packages)}"
        if os.geteuid() != 0 or find("apt-get") is None:
            raise ServiceError(f"only root may install it here: {command}")
        self._say(command)
        with exclusive(Path("/run/lock/ark-services-apt.lock")), nothing_starts():
            try:
                self._apt("install", "--no-install-recommends", *packages)
            except ServiceError:
                self._say("apt-get update, then once more")
                self._apt("update")
                self._apt("install", "--no-install-recommends", *packages)

    def _apt(self, *words: str) -> None:
        argv = ("apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=300", *words)
        run(argv, self._log, {"DEBIAN_FRONTEND": "noninteractive"})


def missing(tools: Sequence[str]) -> list[str]:
    """The packages of those tools that are not there."""
    return sorted({PACKAGES[name] for name in tools if find(name) is None})


@contextlib.contextmanager
def nothing_starts() -> Iterator[None]:
    """Keep packages from starting system services; a policy that was there before stays as it is."""
    if not POLICY.exists():
        POLICY.write_text(POLICY_TEXT, encoding="ascii")
        POLICY.chmod(0o755)
    try:
        yield
    finally:
        if POLICY.read_text(encoding="utf-8", errors="replace") == POLICY_TEXT:  # ours, of now or of a crash
            POLICY.unlink()
