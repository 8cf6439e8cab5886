"""A unit under way: how far its pages have come and what it has cost so far."""

from dataclasses import dataclass, field

from ark.accounts.account_list import AccountList
from ark.answers import Answer, PageInfo
from ark.errors import UnitError
from ark.ledger import UnitKey, UnitResult
from ark.units import Unit
from handlers.records import Collected


class ListMovedError(UnitError):
    """The list changed while its pages were read; worth reading again from page 1."""


@dataclass(slots=True)
class Task:
    """The engine's own notes on one unit; settled once, when all its rows are acknowledged or it has failed."""

    key: UnitKey
    unit: Unit
    begun: bool = False
    page: int = 1
    token_refused: bool = False
    """The current call was refused once for its token."""
    tries: int = 0
    """Tries of the current call that count: transport troubles and retryable codes."""
    restarts: int = 0
    """How often the list moved and was read again from its first page."""
    refusals: int = 0
    """Windows in which the current call was refused while others passed."""
    refused: bool = False
    passes_seen: int = 0
    received: int = 0
    stored: int = 0
    declared: int | None = None
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
        """Count one page of `records` records and see whether it is the last.

        Raises UnitError where the pages contradict what the medium declares: never a short list taken for a whole one.
        """
        self.received += records
        if page_size:
            self._check(answer.page_info, records, reach)
            self.fetched = self.received == self.declared
            self.page += 1
        else:
            if answer.page_info is not None and answer.page_info.total_number != records:
                raise UnitError(f"{answer.page_info.total_number} records were declared, {records} came")
            self.fetched = True
        self.tries = self.refusals = 0
        self.token_refused = False

    def restarted(self) -> "Task":
        """The same unit from its first page; rows that were stored are stored again under the same keys."""
        return Task(
            self.key,
            self.unit,
            begun=True,
            restarts=self.restarts + 1,
            refusals=self.refusals,
            refused=self.refused,
            passes_seen=self.passes_seen,
            requests=self.requests,
            bytes=self.bytes,
            seconds=self.seconds,
        )

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

    def _check(self, info: PageInfo | None, records: int, reach: int) -> None:
        if info is None:
            raise UnitError("the answer has no page_info: whether the list is whole cannot be known")
        if info.page != self.page:
            raise UnitError(f"page {self.page} was asked for, page {info.page} was answered")
        if self.declared is not None and info.total_number != self.declared:
            raise ListMovedError(
                f"the list changed while it was read: {self.declared} records, then {info.total_number}"
            )
        self.declared = info.total_number
        if info.page_size < 1:
            raise UnitError(f"page_info names pages of {info.page_size} records")
        pages = -(-info.total_number // info.page_size)
        if info.total_number and info.total_page != pages:
            raise UnitError(
                f"page_info contradicts itself: {info.total_number} records by {info.page_size} are {pages} pages,"
                f" not {info.total_page}"
            )
        if reach and info.total_number > reach:
            raise UnitError(f"the list has {info.total_number} records, paging reaches only {reach}")
        due = min(info.page_size, info.total_number - (self.page - 1) * info.page_size)
        if records != due:
            raise UnitError(f"page {self.page} of {pages} holds {records} records, {due} were declared")
