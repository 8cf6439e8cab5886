"""The watch over a process: what it does at a signal, when its parent is gone, and when the work does not end."""

import os
import signal
import threading
from types import SimpleNamespace

import pytest

from ark.errors import LaterError, StoppedError
from handlers import stopping
from handlers.stopping import ABANDON_AT, CALLS_UNTIL, TWICE, AbandonedError, OrphanedError, Stop, Watch

TERM, INT = signal.SIGTERM, signal.SIGINT


class World:
    """A clock, a parent, and the door by which the process leaves."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.parent = 77
        self.left: list[int] = []
        self.told: list[int] = []
        self.told_anything = threading.Event()
        self.watch = Watch(lambda: self.now, self.left.append, lambda: self.parent)

    def tell(self, stop: Stop) -> None:
        self.told.append(stop.reason.exit_code)
        self.told_anything.set()

    def signal(self, number: int) -> None:
        """What the interpreter does when a signal came."""
        self.watch._on_signal(number, None)


@pytest.fixture
def world(monkeypatch):
    monkeypatch.setattr(stopping, "LOOK", 0.01)  # real seconds: how often the watch wakes by itself
    monkeypatch.setattr(stopping, "_survives", lambda parent: parent <= 1)
    return World()


def run_name() -> SimpleNamespace:
    return SimpleNamespace(run_id="r1")


def test_the_result_and_the_error_of_the_work_are_the_watchs(world):
    assert world.watch.run(lambda: threading.current_thread().name) == "work"
    with pytest.raises(ZeroDivisionError):
        world.watch.run(lambda: 1 // 0)


def test_signals_are_given_back(world):
    before = [signal.getsignal(number) for number in (TERM, INT, signal.SIGHUP)]
    during = world.watch.run(lambda: [signal.getsignal(number) for number in (TERM, INT, signal.SIGHUP)])
    assert [signal.getsignal(number) for number in (TERM, INT, signal.SIGHUP)] == before
    assert not {*map(id, during)} & {*map(id, before)}


def test_in_another_thread_and_within_a_watch_the_work_is_just_done(world):
    names = []
    thread = threading.Thread(target=lambda: world.watch.run(lambda: names.append(threading.current_thread())))
    thread.start()
    thread.join()
    assert names == [thread]
    assert world.watch.run(lambda: world.watch.run(lambda: threading.current_thread().name)) == "work"


@pytest.mark.parametrize("number", [TERM, INT])
def test_a_real_signal_reaches_whoever_is_under_way(world, number):
    def work() -> object:
        with world.watch.telling(world.tell):
            os.kill(os.getpid(), number)
            assert world.told_anything.wait(5)
        return world.watch.stopped

    stopped = world.watch.run(work)
    assert isinstance(stopped, StoppedError)
    assert world.told == [stopped.exit_code] == [128 + number]
    assert world.watch.stopped is None  # the next one begins anew


def test_a_signal_that_came_between_two_runs_is_told_to_the_next(world):
    def work() -> None:
        world.signal(TERM)
        while world.watch.stopped is None:
            pass
        with world.watch.telling(world.tell):
            assert world.told == [143]
        world.watch.check()

    with pytest.raises(StoppedError):
        world.watch.run(work)


def test_the_second_signal_ends_the_process_at_once(world):
    killed = []

    def work() -> None:
        with world.watch.telling(world.tell, abandon=lambda: killed.append("child")):
            world.signal(TERM)
            world.now += TWICE / 2
            world.signal(TERM)  # `timeout` sends it to the process and to its group
            assert not world.left
            world.now += TWICE
            world.signal(INT)
            assert world.left == [130]

    world.watch.run(work)
    assert killed == ["child"]


def test_a_signal_before_and_after_the_work(world, monkeypatch):
    world.signal(TERM)
    assert world.left == [143]
    monkeypatch.setattr(signal, "signal", lambda number, handler: None)
    world.watch.enter()
    world.watch.run(lambda: None)
    world.signal(TERM)  # the result is out: its exit code stands
    assert world.left == [143]


def test_work_that_hangs_is_left_behind_with_what_is_known(world):
    release, killed = threading.Event(), []

    def work() -> None:
        world.watch.note(run_name())
        with world.watch.telling(lambda _: None, abandon=lambda: killed.append("child")):
            world.signal(TERM)
            world.now += ABANDON_AT
            release.wait(10)

    with pytest.raises(AbandonedError, match="what hung was left behind") as abandoned:
        world.watch.run(work)
    release.set()
    assert (abandoned.value.exit_code, abandoned.value.known.run_id, killed) == (143, "r1", ["child"])


def test_a_signal_before_the_run_began_has_nothing_to_tell(world):
    release = threading.Event()

    def work() -> None:
        world.signal(INT)
        world.now += ABANDON_AT
        release.wait(10)

    with pytest.raises(AbandonedError, match="before the run began") as abandoned:
        world.watch.run(work)
    release.set()
    assert (abandoned.value.exit_code, abandoned.value.known) == (130, None)


def test_a_deadline_is_over_when_its_run_has_ended(world):
    release = threading.Event()

    def work() -> str:
        world.watch.press(Stop(LaterError("past"), world.now))
        world.watch.relieve()
        world.now += ABANDON_AT
        release.wait(0.1)  # some looks of the watch
        assert world.watch.stopped is None
        return "went on"

    assert world.watch.run(work) == "went on"


def test_a_run_that_hangs_past_its_deadline_is_left_behind(world):
    release = threading.Event()

    def work() -> None:
        world.watch.press(Stop(LaterError("past"), world.now, lambda: world.now))
        world.now += ABANDON_AT
        release.wait(10)

    with pytest.raises(AbandonedError) as abandoned:
        world.watch.run(work)
    release.set()
    assert abandoned.value.exit_code == 75


def test_an_orphan_stops_as_by_sigterm(world):
    def work() -> None:
        with world.watch.telling(world.tell):
            world.parent = 1
            assert world.told_anything.wait(5)
        assert isinstance(world.watch.stopped, OrphanedError)

    world.watch.run(work)
    assert world.told == [143]


@pytest.mark.parametrize(("parent", "child", "told"), [(1, False, []), (1, True, [143])])
def test_who_may_outlive_its_parent(world, parent, child, told):
    world.parent = parent

    def work() -> None:
        with world.watch.telling(world.tell):
            world.parent = 99
            world.told_anything.wait(0.2)

    world.watch.run(work, child=child)
    assert world.told == told


def test_what_is_known_is_of_the_run_that_was_asked_for(world):
    first, again, other = (
        SimpleNamespace(run_id="a", n=1),
        SimpleNamespace(run_id="a", n=2),
        SimpleNamespace(run_id="b"),
    )
    for noted, anew, known in (
        (first, False, first),
        (other, False, first),
        (again, False, again),
        (other, True, other),
    ):
        world.watch.note(noted, anew=anew)
        assert world.watch.known is known


def test_time_is_counted_from_the_stop():
    now = 5.0
    stop = Stop(LaterError("past"), 5.0, lambda: now)
    assert stop.left(CALLS_UNTIL) == CALLS_UNTIL
    now = 7.0
    assert stop.left(CALLS_UNTIL) == CALLS_UNTIL - 2
    now = 50.0
    assert stop.left(CALLS_UNTIL) == 0
