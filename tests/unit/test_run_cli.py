"""`ark run` and `ark rerun`: what their flags mean."""

import importlib

import pytest
from click.testing import CliRunner

from ark.settings import load
from handlers.launch import How

COMMANDS = importlib.import_module("handlers.cli.run")
FIRST = (COMMANDS.run, ("gdt.funds", "-t", "T1", "-d", "2020-05-30", "-g", "1", "-a", "2"))
AGAIN = (COMMANDS.rerun, ("20200530T080102-1f2e3d4c",))


@pytest.mark.parametrize(
    ("flags", "meant"),
    [
        ((), How()),
        (("--no-next",), How(follow=False)),
        (("--trigger-on-partial", "--wait"), How(on_partial=True, wait=True)),
        (("--verify", "read", "--day-share", "30"), How(read_back=True, day_share=30)),
    ],
)
@pytest.mark.parametrize(("command", "words"), [FIRST, AGAIN], ids=["run", "rerun"])
def test_a_first_run_and_a_rerun_are_told_how_in_the_same_words(ark_home, monkeypatch, command, words, flags, meant):
    done = []
    monkeypatch.setattr(COMMANDS, "_watched", lambda work, **_: done.append(work.args[-1]))
    said = CliRunner().invoke(command, [*words, *flags], obj=load({"ARK_HOME": str(ark_home)}))
    assert (said.exit_code, done) == (0, [meant]), said.output
