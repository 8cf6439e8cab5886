"""What the documents say holds: commands, flags, settings, links, and the tour and the example of README are run."""

import inspect
import json
import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from doctest import ELLIPSIS, NORMALIZE_WHITESPACE, OutputChecker
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import click
import pytest

from ark import errors
from ark.accounts import embedded_redis
from ark.settings import KNOWN, TYPES, load, shown
from handlers.api import ApiHandler
from handlers.cli.main import COMMANDS, cli
from handlers.interface_docs import document
from tests.simulator import simulator

CHECKOUT = Path(__file__).resolve().parents[1]
README = (CHECKOUT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = sorted([*CHECKOUT.glob("*.md"), *(CHECKOUT / "docs").rglob("*.md")])
ELSEWHERE = {"cat", "echo", "git", "kill", "ls", "pip", "wc"}
"""Programs in examples that are not ours."""
RUN_ID = re.compile(r'"run_id":"([^"]+)"')
TOO_SLOW = "no answer within"
"""What `ark doctor` says of a service that answers too late."""
LINES_OF_AN_INTERFACE = 15
MOST_HOOKS = 8
PLUMBING = {"variant_values"}
"""Methods of ApiHandler that nobody overrides."""


class Block(NamedTuple):
    """A fenced block: `language` as written behind the fence."""

    document: str
    language: str
    text: str


class Step(NamedTuple):
    """A command of a console block, and what it prints."""

    command: str
    output: str


def blocks(text: str, document: str = "README.md") -> Iterator[Block]:
    for language, body in re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield Block(document, language, body)


def steps(block: Block) -> Iterator[Step]:
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield Step(command, output)


def section(title: str) -> list[Block]:
    """The blocks of one section of README."""
    _, _, rest = README.partition(f"\n## {title}\n")
    assert rest, f"README has no section {title!r}"
    return list(blocks(re.split(r"^## ", rest, maxsplit=1, flags=re.MULTILINE)[0]))


EVERY_STEP = [
    pytest.param(step.command, id=f"{path.name}: {step.command[:60]}")
    for path in DOCUMENTS
    for block in blocks(path.read_text(encoding="utf-8"), path.name)
    if block.language == "console"
    for step in steps(block)
]


@pytest.mark.parametrize("command", EVERY_STEP)
def test_commands_and_their_flags_exist(command):
    for words in simple_commands(command):
        program, *rest = words
        if program == "export":
            assert {word.partition("=")[0] for word in rest} <= {*KNOWN, "PATH"}
        elif Path(program).name == "ark":
            check_flags(rest)
        elif program.startswith((".venv/", "bin/")):
            assert program.startswith(".venv/bin/") or os.access(CHECKOUT / program, os.X_OK)
        else:
            assert program in ELSEWHERE


def simple_commands(command: str) -> Iterator[list[str]]:
    """The words of each command of a pipe, without the settings before it."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars="|&;")
    lexer.whitespace_split = True
    for joint, words in groupby(lexer, key=lambda word: set(word) <= set("|&;")):
        simple = [] if joint else list(words)
        while simple and simple[0].startswith("ARK_"):
            assert simple.pop(0).partition("=")[0] in KNOWN
        if simple:
            yield simple


def check_flags(words: list[str]) -> None:
    command: click.Command = cli
    context = click.Context(cli)
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name = words.pop(0)
        command = command.get_command(context, name)
        assert command, f"there is no `ark {name}`"
    known = {option for parameter in command.params for option in parameter.opts} | {"-h", "--help"}
    flags = {word for word in words if re.match("--?[a-z]", word)}
    assert flags <= known, f"{command.name} has no {flags - known}"


def test_every_command_is_in_readme():
    told = set(re.findall(r"`ark ([a-z]+(?: [a-z]+)?)", README))
    context = click.Context(cli)
    subcommands = {
        f"{name} {sub}"
        for name in COMMANDS
        if isinstance(group := cli.get_command(context, name), click.Group)
        for sub in group.commands
    }
    assert {*COMMANDS, *subcommands} <= told | {name.split()[0] for name in told}


def test_every_setting_is_documented_with_its_default():
    table = (CHECKOUT / "docs/settings.md").read_text(encoding="utf-8")
    told = re.findall(r"^\| `([a-z_.]+)` \| `([A-Z_]+)` \| (.*?) \|", table, re.MULTILINE)
    defaults = {key: value for key, value, _ in shown(load({}))}
    assert {key: variable for key, variable, _ in told} == {key: variable_of(key) for key in TYPES}
    assert {key: default.strip("`") for key, _, default in told} == {key: spelled(defaults[key]) for key in TYPES}


def spelled(value: object) -> str:
    """A default as the table of settings spells it."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:,}".removesuffix(".0") if isinstance(value, int | float) else str(value or "empty")


def test_the_interfaces_are_documented_as_they_are_declared():
    written = (CHECKOUT / "docs/interfaces.md").read_text(encoding="utf-8")
    assert written == document(), "declarations have changed: run `ark interfaces --docs > docs/interfaces.md`"


def variable_of(key: str) -> str:
    return next(variable for variable, sets in KNOWN.items() if sets == key)


def test_every_exit_code_is_in_readme():
    codes = {
        kind.exit_code for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.ArkError)
    }
    table = set(map(int, re.findall(r"^\| (\d+)", README, re.MULTILINE)))
    assert codes <= table


def test_the_hooks_are_eight_at_most_and_all_in_the_table():
    architecture = (CHECKOUT / "docs/architecture.md").read_text(encoding="utf-8")
    told = re.findall(r"^\| `(\w+)` \| the (?:interface|medium) \|", architecture, re.MULTILINE)
    hooks = [name for name, value in vars(ApiHandler).items() if inspect.isfunction(value) and not name.startswith("_")]
    assert told == [name for name in hooks if name not in PLUMBING]
    assert len(told) <= MOST_HOOKS


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(CHECKOUT).as_posix())
def test_links_lead_somewhere(path):
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match("https?:", target):
            continue
        file, _, anchor = target.partition("#")
        found = (path.parent / file) if file else path
        assert found.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", found.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(CHECKOUT).as_posix())
def test_files_that_are_named_are_there(path):
    for name in re.findall(
        r"`((?:conf|ark|handlers|media|bin|tests|docs)/[\w./-]*)`", path.read_text(encoding="utf-8")
    ):
        assert (CHECKOUT / name).exists() or name == "media/gdt/daily_report_campaign.py", name


def guarantees() -> Iterator[str]:
    """Every claim of docs/guarantees.md: a line of one of its tables, or a line that names a test outside of them."""
    for line in (CHECKOUT / "docs/guarantees.md").read_text(encoding="utf-8").splitlines():
        if (line.startswith("| ") and not re.match(r"\| (claim|fault) \|", line)) or "`tests/" in line:
            yield line


@pytest.mark.parametrize("claim", [*guarantees()], ids=lambda claim: claim[:60])
def test_every_claim_names_tests_that_are_there(claim):
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(test_\w+))?`", claim)
    assert named, "a claim without a test is a wish"
    for file, test in named:
        assert re.search(
            rf"^(async )?def {test or 'test_'}", (CHECKOUT / file).read_text(encoding="utf-8"), re.MULTILINE
        )


class Tour:
    """Runs the steps of the tour in one folder, as somebody who types them would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.environ = {**os.environ, "PATH": f"{CHECKOUT / 'bin'}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "200"}
        self.simulator: subprocess.Popen[str] | None = None
        self.run_id = "RUN"
        self.status, self.said = 0, ""

    def go(self, step: Step) -> None:
        command = self.filled(step.command)
        if command.startswith("export "):
            assignment = subprocess.run(
                ["bash", "-c", f"{command}; env"],
                cwd=self.folder,
                env=self.environ,
                capture_output=True,
                text=True,
                check=True,
            )
            self.environ = dict(line.split("=", 1) for line in assignment.stdout.splitlines() if "=" in line)
        elif command.endswith(" &"):
            self.check(step, self.started(command.removesuffix(" &")))
        else:
            assert self.status == 0 or command == "echo $?", f"exit {self.status} before `{command}`: {self.said}"
            self.said = self.printed(command)
            if TOO_SLOW in self.said:  # the machine was busy elsewhere; one would ask again
                self.said = self.printed(command)
            self.check(step, self.said)

    def started(self, command: str) -> str:
        """The first line of what stays in the background."""
        self.simulator = subprocess.Popen(
            shlex.split(f"exec {command}")[1:], cwd=self.folder, env=self.environ, stdout=subprocess.PIPE, text=True
        )
        return self.simulator.stdout.readline()

    def printed(self, command: str) -> str:
        done = subprocess.run(
            ["bash", "-c", f"(exit {self.status}); {command}"],
            cwd=self.folder, env=self.environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        self.status = done.returncode
        found = RUN_ID.findall(done.stdout)
        self.run_id = found[-1] if found else self.run_id
        return done.stdout

    def check(self, step: Step, output: str) -> None:
        wanted = self.filled(step.output)
        matches = OutputChecker().check_output(wanted, output, ELLIPSIS | NORMALIZE_WHITESPACE)
        assert matches, f"$ {step.command}\n{output}\nis not\n{wanted}"

    def filled(self, text: str) -> str:
        return re.sub(r"\bRUN\b", self.run_id, text).replace("8155", str(self.port))

    def end(self) -> None:
        if self.simulator is not None:
            self.simulator.kill()
            self.simulator.communicate()
        embedded_redis.stop(self.folder / "home")


def test_the_tour_goes_as_told(ark_home):
    """In a short folder: a unix socket's path ends at 107 bytes."""
    tour = Tour(ark_home)
    try:
        for block in section("A tour"):
            if block.language == "toml":
                (ark_home / "scenario.toml").write_text(block.text, encoding="utf-8")
            for step in steps(block) if block.language == "console" else ():
                tour.go(step)
    finally:
        tour.end()


@pytest.fixture
def example(tmp_path):
    """The interface that README adds, as a file in a folder of its own."""
    source = next(block.text for block in section("How to add an interface") if block.language == "python")
    path = tmp_path / "daily_report_campaign.py"
    path.write_text(source, encoding="utf-8")
    return path


def test_the_example_is_short_and_clean(example):
    lines = [line for line in example.read_text(encoding="utf-8").splitlines() if line.strip()]
    assert len(lines) <= LINES_OF_AN_INTERFACE
    ruff = [Path(sys.executable).with_name("ruff"), "--config", CHECKOUT / "pyproject.toml"]
    for check in ("check", "format --check"):
        named = [*check.split(), "--stdin-filename", CHECKOUT / "media/gdt" / example.name, "-"]
        subprocess.run([*ruff, *named], input=example.read_bytes(), cwd=CHECKOUT, check=True)


WITH_EXAMPLE = """
import sys
import media.gdt
media.gdt.__path__.append(sys.argv[1])
from handlers.cli.main import main
main(sys.argv[2:])
"""


def test_the_example_runs(example, ark_home):
    agents = [{"tenant": "T100117", "id": "1050262", "accounts": 20}]
    try:
        with simulator({"gdt": {"agents": agents}}) as media:
            environ = {"ARK_HOME": str(ark_home), "ARK_GDT_URL": media.url}
            accounts = [word for account in media.accounts("1050262") for word in ("-a", account)]
            token = media.directory()[0]["token"]
            fill(ark_home, "gdt_new_access_token_T100117", {token: 1050262})
            with_example(example, "tables", "create", "tenant_gdt_daily_report_campaign_v3", **environ)
            job = ("-t", "T100117", "-d", "2020-05-30", "-g", "1050262", *accounts, "--no-next")
            told = with_example(example, "run", "gdt.daily_report_campaign", *job, **environ)
            cells = with_example(example, "rows", "tenant_gdt_daily_report_campaign_v3", "--json", **environ)
            truth = media.truth("gdt.daily_report_campaign", "2020-05-30")
    finally:
        embedded_redis.stop(ark_home)
    assert json.loads(told.splitlines()[-1].removeprefix("ARK_RESULT "))["verified"] == 60
    stored = [json.loads(line)["value"]["data"] for line in cells.splitlines()]
    assert texts(stored) == texts([{name: entry["record"][name] for name in stored[0]} for entry in truth])


def texts(records: list[dict[str, object]]) -> list[str]:
    return sorted(json.dumps(record, sort_keys=True) for record in records)


def with_example(example: Path, *words: str, **environ: str) -> str:
    command = [sys.executable, "-c", WITH_EXAMPLE, str(example.parent), *words]
    done = subprocess.run(
        command, cwd=CHECKOUT, env={**os.environ, **environ}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def fill(home: Path, key: str, members: dict[str, int]) -> None:
    from redis import Redis

    with Redis.from_url(embedded_redis.ensure(home)) as client:
        client.zadd(key, members)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
