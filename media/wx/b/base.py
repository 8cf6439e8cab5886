"""What the interfaces of WeChat's own dialect share: signing, envelope, paging.

Source: a maintained client's models and samples of api.weixin.qq.com/marketing, recordings of another one. Every
account has a token of its own; a service provider signs each call with its agency's key as well. Money is whole fen.
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from hashlib import md5
from typing import ClassVar
from urllib.parse import urlencode

import msgspec
from msgspec import Raw

from ark.answers import Answer, BadBodyError, Int64, PageInfo, decode_body
from ark.http import Request
from ark.settings import WxB
from ark.units import Unit
from handlers.api import ApiHandler, Params, Stamp, spelled
from media.wx.b.codes import CODES


class _Data(msgspec.Struct):
    records: list[Raw] | None = msgspec.field(name="list", default=None)
    page_info: PageInfo | None = None


class _Envelope(msgspec.Struct):
    errcode: Int64 = 0
    errmsg: object = ""
    data: Raw = Raw(b"null")


_ENVELOPE = msgspec.json.Decoder(_Envelope)
_DATA = msgspec.json.Decoder(_Data)


class WxBHandler(ApiHandler):
    """Base of the interfaces wx.b.*."""

    medium, section = "wx", "wx_b"
    codes = CODES
    dialect, quota_of = "codes", "account"
    quota_rule = "per account and endpoint, by day (45009) and minute (45011); no header tells what is left"
    opened_by = "account"
    settings: WxB
    version: ClassVar[str] = "v1.0"

    def page(self, number: int, cursor: str = "") -> Params:  # noqa: ARG002 - lists are read by page
        return {"page": number, "page_size": self.page_size}

    def narrow(self, field: str, ids: Sequence[str]) -> Params:
        return {"filtering": [{"field": field, "operator": "IN", "values": ids}]}

    def sign(self, base_url: str, unit: Unit, params: Params, token: str, stamp: Stamp) -> Request:
        query: dict[str, object] = {"access_token": token, "version": self.version, **params}
        if self.settings.agency_key:
            query["agency_token"] = agency_token(unit.agent_id, self.settings.agency_key, stamp)
        text = urlencode({name: spelled(value) for name, value in query.items()})
        return Request(f"{base_url}/marketing/{self.path}?{text}")

    def read(self, body: bytes) -> Answer:
        envelope = decode_body(_ENVELOPE, body)
        if envelope.errcode != 0:
            return Answer(envelope.errcode, str(envelope.errmsg or ""))
        if bytes(envelope.data) == b"null":  # errcode may be absent where all is well; data may not
            raise BadBodyError("bad body: errcode 0 without data")
        data = decode_body(_DATA, envelope.data)
        info = data.page_info
        return Answer(0, "", data.records, info, body=body)

    def quota(self, headers: Mapping[str, str]) -> None:
        """No header tells."""


class Report(WxBHandler):
    """One level's figures of one day; there is no hourly one in this dialect."""

    path = "daily_reports/get"
    source = "a maintained client's sample of marketing/daily_reports/get; how long it changes is not documented"
    pages = "report_page"
    restated, complete_at = 7, 8
    level: ClassVar[str]

    def params(self, unit: Unit) -> Params:
        day = {"start_date": f"{unit.date}", "end_date": f"{unit.date}"}
        return {"date_range": day, "report_type": "DAILY", "level": self.level}


def agency_token(agency: str, key: str, stamp: Stamp) -> str:
    """What a service provider signs a call with: base64 of agency, seconds, nonce and the MD5 of those and its key."""
    signed = f"{agency}{stamp.timestamp}{stamp.nonce}{key}".encode()
    sign = md5(signed, usedforsecurity=False).hexdigest()
    return b64encode(f"{agency},{stamp.timestamp},{stamp.nonce},{sign}".encode()).decode()
