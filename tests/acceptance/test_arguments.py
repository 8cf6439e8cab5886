"""A wrong argument is told in one line, with the key or flag that is wrong, and nothing has been done."""

from urllib.parse import quote

import pytest

from tests.acceptance.conftest import Ark

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
