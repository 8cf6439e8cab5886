"""What follows a run, after a Redis that went away or a kill in the middle of it: all of it runs, and runs once."""

import json
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from ark.ledger import Run, open_ledger
from ark.report import result
from handlers import launch
from handlers.pipeline import Pipeline
from tests.acceptance.conftest import Ark
from tests.acceptance.test_generations import CHILDREN, LISTED, OWN, SPENT, agents_key, doors, started, whole_chain
from tests.interface_check import AGENT, Desk
from tests.media_server import Call, Medium, serve
from tests.proxy import Proxy

if TYPE_CHECKING:
    import subprocess

TOP = "jrtt.child_agents"
SELECT = "/open_api/2/agent/advertiser/select/"
KILLED = CHILDREN[1]
"""The second of the agents whose runs follow."""


def authorised(desk: Desk) -> Desk:
    """Tokens of the first-generation agent and of one child."""
    desk.token("jrtt", AGENT)
    desk.token("jrtt", OWN)
    return desk


@pytest.fixture
def world(desk: Desk) -> Desk:
    return authorised(desk)


def rerun(desk: Desk, run: Run) -> Run:
    """`ark rerun RUN`, with all that follows it."""
    return launch.rerun(desk.settings, run.run_id, desk.ended, launch.How(), only_failed=False)


def top(desk: Desk) -> Run:
    (found,) = [run for run in desk.runs() if run.interface == TOP]
    return found


def check_whole(desk: Desk, chain: Mapping[tuple[str, str], int]) -> None:
    """Every run was begun once and is done."""
    assert started(desk) == chain
    assert {(run.status, run.exit_code) for run in desk.runs()} == {("done", 0)}, [run.error for run in desk.runs()]


# A Redis that goes away between the last unit and what follows


@pytest.fixture
def remote(desk_place, desks, unique, redis_url: str) -> Iterator[Desk]:
    """A desk whose lists are in the real Redis."""
    desks("")  # what a run sets for the whole process is put back
    made = authorised(Desk(desk_place[0], redis_url, unique("T")))
    yield made
    for key in made.redis.scan_iter(f"*_{made.tenant}*"):
        made.redis.delete(key)
    made.redis.close()


def test_a_redis_that_goes_away_before_the_children_are_read_costs_none_of_them(remote, redis_url, monkeypatch):
    whole, address = Pipeline.run, urlsplit(redis_url)
    with serve(*doors()) as medium, ExitStack() as until_away:
        remote.at(medium)
        proxy = until_away.enter_context(Proxy(address.hostname or "", address.port or 0))
        remote.set(redis_url=address._replace(netloc=f"127.0.0.1:{proxy.port}").geturl())

        async def then_away(pipeline: Pipeline, fetcher: object) -> None:
            await whole(pipeline, fetcher)
            until_away.close()

        with monkeypatch.context() as patch:
            patch.setattr(Pipeline, "run", then_away)
            run = remote.run(TOP, follow=True)
        assert (run.status, run.exit_code, run.verified, run.open) == ("failed", 69, 1, 0)
        assert result(run)["rerun"] == f"ark rerun {run.run_id}"
        assert started(remote) == {(TOP, AGENT): 1}
        remote.set(redis_url=redis_url)
        again = rerun(remote, run)
    assert (again.status, again.exit_code, again.error) == ("done", 0, "")
    assert "rerun" not in result(again)
    check_whole(remote, whole_chain())
    assert sum("child_agent/select" in call.path for call in medium.calls) == 1


# A follower whose process is killed


class Held:
    """Calls to one path for one owner are held until `released`, but for which the server is as ever."""

    def __init__(self, path: str, owner: str) -> None:
        self.path, self.owner = path, owner
        self.reached, self.released = threading.Event(), threading.Event()

    def __call__(self, call: Call) -> None:
        if (call.path, call.owner) == (self.path, self.owner):
            self.reached.set()
            self.released.wait(60)


@contextmanager
def hanging(desk: Desk, held: Held, *words: str, **settings: str) -> Iterator[tuple[Medium, "subprocess.Popen[str]"]]:
    """A whole chain (or `words`) in a process of its own, at the moment when one of its calls is held."""
    with serve(*doors(), script=held) as medium:
        desk.at(medium)
        environ = {name.removeprefix("ARK_"): value for name, value in desk.environ.items() if name != "ARK_HOME"}
        process = Ark(desk.home, **environ, **settings).start("run", *(words or (TOP, desk.argument())))
        try:
            assert held.reached.wait(30)
            yield medium, process
        finally:
            held.released.set()
            process.kill()
            process.communicate()


def working(desk: Desk) -> list[Run]:
    return [run for run in desk.runs() if run.status in ("planning", "running")]


OF_REPORT = ("jrtt.fund", "jrtt.report_advertiser")
"""What follows jrtt.report_agent, one after the other."""
FUND, REPORT = "/open_api/2/advertiser/fund/get/", "/open_api/2/report/advertiser/get/"
PLACES = {
    "the balance of the children": (FUND, KILLED),
    "a child's accounts": (SELECT, KILLED),
    "its report": ("/open_api/2/report/agent/get_v2/", KILLED),
    "an account's balance": (FUND, LISTED[KILLED][0]),
    "an account's report": (REPORT, LISTED[KILLED][0]),
}


def asked(medium: Medium) -> Counter[tuple[str, str]]:
    return Counter((call.path, call.owner) for call in medium.calls)


@pytest.mark.parametrize("place", PLACES)
def test_a_follower_that_was_killed_is_taken_up_with_all_that_follows_it(world, place):
    held = Held(*PLACES[place])
    with hanging(world, held) as (medium, process):
        process.send_signal(signal.SIGKILL)
        process.communicate()
        held.released.set()
        (killed,) = working(world)
        again = rerun(world, top(world))
        assert (again.status, again.exit_code) == ("done", 0)
    check_whole(world, whole_chain())
    assert killed.run_id in {run.run_id for run in world.runs()}
    assert {path for (path, _), times in asked(medium).items() if times > 1} == {held.path}
    medium.calls.clear()
    assert rerun(world, top(world)).exit_code == 0
    assert not medium.calls


@pytest.mark.parametrize(("path", "running"), [(FUND, "jrtt.fund"), (REPORT, "jrtt.report_advertiser")])
def test_followers_whose_own_processes_were_killed_are_taken_up(world, path, running):
    """The run that they follow ends well, and may be taken up all the same."""
    held = Held(path, SPENT[OWN][0])
    job = world.argument(agent_id=OWN, agent_level="child")
    with hanging(world, held, "jrtt.report_agent", job, next_dispatch="subprocess") as (_, process):
        first, *followers = reversed(world.runs())
        assert [run.interface for run in working(world)] == [running]
        for run in followers:
            assert run.pid != process.pid
            os.kill(run.pid, signal.SIGKILL)
        out, _ = process.communicate(timeout=30)
        assert process.returncode == 3, "a scheduler is told that something that was to follow is not done"
        assert json.loads(out.splitlines()[-1].removeprefix("ARK_RESULT "))["pending"]
        assert [run.interface for run in working(world)] == [running]
        held.released.set()
        assert rerun(world, first).exit_code == 0
    check_whole(world, dict.fromkeys(((name, OWN) for name in ("jrtt.report_agent", *OF_REPORT)), 1))


def test_a_follower_that_somebody_works_on_is_left_alone_and_not_forgotten(world):
    held = Held(SELECT, KILLED)
    with hanging(world, held) as (medium, process):
        run, (busy,) = top(world), working(world)
        assert rerun(world, run).exit_code == 0
        assert [each.run_id for each in working(world)] == [busy.run_id]
        with closing(open_ledger(world.settings)) as ledger:
            pending = [each.trigger for each in ledger.next_jobs(run.run_id) if ledger.is_open(each)]
        assert [(each.job, each.key) for each in pending] == [("jrtt.child_accounts", busy.trigger_key)]
        held.released.set()
        process.communicate(timeout=60)
        assert process.returncode == 0
    check_whole(world, whole_chain())
    assert set(asked(medium).values()) == {1}
    with closing(open_ledger(world.settings)) as ledger:
        assert not ledger.pending(run.run_id)
    assert world.members(agents_key(world)) == dict.fromkeys(CHILDREN, AGENT)
