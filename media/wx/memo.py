"""The `memo` that stands beside a list of funds: usable and locked amounts of the account as a whole, in fen."""

import msgspec
from msgspec import Raw

from ark.answers import decode_body

KIND = b"memo"
"""The kind of fund under which the memo gets its row."""


class _Beside(msgspec.Struct):
    memo: Raw = Raw(b"null")


_BESIDE = msgspec.json.Decoder(_Beside)


def memo(data: Raw) -> list[Raw]:
    """The record of the memo, its own bytes inside; none where the answer has none."""
    found = decode_body(_BESIDE, data).memo
    if bytes(found) in {b"null", b"{}"}:
        return []
    return [Raw(b'{"fund_type":"%b","memo":%b}' % (KIND, bytes(found)))]
