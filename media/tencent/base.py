"""What all interfaces of the Marketing API share: signing, envelope, quota header, paging, filters.

Source: Tencent Marketing API v1.1, request and response pages of developers.e.qq.com. Money is whole fen.
"""

from collections.abc import Mapping, Sequence
from urllib.parse import quote

import msgspec
from msgspec import Raw

from ark.answers import Answer, BadBodyError, Int64, PageInfo, decode_body
from ark.http import Request
from ark.quota import Quota, parse_remaining
from ark.units import Unit
from handlers.api import ApiHandler, Params, Stamp, spelled
from media.tencent.codes import CODES

VERSION = "v1.1"


class _Data(msgspec.Struct):
    records: list[Raw] | None = msgspec.field(name="list", default=None)
    page_info: PageInfo | None = None


class _Envelope(msgspec.Struct):
    code: Int64
    message: object = ""
    data: _Data | None = None


class _Refusal(msgspec.Struct):
    code: Int64
    message: object = ""


_ENVELOPE = msgspec.json.Decoder(_Envelope)
_REFUSAL = msgspec.json.Decoder(_Refusal)


class TencentHandler(ApiHandler):
    """Base of the media that speak the Marketing API."""

    codes = CODES
    dialect = "percent"
    quota_rule = "per app and endpoint, by day and minute; X-RateLimit-Remaining tells the percents left"

    def page(self, number: int, cursor: str = "") -> Params:  # noqa: ARG002 - lists are read by page
        return {"page": number, "page_size": self.page_size}

    def narrow(self, field: str, ids: Sequence[str]) -> Params:
        return {"filtering": [{"field": field, "operator": "IN", "values": ids}]}

    def sign(self, base_url: str, unit: Unit, params: Params, token: str, stamp: Stamp) -> Request:
        query: dict[str, object] = {"account_id": unit.account_id} if unit.account_id else {}
        query |= params
        if self.fields:
            query["fields"] = self.fields
        query |= {"access_token": token, "timestamp": stamp.timestamp, "nonce": stamp.nonce}
        text = "&".join(f"{name}={_quoted(spelled(value))}" for name, value in query.items())
        return Request(f"{base_url}/{VERSION}/{self.path}?{text}")

    def read(self, body: bytes) -> Answer:
        try:
            envelope = decode_body(_ENVELOPE, body)
        except BadBodyError:
            # A refusal may carry a `data` of any shape; its code must not be lost for that.
            refusal = decode_body(_REFUSAL, body)
            if refusal.code == 0:
                raise
            return Answer(refusal.code, str(refusal.message or ""))
        if envelope.code != 0:
            return Answer(envelope.code, str(envelope.message or ""))
        if envelope.data is None:
            raise BadBodyError("bad body: code 0 without data")
        info = envelope.data.page_info
        return Answer(0, "", envelope.data.records, info, body=body)

    def quota(self, headers: Mapping[str, str]) -> Quota | None:
        return parse_remaining(headers.get("X-RateLimit-Remaining"))

    def trace(self, headers: Mapping[str, str]) -> str:
        return headers.get("X-TSA-Trace-Id", "")


def _quoted(text: str) -> str:
    """Most values need no quoting, and looking is cheaper than quoting."""
    return text if text.isalnum() and text.isascii() else quote(text, safe="")
