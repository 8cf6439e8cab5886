"""One unit's calls: token, permit, signature, HTTP, verdict. Retries are decided here and nowhere else."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import count
from secrets import token_hex

import msgspec
import structlog
from msgspec import Raw

from ark.accounts.tokens import Tokens
from ark.answers import Answer, BadBodyError, Code, Verdict
from ark.circuit import Circuit
from ark.errors import ArkError, LaterError, TokenError, TransportError, UnitError
from ark.governor.gate import REST_OF_DAY
from ark.http import ExhaustedError, HttpClient, Reply
from ark.quota import Quota
from ark.rows import Row
from handlers.api import ApiHandler, Stamp
from handlers.call import Call, RefusedError, read, said
from handlers.gates import Gates, Held
from handlers.listener import Listener
from handlers.outcomes import Outcomes
from handlers.parts import ListMovedError, TooLongError, ids_of
from handlers.queue import TaskQueue
from handlers.records import RecordReader, by_account
from handlers.refusals import Refusals, Standstills
from handlers.task import Task

log = structlog.get_logger(__name__)

FIRST_BACKOFF, LONGEST_BACKOFF = 0.5, 30.0
"""Seconds before the second try; doubled for each further one, with jitter."""

NO_MORE_REPEATS = "the run has repeated as many calls as it may"


class Fetcher:
    """Brings units forward, call by call. `take` receives each page's rows and may wait: that is the back-pressure.

    `heard` is told what each answer of the interface itself says of the quota, with the number of the call.
    """

    def __init__(
        self,
        handler: ApiHandler,
        base_url: str,
        attempts: int,
        *,
        queue: TaskQueue,
        http: HttpClient,
        circuit: Circuit,
        gates: Gates,
        tokens: Tokens,
        reader: RecordReader,
        outcomes: Outcomes,
        take: Callable[[Task, Sequence[Row]], Awaitable[None]],
        heard: Callable[[int, Quota | None], None],
        stop: Callable[[ArkError], None],
    ) -> None:
        self._handler, self._base_url, self._attempts = handler, base_url, attempts
        self._queue, self._http, self._tokens = queue, http, tokens
        self._reader, self._outcomes, self._take, self._heard, self._stop = reader, outcomes, take, heard, stop
        self._gates, self._held, self._refusals = gates, Held(), Refusals(queue)
        self._levels = [(level.interface(handler.settings), level.field) for level in handler.levels]
        self._nonces = map(f"{token_hex(8)}{{:x}}".format, count())
        self._unbilled = 0
        name = f"{handler.medium} at {base_url}"
        self._listener, self._standstills = Listener(name, attempts, circuit, queue, stop), Standstills(name)

    async def advance(self, task: Task) -> None:
        """Read the unit's pages until it is whole, settled, or has to wait; it is back in the queue's hands then."""
        await (self._probe(task) if task.probe else self._bring_on(task))

    async def _bring_on(self, task: Task) -> None:
        self._refusals.begun(task)
        try:
            whole = await self._read_on(task)
        except RefusedError as error:
            self._refused(task, error)
        except (TransportError, ListMovedError) as error:
            self._try_again(task, error)
        except TokenError as error:
            self._fail(task, UnitError(str(error), code=task.code or None, trace=task.trace), token=True)
        except UnitError as error:
            self._cut_or_fail(task, error)
        except LaterError as error:
            self._queue.give_back(task)
            self._stop(error)
        except ArkError:
            raise  # a service is away: that ends the run, and this unit stays open
        except Exception as error:  # one bad byte must not take down the rest
            log.exception("a bug of Ark fails a unit", unit=task.key)
            self._fail(task, UnitError(f"a bug of Ark: {type(error).__name__}: {error}", trace=task.trace))
        else:
            if whole:
                self._outcomes.meter.fetched += len(task.members) or 1
                self._refusals.left(task)
                self._queue.done()

    async def _read_on(self, task: Task) -> bool:
        """Page after page; False where the unit has come into other hands."""
        if task.given_up and task.trouble:
            self._fail(task, UnitError(f"{task.trouble.reason} (after {task.tries} tries; {NO_MORE_REPEATS})"))
            return False
        while not (task.fetched or task.state):
            call = await self._permitted(task)
            if isinstance(call, float):
                self._put_back(task, call)
                return False
            reply, answer = await self._ask(task, call)
            code = call.handler.codes[answer.code]
            if code.verdict is not Verdict.OK:
                await self._steer(task, call, code, answer, reply)
                return False
            await self._page(task, call.handler, answer)
        return True

    async def _probe(self, task: Task) -> None:
        """Ask once more for what was answered before; what comes is not taken."""
        try:
            call = await self._permitted(task)
            if isinstance(call, Call):
                with suppress(UnitError):
                    await self._ask(task, call)
        except TokenError:
            self._queue.known = None  # its agent has no token any more: the next probe is something else
        except LaterError as error:
            self._stop(error)
        except ArkError:
            raise
        except Exception:
            log.exception("a bug of Ark, met by a probe", unit=task.key)
            self._queue.known = None
        self._unbilled += task.requests
        self._queue.done()

    async def _permitted(self, task: Task) -> Call | float:
        """The task's next call: of its own interface, or of a coarser level for ids to cut a long list by.

        Not now: after so many seconds, which the unit is to spend in the queue. While the medium is silent leave comes
        before the permit: one draws it for the probe, not everybody.
        """
        handler = self._levels[task.part.depth][0] if task.part.lists else self._handler
        token = await self._tokens.get(*self._owner(task))
        gate = await self._gates.of(handler)
        wait = self._gates.crowded(gate) or self._held.seconds(task.unit.account_id, handler.path)
        if wait:
            return wait
        leave = None
        if self._listener.silent:
            leave = self._listener.admit(task)
            if leave is None:
                return 0.0
        try:
            permit = await gate.permit()
        except BaseException:
            if leave is not None:
                self._listener.dropped(leave)
            raise
        leave = leave or self._listener.admit(task)
        if leave is None:
            gate.lost(permit)
            return 0.0
        return Call(handler, token, gate, permit, leave)

    def _put_back(self, task: Task, seconds: float) -> None:
        if seconds:
            self._queue.give_back_later(task, seconds)
        else:
            self._queue.give_back(task)

    def _owner(self, task: Task) -> tuple[str, str]:
        """Whose token opens the unit, and whose where that one has none."""
        unit = task.unit
        return (unit.account_id, unit.agent_id) if self._handler.opened_by == "account" else (unit.agent_id, "")

    async def _ask(self, task: Task, call: Call) -> tuple[Reply, Answer]:
        """Send one call and read what comes; gate and listener are told what it was, once each."""
        gate, permit, leave = call.gate, call.permit, call.leave
        try:
            reply = await self._send(task, call)
            answer = read(task, call, reply)
        except RefusedError as error:
            error.wait = gate.refused(permit, error.windows, error.quota)
            self._standstills.refused(call.handler, error)
            self._listener.answered(task, leave)
            raise
        except BadBodyError:
            gate.passed(permit)
            self._listener.answered(task, leave)
            raise
        except TransportError as error:
            gate.lost(permit)
            self._listener.trouble(task, leave, error)
            raise
        except BaseException:
            gate.lost(permit)
            self._listener.dropped(leave)
            raise
        gate.passed(permit)
        self._listener.answered(task, leave)
        return reply, answer

    async def _send(self, task: Task, call: Call) -> Reply:
        handler = call.handler
        params = handler.params(task.unit)
        if task.part.ids:
            params = {**params, **handler.narrow(task.part.by, task.part.ids)}
        if handler.page_size:
            params = {**params, **handler.page(task.part.page, task.part.cursor)}
        stamp = Stamp(int(time.time()), next(self._nonces))
        request = handler.sign(self._base_url, task.unit, params, call.token, stamp)
        clock = asyncio.get_running_loop().time
        started = clock()
        task.requests += 1
        self._outcomes.meter.requests += 1
        try:
            reply = await self._http.send(request, partial(self._headers, call))
        except ExhaustedError:  # it never left this machine
            task.requests -= 1
            self._outcomes.meter.requests -= 1
            raise
        finally:
            task.seconds += clock() - started
            self._bill(task)
        task.bytes += len(reply.body)
        task.trace = handler.trace(reply.headers)
        return reply

    def _headers(self, call: Call, headers: Mapping[str, str]) -> None:
        quota = call.handler.quota(headers)
        call.gate.answered(call.permit, quota)
        if call.handler is self._handler:
            self._heard(call.permit.number, quota)

    async def _page(self, task: Task, handler: ApiHandler, answer: Answer) -> None:
        records = handler.records(answer)
        try:
            task.take(answer, len(records), handler.page_size, handler.most)
        except TooLongError as error:
            task.cut(error, len(self._levels), cursors=handler.cursors)
            return
        if task.part.lists:
            self._note_ids(task, records)
        elif task.members:
            await self._hand_out(task, records)
        else:
            await self._take(task, self._reader.rows(task.unit, records, task.collected))

    def _note_ids(self, task: Task, records: Sequence[Raw]) -> None:
        """Ids to cut a long list by; once all are here, go on with its parts."""
        name = self._levels[task.part.depth][1]
        task.part.found += ids_of([msgspec.json.decode(record) for record in records], name)
        if task.part.read:
            task.cut_by(name, self._handler.most)

    async def _hand_out(self, task: Task, records: Sequence[Raw]) -> None:
        """Give each of the accounts that were asked for together its own rows; one without any fails alone."""
        rows = self._reader.rows(task.unit, records, task.collected)
        accounts = [member.unit.account_id for member in task.members]
        task.bill_members()
        for member, own in zip(task.members, by_account(self._handler.row_key, rows, accounts).values(), strict=True):
            member.received, member.fetched = len(own), True
            if own:
                await self._take(member, own)
            else:
                reason = f"the answer holds no record of account {member.unit.account_id}"
                self._outcomes.failed(member, UnitError(reason, code=task.code, trace=task.trace))

    async def _steer(self, task: Task, call: Call, code: Code, answer: Answer, reply: Reply) -> None:
        """Do what the code's verdict says, unless it is OK."""
        reason = said(code, answer)
        error = UnitError(reason, code=answer.code, trace=task.trace)
        if code.verdict in (Verdict.FAIL, Verdict.RETRY, Verdict.TOKEN):
            error.reason += self._listener.clock(reply)
        match code.verdict:
            case Verdict.TOKEN:
                refuse = self._tokens.refused if task.token_refused else self._tokens.doubted
                task.token_refused = True
                await refuse(self._owner(task)[0], call.token)
                self._queue.give_back(task)
            case Verdict.SKIP if self._may_skip(task):
                self._refusals.left(task)
                self._outcomes.skipped(task, reason)
                self._queue.done()
            case Verdict.RETRY:
                self._try_again(task, error, code.windows * call.gate.window)
            case _:
                self._cut_or_fail(task, error)

    def _may_skip(self, task: Task) -> bool:
        """One account of which nothing came yet; what is an agent's is never left out: its list would be missing."""
        return self._handler.by == "account" and len(task.members) <= 1 and not (task.received or task.whole)

    def _refused(self, task: Task, error: RefusedError) -> None:
        """Back to the queue without spending a try; what was refused too often fails, a spent day ends the run."""
        self._outcomes.meter.refused += 1
        if error.windows == REST_OF_DAY:
            self._queue.give_back(task)
            self._stop(
                LaterError(f"{error.reason}: the day's quota is spent, run what is open after 00:00 Asia/Shanghai")
            )
            return
        own = self._handler.quota_of == "account"
        if own:
            self._held.hold(task.unit.account_id, self._handler.path, error.wait)
        too_often = self._refusals.again(task, error.gate, error.wait, own=own)
        if too_often:
            error.reason += f"; {too_often}"
            self._fail(task, error)

    def _try_again(self, task: Task, error: UnitError, pause: float = 0) -> None:
        """Back-off outside of any slot; after the last try the unit fails with what came last.

        As long as the medium has never answered, it is not the unit that fails.
        """
        if not isinstance(error, TransportError):
            task.tries += 1
        tries = task.restarts + 1 if isinstance(error, ListMovedError) else task.tries
        if tries >= self._attempts and self._listener.heard:
            error.reason += f" (after {tries} tries)"
            if error.code is None:  # trouble on the way, which no account of a batch has brought
                self._fail(task, error)
            else:
                self._cut_or_fail(task, error, tries=self._attempts - 1)
            return
        pause = pause or getattr(error, "pause", 0)
        backoff = min(FIRST_BACKOFF * 2 ** (tries - 1), LONGEST_BACKOFF) * random.uniform(0.5, 1)  # noqa: S311 - jitter
        again = task.restarted() if isinstance(error, ListMovedError) else task
        self._queue.give_back_later(again, max(pause, backoff))

    def _cut_or_fail(self, task: Task, error: UnitError, tries: int = 0) -> None:
        """Of many accounts that were asked for together one may be the trouble: ask for halves until it is alone.

        `tries` are counted as spent: where the whole was tried in vain, each half is tried once.
        """
        if len(task.members) > 1:
            self._refusals.left(task)
            self._queue.give_back(*task.halves(tries))
        else:
            self._fail(task, error)

    def _fail(self, task: Task, error: UnitError, *, token: bool = False) -> None:
        self._refusals.left(task)
        self._bill(task)
        self._outcomes.failed(task, error, token=token)
        self._queue.done()

    def _bill(self, task: Task) -> None:
        """A probe's call is in no unit: it is counted with the next unit's that is called or fails."""
        task.requests, self._unbilled = task.requests + self._unbilled, 0
