"""What a medium answers, and what its body codes mean for the engine.

A medium's base turns a body into an `Answer`; its `CodeTable` turns the answer's code into a `Verdict`. A code that is
not in the table fails the unit: unknown is never success and never retried (default deny).
"""

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Annotated, NamedTuple, TypeVar

import msgspec

from ark.errors import UnitError

T = TypeVar("T")


class Verdict(Enum):
    """What the engine does after an answer."""

    OK = "take the rows"
    RETRY = "try the call again after a back-off; costs a try"
    WAIT = "the quota's window is used up: the whole (app, interface) waits; costs no try"
    LATER = "the day's quota is used up: stop cleanly, the rest stays planned"
    TOKEN = "the token is refused: read it again once, then fail the agent"  # noqa: S105 - no password
    SKIP = "this account cannot be read: note the reason and go on"
    FAIL = "this unit fails"


class Code(NamedTuple):
    """One line of a medium's code table; `windows` is how many quota windows to wait where the medium names a time."""

    verdict: Verdict
    meaning: str
    windows: float = 0


class CodeTable:
    """Body code -> what it means; single codes win over ranges (both ends included)."""

    def __init__(self, codes: Mapping[int, Code], ranges: Iterable[tuple[int, int, Code]] = ()) -> None:
        self.codes = dict(codes)
        self.ranges = tuple(ranges)

    def __getitem__(self, code: int) -> Code:
        found = self.codes.get(code)
        if found is None:
            found = next((line for low, high, line in self.ranges if low <= code <= high), None)
        return found or Code(Verdict.FAIL, "code is not in the medium's table")


Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""What the media's own numbers are, and what a ledger can hold."""


class PageInfo(msgspec.Struct, frozen=True, gc=False):
    """What the medium says of its pages: the page answered, its size, and how many records and pages there are."""

    page: Int64
    page_size: Int64
    total_number: Int64
    total_page: Int64


class Cursor(NamedTuple):
    """What the medium says where a list is read by cursor: where to go on, whether there is more, how many in all."""

    after: str
    has_more: bool
    total_number: int


class Answer(NamedTuple):
    """One decoded body. `records` holds each record's own bytes; None where the answer has no list.

    `trace` is the medium's id of the answer where it stands in the body.
    """

    code: int
    message: str
    records: list[msgspec.Raw] | None = None
    page_info: PageInfo | None = None
    trace: str = ""
    body: bytes = b""
    cursor: Cursor | None = None

    @property
    def data(self) -> msgspec.Raw:
        """Everything that stands under `data`, for records that are not in its list. Raises BadBodyError."""
        return decode_body(_WHOLE, self.body).data

    def data_object(self) -> list[msgspec.Raw]:
        """The one record of an answer whose `data` is the record. Raises BadBodyError for anything else, {} too."""
        decode_body(_OBJECT, self.data)
        return [self.data]


class BadBodyError(UnitError):
    """A body that is no answer of this medium: not JSON, no integer code, success without data, a wrong shape."""


def decode_body(decoder: "msgspec.json.Decoder[T]", body: bytes | msgspec.Raw) -> T:
    """Decode strictly, or raise BadBodyError with the kind of damage and the first bytes, escaped."""
    try:
        if isinstance(body, bytes) and not body.isascii():
            body.decode()  # msgspec does not look into the strings that it skips
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        seen = bytes(body)
        kind = "empty body" if not seen else str(error)
        raise BadBodyError(f"bad body ({kind}), {len(seen)} bytes: {excerpt(seen)}") from None


class _Whole(msgspec.Struct):
    data: msgspec.Raw


_WHOLE = msgspec.json.Decoder(_Whole)
_OBJECT = msgspec.json.Decoder(Annotated[dict[str, msgspec.Raw], msgspec.Meta(min_length=1)])


def excerpt(body: bytes, length: int = 160) -> str:
    """The first bytes of a body or record, escaped, for a reason or a log line."""
    text = body[:length].decode(errors="backslashreplace")
    return repr(text) + ("..." if len(body) > length else "")
