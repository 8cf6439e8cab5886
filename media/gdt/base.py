"""What all gdt interfaces share: signing, envelope, quota header, paging.

Source: Tencent Marketing API v1.1, request and response pages of developers.e.qq.com. Money is whole fen.
"""

from collections.abc import Mapping
from typing import Annotated
from urllib.parse import quote

import msgspec
from msgspec import Raw

from ark.answers import Answer, BadBodyError, PageInfo, decode_body
from ark.http import Request
from ark.quota import Quota, parse_remaining
from ark.units import Unit
from handlers.api import ApiHandler, Params, Stamp
from media.gdt.codes import CODES

VERSION = "v1.1"
TIME_LINES = ("REQUEST_TIME", "REPORTING_TIME", "ACTIVE_TIME")
"""The time that counts for a conversion: of the impression, of its report, of the activation (seed 003 §2)."""
REPORT_PAGE = 1000
"""Records per page of a report; the page for v1.1 names no maximum, 1000 is taken by all versions."""
REPORT_REACH = 10_000
"""page x page_size of a report may not exceed this (notice of 2019-04-15)."""
REPORT_FIELDS = (
    "account_id", "campaign_id", "adgroup_id", "ad_id", "promoted_object_type", "promoted_object_id",
    "view_count", "valid_click_count", "ctr", "cpc", "cost", "thousand_display_price",
    "download_count", "activated_count", "activated_rate", "activated_cost",
    "conversions_count", "conversions_cost", "conversions_rate", "key_page_view_count", "order_amount", "order_roi",
)  # fmt: skip
"""The figures asked for at ad level; daily reports add `date`, hourly ones `hour`."""


Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""What gdt's own numbers are, and what a ledger can hold."""


class _Page(msgspec.Struct):
    page: Int64
    page_size: Int64
    total_number: Int64
    total_page: Int64


class _Data(msgspec.Struct):
    records: list[Raw] | None = msgspec.field(name="list", default=None)
    page_info: _Page | None = None


class _Envelope(msgspec.Struct):
    code: Int64
    message: str | None = ""
    data: _Data | None = None


class _Refusal(msgspec.Struct):
    code: Int64
    message: str | None = ""


_ENVELOPE = msgspec.json.Decoder(_Envelope)
_REFUSAL = msgspec.json.Decoder(_Refusal)


class GdtHandler(ApiHandler):
    """Base of the gdt interfaces."""

    medium = "gdt"
    codes = CODES

    def page(self, number: int) -> Params:
        return {"page": number, "page_size": self.page_size}

    def sign(self, base_url: str, unit: Unit, params: Params, token: str, stamp: Stamp) -> Request:
        query: dict[str, object] = {"account_id": unit.account_id} if unit.account_id else {}
        query |= params
        if self.fields:
            query["fields"] = self.fields
        query |= {"access_token": token, "timestamp": stamp.timestamp, "nonce": stamp.nonce}
        text = "&".join(f"{name}={_spell(value)}" for name, value in query.items())
        return Request(f"{base_url}/{VERSION}/{self.path}?{text}")

    def read(self, body: bytes) -> Answer:
        try:
            envelope = decode_body(_ENVELOPE, body)
        except BadBodyError:
            # A refusal may carry a `data` of any shape; its code must not be lost for that.
            refusal = decode_body(_REFUSAL, body)
            if refusal.code == 0:
                raise
            return Answer(refusal.code, refusal.message or "", None, None)
        if envelope.code != 0:
            return Answer(envelope.code, envelope.message or "", None, None)
        if envelope.data is None:
            raise BadBodyError("bad body: code 0 without data")
        page = envelope.data.page_info
        info = PageInfo(page.page, page.page_size, page.total_number, page.total_page) if page else None
        return Answer(0, "", envelope.data.records, info)

    def quota(self, headers: Mapping[str, str]) -> Quota | None:
        return parse_remaining(headers.get("X-RateLimit-Remaining"))

    def trace(self, headers: Mapping[str, str]) -> str:
        return headers.get("X-TSA-Trace-Id", "")


def one_day(unit: Unit) -> dict[str, str]:
    """A report's date_range that covers the unit's date alone."""
    return {"start_date": f"{unit.date}", "end_date": f"{unit.date}"}


def _spell(value: object) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if text.isalnum() and text.isascii() else quote(text, safe="")
