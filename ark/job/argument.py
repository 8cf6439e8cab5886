r"""The text of a job argument: a Python dict literal or JSON, URL-encoded or raw (seed 003 §2 and §4.1).

Nothing is ever evaluated. A scan lets only brackets, quoted texts, whole numbers and None, True and False through to
the parsers, so that what upsets `ast.literal_eval` (deep nesting, sums of thousands of terms, endless numbers) never
reaches it. The forms that occur, all of them the same dict:

    %7B'agent_id'%3A%201050262%7D       spaces as %20, quotes raw
    %7b%27agent_id%27%3a++1050262%7d    form encoding: a bare + is a space; inside a text it is refused, since many
                                        encoders leave a plus as it is
    %7B%22agent_id%22%3A1050262%7D      JSON, URL-encoded
    {"agent_id": 1050262}               JSON or a Python dict, raw: neither % nor + means anything
"""

import ast
import json
import re
import warnings
from collections.abc import Iterable, Mapping
from urllib.parse import quote, unquote

from ark.errors import UsageError
from ark.redact import redact, redact_to

MAX_CHARS = 64 * 1024
"""Longest argument, as it is written; Linux takes 128 KiB for one word of a command line."""
MAX_DEPTH = 20
MAX_KEYS = 100
MAX_VALUES = 6_000
MAX_SHOWN = 40
"""Longest value in an error."""
MAX_ERROR_ARGUMENT = 2000
"""Longest repaired argument that an error shows in full."""

_PLUS = "\ud800"
"""A bare + until it is known whether it lies inside a text; no UTF-8 decodes to it, so it cannot be in the argument."""

_WHITE = re.compile(rf"[\t\r\n{_PLUS}]")
_ENCODED_BRACE = re.compile(r"%7[Bb]")
_ENCODED_TWICE = re.compile(r"\s*%(?:25)+7[Bb]")
_RAW = re.compile(r"\{(?!\s*[%+])")
_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_PERCENT_RUN = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
_TOKEN = re.compile(
    rf"""
      (?P<space> [\s{_PLUS}]+)
    | (?P<mark> [{{}}\[\]:,])
    | (?P<text> '[^'\\]*(?:\\.[^'\\]*)*' | "[^"\\]*(?:\\.[^"\\]*)*")
    | (?P<open> ['"])
    | (?P<word> [^\s{_PLUS}{{}}\[\]:,'"]+)
    """,
    re.VERBOSE | re.DOTALL,
)
_PLAIN_WORD = re.compile(r"-?(?:0|[1-9][0-9]{0,19})|None|True|False|null|true|false")
_SECRET = re.compile(r"(?:token|secret|passw|credential|authorization)\w*(?:\W|%2[027])*(?::|=|%3a)", re.IGNORECASE)
_TYPOGRAPHIC = set("‘’“”，：")  # noqa: RUF001  # what word processors and Chinese keyboards make of quotes and commas
_NAMES = {"\x00": "a NUL byte", "\ufeff": "a byte order mark"}


def parse(text: str) -> dict[str, object]:
    """The dict that `text` spells, its keys in order; what they mean is not looked at.

    Raises UsageError that says where the text goes wrong and how to write it.
    """
    if len(text) > MAX_CHARS:
        raise UsageError(
            f"job argument has {len(text)} characters, at most {MAX_CHARS} are read: put the accounts into a Redis key"
        )
    text = _unquoted(text.strip(" \t\r\n"))
    _check_characters(text)
    if not _RAW.match(text):
        text = _url_decoded(text).strip(f" \t\r\n{_PLUS}")
        _check_characters(text.replace(_PLUS, " "))
    if not text.startswith("{"):
        what = f"starts with {shown(text)}" if text else "is empty"
        raise UsageError(
            f"job argument {what}: write %7B...%7D as `ark args encode` prints it, or the flags -t -d -g -a -k"
        )
    _Scan(text).run()
    return _load(_WHITE.sub(" ", text))


def dump(wire: Mapping[str, object]) -> str:
    """The dict as an encoded Python literal of `A-Z a-z 0-9 % . _ ~ -` only, which no shell and no form touches."""
    return quote(repr(dict(wire)), safe="")


def shown(value: object) -> str:
    """A value as errors show it: printable, short, without secrets."""
    return redact_to(repr(value), MAX_SHOWN)


def nearest(name: str, known: Iterable[str]) -> str:
    """`, did you mean x?` with the known name that is closest to `name`; empty where none is near."""
    from difflib import get_close_matches

    close = get_close_matches(name[:100], list(known), n=1, cutoff=0.6)
    return f", did you mean {close[0]}?" if close else ""


def _unquoted(text: str) -> str:
    """Without the quotes around the whole argument that a scheduler handed over as they were typed."""
    inner = text[1:-1]
    wrapped = text[:1] in {"'", '"'} and text[-1:] == text[:1] and re.match(r"\s*(?:\{|%7[Bb]|%257)", inner)
    return inner.strip(" \t\r\n") if wrapped else text


def _check_characters(text: str) -> None:
    """Raise UsageError for the first character that cannot be seen."""
    if text.isprintable():
        return
    at = next((at for at, sign in enumerate(text) if not sign.isprintable() and sign not in "\t\r\n"), None)
    if at is None:
        return
    name = _NAMES.get(text[at], f"the character U+{ord(text[at]):04X}, which cannot be seen,")
    if "\ud800" <= text[at] <= "\udfff":
        name = "a byte that is not UTF-8"
    raise _error(text, at, f"there is {name}", "take it out, or let `ark args encode` write the argument")


def _url_decoded(text: str) -> str:
    """`text` without its percent encoding; each bare + is left as the mark _PLUS."""
    if _ENCODED_TWICE.match(text):
        raise UsageError(f"job argument is URL-encoded twice (%25 where % belongs): encode it once{_repaired(text)}")
    if bad := _BAD_PERCENT.search(text):
        code = text[bad.start() : bad.start() + len("%00")]
        if len(code) < len("%00"):
            raise _error(text, bad.start(), f"the argument is cut off inside {_printable(code)}", "pass it whole")
        raise _error(text, bad.start(), f"{_printable(code)} is not one of %00 to %FF", "write a percent sign as %25")
    for run in _PERCENT_RUN.finditer(text):
        try:
            bytes.fromhex(run[0].replace("%", "")).decode()
        except UnicodeDecodeError as error:
            at = run.start() + 3 * error.start
            raise _error(text, at, "the bytes are not UTF-8", "encode the text as UTF-8, not as GBK") from None
    return unquote(text.replace("+", _PLUS))


def _repaired(text: str) -> str:
    """The way out for an argument encoded too often: itself, encoded once, where that can be shown."""
    for _ in range(3):
        text = unquote(text) if _ENCODED_TWICE.match(text) else text
    try:
        argument = "" if _ENCODED_TWICE.match(text) else dump(parse(text))
    except UsageError:
        argument = ""
    if not argument or len(argument) > MAX_ERROR_ARGUMENT or _SECRET.search(argument):
        return ", as %7B...%7D"
    return f": ark run INTERFACE {argument}"


class _Scan:
    """One walk over the decoded text that lets through what the parsers can take, and knows the key it is in."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._depth = 0
        self._key: str | None = None
        self._keys = 0
        self._values = 1
        self._previous = ""
        """Kind of the token before: the mark itself, "text" or "word"."""
        self._latest = ""

    def run(self) -> None:
        """Raise UsageError at the first place the parsers must not see."""
        takes = {"mark": self._mark, "text": self._quoted, "word": self._word, "open": self._unclosed}
        for token in _TOKEN.finditer(self._text):
            kind = token.lastgroup
            if kind != "space" and kind is not None:
                takes[kind](token[0], token.start())
        if self._depth:
            raise self._error(len(self._text), "the argument is cut off, its closing } is missing", "pass it whole")

    def _mark(self, mark: str, at: int) -> None:
        self._inside(at)
        if mark in "{[":
            self._depth += 1
            if self._depth > MAX_DEPTH:
                raise self._error(at, f"it is nested deeper than {MAX_DEPTH}", "a value is a text, a number or a list")
        elif mark == ":":
            self._colon(at)
        else:
            self._ending(mark, at)
        self._previous = mark

    def _colon(self, at: int) -> None:
        if self._depth > 1:
            return
        self._keys += 1
        if self._keys > MAX_KEYS:
            raise self._error(at, f"it has more than {MAX_KEYS} keys", "`ark args explain` lists the keys there are")
        self._key = self._latest[1:-1]

    def _ending(self, mark: str, at: int) -> None:
        """A comma or a closing bracket."""
        if mark == "," and self._previous in {",", "{", "[", ":"}:
            raise self._error(at, "there is no value before the comma", "write an empty text as ''")
        self._values += mark == ","
        if self._values > MAX_VALUES:
            raise self._error(at, f"it has more than {MAX_VALUES} values", "put the accounts into a Redis key")
        if self._depth == 1:
            if self._key is None and self._previous in {"text", "word", "]", "}"}:
                raise self._error(at, "a key without a value, as in a set", "write 'key': value")
            self._key = None
        self._depth -= mark != ","

    def _quoted(self, text: str, at: int) -> None:
        self._after_value(at, "text")
        if _PLUS in text:
            raise self._error(
                at + text.index(_PLUS),
                "a bare + stands inside a text, where it may mean a plus or a space",
                "write %2B for a plus, %20 for a space",
            )
        if not text.isprintable():
            raise self._error(at, "a text holds a line break or a tab", "write it on one line")
        self._latest = text

    def _word(self, word: str, at: int) -> None:
        plain = _PLAIN_WORD.fullmatch(word)
        if not plain and self._depth == 1 and self._previous in {"{", ","}:
            raise self._unquoted_key(word, at)
        self._after_value(at, "word")
        if plain:
            return
        what = f"{shown(word)} is no value"
        if re.fullmatch("-?[0-9]+", word):
            what = f"{shown(word)} has more than 20 digits or a leading 0"
        elif self._text[at + len(word) :][:1] in {"'", '"'} and word.isalpha():
            what = f"the text has the prefix {shown(word)}, as bytes have"
        raise self._error(
            at, what, "a value is quoted text, a whole number of at most 20 digits, None, or a list of these in [ ]"
        )

    def _unclosed(self, _rest: str, at: int) -> None:
        raise self._error(
            at, "the argument is cut off, or this quote is never closed", "pass it whole, with both quotes"
        )

    def _inside(self, at: int) -> None:
        if not self._depth and self._previous:
            raise self._error(at, "something follows the closing }", "pass one argument, and flags after it")

    def _after_value(self, at: int, kind: str) -> None:
        self._inside(at)
        if self._previous in {"text", "word", "}", "]"}:
            raise self._error(
                at, "two values stand side by side", "separate values with a comma, a key from its value with :"
            )
        self._previous = kind

    def _unquoted_key(self, word: str, at: int) -> UsageError:
        if _TYPOGRAPHIC & set(word):
            return self._error(at, "typographic quotes or commas", "write ' or \" and plain commas")
        if self._previous == "," or not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", word):
            return self._error(at, f"{shown(word)} is no key", "write keys as quoted text: 'agent_id'")
        return UsageError(
            "job argument: quotes were stripped by the shell; wrap the argument in double quotes: "
            f"ark run INTERFACE \"%7B'{word[:MAX_SHOWN]}'%3A...%7D\" (JSON: in single quotes), "
            "or pass what `ark args encode` prints"
        )

    def _error(self, at: int, what: str, remedy: str) -> UsageError:
        where = "" if self._key is None else f", in the value of {shown(self._key)}"
        return _error(self._text, at, what + where, remedy)


def _load(text: str) -> dict[str, object]:
    """The dict of a scanned text: JSON if it is that, else a Python literal."""
    try:
        loaded: dict[str, object] = json.loads(text, object_pairs_hook=_unique)
    except ValueError:
        return _literal(text)  # single quotes or None: not JSON, which is the usual case
    return loaded


def _literal(text: str) -> dict[str, object]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # an unknown escape such as '\d' is a warning, printed past us
            tree = ast.parse(text, mode="eval").body
    except SyntaxError as error:
        at = max((error.offset or 1) - 1, 0)
        raise _error(text, at, "it is neither JSON nor a Python dict", "write {'key': value, ...}") from None
    except (ValueError, MemoryError, RecursionError) as error:
        raise UsageError(f"job argument cannot be read ({type(error).__name__}): write {{'key': value, ...}}") from None
    if not isinstance(tree, ast.Dict):
        raise UsageError("job argument is not a dict: write {'key': value, ...}")
    return _unique([(_plain(key, key), _plain(value, key)) for key, value in zip(tree.keys, tree.values, strict=True)])


def _plain(node: ast.expr | None, key: ast.expr | None) -> object:
    try:
        return ast.literal_eval(node or ast.Constant(None))
    except (ValueError, TypeError, MemoryError, RecursionError):
        name = key.value if isinstance(key, ast.Constant) else ""
        raise UsageError(
            f"job argument: the value of {shown(name)} is no plain value: "
            "beside single quotes write None, True and False"
        ) from None


def _unique(pairs: list[tuple[object, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in pairs:
        if not isinstance(key, str):
            raise UsageError(f"job argument has the key {shown(key)}: keys are quoted text such as 'agent_id'")
        if key in found:
            raise UsageError(f"job argument has the key {shown(key)} twice: leave one of them out")
        found[key] = value
    return found


def _error(text: str, at: int, what: str, remedy: str) -> UsageError:
    return UsageError(f"job argument: {what}, at position {at + 1}{_excerpt(text, at)}: {remedy}")


def _excerpt(text: str, at: int) -> str:
    """Some characters around position `at`, which `>>>` points to; nothing where a secret may be near."""
    text = text.replace(_PLUS, "+")
    around = text[max(at - 300, 0) : at + 300]
    if redact(around) != around or _SECRET.search(around):
        return ""
    before, after = text[max(at - 30, 0) : at], text[at : at + 30]
    return f" near {_printable(before)}>>>{_printable(after)}"


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)[:90]
