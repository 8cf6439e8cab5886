"""What users install: the wheel holds every package and its data, nothing else, and works in a clean environment."""

import json
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
ROOMS = ("conf", "ark", "handlers", "media")
DATE = "2020-05-30"
ARGUMENT = json.loads((CHECKOUT / "tests/data/seed003-arguments.json").read_text(encoding="utf-8"))[0]
SCENARIO = f"""
dates = ["{DATE}"]

[[gdt.agents]]
tenant = "T100117"
id = "1050262"
accounts = 25
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from a copy: what a build leaves behind must not get into the checkout, nor from there into the wheel."""
    source, folder = tmp_path_factory.mktemp("source") / "ark", tmp_path_factory.mktemp("wheel")
    shutil.copytree(CHECKOUT, source, ignore=shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__"))
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*build, "--wheel-dir", folder, source], check=True, capture_output=True)
    (wheel,) = folder.iterdir()
    return wheel


@pytest.fixture(scope="module")
def inside(wheel):
    """The names of the files in the wheel, without those that only describe it."""
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The folder of the executables of an environment that holds the wheel, and of the rest what the lock says."""
    place = tmp_path_factory.mktemp("environment")
    uv = Path(sys.executable).with_name("uv")
    venv.create(place, with_pip=not uv.exists(), symlinks=True)
    python = place / "bin" / "python"
    install = [uv, "pip", "install", "--python", python] if uv.exists() else [python, "-m", "pip", "install"]
    subprocess.run([*install, "-r", CHECKOUT / "requirements.lock"], check=True, capture_output=True)
    subprocess.run([*install, "--no-deps", wheel], check=True, capture_output=True)
    return python.parent


def test_the_wheel_holds_all_code_and_data_and_nothing_else(inside):
    wanted = {
        path.relative_to(CHECKOUT).as_posix()
        for room in ROOMS
        for pattern in ("*.py", "*.toml", "*.sql", "py.typed")
        for path in (CHECKOUT / room).rglob(pattern)
    }
    assert inside == wanted
    assert {"conf/default.toml", "conf/gdt.toml", "conf/jobs.toml", "conf/tables.toml"} <= inside
    assert {"ark/py.typed", "handlers/py.typed", "media/py.typed"} <= inside


def test_the_command_is_there(installed, tmp_path):
    assert "Usage: ark" in ark(installed, tmp_path, "--help")
    assert ark(installed, tmp_path, "--version").startswith("ark, version 0.")


def test_the_main_job_runs_in_a_clean_environment(installed, tmp_path, ark_home):
    scenario = tmp_path / "scenario.toml"
    scenario.write_text(SCENARIO, encoding="utf-8")
    environ = {"ARK_HOME": str(ark_home)}
    simulate = [installed / "ark", "simulate", "--scenario", scenario, "--fill-redis"]
    with subprocess.Popen(simulate, cwd=tmp_path, env=environ, stdout=subprocess.PIPE) as simulator:
        try:
            environ["ARK_GDT_URL"] = json.loads(simulator.stdout.readline())["url"]
            told = ark(installed, tmp_path, "run", "gdt.funds", ARGUMENT, "--no-next", **environ)
            cells = ark(installed, tmp_path, "rows", "tenant_gdt_funds_get_v2", "--date", DATE, "--json", **environ)
        finally:
            simulator.kill()
            stop = "import sys, pathlib; from ark.accounts.embedded_redis import stop; stop(pathlib.Path(sys.argv[1]))"
            subprocess.run([installed / "python", "-c", stop, ark_home], cwd=tmp_path, env={}, check=True)
    result = json.loads(told.splitlines()[-1].removeprefix("ARK_RESULT "))
    assert (result["planned"], result["verified"], result["exit"]) == (25, 25, 0)
    accounts = {json.loads(line)["row"].split("|")[2] for line in cells.splitlines()}
    assert (len(accounts), len(cells.splitlines())) == (25, result["rows"])


def ark(installed: Path, cwd: Path, *words: str, **environ: str) -> str:
    """What `ark` prints, with nothing of this process's environment; it must succeed."""
    done = subprocess.run(
        [installed / "ark", *words], cwd=cwd, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
