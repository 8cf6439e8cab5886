r"""Keeps secrets out of everything Ark writes: by value, in any spelling.

Every token and password that is read is registered here once; every sink (log lines, Kafka records, Sentry events, the
command line's errors) sends its text through `redact`. Knowing the value is the only sure way: a token that sits in an
exception's text, in an encoded argument or in a log call's argument has no key beside it that a list could name.

This is the one piece of state that belongs to the process and not to a run: a secret must stay hidden wherever it
turns up, also after its run has ended, and also in threads and libraries that know nothing of runs.

Found are the value itself and its base64 forms (both alphabets, all three alignments), each of them plain, percent
encoded, JSON escaped (`\u002f`, `\/`) or as Python's `repr` spells it, in any mixture and up to `ROUNDS` deep. As a
second line, what follows `access_token=` and its like is hidden although nobody registered it.
"""

import base64
import re
import threading
from collections.abc import Iterator, Sequence

MASK = "***"
SHORTEST = 4
"""A shorter secret is not registered: it protects nothing and would blank every "1" in every log line."""
LONGEST = 4096
"""Longer than any secret with all its escapes."""
CUT = " ...[cut]"
"""Ends a text of which not everything is shown."""
ROUNDS = 3
"""How many layers of escaping are looked through (an URL in JSON in an encoded argument has three)."""

_ESCAPE = re.compile(
    rb"%([0-9A-Fa-f]{2})"
    rb"|\\x([0-9A-Fa-f]{2})"
    rb"|\\u([Dd][89ABab][0-9A-Fa-f]{2})\\u([Dd][C-Fc-f][0-9A-Fa-f]{2})"
    rb"|\\u([0-9A-Fa-f]{4})"
    rb"|\\([\"'/\\])"
)

_QUOTE = r"(?:\\*[\"']|%2[27])?"
_KEYED = re.compile(
    r"((?:access|account|agency|refresh|auth)[_-]?token|agency[_-]?key|authorization|passw(?:or)?d|(?:app|client)[_-]?secret)"
    rf"({_QUOTE}\s*(?:=|:|%3[ad])(?:\s|\+|%20)*{_QUOTE}(?:(?:bearer|basic)\s+)?)"
    r"(?:[^\s&\"',;%\\)\]}>]|%(?!2[0267c]|7d))+",
    re.IGNORECASE,
)
_KEY_HINTS = ("token", "agency", "secret", "passw", "authorization")
_USERINFO = re.compile(r"(://[^\s/:@]*:)[^\s/@]+@")
_SECRET_KEY = re.compile(_KEYED.pattern.partition(")(")[0] + ")$", re.IGNORECASE)


class Vault:
    """The registered secrets in all their forms, looked up by the first bytes of each form.

    One look-up per byte of text, however many secrets there are; a regular expression of thousands of alternatives
    would try them all at every byte.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._forms: set[bytes] = set()
        self._lengths: dict[bytes, tuple[int, ...]] = {}

    def add(self, secret: str) -> None:
        """Look for `secret` from now on."""
        if len(secret) < SHORTEST or secret.encode("utf-8", "surrogatepass") in self._forms:
            return
        with self._lock:
            for form in _forms(secret):
                self._forms.add(form)
                head = form[:SHORTEST]
                lengths = {*self._lengths.get(head, ()), len(form)}
                self._lengths[head] = tuple(sorted(lengths, reverse=True))

    def spans(self, data: bytes) -> Iterator[tuple[int, int]]:
        """Where secrets stand in `data`, the longest first at each place, not overlapping."""
        lengths_of, forms = self._lengths.get, self._forms
        if len(self._lengths) < len(data) and not any(head in data for head in list(self._lengths)):
            return  # with few secrets this is the quicker look, and a short text such as a trace id is looked at often
        done = 0
        for start in range(len(data) - SHORTEST + 1):
            lengths = lengths_of(data[start : start + SHORTEST])
            if lengths is None or start < done:
                continue
            for length in lengths:
                form = data[start : start + length]  # shorter than `length` at the end of the data
                if form in forms:
                    done = start + len(form)
                    yield start, done
                    break

    def mask(self, data: bytes) -> bytes:
        """`data` with every registered secret hidden, seen through up to ROUNDS layers of escaping."""
        if not self._forms:
            return data
        spans = list(self.spans(data))
        view: bytes = data
        places: Sequence[int] = range(len(data) + 1)
        for _ in range(ROUNDS):
            if _ESCAPE.search(view) is None:
                break
            view, places = _unescape(view, places)
            spans += [(places[start], places[end]) for start, end in self.spans(view)]
        return _cut(data, spans) if spans else data


def _forms(secret: str) -> set[bytes]:
    """The secret as UTF-8, as a form spells its spaces, and the base64 characters that it alone decides."""
    raw = secret.encode("utf-8", "surrogatepass")
    forms = {raw, raw.replace(b" ", b"+")}
    for lead in range(3):
        whole = base64.b64encode(bytes(lead) + raw)
        own = whole[-(-lead * 8 // 6) : (lead + len(raw)) * 8 // 6]
        forms |= {own, own.translate(bytes.maketrans(b"+/", b"-_"))}
    return forms


def _unescape(data: bytes, places: Sequence[int]) -> tuple[bytes, list[int]]:
    """One layer of escapes resolved, and for each byte that is left the place it came from."""
    out = bytearray()
    came_from: list[int] = []
    done = 0
    for match in _ESCAPE.finditer(data):
        out += data[done : match.start()]
        came_from += places[done : match.start()]
        plain = _plain(match)
        out += plain
        came_from += [places[match.start()]] * len(plain)
        done = match.end()
    out += data[done:]
    came_from += places[done:]
    return bytes(out), came_from


def _plain(match: re.Match[bytes]) -> bytes:
    percent, hexadecimal, high, low, unicode, quoted = match.groups()
    if quoted:
        return quoted
    if percent or hexadecimal:
        return bytes.fromhex((percent or hexadecimal).decode())
    units = bytes.fromhex((high + low if high else unicode).decode())
    return units.decode("utf-16-be", "surrogatepass").encode("utf-8", "surrogatepass")


def _cut(data: bytes, spans: list[tuple[int, int]]) -> bytes:
    out = bytearray()
    done = 0
    for start, end in sorted(spans):
        if start >= done:
            out += data[done:start] + MASK.encode()
        done = max(done, end)
    return bytes(out + data[done:])


_vault = Vault()


def register(secret: str) -> None:
    """Hide `secret` from now on in everything that is written; one of fewer than SHORTEST characters is ignored."""
    _vault.add(secret)


def redact(text: str) -> str:
    """`text` with every registered secret, and every value of a key such as `access_token`, shown as `***`."""
    masked = _vault.mask(text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")
    lowered = masked.lower()
    if any(hint in lowered for hint in _KEY_HINTS):  # four quick searches spare most texts a slow one
        masked = _KEYED.sub(rf"\1\2{MASK}", masked)
    return _USERINFO.sub(rf"\1{MASK}@", masked)


def redact_to(text: str, limit: int) -> str:
    """`redact(text)`, cut to about `limit` characters; costs no more for a text that is much longer.

    The cut is made well before the place where reading stopped: there a secret may have lost its end.
    """
    read = redact(text[: limit + LONGEST])
    if len(text) <= limit:
        return read
    whole = len(text) <= limit + LONGEST
    return (read if whole else read[:-LONGEST])[:limit] + CUT


def redact_error(error: BaseException) -> str:
    """An exception in a few words, class first, redacted."""
    name, text = type(error).__name__, str(error)
    return redact_to(text if text.startswith(name) else f"{name}: {text}", LONGEST)


def redact_value(value: object) -> object:
    """A copy of nested dicts, lists and tuples in which every text, number and key went through `redact`.

    Bytes come back as text. What is neither (None, an object of a library) comes back as it is: a sink that writes
    such a thing turns it into text first.
    """
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, bytes | bytearray):
        return redact(bytes(value).decode("utf-8", "backslashreplace"))
    if isinstance(value, dict):
        return {_key(key): MASK if _hidden(key, item) else redact_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [redact_value(item) for item in value]
    return MASK if _is_secret_number(value) else value


def _key(key: object) -> object:
    return redact_value(key) if isinstance(key, str | bytes) else key


def _is_secret_number(value: object) -> bool:
    return isinstance(value, int | float) and redact(str(value)) != str(value)


def _hidden(key: object, item: object) -> bool:
    return isinstance(key, str) and isinstance(item, str | bytes) and bool(_SECRET_KEY.search(key))
