"""From a job to its finished run, and on to the runs that follow it.

What follows is stored with the result, then started, then marked as sent; a follower knows the trigger's key, so that
starting it twice makes one run.
"""

import asyncio
import gc
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import msgspec
import structlog
import uvloop

from ark.clock import now, today
from ark.errors import ArkError, ConfigError, LaterError, ServiceDownError, TokenError
from ark.job import Job, decode, encode, from_wire, to_wire
from ark.ledger import FAILED, OPEN, AlreadyRunError, Ledger, NewRun, Run, Trigger, open_ledger
from ark.observers import logs
from ark.redact import redact
from ark.rows import compact
from ark.settings import Settings
from handlers.api import ApiHandler
from handlers.jobs import load_jobs
from handlers.registry import find, make, names
from handlers.restate import is_provisional, restated_jobs
from handlers.runner import Runner

log = structlog.get_logger(__name__)

STOPPING = (signal.SIGINT, signal.SIGTERM)
SIGNALLED = {128 + number for number in STOPPING}
"""Exit codes of a run that a signal has stopped."""

ENDING = {*SIGNALLED, LaterError.exit_code, ServiceDownError.exit_code, TokenError.exit_code}
"""Exit codes of a run after which another one would fare no better."""

WORKED_ON = ("planning", "running")
"""Statuses of a run that has no result yet."""

Finished = Callable[[Run], None]
"""Told about every run that has ended, the followers' as well."""


def run(
    settings: Settings,
    interface: str,
    job: Job,
    finished: Finished,
    *,
    follow: bool,
    trigger_key: str | None = None,
    more: bool = False,
) -> Run:
    """Run `interface` on `job`, then what follows it (unless not `follow`); answers the run itself.

    Where the caller has `more` to do afterwards, a signal's exit code is answered even if the run was done by then.
    """
    handler = make(interface, settings)
    _log_to_file(settings, interface, job)
    with closing(open_ledger(settings)) as ledger:
        begun = ledger.begin(
            NewRun(
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
        )
        return _execute(settings, ledger, begun, (handler, job), OPEN, finished, follow=follow, more=more)


def restate(settings: Settings, interface: str, job: Job, finished: Finished, *, follow: bool) -> Run:
    """Run `interface` on the job's date and on each day before it that the medium may still have changed.

    Each day is a run of its own, on the accounts of the job's date. Answers the first run that is not done, else that
    of the job's date. What would stop the other days as well (a signal, the day's quota, a service that is down) ends
    it; the days that are left are told.
    """
    jobs = restated_jobs(find(interface), job)
    done: list[Run] = []
    for each in jobs:
        of_the_day = each.data_date == job.data_date
        done.append(run(settings, interface, each, finished, follow=follow and of_the_day, more=True))
        if done[-1].exit_code in ENDING:
            left = ", ".join(f"{each.data_date}" for each in jobs[len(done) :])
            log.warning("the days before were not pulled again: run it with --restate once more", days=left or "none")
            break
    return next((each for each in done if each.exit_code), done[0])


def rerun(settings: Settings, run_id: str, finished: Finished, *, only_failed: bool, follow: bool) -> Run:
    """Take up what is open of a run: planned and failed units, or only the failed ones; its data version stays."""
    with closing(open_ledger(settings)) as ledger:
        known = ledger.run(run_id)
        _check_rerun(settings, known)
        if known.status == "done":
            return _follow(settings, ledger, known, finished) if follow else known
        handler = make(known.interface, settings)
        job = from_wire(msgspec.json.decode(known.job), today())
        _log_to_file(settings, known.interface, job)
        states = FAILED if only_failed else (*OPEN, *FAILED)
        return _execute(settings, ledger, ledger.reopen(run_id), (handler, job), states, finished, follow=follow)


def _execute(
    settings: Settings,
    ledger: Ledger,
    begun: Run,
    work: tuple[ApiHandler, Job],
    states: Sequence[str],
    finished: Finished,
    *,
    follow: bool,
    more: bool = False,
) -> Run:
    handler, job = work
    next_jobs = _followers(begun, job) if follow else _nothing
    runner = Runner(settings, ledger, begun, job, handler)
    _calm_collector()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        done = loop.run(runner.execute(states, next_jobs))
    finished(done)
    if runner.signalled and (more or ledger.pending_triggers(done.run_id)):
        log.warning("nothing more is started after the signal; `ark rerun` starts what follows", run=done.run_id)
        return msgspec.structs.replace(done, exit_code=runner.signalled)
    if follow:
        done = _follow(settings, ledger, done, finished)
    if begun.trigger_key is None:
        _prune(settings, ledger)
    return done


def _nothing(_children: Sequence[str]) -> list[Trigger]:
    return []


def _follow(settings: Settings, ledger: Ledger, done: Run, finished: Finished) -> Run:
    """Start what follows `done` and was not started yet; answers `done`, with the signal that ended it all, if any."""
    for trigger in ledger.pending_triggers(done.run_id):
        ended = _send(settings, ledger, trigger, finished)
        if ended in SIGNALLED:  # whoever stops a next job stops the process, and what was to come after it
            return msgspec.structs.replace(done, exit_code=ended)
    return done


def _check_rerun(settings: Settings, known: Run) -> None:
    """Refuse to take up a run that somebody is working on, or whose rows went to another store."""
    if known.status in WORKED_ON and known.host == socket.gethostname() and _is_another_ark(known.pid):
        raise LaterError(f"run {known.run_id} is being worked on by process {known.pid}: wait for it, or stop it")
    if known.output == "HBASE" and known.store != _store(settings):
        raise ConfigError(f"the rows of {known.run_id} are in {known.store}, not {_store(settings)}: set ARK_HBASE_URL")


def _is_another_ark(pid: int) -> bool:
    """Whether `pid` is a living Ark, and not this one: pids come again, in a container the first one every time."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return pid != os.getpid() and any(word.endswith((b"/ark", b"handlers.cli")) for word in words)


def _store(settings: Settings) -> str:
    return redact(settings.hbase.url or f"embedded:{settings.home}")


def _calm_collector() -> None:
    """Fewer, larger garbage collections: what is imported is never garbage, and calls are freed by reference counts.

    With a thousand calls in flight Python's own settings look through all of them again and again (benchmark P3).
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def _followers(run: Run, job: Job) -> Callable[[Sequence[str]], list[Trigger]]:
    """What to start after `run`, once it is known which second-generation agents it has listed."""
    jobs = load_jobs(names())

    def triggers(children: Sequence[str]) -> list[Trigger]:
        return [
            Trigger(_trigger_key(run, job, interface, following), interface, encode(following))
            for interface, following in jobs.next_jobs(job, run.interface, children)
        ]

    return triggers


def _trigger_key(run: Run, job: Job, interface: str, following: Job) -> str:
    """One per follower, and one per agent where a follower is started for several."""
    return f"{run.run_id}:{interface}" + (f":{following.agent_id}" if following.agent_id != job.agent_id else "")


def _send(settings: Settings, ledger: Ledger, trigger: Trigger, finished: Finished) -> int | None:
    """Start a next job here or as a process of its own, and answer its exit code where it began.

    An error of it is told and does not touch this run's result.
    """
    code = None
    begun = ledger.begun_by(trigger.key)
    try:
        if begun is not None:
            code = _take_up(settings, ledger.run(begun), finished)
        elif settings.next.dispatch == "subprocess":
            code = _spawn(trigger)
            if ledger.begun_by(trigger.key) is None:
                raise ServiceDownError(f"its process ended with {code} before the run began")
        else:
            job = decode(trigger.argument, today())
            code = run(settings, trigger.job, job, finished, follow=True, trigger_key=trigger.key, more=True).exit_code
    except AlreadyRunError as already:
        log.info("next job is being started by somebody else", job=trigger.job, run=already.run_id)
        return code
    except (ArkError, OSError) as error:
        log.error("next job did not start; `ark rerun` of this run tries again", job=trigger.job, error=str(error))  # noqa: TRY400
        return code
    ledger.mark_sent(trigger.key)
    return code


def _take_up(settings: Settings, begun: Run, finished: Finished) -> int | None:
    """A next job that was started before: what was killed in the middle of it, or of what follows it, is taken up."""
    if begun.status in (*WORKED_ON, "done"):
        return rerun(settings, begun.run_id, finished, only_failed=False, follow=True).exit_code
    log.info("next job was started before", job=begun.interface, run=begun.run_id)
    return None


def _spawn(trigger: Trigger) -> int:
    """Run the next job in a child process and wait for it; its output joins our stderr, our signals go to it.

    Raises ServiceDownError where it was killed.
    """
    command = [sys.executable, "-m", "handlers.cli", "run", trigger.job, trigger.argument, "--trigger-key", trigger.key]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, process_group=0) as child:  # noqa: S603 - own command
        before = {number: signal.signal(number, lambda n, _: child.send_signal(n)) for number in STOPPING}
        try:
            code = child.wait()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
    if code < 0 and -code not in STOPPING:
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
