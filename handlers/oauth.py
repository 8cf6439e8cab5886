"""`Oauth`: what a medium declares of how it renews tokens. Found by name: `OAUTH` of media/{medium}/oauth.py."""

import importlib
import re
from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple

import msgspec

from ark.answers import BadBodyError, CodeTable
from ark.errors import UnitError
from ark.http import Request
from ark.redact import register

_TOKEN = re.compile(r"[!-~]+")


class App(NamedTuple):
    """Who asks: the app that was authorised, and the medium's base URL."""

    base_url: str
    client_id: str
    client_secret: str


class Grant(NamedTuple):
    """What a medium issues. No refresh token: the old one stays. `expires_in`: seconds, 0 where it is not told."""

    access_token: str
    refresh_token: str
    expires_in: int


class _Head(msgspec.Struct):
    code: int
    message: str | None = ""


class _Data(msgspec.Struct):
    access_token: str
    refresh_token: str | None = None
    access_token_expires_in: Any = 0
    expires_in: Any = 0


class _Granted(msgspec.Struct):
    data: _Data


_HEAD = msgspec.json.Decoder(_Head)
_GRANTED = msgspec.json.Decoder(_Granted)


class Oauth(ABC):
    """How one medium renews an access token; pure, no I/O."""

    codes: ClassVar[CodeTable]
    """What the codes of this call mean. Verdict TOKEN: the agent has to be authorised again. Unknown is a refusal."""

    @abstractmethod
    def request(self, app: App, refresh_token: str) -> Request:
        """The call that exchanges a refresh token for a new pair."""

    @abstractmethod
    def authorize_url(self, client_id: str) -> str:
        """The page on which an agent's user authorises the app; what the reader fills in is in capitals."""

    def read(self, body: bytes) -> Grant:
        """What was issued, registered for redaction.

        Raises UnitError with the code and the medium's text, or BadBodyError where there is no grant in the body; of
        that nothing is shown, it may hold tokens.
        """
        head = _decoded(_HEAD, body)
        if head.code != 0:
            raise UnitError(head.message or "no text", code=head.code)
        data = _decoded(_GRANTED, body).data
        grant = Grant(
            data.access_token, data.refresh_token or "", _seconds(data.access_token_expires_in or data.expires_in)
        )
        for token in filter(None, grant[:2]):
            register(token)
        if not (_TOKEN.fullmatch(grant.access_token) and _TOKEN.fullmatch(grant.refresh_token or "-")):
            raise BadBodyError("a token in the answer is empty or not printable")
        return grant


def find(medium: str) -> Oauth | None:
    """How `medium` renews tokens; None where it cannot."""
    path = f"media.{medium}.oauth"
    try:
        oauth: Oauth = importlib.import_module(path).OAUTH
    except ModuleNotFoundError as error:
        if error.name not in {path, path.rpartition(".")[0]}:
            raise
        return None
    return oauth


def _decoded(decoder: "msgspec.json.Decoder[Any]", body: bytes) -> Any:  # noqa: ANN401 - two kinds of answers
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadBodyError(f"no grant in the answer ({error})") from None


def _seconds(value: object) -> int:
    """A life in seconds; one that cannot be read is not known, and no reason to lose a token."""
    return value if isinstance(value, int) and value > 0 else 0
