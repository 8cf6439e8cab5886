"""How jrtt renews tokens. Every renewal issues a new refresh token and ends the old one.

Source: the official SDK's models and third-party clients of 2019 and 2021 (request, codes); on this call 40110 is an
expired authorisation and no quota (an answer of 2022).
"""

import msgspec

from ark.answers import Code, CodeTable, Verdict
from ark.http import Request
from handlers.oauth import App, Oauth


class JrttOauth(Oauth):
    """POST oauth2/refresh_token/ with JSON."""

    codes = CodeTable(
        {
            0: Code(Verdict.OK, "ok"),
            40001: Code(Verdict.FAIL, "a parameter is wrong"),
            40100: Code(Verdict.RETRY, "too frequent"),
            40101: Code(Verdict.FAIL, "illegal partner"),
            40102: Code(Verdict.TOKEN, "token has expired"),
            40103: Code(Verdict.TOKEN, "refresh token has expired"),
            40105: Code(Verdict.TOKEN, "token is wrong"),
            40106: Code(Verdict.TOKEN, "account's login is abnormal"),
            40107: Code(Verdict.TOKEN, "refresh token is wrong, perhaps used before"),
            40108: Code(Verdict.FAIL, "grant_type is wrong"),
            40110: Code(Verdict.TOKEN, "authorisation has expired"),
            40115: Code(Verdict.TOKEN, "authorisation was used before"),
            50000: Code(Verdict.RETRY, "system error"),
        }
    )

    def request(self, app: App, refresh_token: str) -> Request:
        body = {
            "app_id": int(app.client_id) if app.client_id.isdecimal() else app.client_id,
            "secret": app.client_secret,
            "grant_type": "refresh_token",
            "refresh_token": refresh_token,
        }
        return Request(
            f"{app.base_url}/open_api/oauth2/refresh_token/",
            {"Content-Type": "application/json"},
            "POST",
            msgspec.json.encode(body),
        )

    def authorize_url(self, client_id: str) -> str:
        fields = "state=STATE&scope=SCOPE&redirect_uri=CALLBACK"
        return f"https://ad.oceanengine.com/openapi/audit/oauth.html?app_id={client_id}&{fields}"


OAUTH = JrttOauth()
