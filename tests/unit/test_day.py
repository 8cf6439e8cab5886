"""The day's budget: what percents prove of it, and what they do not."""

import pytest

from ark.governor import Governor, Hint


def answer(governor, percents, minute=90):
    """Calls one after the other, each answered with one of the day's percents; how many there were leave to send."""
    sent = 0
    for second, percent in enumerate(percents):
        if governor.wait(float(second)) > 0:
            break
        governor.answered(governor.sent(float(second)), second + 0.1, percent, minute)
        sent += 1
    governor.wait(float(len(percents)))
    return sent


def test_one_answer_that_says_that_nothing_is_left_is_not_believed():
    governor = Governor("percent")
    assert answer(governor, [99] * 50 + [0] + [99] * 50) == 101
    assert governor.spent == ""


def test_two_are():
    governor = Governor("percent")
    answer(governor, [99] * 50 + [0, 0, 0])
    assert governor.spent == "the day's quota is spent"


def test_what_was_never_tried_is_no_size():
    governor = Governor("percent")
    answer(governor, [99] * 40)
    assert governor.day_left() is None
    assert (governor.state(50.0).day_quota, governor.hint().day_quota) == (0.0, 0.0)


def test_a_size_is_known_once_the_percent_has_fallen():
    governor = Governor("percent")
    answer(governor, [99] * 10 + [98] * 100 + [97] * 100 + [96] * 5)
    assert governor.day_left() == pytest.approx(0.95 * 100 * 215 / 4, rel=0.3)


def test_a_hint_of_a_larger_day_is_taken_back():
    governor = Governor("percent", hint=Hint(day_quota=1_000_000.0))
    answer(governor, [10] * 10 + [9] * 10 + [8] * 10 + [7] * 10)
    assert governor.day_left() < 1000
