"""From a job to its finished run, and on to the runs that follow it.

What follows is stored with the result, then started, then marked as sent; a follower knows the trigger's key, so that
starting it twice makes one run.
"""

import asyncio
import gc
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from typing import NamedTuple

import msgspec
import structlog
import uvloop

from ark.clock import now, today
from ark.errors import (
    ArkError,
    ConfigError,
    LaterError,
    LocalDiskError,
    ServiceDownError,
    StoppedError,
    TokenError,
    UnitError,
)
from ark.job import Job, decode, encode, from_wire, to_wire
from ark.ledger import (
    FAILED,
    OPEN,
    AlreadyRunError,
    LeaseHeldError,
    Ledger,
    NewRun,
    NextJob,
    Run,
    Trigger,
    open_ledger,
)
from ark.observers import logs
from ark.redact import redact
from ark.rows import compact
from ark.settings import Settings
from ark.stores import check_readable
from handlers.api import ApiHandler
from handlers.jobs import Jobs, load_jobs
from handlers.registry import find, make, names
from handlers.restate import is_provisional, restated_jobs
from handlers.runner import NextJobs, Runner
from handlers.stopping import SIGNALS, Stop, watch

log = structlog.get_logger(__name__)

SIGNALLED = {128 + number for number in SIGNALS}
"""Exit codes of a run that a signal has stopped."""

ENDING = {*SIGNALLED, LaterError.exit_code, ServiceDownError.exit_code, TokenError.exit_code}
"""Exit codes of a run after which another one would fare no better."""

LOOK_AGAIN = 0.5
"""Seconds between two looks at a job that somebody else works on."""

Finished = Callable[[Run], None]
"""Told about every run that has ended, the followers' as well."""


class How(NamedTuple):
    """What a command says of its run and of all that follow it."""

    follow: bool = True
    """Start what follows."""
    on_partial: bool = False
    """Also where some units have failed."""
    wait: bool = False
    """Wait for whoever works on the same job, instead of ending with 75."""
    read_back: bool = False
    """Read every batch back before its units count as stored."""
    day_share: int | None = None
    """Percent of the day's quota that each run may use; None: as is set."""

    def words(self) -> list[str]:
        """The flags that say the same to a next job's own process."""
        said = {"--trigger-on-partial": self.on_partial, "--wait": self.wait, "--verify=read": self.read_back}
        said[f"--day-share={self.day_share}"] = self.day_share is not None
        return [word for word, meant in said.items() if meant]


def run(
    settings: Settings,
    interface: str,
    job: Job,
    finished: Finished,
    how: How,
    *,
    trigger_key: str | None = None,
    more: bool = False,
) -> Run:
    """Run `interface` on `job`, then what follows it (as `how` says); answers the run itself.

    Where the caller has `more` to do afterwards, a signal's exit code is answered even if the run was done by then.
    Raises LeaseHeldError where somebody else works on the job, unless `how` says to wait.
    """
    if how.read_back:
        check_readable(job.output)
    handler = make(interface, settings)
    _log_to_file(settings, interface, job)
    new = NewRun(
        interface=interface,
        table=handler.table,
        medium=handler.medium,
        tenant=job.tenant_alias,
        agent_id=job.agent_id,
        data_date=job.data_date,
        job=msgspec.json.encode(to_wire(job)).decode(),
        output=job.output,
        store=_store(settings),
        trigger_key=trigger_key,
        provisional=is_provisional(type(handler), job.data_date, now()),
    )
    with closing(open_ledger(settings)) as ledger:
        begun = _taken(partial(ledger.begin, new), settings, how)
        watch.note(begun, anew=trigger_key is None)
        return _execute(settings, ledger, begun, (handler, job), OPEN, finished, how, more=more)


def restate(settings: Settings, interface: str, job: Job, finished: Finished, how: How) -> Run:
    """Run `interface` on the job's date and on each day before it that the medium may still have changed.

    Each day is a run of its own, on the accounts of the job's date. Answers the first run that is not done, else that
    of the job's date. What would stop the other days as well (a signal, the day's quota, a service that is down) ends
    it; the days that are left are told.
    """
    jobs = restated_jobs(find(interface), job)
    done: list[Run] = []
    alone = how._replace(follow=False)
    for each in jobs:
        of_the_day = each.data_date == job.data_date
        done.append(run(settings, interface, each, finished, how if of_the_day else alone, more=True))
        if done[-1].exit_code in ENDING:
            left = ", ".join(f"{each.data_date}" for each in jobs[len(done) :])
            log.warning("the days before were not pulled again: run it with --restate once more", days=left or "none")
            break
    return next((each for each in done if each.exit_code), done[0])


def rerun(settings: Settings, run_id: str, finished: Finished, how: How, *, only_failed: bool) -> Run:
    """Take up what is open of a run: planned and failed units, or only the failed ones; its data version stays.

    Raises LeaseHeldError where somebody works on the same job, unless `how` says to wait.
    """
    with closing(open_ledger(settings)) as ledger:
        known = ledger.run(run_id)
        watch.note(known)
        _check_store(settings, known)
        if how.read_back:
            check_readable(known.output)
        handler = make(known.interface, settings)
        job = from_wire(msgspec.json.decode(known.job), today())
        _log_to_file(settings, known.interface, job)
        states = FAILED if only_failed else (*OPEN, *FAILED)
        taken = known if known.status == "done" else _taken(partial(ledger.reopen, run_id), settings, how)
        if taken.status == "done":  # perhaps by whoever we have waited for
            return _followed(settings, ledger, taken, finished, how)
        return _execute(settings, ledger, taken, (handler, job), states, finished, how)


def _taken(take: Callable[[], Run], settings: Settings, how: How) -> Run:
    """The run that `take` begins or reopens; with --wait after whoever works on the job, up to run.deadline."""
    since = time.monotonic()
    told = not how.wait
    while True:
        watch.check()
        try:
            return take()
        except LeaseHeldError as held:
            if not how.wait or 0 < settings.run.deadline < time.monotonic() - since:
                raise
            if not told:
                log.warning("waiting for another run of the same job", held=str(held))
            told = True
        time.sleep(LOOK_AGAIN)


def _execute(
    settings: Settings,
    ledger: Ledger,
    begun: Run,
    work: tuple[ApiHandler, Job],
    states: Sequence[str],
    finished: Finished,
    how: How,
    *,
    more: bool = False,
) -> Run:
    handler, job = work
    jobs = load_jobs(names())
    next_jobs = _followers(jobs, begun, job, how)
    share = how.day_share or jobs.day_share(begun.interface, settings)
    runner = Runner(settings, ledger, begun, job, handler, day_share=share, read_back=how.read_back)
    _calm_collector()
    with asyncio.Runner(loop_factory=_new_loop) as loop:
        done = loop.run(runner.execute(states, next_jobs))
    watch.note(done)
    finished(done)
    if done.finished_at is None:  # the ledger has not taken the result: what follows is decided when it has one
        return done
    done = _followed(settings, ledger, done, finished, how, more=more)
    if begun.trigger_key is None and not watch.stopped:
        _prune(settings, ledger)
    return done


def _followed(
    settings: Settings, ledger: Ledger, done: Run, finished: Finished, how: How, *, more: bool = False
) -> Run:
    """`done` as it is told to the world, once what follows it was seen to.

    Nothing is started any more after a signal, nor where the ledger goes away meanwhile: then it is still to come.
    """
    try:
        done = msgspec.structs.replace(done, pending=ledger.pending(done.run_id))
        watch.note(done)
        if watch.stopped and (more or done.pending):
            log.warning("nothing more is started after the signal; `ark rerun` starts what follows", run=done.run_id)
            return msgspec.structs.replace(done, exit_code=watch.stopped.exit_code)
        return _follow(settings, ledger, done, finished, how) if how.follow else done
    except (ServiceDownError, LocalDiskError) as away:
        log.error("what follows was not seen to; `ark rerun` does it", run=done.run_id, error=str(away))  # noqa: TRY400
        code = done.exit_code or (away.exit_code if done.next else 0)
        return msgspec.structs.replace(done, pending=len(done.next), exit_code=code)


def _follow(settings: Settings, ledger: Ledger, done: Run, finished: Finished, how: How) -> Run:
    """Start what follows `done`, and take up what has followed it before and is not done.

    Answers `done` as it is told to the world: with the signal that ended it all, if any, or with exit code 3 where a
    next job could not be started and is still to be.
    """
    code = done.exit_code or 0
    for next_job in filter(ledger.is_open, ledger.next_jobs(done.run_id)):
        sent = _send(settings, ledger, next_job, finished, how)
        if sent.code in SIGNALLED:  # whoever stops a next job stops the process, and what was to come after it
            code = sent.code
            break
        code = code or (0 if sent.begun else UnitError.exit_code)
    return msgspec.structs.replace(done, pending=ledger.pending(done.run_id), exit_code=code)


def _check_store(settings: Settings, known: Run) -> None:
    """Refuse to take up a run whose rows went to another store."""
    if known.output == "HBASE" and known.store != _store(settings):
        raise ConfigError(f"the rows of {known.run_id} are in {known.store}, not {_store(settings)}: set ARK_HBASE_URL")


def _store(settings: Settings) -> str:
    return redact(settings.hbase.url or f"embedded:{settings.home}")


class LooseThreads(ThreadPoolExecutor):
    """Threads that nobody waits for at the end: a call that hangs there must not keep a stopped run alive."""

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 - the base's
        """Take no more calls."""
        super().shutdown(wait=False, cancel_futures=cancel_futures)


def _new_loop() -> asyncio.AbstractEventLoop:
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    loop.set_default_executor(LooseThreads())
    return loop


def _calm_collector() -> None:
    """Fewer, larger garbage collections: what is imported is never garbage, and calls are freed by reference counts.

    With a thousand calls in flight Python's own settings look through all of them again and again (benchmark P3).
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def _followers(jobs: Jobs, run: Run, job: Job, how: How) -> NextJobs:
    """What to start after `run`, once it is known how it ended and which second-generation agents it has listed."""

    def triggers(status: str, children: Sequence[str]) -> list[Trigger]:
        if not how.follow or not (status == "done" or (status == "partial" and how.on_partial)):
            return []
        return [
            Trigger(_trigger_key(run, job, interface, following, status), interface, encode(following))
            for interface, following in jobs.next_jobs(job, run.interface, children)
        ]

    return triggers


def _trigger_key(run: Run, job: Job, interface: str, following: Job, status: str) -> str:
    """One per follower, and one per agent where a follower is started for several.

    What a partial run has started is started again when a rerun has made it whole: it worked without what was missing.
    """
    key = f"{run.run_id}:{interface}" + (f":{following.agent_id}" if following.agent_id != job.agent_id else "")
    return key if status == "done" else f"{key}:{status}"


class Sent(NamedTuple):
    """What became of the attempt to start a next job: whether it has begun, and its exit code where it ended here."""

    begun: bool
    code: int | None = None


def _send(settings: Settings, ledger: Ledger, next_job: NextJob, finished: Finished, how: How) -> Sent:
    """Start a next job here or as a process of its own; one that was started before is taken up.

    An error of it is told and does not touch this run's result.
    """
    trigger, _, begun = next_job
    try:
        watch.check()
        if begun is not None:
            code = rerun(settings, begun.run_id, finished, how, only_failed=False).exit_code
        elif settings.next.dispatch == "subprocess":
            code = _spawn(trigger, how)
        else:
            job = decode(trigger.argument, today())
            code = run(settings, trigger.job, job, finished, how, trigger_key=trigger.key, more=True).exit_code
    except AlreadyRunError as already:
        log.info("next job is being started by somebody else", job=trigger.job, run=already.run_id)
        return Sent(begun=True)
    except StoppedError as stopped:
        return Sent(begun=begun is not None, code=stopped.exit_code)
    except (ArkError, OSError) as error:
        log.error("next job is still open; `ark rerun` tries again", job=trigger.job, error=str(error))  # noqa: TRY400
        return Sent(begun=begun is not None)
    except Exception:
        log.exception("a bug of Ark keeps a next job from being started", job=trigger.job)
        return Sent(begun=begun is not None)
    if begun is None and ledger.begun_by(trigger.key) is None:
        log.error("next job ended before its run began; `ark rerun` tries again", job=trigger.job, exit=code)
        return Sent(begun=False, code=code)
    if code not in SIGNALLED:  # what a signal has stopped is taken up by the next rerun, as what was killed
        ledger.mark_sent(trigger.key)
    return Sent(begun=True, code=code)


def _spawn(trigger: Trigger, how: How) -> int:
    """Run the next job in a child process and wait for it; its output joins our stderr, what stops us stops it.

    Raises ServiceDownError where it was killed.
    """
    run = [sys.executable, "-m", "handlers.cli", "run"]
    command = [*run, trigger.job, trigger.argument, "--trigger-key", trigger.key, *how.words()]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, process_group=0) as child:  # noqa: S603 - own command

        def tell(stop: Stop) -> None:
            child.send_signal(stop.reason.exit_code - 128)

        with watch.telling(tell, abandon=child.kill):
            code = child.wait()
    if code < 0 and -code not in SIGNALS:
        raise ServiceDownError(f"its process was ended by signal {-code}")
    if code:
        log.warning("next job ended with an error", job=trigger.job, exit=code)
    return code if code >= 0 else 128 - code


def _prune(settings: Settings, ledger: Ledger) -> None:
    """Fold what is older than ledger.keep_days; the run has its result, whatever becomes of this."""
    try:
        folded = ledger.prune(settings.ledger.keep_days)
    except ArkError as error:
        log.warning("old units were not folded", error=str(error))
    else:
        if folded:
            log.info("old units were folded into their runs' figures", units=folded)


def _log_to_file(settings: Settings, interface: str, job: Job) -> None:
    medium, _, name = interface.partition(".")
    logs.configure("info", settings.home / "log" / medium / f"{name}_{job.tenant_alias}_{compact(job.data_date)}.log")
