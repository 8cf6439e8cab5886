"""What is read from headers, and how many calls this process has files for."""

import resource
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ark.http import LONGEST_WAIT, OTHER_FILES, Reply, fitted
from ark.settings import load

NOW = datetime.now(UTC)
texts = st.one_of(
    st.text(),
    st.integers().map(str),
    st.floats().map(str),
    st.datetimes().map(format_datetime),
    st.tuples(st.integers(), st.integers(), st.integers()).map("Sat, {0[0]} Nov {0[1]} 23:59:{0[2]} GMT".format),
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7),
        ("0", 0),
        ("1000000000", LONGEST_WAIT),
        ("9" * 5000, LONGEST_WAIT),
        ("-5", 0),
        ("1e9", 0),
        ("²", 0),
        ("soon", 0),
        ("", 0),
        ("inf", 0),
        ("Fri, 31 Dec 1999 23:59:59 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_WAIT),
        ("Fri, 99 Dec 1999 23:59:59 GMT", 0),
    ],
)
def test_retry_after(text, seconds):
    assert Reply(503, {"Retry-After": text}, b"").retry_after() == seconds


def test_retry_after_as_a_date():
    text = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    assert 0 < Reply(503, {"Retry-After": text}, b"").retry_after() <= 60
    assert Reply(503, {}, b"").retry_after() == 0


@given(texts)
def test_no_header_breaks_the_clocks(text):
    reply = Reply(503, {"Retry-After": text, "Date": text}, b"")
    assert 0 <= reply.retry_after() <= LONGEST_WAIT
    assert isinstance(reply.clock_ahead(0), float | int)


@pytest.mark.parametrize("hours", [-24, 0, 8])
def test_how_far_our_clock_is_ahead(hours):
    reply = Reply(200, {"Date": format_datetime(NOW, usegmt=True)}, b"")
    assert abs(reply.clock_ahead(NOW.timestamp() + 3600 * hours) - 3600 * hours) <= 1
    assert Reply(200, {}, b"").clock_ahead(NOW.timestamp()) == 0


class Limits:
    """This process's limits of open files, without touching them."""

    def __init__(self, monkeypatch, soft, hard, most=1 << 20):
        self.limits, self.most = (soft, hard), most
        monkeypatch.setattr(resource, "getrlimit", lambda _: self.limits)
        monkeypatch.setattr(resource, "setrlimit", self.set)

    def set(self, _, limits):
        if limits[1] > self.most:
            raise ValueError("not allowed to raise maximum limit")
        self.limits = limits


@pytest.mark.parametrize(
    ("soft", "hard", "calls", "left"),
    [
        (1024, 4096, 50, 1024),
        (20, 4096, 50, 100 + OTHER_FILES),
        (64, 64, (64 - OTHER_FILES) // 2, 64),
        (64, 80, (80 - OTHER_FILES) // 2, 80),
        (5, 5, 1, 5),
        (64, resource.RLIM_INFINITY, 50, 100 + OTHER_FILES),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, 50, resource.RLIM_INFINITY),
        (64, 1 << 30, (64 - OTHER_FILES) // 2, 64),
    ],
)
def test_calls_are_as_many_as_there_are_files_for(monkeypatch, soft, hard, calls, left):
    limits = Limits(monkeypatch, soft, hard)
    settings = load({})
    assert fitted(settings).http.concurrency == calls
    assert limits.limits[0] == left
    assert fitted(settings).http.patience == settings.http.patience
