"""What all jrtt interfaces share: signing, envelope, paging, filters, and the one day of a report.

Source: Ocean Engine open API v2 as its official client and two others speak it (recorded), seed 003 §1.3. Money is yuan
with two decimals, rates are percents; both are stored as they came. Ids are numbers of up to 19 digits.
"""

import re
from collections.abc import Mapping, Sequence
from typing import ClassVar
from urllib.parse import urlencode

import msgspec
from msgspec import Raw

from ark.answers import Answer, Cursor, Int64, PageInfo, decode_body
from ark.http import Request
from ark.quota import Quota
from ark.settings import Jrtt
from ark.units import Unit
from handlers.api import ApiHandler, Params, Stamp, spelled
from media.jrtt.codes import CODES

LONGEST_WAIT = 3600
"""Seconds; a header that asks for more is not believed."""


class _CursorPage(msgspec.Struct):
    """Beside a list that is read by page it may say anything; one that is read by cursor is held to it."""

    cursor: Int64 = 0
    has_more: bool | Int64 = False
    total_number: Int64 = -1


class _Envelope(msgspec.Struct):
    code: Int64
    message: object = ""
    request_id: object = ""
    data: Raw = Raw(b"null")
    page_info: Raw = Raw(b"null")


class _Data(msgspec.Struct):
    records: list[Raw] | None = msgspec.field(name="list", default=None)
    advertiser_ids: list[Raw] | None = None
    child_agent_ids: list[Raw] | None = None
    page_info: PageInfo | None = None
    cursor_page_info: _CursorPage | None = None


class _Balance(msgspec.Struct):
    advertiser_id: int | str


_ENVELOPE = msgspec.json.Decoder(_Envelope)
_DATA = msgspec.json.Decoder(_Data | list[Raw])
_PAGE = msgspec.json.Decoder(PageInfo | None)
_BALANCE = msgspec.json.Decoder(_Balance)


class JrttHandler(ApiHandler):
    """Base of the jrtt interfaces."""

    medium = section = "jrtt"
    codes = CODES
    dialect = "refusals"
    quota_rule = "per app and endpoint, by the second; no figure is public, refusals tell (40100, 40110)"
    named = {"account_id": "advertiser_id"}
    settings: Jrtt
    subject: ClassVar[str] = "advertiser_id"
    """The parameter that names the account, or the agent of a list interface; empty: `params` names them."""
    all_states: ClassVar[str] = ""
    """The status that stands for all objects, deleted ones too, where the endpoint leaves those out by itself."""

    def page(self, number: int, cursor: str = "") -> Params:
        if cursor:
            return {"cursor": cursor, "count": self.page_size}
        return {"page": number, "page_size": self.page_size}

    def narrow(self, field: str, ids: Sequence[str]) -> Params:
        return {"filtering": self.states() | {f"{field}s": numbers(ids)}}

    def states(self) -> dict[str, object]:
        """The filter that lets deleted objects in, where the setting jrtt.deleted asks for them."""
        return {"status": self.all_states} if self.settings.deleted and self.all_states else {}

    def sign(self, base_url: str, unit: Unit, params: Params, token: str, stamp: Stamp) -> Request:  # noqa: ARG002
        query: dict[str, object] = {self.subject: unit.account_id or unit.agent_id} if self.subject else {}
        query |= params
        if self.fields:
            query["fields"] = self.fields
        text = urlencode({name: spelled(value) for name, value in query.items()})
        return Request(f"{base_url}/open_api/{self.path}?{text}", {"Access-Token": token})

    def read(self, body: bytes) -> Answer:
        envelope = decode_body(_ENVELOPE, body)
        trace = str(envelope.request_id or "")
        if envelope.code != 0:
            return Answer(envelope.code, str(envelope.message or ""), trace=trace)
        data = decode_body(_DATA, envelope.data)
        if isinstance(data, list):
            return Answer(0, "", data, trace=trace, body=body)
        records = next((each for each in (data.records, data.advertiser_ids, data.child_agent_ids) if each), None)
        info = data.page_info or decode_body(_PAGE, envelope.page_info)
        at = data.cursor_page_info
        cursor = Cursor(str(at.cursor), bool(at.has_more), at.total_number) if at else None
        return Answer(0, "", records, info, trace, body, cursor)

    def quota(self, headers: Mapping[str, str]) -> Quota | None:
        seconds = headers.get("X-RateLimit-RetryIn", "")
        if re.fullmatch("[0-9]{1,5}", seconds) and 0 < int(seconds) <= LONGEST_WAIT:
            return Quota(retry_in=int(seconds))
        return None


class Fund(JrttHandler):
    """A balance: the answer's data is the one record, in yuan."""

    path = "2/advertiser/fund/get/"
    source = "official client: advertiser/fund/get, for accounts and agents; seed 003 §2 (a real row)"

    def records(self, answer: Answer) -> Sequence[Raw]:
        decode_body(_BALANCE, answer.data)  # a balance that does not name its account may be anyone's
        return answer.data_object()


class Report(JrttHandler):
    """One level's figures of one day."""

    named = {"account_id": "advertiser_id", "date": "stat_datetime"}
    pages = "report_page"
    restated, complete_at = 8, 8
    source = "official client: report/{advertiser,campaign,ad,creative}/get; attribution is written back for 7 days"
    group_by: ClassVar[Sequence[str]] = ("STAT_GROUP_BY_FIELD_ID", "STAT_GROUP_BY_FIELD_STAT_TIME")

    def params(self, unit: Unit) -> Params:
        shape = {"group_by": self.group_by, "time_granularity": "STAT_TIME_GRANULARITY_DAILY"}
        return one_day(unit) | shape | ({"filtering": self.states()} if self.states() else {})


class Objects(JrttHandler):
    """Campaigns, ads or creatives; the setting jrtt.deleted has the deleted ones listed as well."""

    pages = "list_page"

    def params(self, unit: Unit) -> Params:  # noqa: ARG002 - the hook's
        return {"filtering": self.states()} if self.states() else {}


def one_day(unit: Unit) -> dict[str, object]:
    """The parameters that cover the unit's date alone."""
    return {"start_date": f"{unit.date}", "end_date": f"{unit.date}"}


def numbers(ids: Sequence[str]) -> list[int]:
    """Ids as the medium wants them in lists: whole numbers, exact."""
    return [int(each) for each in ids]
