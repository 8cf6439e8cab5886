"""Log lines: each with its own time and level, none forged, no secret in any, no failure from any."""

import base64
import io
import json
import logging
import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import quote

import pytest
import structlog

from ark.observers.logs import configure, escape
from ark.redact import register

LINE = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00 (debug|info|warning|error|critical) *  ?\S")


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def stream():
    return io.StringIO()


@pytest.fixture(autouse=True)
def untouched_logging(monkeypatch):
    """What `configure` sets for the whole process is put back."""
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    root = logging.getLogger()
    level = root.level
    monkeypatch.setattr(root, "handlers", [])
    yield
    for handler in root.handlers:
        handler.close()
    root.setLevel(level)
    for name in ("ark", "handlers", "media"):
        logging.getLogger(name).setLevel(logging.NOTSET)
    logging.captureWarnings(False)
    structlog.reset_defaults()


def fail(text):
    raise ValueError(text)


def lines(stream):
    return stream.getvalue().splitlines()


def test_a_line_says_when_how_bad_what_and_about_whom(stream):
    configure("info", None, stream)
    structlog.get_logger("ark.run").warning("quota is nearly spent", agent="1050262", minute=3, note="a b")
    (line,) = lines(stream)
    assert LINE.match(line)
    assert line.endswith('warning  quota is nearly spent  agent=1050262 minute=3 note="a b"')


def test_the_level_holds_for_our_packages_and_libraries_speak_from_warning_on(stream):
    configure("debug", None, stream)
    for name in ("ark.http", "handlers.run", "media.gdt", "aiohttp.client", "redis"):
        logging.getLogger(name).debug("debug of %s", name)
        logging.getLogger(name).warning("warning of %s", name)
    assert [line.partition("  ")[2].strip() for line in lines(stream)] == [
        "debug of ark.http",
        "warning of ark.http",
        "debug of handlers.run",
        "warning of handlers.run",
        "debug of media.gdt",
        "warning of media.gdt",
        "warning of aiohttp.client",
        "warning of redis",
    ]


def test_a_second_call_replaces_the_first(stream):
    other = io.StringIO()
    configure("info", None, other)
    configure("warning", None, stream)
    logging.getLogger("ark").info("not shown")
    logging.getLogger("ark").warning("shown once")
    assert len(lines(stream)) == 1
    assert lines(other) == []


@pytest.mark.parametrize(
    "name", ["x\n2026-01-01T00:00:00.000+00:00 error  forged", "\x1b[2J", "a\x85b\u2028c", "\u202etxt"]
)
def test_an_account_name_cannot_forge_a_line_or_steer_a_terminal(stream, name):
    configure("info", None, stream)
    logging.getLogger("ark").warning("account %s", name)
    structlog.get_logger("ark").warning("account", name=name, **{f"key{name}": 1})
    text = stream.getvalue()
    assert len(text.splitlines()) == 2
    assert text.replace("\n", "").isprintable()


def test_escapes_can_be_read():
    assert escape("a\tb\nc\x1b[0m\x9b\u2028\u202e余额\udc80") == r"a\tb\nc\x1b[0m\x9b\u2028\u202e余额\udc80"


def test_every_line_of_a_traceback_has_time_and_level_and_no_forged_line(stream):
    configure("info", None, stream)
    try:
        fail("bad\n2026-01-01T00:00:00.000+00:00 error  forged")
    except ValueError:
        logging.getLogger("aiohttp").exception("it broke")
        structlog.get_logger("ark").exception("it broke")
    assert len(lines(stream)) > 6
    assert all(LINE.match(line) for line in lines(stream))
    assert any(line.endswith("| 2026-01-01T00:00:00.000+00:00 error  forged") for line in lines(stream))


@pytest.mark.parametrize(
    "spell",
    [str, lambda text: quote(text, safe=""), lambda text: base64.b64encode(text.encode()).decode(), json.dumps],
    ids=["raw", "URL", "base64", "JSON"],
)
def test_no_secret_is_on_any_output(stream, tmp_path, spell):
    canary = "log/canary+5f4dcc3b=余"
    register(canary)
    configure("info", tmp_path / "log" / "ark.log", stream)
    spelt = spell(canary)
    logging.getLogger("aiohttp").error("argument %s", spelt)
    structlog.get_logger("ark").error(f"message {spelt}", field=spelt, nested={"token": (spelt,)}, **{spelt: 1})
    try:
        fail(f"https://api.e.qq.com/v1.1/funds/get?access_token={spelt}")
    except ValueError:
        logging.getLogger("asyncio").exception("lost")
    text = stream.getvalue() + (tmp_path / "log" / "ark.log").read_text()
    assert text.count("***") >= 10
    assert not any(part in text for part in (spelt, canary, "5f4dcc3b"))


def test_a_terminal_gets_colour_and_a_pipe_does_not(stream, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    for target in (stream, terminal):
        configure("info", None, target)
        logging.getLogger("ark").error("it broke")
    assert "\x1b[" not in stream.getvalue()
    assert "\x1b[31merror   \x1b[0m" in terminal.getvalue()
    monkeypatch.setenv("NO_COLOR", "1")
    configure("info", None, plain := Terminal())
    logging.getLogger("ark").error("it broke")
    assert "\x1b[" not in plain.getvalue()


def test_a_stream_that_knows_only_ascii_gets_escapes():
    raw = io.BytesIO()
    configure("info", None, io.TextIOWrapper(raw, "ascii", errors="strict"))
    logging.getLogger("ark").warning("余额 of %s", "\udc80")
    assert raw.getvalue().decode("ascii").endswith(r"\u4f59\u989d of \udc80" + "\n")


def test_a_reader_that_went_away_is_no_trouble(tmp_path):
    closed = io.StringIO()
    closed.close()
    configure("info", tmp_path / "ark.log", closed)
    logging.getLogger("ark").warning("still in the file")
    assert "still in the file" in (tmp_path / "ark.log").read_text()


def test_a_full_disk_is_told_once_and_counted_at_the_end(stream):
    configure("info", Path("/dev/full"), stream)
    for number in range(3):
        logging.getLogger("ark").warning("line %d", number)
    configure("info", None, stream)
    texts = [line.partition("warning  ")[2] for line in lines(stream)]
    assert [text for text in texts if "line" in text] == ["line 0", "line 1", "line 2"]
    assert sum("cannot write /dev/full" in text for text in texts) == 1
    assert texts[-1] == "3 log entries are missing in /dev/full"


def test_a_wrong_log_call_costs_a_line_and_shows_no_argument(stream, capsys, monkeypatch):
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # pytest's own raises
    configure("info", None, stream)
    logging.getLogger("ark").warning("%d rows", "hidden-argument")
    structlog.get_logger("ark").warning("%d rows", "hidden-argument")
    assert len(lines(stream)) == 2
    assert all("a log call of ark at " in line for line in lines(stream))
    assert "hidden-argument" not in stream.getvalue() + capsys.readouterr().err


def test_a_text_without_end_is_cut(stream):
    configure("info", None, stream)
    logging.getLogger("ark").warning("x" * 1_000_000)
    assert len(stream.getvalue()) < 70_000


def test_what_python_prints_by_itself_goes_through_the_log_in_any_locale(tmp_path):
    program = """
import threading, warnings
from ark.observers.logs import configure
from ark.redact import register

class Dying:
    def __del__(self):
        raise ValueError("destructor canary-7c1e")

def fail():
    raise ValueError("thread canary-7c1e 余额")

register("canary-7c1e")
configure("info", None)
warnings.warn("warning canary-7c1e")
thread = threading.Thread(target=fail)
thread.start()
thread.join()
del_me = Dying()
del del_me
"""
    env = {**os.environ, "LC_ALL": "C", "PYTHONIOENCODING": "ascii:strict"}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True)
    assert "canary" not in done.stderr
    assert all(LINE.match(line) for line in done.stderr.splitlines())
    for text in ("warning ***", "thread *** \\u4f59", "destructor ***"):
        assert text in done.stderr


def test_structlog_is_loaded_only_where_lines_are_written():
    program = (
        "import sys, ark.redact, ark.observers.events; print({'structlog', 'kafka', 'sentry_sdk'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
