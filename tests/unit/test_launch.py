"""Who may take up a run: nobody while a living Ark of this host works on it."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import date

import pytest

from ark.errors import ConfigError, LaterError
from ark.ledger import NewRun, Run, open_ledger
from ark.settings import load
from handlers import launch

NEW = NewRun(
    interface="gdt.funds",
    table="tenant_gdt_funds_get_v2",
    medium="gdt",
    tenant="T1",
    agent_id="1",
    data_date=date(2020, 5, 30),
    job="{}",
    output="HBASE",
)


@pytest.fixture
def settings(ark_home):
    return load({"ARK_HOME": str(ark_home)})


@pytest.fixture
def begun(settings):
    """A run that was begun here and has no result; `pid` and `store` as asked for."""

    def make(pid: int, store: str | None = None) -> Run:
        ledger = open_ledger(settings)
        run = ledger.begin(NEW._replace(store=launch._store(settings) if store is None else store))
        ledger.close()
        assert run.host == socket.gethostname()
        return Run(**{name: getattr(run, name) for name in Run.__struct_fields__} | {"pid": pid})

    return make


@pytest.fixture
def process() -> Iterator:
    """Starts processes that wait, with these words on their command line."""
    started = []

    def start(*words: str) -> int:
        child = subprocess.Popen([sys.executable, "-c", "input()", *words], stdin=subprocess.PIPE)
        started.append(child)
        return child.pid

    yield start
    for child in started:
        child.communicate()


def test_a_run_that_a_living_ark_works_on_is_left_alone(settings, begun, process):
    with pytest.raises(LaterError, match="is being worked on by process"):
        launch._check_rerun(settings, begun(process("handlers.cli")))


def test_a_pid_that_came_again_is_nobody(settings, begun, process):
    launch._check_rerun(settings, begun(process("something", "else")))


def test_our_own_pid_is_nobody_else_as_in_a_container_where_it_is_always_the_first(
    settings, begun, monkeypatch, process
):
    pid = process("handlers.cli")
    monkeypatch.setattr(os, "getpid", lambda: pid)
    launch._check_rerun(settings, begun(pid))


def test_rows_go_on_into_the_store_they_were_in(settings, begun):
    with pytest.raises(ConfigError, match="thrift://elsewhere:9090"):
        launch._check_rerun(settings, begun(2**22 - 1, "thrift://elsewhere:9090"))
