"""What a progress line says of the pace and the quota."""

from ark.governor import State
from handlers.outcomes import Meter
from handlers.progress import IN_THE_BAR, line

NOTHING = dict.fromkeys(State._fields, 0) | {"day": None, "minute": None}


def test_pace_and_quota_are_told_as_far_as_they_are_known():
    meter = Meter(rows=240)
    meter.settled["verified"] = 120
    state = State(**NOTHING | {"day": 99, "minute": 37.4, "quota": 5999.6, "pace": 119.7, "refusals": 2})
    told = line(meter, 1000, 60, state)
    assert " ".join(f"{name} {told[name]}" for name in IN_THE_BAR) == (
        "failed 0 rows 240 pace 120/s quota 6000/min left 37% day 99%"
    )
    assert (told["rate"], told["refused"]) == ("2/s", "2")


def test_a_medium_that_tells_nothing_leaves_no_blanks():
    told = line(Meter(), 1000, 0, State(**NOTHING))
    assert not {"quota", "left", "day", "refused"} & told.keys()
