"""A wrong argument is told in one line, with the key or flag that is wrong, and nothing has been done."""

import gc
import io
import json
import random
import time
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from ark.clock import today
from ark.errors import UsageError
from ark.job import decode
from ark.redact import Vault, register
from handlers.cli.main import main
from tests.acceptance.conftest import Ark
from tests.unit.test_job import KEYS, SEED, SMALL, mutated

GOOD = "{'agent_id': 1050262, 'tenant_alias': 'T100117', 'data_date': '2020-05-30', 'account_list': ['10058169']}"

WRONG = {
    "no dict": ("%5B1%5D", ""),
    "nothing": ("", ""),
    "cut short": (quote(GOOD[:-9]), ""),
    "code": (quote(GOOD.replace("1050262", "__import__('os').system('touch /tmp/ark-canary')")), ""),
    "an agent that is none": (quote(GOOD.replace("1050262", "'x'")), "agent_id"),
    "an agent beyond 2^64": (quote(GOOD.replace("1050262", "9" * 30)), "agent_id"),
    "no tenant": (quote(GOOD.replace("'tenant_alias': 'T100117',", "")), "tenant_alias"),
    "a date that is none": (quote(GOOD.replace("05-30", "02-31")), "data_date"),
    "an account that is none": (quote(GOOD.replace("10058169", "--all")), "account_list"),
    "an unknown output": (quote(GOOD.replace("'agent_id'", "'output': 'CSV', 'agent_id'")), "output"),
    "another medium": (quote(GOOD.replace("'agent_id'", "'media_name': 'wx', 'agent_id'")), "media_name"),
    "neither key nor accounts": (quote(GOOD.replace("'10058169'", "")), "account_list"),
    "a minus sequence that is deep": (quote(GOOD.replace("1050262", "-" * 20_000 + "1")), ""),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_argument(ark: Ark, name: str) -> None:
    text, word = WRONG[name]
    refused(ark, word, "run", "gdt.funds", text)


@pytest.mark.parametrize(
    ("words", "word"),
    [
        (["run"], "INTERFACE"),
        (["run", "gdt.fund"], "gdt.funds"),
        (["run", "gdt.funds", "-g", "1050262", "-t", "T100117", "-d", "2020-05-30"], "--all"),
        (["run", "gdt.funds", "-g", "1050262", "-t", "T1", "-a", "1", "-d", "yesterday"], "yesterday"),
        (["run", "gdt.funds", "-g", "1050262", "-t", "T1", "-a", "1", "-o", "CSV"], "HBASE"),
        (["exec", "run gdt.funds 'open"], ""),
        (["rum"], "run"),
        (["rows", "no|table"], "no|table"),
    ],
)
def test_wrong_words(ark: Ark, words: list[str], word: str) -> None:
    refused(ark, word, *words)


def refused(ark: Ark, word: str, *words: str) -> None:
    """Exit 2, one line, and no run has begun."""
    said = ark.refusal(*words)
    assert (said.code, said.out) == (2, ""), said.err
    assert len(said.err.splitlines()) == 1, said.err
    assert len(said.err) < 1000
    assert word in said.err
    assert not (ark.home / "ledger.sqlite").exists()


FUZZED = 10_000
LONGEST = 0.1
"""Seconds of the processor that one argument may take."""
SECRETS = 3000
"""That errors are searched for."""
HOSTILE = [
    *("", " ", "0", "-1", "1e400", "NaN", "None", "null", "true"),
    *("[]", "{}", "'", '"', "\\", "%", "%zz", "%00", "%2525"),
    *("--all", "-rf /", "; rm -rf /", "$(id)", "`id`", "| id"),
    *("&& id", "\n2026 ERROR forged", "\r", "\t", "\x00", "\x1b[2J"),
    *("../../etc/passwd", "/dev/full", "file:///etc/passwd"),
    *("http://169.254.169.254/", "redis://127.0.0.1", "<img onerror=x>"),
    *("' OR 1=1 --", "'); DROP TABLE x; --", "=cmd|' /C calc'!A0", "{{7*7}}"),
    *("${7*7}", "%(x)s", "{0.__class__}", "%n%n%n"),
    *("9" * 20, "9" * 5000, "9007199254740993", "18446744073709551616", "1.0"),
    *("0x10", "1_000", "\u0661\u0662", "\uff11"),
    *("a|b", "|", "a" * 5000, "\u202e", "\u200b", "\ufeff"),
    *("\ud800", "\U0001f600", "\xff", "\u3000", "e\u0301", "\x85"),
    *("2020-02-30", "9999-99-99", "2999-01-01", "20200230", "0000-00-00"),
    *("[" * 300, "-" * 20_000, "+0" * 20_000, "(" * 500),
    *("b'x'", "f'{1}'", "1+2j", "{1, 2}", "lambda: 0", "x for x in ()"),
    *("*x", "**x", "1 if 1 else 0", "a.b", "a()", "yield"),
    *("__import__('os').system('touch CANARY')", "exec(\"open('CANARY','w')\")"),
    *("open('CANARY','w')", "().__class__"),
]
"""What people, shells, spreadsheets and attackers put where a value belongs."""


def fuzzed(chance: random.Random, canary: Path) -> Iterator[str]:
    """Arguments without end: one in two is a seed's, changed here and there; one in two has hostile texts as values."""
    hostile = [each.replace("CANARY", str(canary)) for each in HOSTILE]
    encodings = [str, quote_surrogates, quote_plus_surrogates]
    while True:
        yield mutated(chance.choice(SEED), chance)
        key, value = chance.choice(KEYS), chance.choice(hostile)
        given = {**SMALL, key: value}
        bare = repr(given).replace(repr(value), value)
        forms = [json.dumps(given), repr(given | {key: [value]}), bare, value]
        yield chance.choice(encodings)(chance.choice(forms))


def quote_surrogates(text: str) -> str:
    return quote(text, errors="surrogatepass")


def quote_plus_surrogates(text: str) -> str:
    return quote_plus(text, errors="surrogatepass")


def through_the_door(text: str) -> int:
    """The exit code of `ark args decode`; what it says is one line, or the job as JSON."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as end:
        main(["args", "decode", "--", text])
    assert "a bug of Ark" not in err.getvalue()
    assert len(err.getvalue().splitlines()) == 1 if end.value.code else json.loads(out.getvalue()), text
    return int(end.value.code or 0)


def decoded(text: str) -> tuple[int, float]:
    """The same without the way to the decoder and back, which is long; and the seconds of CPU that it took."""
    began, code = time.thread_time(), 0
    try:
        decode(text, today())
    except UsageError as error:
        code = error.exit_code if str(error).isprintable() else -1
    return code, time.thread_time() - began


def test_ten_thousand_fuzzed_arguments(
    request: pytest.FixtureRequest, ark: Ark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is taken or refused in one line: no other error, no hang, no code that runs. One in ten is a command."""
    for name, value in ark.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("ark.redact._vault", Vault())
    for number in range(SECRETS):
        register(f"a-secret-of-{number:06}")
    codes = {0: 0, UsageError.exit_code: 0}
    request.addfinalizer(gc.unfreeze)
    gc.freeze()  # else a long argument pays for looking through all that the tests before have left
    arguments = fuzzed(random.Random(20200530), tmp_path / "canary")
    for number, text in zip(range(FUZZED), arguments, strict=False):
        code, seconds = decoded(text)
        codes[code] += 1
        assert seconds < LONGEST, f"{seconds} s for {text[:200]!r}"
        assert number % 10 or through_the_door(text) == code, text
    assert min(codes.values()) > FUZZED / 100
    assert list(tmp_path.iterdir()) == []
    assert not (ark.home / "log" / "crash.log").exists()
