"""Tokens of WeChat's own dialect: one per account, two hours long; and the agency_token that a provider signs."""

import base64
import binascii
from hashlib import md5

from media.simulator.nonces import Nonces
from media.simulator.scenario import Nonces as Freshness
from media.simulator.scenario import Tokens
from media.simulator.tokens import TokenRefusedError
from media.simulator.world import Agent, Dice, World

_MAC = 32


class AccountTokens:
    """Who holds what, until when. A token ends with its account's id, so that only renewals have to be kept."""

    def __init__(self, world: World, tokens: Tokens, seed: int, start: float) -> None:
        self._world = world
        self._tokens = tokens
        self._dice = Dice(seed, f"{world.medium} tokens")
        self._start = start
        self._issued: dict[str, tuple[int, float]] = {}

    def token(self, account: str) -> str:
        """The token of an account that is good now, if any is."""
        turn, _ = self._issued.get(account, (0, 0.0))
        return f"{self._dice.roll(account, turn)[: _MAC // 2].hex()}{int(account):x}"

    def account(self, token: str, now: float) -> str:
        """Whose token this is. Raises TokenRefusedError."""
        account = _number(token[_MAC:])
        agent = self._world.find(account)
        if agent is None or token != self.token(account):
            raise TokenRefusedError("unknown")
        _, begun = self._issued.get(account, (0, self._start - agent.token_age))
        if now >= begun + self._tokens.life:
            raise TokenRefusedError("expired")
        return account

    def appid(self, account: str) -> str:
        """The app of an account; its secret is the scenario's."""
        return f"wx{int(account):016x}"

    def renew(self, appid: str, now: float) -> str:
        """A new token in place of the old one. Raises TokenRefusedError."""
        account = _number(appid[2:])
        if self._world.find(account) is None or appid != self.appid(account):
            raise TokenRefusedError("unknown")
        turn, _ = self._issued.get(account, (0, 0.0))
        self._issued[account] = turn + 1, now
        return self.token(account)


class AgencyTokens:
    """Check of the text `agency_id,timestamp,nonce,sign` behind base64; sign = MD5 of these and the agency's key."""

    def __init__(self, freshness: Freshness) -> None:
        self._freshness = freshness
        self._nonces = Nonces(freshness.tolerance, freshness.limit)

    def problem(self, text: str, agent: Agent, now: float) -> str:
        """What is wrong with a token, empty if it is good."""
        try:
            agency, timestamp, nonce, sign = base64.b64decode(text, validate=True).decode().split(",")
            age = abs(now - int(timestamp))
        except (binascii.Error, ValueError):
            return "it is not base64 of agency_id,timestamp,nonce,sign"
        if agency != agent.id:
            return "this agency does not serve the account"
        if sign != signed(agency, timestamp, nonce, agent.token):
            return "the sign is wrong"
        if not self._freshness.check:
            return ""
        if age > self._freshness.tolerance:
            return "the timestamp is expired"
        return "" if self._nonces.use(agency, nonce, now) else "the nonce was used before"


def signed(agency: str, timestamp: str, nonce: str, key: str) -> str:
    """The sign of an agency_token, lower-case hex."""
    return md5(f"{agency}{timestamp}{nonce}{key}".encode(), usedforsecurity=False).hexdigest()


def _number(text: str) -> str:
    """The decimal id behind a hexadecimal one, empty if it is none."""
    try:
        return str(int(text, 16)) if len(text) <= _MAC // 2 else ""
    except ValueError:
        return ""
