"""`ark scaffold`: what it writes works as it stands, and what it refuses leaves no trace."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ark.errors import ConfigError, LocalDiskError, UsageError
from handlers.scaffold import Wish, scaffold, write

CHECKOUT = Path(__file__).resolve().parents[2]
ROOMS = ("conf", "ark", "handlers", "media")
HELPERS = ("conftest.py", "interface_check.py", "media_server.py", "__init__.py")
WHOLE_RUNS = "tests/media/interfaces"
WANTED = {
    "gdt.made_up": ["--path", "labels/get", "--table", "tenant_gdt_made_up_get_v1", "--key", "label_id"],
    "jrtt.made_up": [
        "--path", "2/label/get/", "--table", "tenant_jrtt_made_up_get_v1", "--key", "label_id", "--key", "type",
        "--pages", "none", "--source", "official client: label/get",
    ],
    "jrtt.made_up_sums": ["--path", "2/sum/get/", "--table", "tenant_jrtt_made_up_sums_v1", "--pages", "report"],
    "wx.made_up": ["--path", "partners/get", "--table", "apps:tenant_wx_made_up_get_v1", "--by", "agent"],
    "wx.b.made_up": ["--path", "labels/get", "--table", "tenant_wx_b_made_up_get_v1", "--key", "label_id"],
    "gdt.hourly_report_made_up": [
        "--path", "hourly_reports/get", "--table", "tenant_gdt_hourly_report_made_up_v3", "--pages", "report",
        "--key", "hour", "--key", "promoted_object_type", "--key", "promoted_object_id", "--key", "region_id",
    ],
}  # fmt: skip
MADE_UP = WANTED["gdt.made_up"]


@pytest.fixture(scope="module")
def untouched(tmp_path_factory):
    """A copy of what `ark scaffold` needs of the checkout."""
    root = tmp_path_factory.mktemp("checkout")
    for room in ROOMS:
        shutil.copytree(CHECKOUT / room, root / room, ignore=shutil.ignore_patterns("__pycache__"))
    (root / WHOLE_RUNS).mkdir(parents=True)
    for path in [*(f"tests/{name}" for name in HELPERS), "pyproject.toml", f"{WHOLE_RUNS}/__init__.py"]:
        shutil.copy(CHECKOUT / path, root / path)
    return root


@pytest.fixture(scope="module")
def root(untouched, tmp_path_factory):
    """A copy in which everything of WANTED was scaffolded."""
    root = tmp_path_factory.mktemp("scaffolded") / "checkout"
    shutil.copytree(untouched, root)
    for name, options in WANTED.items():
        done = ark(root, "scaffold", name, *options)
        assert done.returncode == 0, done.stderr
    return root


def ark(root, *words):
    return tool(root, "handlers.cli", *words)


def tool(root, module, *words):
    environ = {name: value for name, value in os.environ.items() if not name.startswith("ARK_")}
    return subprocess.run(
        [sys.executable, "-m", module, *words], cwd=root, env=environ, capture_output=True, text=True, check=False
    )


def files(root):
    """Every file that was not made by running Python."""
    hidden = {"__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache"}
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and not hidden & set(path.parts)
    }


def test_the_written_tests_pass_as_they_are(root):
    done = tool(root, "pytest", "-q", WHOLE_RUNS)
    assert done.returncode == 0, done.stdout
    assert all((root / WHOLE_RUNS / f"test_{name.replace('.', '_')}.py").is_file() for name in WANTED)


def test_a_written_test_fails_where_the_declaration_is_wrong(root, tmp_path):
    wrong = tmp_path / "checkout"
    shutil.copytree(root, wrong)
    module = wrong / "media/gdt/made_up.py"
    module.write_text(module.read_text(encoding="utf-8").replace("labels/get", "label/get"), encoding="utf-8")
    assert tool(wrong, "pytest", "-q", f"{WHOLE_RUNS}/test_gdt_made_up.py").returncode == 1


def test_what_is_written_is_clean_and_short(root):
    written = [f"media/{name.replace('.', '/')}.py" for name in WANTED]
    tests = [f"{WHOLE_RUNS}/test_{name.replace('.', '_')}.py" for name in WANTED]
    for command in (["check"], ["format", "--check"]):
        done = tool(root, "ruff", *command, *written, *tests)
        assert done.returncode == 0, done.stdout
    done = tool(root, "mypy", *written)
    assert done.returncode == 0, done.stdout
    for path in written[:-1]:
        assert len([line for line in (root / path).read_text(encoding="utf-8").splitlines() if line]) <= 15


def test_the_interfaces_are_listed_and_their_tables_declared(root):
    listed = {line.split()[0]: line.split()[1:] for line in ark(root, "interfaces").stdout.splitlines()}
    assert {name: listed[name] for name in WANTED} == {name: [words[1], words[3]] for name, words in WANTED.items()}
    assert "gdt.made_up" in ark(root, "interfaces", "--tree").stdout
    ddl = ark(root, "tables", "ddl", "apps:tenant_wx_made_up_get_v1")
    assert "SNAPPY" in ddl.stdout


def test_conf_keeps_every_line_it_had(root, untouched):
    for name in ("conf/tables.toml", "conf/jobs.toml"):
        before, after = (folder / name for folder in (untouched, root))
        assert after.read_text(encoding="utf-8").startswith(before.read_text(encoding="utf-8"))
        assert after.stat().st_mode == before.stat().st_mode


def test_what_was_written_and_what_is_next_is_told(untouched, tmp_path):
    copy = tmp_path / "checkout"
    shutil.copytree(untouched, copy)
    before = files(copy)
    done = ark(copy, "scaffold", "gdt.made_up", *MADE_UP)
    told = {line.removeprefix("wrote ") for line in done.stdout.splitlines() if line.startswith("wrote ")}
    assert told == {name for name, text in files(copy).items() if before.get(name) != text}
    assert len(told) == 4
    assert f"pytest {WHOLE_RUNS}/test_gdt_made_up.py" in done.stdout
    assert "ark interfaces --docs > docs/interfaces.md" in done.stdout


def wish(name="gdt.made_up", **changes):
    given = {"path": "labels/get", "table": "tenant_gdt_made_up_get_v1", "keys": (), "by": "account", "pages": "list"}
    return Wish(name, **{**given, "source": "labels/get", **changes})


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        (wish("tiktok.made_up"), "'tiktok.made_up' is of no medium: expected MEDIUM.NAME of gdt, jrtt, wx, wx.b"),
        (wish("made_up"), "of no medium"),
        (wish("gdt.x.made_up"), "of no medium"),
        (wish("gdt."), "'' cannot be an interface"),
        (wish("gdt.Labels"), "'Labels' cannot be an interface"),
        (wish("gdt.2labels"), "cannot be an interface"),
        (wish("gdt.lab-els"), "cannot be an interface"),
        (wish("gdt.made_up/../../x"), "of no medium|cannot be an interface"),
        (wish("gdt.class"), "'class' cannot be an interface"),
        (wish("gdt.funds"), "media/gdt/funds.py exists"),
        (wish("gdt.base"), "media/gdt/base.py exists"),
        (wish("wx.b"), "media/wx/b exists"),
        (wish(table="a b"), "'a b' cannot be a table"),
        (wish(table="../x"), "cannot be a table"),
        (wish(table="tenant_gdt_funds_get_v2"), "is the table of gdt.funds"),
        (wish(keys=("label id",)), "--key 'label id' is no field"),
        (wish(keys=("",)), "--key '' is no field"),
        (wish(keys=("a", "a")), "--key a is in the row key already"),
        (wish(keys=("account_id",)), "--key account_id is in the row key already"),
        (wish(path="https://api.e.qq.com/v1.1/labels/get"), "is no endpoint"),
        (wish(path='labels"/get'), "is no endpoint"),
        (wish(path="/labels/get"), "is no endpoint"),
        (wish(path="a" * 200), "would be longer than 120"),
        (wish(source='a "quoted" word'), "--source is no plain text"),
        (wish(source="two\nlines"), "--source is no plain text"),
        (wish("wx.b.made_up", by="agent"), "--by agent does not fit wx.b"),
    ],
)
def test_what_cannot_be_granted_is_refused_and_nothing_is_written(untouched, wish, words):
    before = files(untouched)
    with pytest.raises(UsageError, match=words):
        scaffold(wish, untouched)
    assert files(untouched) == before


def test_a_refusal_is_one_line_and_exit_2(untouched):
    done = ark(untouched, "scaffold", "gdt.funds", *MADE_UP)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)


def test_outside_of_a_checkout_nothing_is_written(untouched, tmp_path):
    for room in ROOMS:
        shutil.copytree(untouched / room, tmp_path / room)
    before = files(tmp_path)
    with pytest.raises(UsageError, match="is no checkout of Ark"):
        scaffold(wish(), tmp_path)
    assert files(tmp_path) == before


def test_a_section_behind_alone_is_a_config_error(untouched, tmp_path):
    copy = shutil.copytree(untouched, tmp_path / "checkout")
    with (copy / "conf/jobs.toml").open("a", encoding="utf-8") as file:
        file.write("[more]\n")
    before = files(copy)
    with pytest.raises(ConfigError, match=r"does not end with the section \[alone\]"):
        scaffold(wish(), copy)
    assert files(copy) == before


def test_a_table_that_is_declared_already_stays_as_it_is(untouched, tmp_path):
    copy = shutil.copytree(untouched, tmp_path / "checkout")
    assert "conf/tables.toml" not in scaffold(wish(table="tenant_gdt_funds_qiyuan"), copy)
    assert (copy / "conf/tables.toml").read_bytes() == (untouched / "conf/tables.toml").read_bytes()


def test_a_disk_that_refuses_one_file_gets_none_of_them(untouched, tmp_path):
    copy = shutil.copytree(untouched, tmp_path / "checkout")
    (copy / "conf/jobs.toml.new").mkdir()
    before = files(copy)
    with pytest.raises(LocalDiskError, match=r"jobs\.toml\.new: .*; nothing was written"):
        scaffold(wish(), copy)
    assert files(copy) == before


def test_what_was_put_in_place_is_taken_back(tmp_path):
    """The last file cannot be put in place: a folder stands there."""
    old, new, folder = tmp_path / "old", tmp_path / "new", tmp_path / "folder"
    old.write_text("before", encoding="utf-8")
    (folder / "inside").mkdir(parents=True)
    with pytest.raises(LocalDiskError):
        write({old: "after", new: "after", folder: "after"})
    assert (old.read_text(encoding="utf-8"), new.exists()) == ("before", False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "old"]
