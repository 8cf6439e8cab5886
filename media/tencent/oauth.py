"""How gdt and wx renew tokens.

Source: developers.e.qq.com, OAuth pages (request, lives of the tokens) and error codes. Whether a refresh token is used
up by its use is not documented for v1.1; whatever comes back is kept.
"""

from urllib.parse import urlencode

from ark.answers import Code, CodeTable, Verdict
from ark.http import Request
from handlers.oauth import App, Oauth
from media.tencent.codes import MINUTE

_BUSY = Code(Verdict.RETRY, "system busy")
_AUTHORISE = Code(Verdict.TOKEN, "refresh token is not valid any more")


class TencentOauth(Oauth):
    """GET /oauth/token: without a version, without nonce and timestamp."""

    codes = CodeTable(
        {
            0: Code(Verdict.OK, "ok"),
            10000: _BUSY,
            10001: Code(Verdict.RETRY, "API under maintenance"),
            11007: Code(Verdict.FAIL, "client_id or client_secret is wrong"),
            11008: Code(Verdict.LATER, "the app's requests of the day are used up"),
            11012: Code(Verdict.TOKEN, "refresh token has expired"),
            11016: Code(Verdict.RETRY, "the app's calls of this second are used up"),
            11017: Code(Verdict.WAIT, "the app's calls of this minute are used up", MINUTE),
            11018: Code(Verdict.LATER, "the app's calls of this day are used up"),
            11019: Code(Verdict.WAIT, "calls are far too frequent", MINUTE),
        },
        ranges=[(11009, 11013, _AUTHORISE), (30000, 30099, _BUSY)],
    )

    def __init__(self, account_type: str) -> None:
        self._account_type = account_type

    def request(self, app: App, refresh_token: str) -> Request:
        query = {
            "client_id": app.client_id,
            "client_secret": app.client_secret,
            "grant_type": "refresh_token",
            "refresh_token": refresh_token,
        }
        return Request(f"{app.base_url}/oauth/token?{urlencode(query)}")

    def authorize_url(self, client_id: str) -> str:
        fields = f"redirect_uri=CALLBACK&state=STATE&scope=SCOPE&account_type={self._account_type}"
        return f"https://developers.e.qq.com/oauth/authorize?client_id={client_id}&{fields}"
