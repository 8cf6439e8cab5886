"""A unit under way: how far its pages have come and what it has cost so far."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ark.accounts.account_list import AccountList
from ark.answers import Answer, Cursor, PageInfo
from ark.errors import UnitError
from ark.ledger import UnitKey, UnitResult
from ark.units import Unit
from handlers.parts import Cut, ListMovedError, Part, TooLongError
from handlers.records import Collected


@dataclass(slots=True)
class Task:
    """The engine's own notes on one unit; settled once, when all its rows are acknowledged or it has failed."""

    key: UnitKey
    unit: Unit
    members: Sequence["Task"] = ()
    """The units that one call asks for together, this one's key among them; empty: this unit alone."""
    begun: bool = False
    part: Part = field(default_factory=Part)
    """What is being read: everything, or one of the parts of a list that is too long."""
    parts: list[Part | Cut] = field(default_factory=list)
    """What is still to be read after it, and what that must come to."""
    whole: int = 0
    """What a list that is read in parts declared in the first place."""
    token_refused: bool = False
    """The current call was refused once for its token."""
    tries: int = 0
    """Tries of the current call that count: transport troubles and retryable codes."""
    trouble: UnitError | None = None
    """What came of the current call last, if that was no answer: the next one repeats it."""
    probe: bool = False
    """Only asked to see whether the medium answers."""
    given_up: bool = False
    """It is not repeated: the run's budget for that is spent."""
    restarts: int = 0
    """How often the list moved and was read again from its first page."""
    earlier: "Task | None" = None
    """The reading before that, until its rows have reached the store."""
    refusals: int = 0
    """Windows in which the current call was refused while others passed."""
    brief_refusals: int = 0
    """Refusals of the current call that asked for less than a window."""
    refused_before: bool = False
    """The current call was refused."""
    refused: bool = False
    passes_seen: int = 0
    received: int = 0
    handed_on: int = 0
    """Rows that went on their way to the store; they end as stored or rejected."""
    stored: int = 0
    rejected: int = 0
    fetched: bool = False
    state: str = ""
    """Verified, failed or skipped, once the unit is settled."""
    reason: str = ""
    requests: int = 0
    bytes: int = 0
    seconds: float = 0.0
    code: int | None = None
    trace: str = ""
    collected: Collected = field(default_factory=dict)
    accounts: AccountList | None = None
    """For a list interface: the ids it brings, until they replace the agent's list."""

    def take(self, answer: Answer, records: int, page_size: int, reach: int) -> None:
        """Count one page of `records` records of the current part; go on to the next part after its last page.

        Raises UnitError where the pages contradict what the medium declares: never a short list taken for a whole one;
        TooLongError where the part has to be cut.
        """
        part = self.part
        if part.cursor:
            self._follow(answer.cursor, records)
        elif page_size:
            self._check(answer.page_info, records, reach)
            part.page += 1
        elif answer.page_info is not None and answer.page_info.total_number != records:
            raise UnitError(f"{answer.page_info.total_number} records were declared, {records} came")
        part.received += records
        part.read = part.received == part.declared if page_size else True
        if not part.lists:
            self.received += records
            if part.read:
                self._go_on()
        self.answered()

    def answered(self) -> None:
        """The current call has its answer: the next one begins with no tries spent."""
        self.tries = self.refusals = self.brief_refusals = 0
        self.token_refused = self.refused_before = False
        self.trouble = None

    def cut(self, error: TooLongError, levels: int, *, cursors: bool = False) -> None:
        """Read the current part, which is too long, in smaller ones. Raises UnitError where it cannot be cut."""
        first, *rest = self.part.cut(error.total, levels, cursors=cursors)
        self.whole = self.whole or error.total
        self.parts += [Cut(error.total, self.received), *reversed(rest)]
        self.part = first
        self.answered()

    def cut_by(self, name: str, reach: int) -> None:
        """Go on with the parts that the ids make that were listed."""
        self.parts += reversed(self.part.cut_by(name, reach))
        self._go_on()

    def restarted(self) -> "Task":
        """The same unit from its first page; rows that were stored are stored again under the same keys.

        Not before the rows of this reading have arrived: they have the same timestamp, and the later ones must win.
        """
        return Task(
            self.key,
            self.unit,
            self.members,
            begun=True,
            restarts=self.restarts + 1,
            earlier=self,
            refusals=self.refusals,
            brief_refusals=self.brief_refusals,
            refused_before=self.refused_before,
            refused=self.refused,
            passes_seen=self.passes_seen,
            requests=self.requests,
            bytes=self.bytes,
            seconds=self.seconds,
            code=self.code,
            trace=self.trace,
        )

    def halves(self, tries: int = 0) -> tuple["Task", "Task"]:
        """Two tasks of half the members each, from the start; what they have cost so far stays with the first."""
        middle = len(self.members) // 2
        first, second = Task.of(self.members[:middle]), Task.of(self.members[middle:])
        first.tries = second.tries = tries
        first.requests, first.bytes, first.seconds = self.requests, self.bytes, self.seconds
        return first, second

    def units(self) -> Sequence["Task"]:
        """The units that end with this task, each with its share of the costs."""
        if not self.members:
            return [self]
        self.bill_members()
        return self.members

    def bill_members(self) -> None:
        """Put what the call has cost onto the first member, so that the sum over all units stays right."""
        first = self.members[0]
        first.requests += self.requests
        first.bytes += self.bytes
        first.seconds += self.seconds
        self.requests = self.bytes = 0
        self.seconds = 0.0
        for member in self.members:
            member.code, member.trace = self.code, self.trace

    @classmethod
    def of(cls, members: Sequence["Task"]) -> "Task":
        """One task for units that are asked for in one call."""
        unit = members[0].unit._replace(account_id="", accounts=tuple(member.unit.account_id for member in members))
        return cls(members[0].key, unit, members)

    @property
    def declared(self) -> int | None:
        """How many records the medium said there are, so far; None: it said nothing."""
        if not self.whole:
            return self.part.declared
        return self.received if self.fetched else self.whole

    @property
    def on_its_way(self) -> bool:
        """Whether rows of it are still to be stored or rejected."""
        return self.stored + self.rejected < self.handed_on

    def complete(self) -> bool:
        """All pages are read and every row is acknowledged."""
        return self.fetched and self.stored == self.received

    def result(self) -> UnitResult:
        """What goes into the ledger; `declared` is what the medium said it has, where it said so."""
        return UnitResult(
            self.key,
            self.state,
            self.reason,
            self.declared,
            self.stored,
            self.requests,
            self.bytes,
            round(self.seconds * 1000),
            self.code,
            self.trace,
        )

    def _go_on(self) -> None:
        while self.parts:
            part = self.parts.pop()
            if isinstance(part, Part):
                self.part = part
                return
            part.check(self.received)
        self.fetched = True

    def _declare(self, total: int) -> None:
        """What a page says of the list as a whole."""
        if self.part.declared is not None and total != self.part.declared:
            raise ListMovedError(f"the list changed while it was read: {self.part.declared} records, then {total}")
        self.part.declared = total

    def _follow(self, cursor: Cursor | None, records: int) -> None:
        part = self.part
        if cursor is None:
            raise UnitError("the answer has no cursor: whether the list is whole cannot be known")
        self._declare(cursor.total_number)
        whole = part.received + records == cursor.total_number
        if whole == cursor.has_more or (cursor.has_more and (not records or cursor.after == part.cursor)):
            came = f"{part.received + records} of {cursor.total_number} records came"
            raise UnitError(f"{came}, and the medium says there is {'more' if cursor.has_more else 'no more'}")
        part.cursor = cursor.after

    def _check(self, info: PageInfo | None, records: int, reach: int) -> None:
        if info is None:
            raise UnitError("the answer has no page_info: whether the list is whole cannot be known")
        part = self.part
        if info.page != part.page:
            raise UnitError(f"page {part.page} was asked for, page {info.page} was answered")
        self._declare(info.total_number)
        if info.page_size < 1:
            raise UnitError(f"page_info names pages of {info.page_size} records")
        pages = -(-info.total_number // info.page_size)
        if info.total_number and info.total_page != pages:
            raise UnitError(
                f"page_info contradicts itself: {info.total_number} records by {info.page_size} are {pages} pages,"
                f" not {info.total_page}"
            )
        if reach and info.total_number >= reach:
            raise TooLongError(info.total_number, reach)
        due = min(info.page_size, info.total_number - (part.page - 1) * info.page_size)
        if records != due:
            raise UnitError(f"page {part.page} of {pages} holds {records} records, {due} were declared")
