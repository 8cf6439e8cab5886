"""Whether a process of this machine still lives, told from what it has said of itself."""

import subprocess
import sys

import pytest

from ark import process


@pytest.fixture
def child():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as started:
        yield started
        started.kill()


def test_who_lives_is_not_dead(child):
    assert not process.is_dead(process.identity())
    assert not process.is_dead(process.identity(child.pid))


def test_who_was_killed_is_dead_whether_or_not_anybody_has_asked_for_its_exit_code(child):
    known = process.identity(child.pid)
    child.kill()
    process.os.waitid(process.os.P_PID, child.pid, process.os.WEXITED | process.os.WNOWAIT)
    assert process.is_dead(known)
    child.wait()
    assert process.is_dead(known)


def test_a_pid_that_came_again_is_somebody_else(child):
    before, _, started = process.identity(child.pid).rpartition(":")
    assert process.is_dead(f"{before}:{int(started) - 1}")


def test_of_another_machine_nothing_is_known(child):
    elsewhere = "another-boot:" + process.identity(child.pid).partition(":")[2]
    child.kill()
    child.wait()
    assert not process.is_dead(elsewhere)
    assert process.is_dead(elsewhere, same_machine=True), "this machine was started again since"


@pytest.mark.parametrize("unknown", ["", "another", "a:b", ":::", "a:b:c:d:e"])
def test_what_no_kernel_has_told_is_not_known(unknown):
    assert not process.is_dead(unknown)


def test_what_cannot_be_looked_at_is_not_dead(monkeypatch, child):
    """No file descriptor is left, or /proc hides the processes of others."""
    known = process.identity(child.pid)
    with monkeypatch.context() as patch:
        patch.setattr(process, "_stat", lambda _pid: [])
        assert not process.is_dead(known)
        patch.setattr(process.os, "kill", hidden)
        assert not process.is_dead(known)


def hidden(_pid, _number):
    raise PermissionError


def test_where_the_kernel_tells_nothing_nobody_is_dead(monkeypatch, tmp_path, child):
    known = process.identity(child.pid)
    child.kill()
    child.wait()
    monkeypatch.setattr(process, "boot", lambda: "")
    assert not process.is_dead(known)
