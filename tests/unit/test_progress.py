"""What a progress line says of the pace and the quota."""

import asyncio
import io
import re
import sys

from ark.governor import State
from handlers.outcomes import Meter
from handlers.progress import beside_the_bar, line, shown
from tests.virtual_time import run

NOTHING = dict.fromkeys(State._fields, 0) | {"day": None, "minute": None}


def test_pace_and_quota_are_told_as_far_as_they_are_known():
    meter = Meter(rows=240)
    meter.settled["verified"] = 120
    state = State(**NOTHING | {"day": 99, "minute": 37.4, "quota": 5999.6, "pace": 119.7, "refusals": 2})
    told = line(meter, 1000, 60, state)
    assert beside_the_bar(told) == "0 failed, 120/s of 6000/min, 37% left, day 99%"
    assert (told["rate"], told["rows"], told["refused"]) == ("2/s", "240", "2")


def test_a_medium_that_tells_nothing_leaves_no_blanks():
    told = line(Meter(), 1000, 0, State(**NOTHING))
    assert not {"quota", "left", "day", "refused"} & told.keys()
    assert beside_the_bar(told) == "0 failed, 0/s"


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_nothing_is_cut_off_on_a_terminal_of_80_columns(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    meter = Meter()
    meter.settled.update(verified=43_210, failed=12)
    state = State(**NOTHING | {"day": 99, "minute": 37.4, "quota": 5999.6, "pace": 119.7})

    async def go():
        async with shown(meter, 100_000, lambda: state, terminal):
            await asyncio.sleep(1.0)

    run(go())
    *_, last = (text for text in terminal.getvalue().splitlines() if "failed" in text)
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", last).split("\r")[-1]
    assert "43222/100000" in plain
    assert plain.rstrip().endswith("12 failed, 120/s of 6000/min, 37% left, day 99%")
    assert len(plain) <= 80
    assert "…" not in plain
