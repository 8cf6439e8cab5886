"""What is simulated: a typed scenario, read from TOML (or JSON) and changed while the simulator runs.

seed = 7                          # every id and number follows from it
dates = ["2020-05-30"]            # dates of the account keys in Redis; default: today and yesterday in Shanghai

[[gdt.agents]]
tenant = "T100117"
count = 3                         # so many agents like this one
accounts = 1200                   # generated accounts of each
account_ids = ["10707125"]        # and these

[gdt.quota.minute]
size = 6000

[[jrtt.agents]]
children = 12                     # second-generation agents of this first-generation agent
child_accounts = 300

[[gdt.faults]]
kind = "status"
status = 502
share = 0.02
attempts = 1
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import msgspec
from msgspec import Meta, Struct

Natural = Annotated[int, Meta(ge=0)]
Seconds = Annotated[float, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
Id = Annotated[str, Meta(pattern="^[1-9][0-9]{0,18}$")]
Day = Annotated[str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
IdOrNone = Annotated[str, Meta(pattern="^([1-9][0-9]{0,18})?$")]
DayOrNone = Annotated[str, Meta(pattern=r"^([0-9]{4}-[0-9]{2}-[0-9]{2})?$")]

MAX_GENERATED = 1 << 20
"""Generated accounts of one agent at most."""

FaultKind = Literal[
    "code", "status", "body", "empty", "redirect",
    "close", "hang", "cut", "reset", "hang_body", "drip",
    "truncate", "no_data", "no_list", "no_page_info", "total", "page_info", "repeat_page",
    "other_account", "duplicate", "float_ids", "code_text", "bom", "content_type", "quota_header", "bomb",
]  # fmt: skip


class ScenarioError(ValueError):
    """A scenario that cannot be used; the text says which key."""


class _Part(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of the scenario: unknown keys are errors."""


class Agents(_Part, frozen=True):
    """`count` agents of one tenant, each with `accounts` generated accounts; ids and tokens follow from the seed.

    `id`, `token`, `account_ids` name them instead, for a single agent. `token_age` is how many seconds ago the access
    token was issued when the simulator starts.
    """

    tenant: str = "T100117"
    app: str = "1110000001"
    count: Annotated[int, Meta(ge=1, le=512)] = 1
    id: IdOrNone = ""
    token: str = ""
    token_age: Seconds = 0
    accounts: Annotated[int, Meta(ge=0, le=MAX_GENERATED)] = 40
    account_ids: tuple[Id, ...] = ()

    def __post_init__(self) -> None:
        if self.count > 1 and (self.id or self.token or self.account_ids):
            raise ValueError("id, token and account_ids need count = 1")


class JrttAgents(Agents, frozen=True):
    """First-generation agents of jrtt, each with `children` second-generation agents of `child_accounts` accounts each.

    A `child_tokens` share of the children, the first of them, hold an own token; the token of the first generation is
    good for all. `parent` names a first-generation agent instead: then these agents are second-generation agents of it,
    with a token only where `token` gives one.
    """

    app: str = "1660000000000001"
    children: Annotated[int, Meta(ge=0, le=512)] = 0
    child_accounts: Annotated[int, Meta(ge=0, le=MAX_GENERATED)] = 20
    child_tokens: Share = 0.5
    parent: IdOrNone = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.parent and self.children:
            raise ValueError("children: a second-generation agent has none; leave out children or parent")


class Objects(_Part, frozen=True):
    """How many ads an account has: one of `ads` by `weights` (default: equal), or exactly what `of` says for it.

    Ads hang in adgroups of `per_adgroup`, adgroups in campaigns of `per_campaign`. `delivery` is the chance that an ad
    delivers on a date, `hours` that a delivering ad delivers in an hour: where nothing was delivered, no row is served.
    """

    ads: Annotated[tuple[Natural, ...], Meta(min_length=1)] = (0, 1, 3, 12)
    weights: tuple[Annotated[float, Meta(ge=0)], ...] = ()
    of: Mapping[str, Natural] = {}
    per_adgroup: Annotated[int, Meta(ge=1)] = 3
    per_campaign: Annotated[int, Meta(ge=1)] = 2
    delivery: Share = 0.8
    hours: Share = 0.3

    def __post_init__(self) -> None:
        if self.weights and (len(self.weights) != len(self.ads) or not sum(self.weights)):
            raise ValueError("weights must be as many as ads, not all 0")


class JrttObjects(Objects, frozen=True):
    """Objects of jrtt: an ad has `creatives`, a campaign `per_campaign` ads; there are no adgroups."""

    creatives: Annotated[int, Meta(ge=1)] = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.per_adgroup != Objects().per_adgroup:
            raise ValueError("per_adgroup: jrtt has no adgroups; it has creatives and per_campaign")


class Quota(_Part, frozen=True):
    """One counter per (app, interface): `size` calls in `window` seconds, 0 = unlimited.

    The windows of a `fixed` counter begin `phase` seconds after the simulator's start; `strangers` is how many calls a
    second others spend; `penalty` is how many seconds a refusal keeps the counter shut; `rounding` makes the percent.
    """

    kind: Literal["fixed", "sliding", "bucket"] = "fixed"
    size: Natural = 0
    window: Annotated[float, Meta(gt=0)] = 60
    phase: Seconds = 0
    rounding: Literal["floor", "round", "ceil"] = "floor"
    strangers: Annotated[float, Meta(ge=0)] = 0
    count_refused: bool = False
    penalty: Seconds = 0


class Quotas(_Part, frozen=True):
    """The two counters whose percents an answer's header tells."""

    minute: Quota = Quota()
    day: Quota = Quota(window=86400)


class RowQuota(_Part, frozen=True):
    """Rows served per (interface, level) and `window` seconds, 0 = unlimited; past it the combination is frozen."""

    size: Natural = 0
    window: Annotated[float, Meta(gt=0)] = 10


class Latency(_Part, frozen=True):
    """Time before an answer: always `seconds`, or `lognormal` around them; a `tail` share takes `factor` times that."""

    kind: Literal["constant", "lognormal"] = "constant"
    seconds: Seconds = 0
    sigma: Seconds = 0.3
    tail: Share = 0
    factor: Annotated[float, Meta(ge=1)] = 6


class Tokens(_Part, frozen=True):
    """Life of the tokens in seconds; `rotate`: a refresh kills the old refresh token and the old access token.

    `code_life`: an authorization code is good for so long after the simulator's start, 0 = for ever.
    """

    life: Seconds = 86400
    refresh_life: Seconds = 2592000
    code_life: Seconds = 0
    rotate: bool = False
    secret: str = "SECRET"  # noqa: S105 -- the client secret that the simulated medium expects


class Nonces(_Part, frozen=True):
    """Check of nonce and timestamp. `limit` bounds the memory: past so many, the oldest half is forgotten early."""

    check: bool = True
    tolerance: Seconds = 300
    limit: Annotated[int, Meta(ge=2)] = 2_000_000


class Inactive(_Part, frozen=True):
    """Accounts that are listed but refuse every other call as inactive: a share of all, or these."""

    share: Share = 0
    accounts: frozenset[str] = frozenset()


class Fault(_Part, frozen=True):
    """One way to fail, for a seeded `share` of the accounts or for `accounts`; for all if neither is given.

    `path` limits it to one interface, `pages` to these pages, `attempts` to the first tries of the same request
    (0: every one). A list interface has no account: there `accounts` holds agents. The first fault that fits is taken,
    and only in place of a good answer. What the kinds do, and which other keys they read: `media.simulator.faults`.
    """

    kind: FaultKind
    path: str = ""
    share: Share | None = None
    accounts: frozenset[str] = frozenset()
    pages: frozenset[int] = frozenset()
    attempts: Natural = 0
    code: int = 10000
    status: Annotated[int, Meta(ge=200, le=599)] = 502
    text: str = ""
    headers: Mapping[str, str] = {}
    seconds: Seconds = 3600
    size: Natural = 0
    delta: int = 1


class Medium(_Part, frozen=True):
    """What every medium has."""

    agents: tuple[Agents, ...] = (Agents(count=3),)
    objects: Objects = Objects()
    tokens: Tokens = Tokens()
    inactive: Inactive = Inactive()
    quota: Quotas = Quotas()
    quota_of: Mapping[str, Quotas] = {}
    latency: Latency = Latency()
    faults: tuple[Fault, ...] = ()


class Delivering(Medium, frozen=True):
    """A medium whose numbers depend on the date. `today` sets the world's date.

    `growing`: today's values grow with the hour, yesterday is incomplete before 08:00, conversions are restated for a
    week; the truth then changes with the clock.
    """

    today: DayOrNone = ""
    growing: bool = False


class Gdt(Delivering, frozen=True):
    """gdt. Only where `today` is set, history limits hold (365 and 90 days).

    `empty_list`: how an answer without rows spells its list. `report_cache`: bytes of encoded reports kept for the same
    call again (not while growing). `task_seconds`: how long an asynchronous report takes.
    """

    quota: Quotas = Quotas(minute=Quota(size=6000), day=Quota(size=1_000_000, window=86400))
    nonces: Nonces = Nonces()
    rows: RowQuota = RowQuota()
    report_page_size: Natural = 1000
    report_cache: Natural = 64 << 20
    empty_list: Literal["list", "null", "absent"] = "list"
    task_seconds: Seconds = 0


class Wx(Gdt, frozen=True):
    """wx in the dialect it shares with gdt: the same addresses, its own agents, tokens and numbers."""


class WxB(Delivering, frozen=True):
    """wx in WeChat's own dialect: every account has its own token; an agent is a service provider, its `token` its key.

    `service_provider`: every call needs an agency_token, signed with that key. Quotas are per account and interface.
    """

    agents: tuple[Agents, ...] = ()
    tokens: Tokens = Tokens(life=7200)
    quota: Quotas = Quotas(minute=Quota(size=600), day=Quota(size=20_000, window=86400))
    nonces: Nonces = Nonces()
    service_provider: bool = False


class Jrtt(Delivering, frozen=True):
    """jrtt. `qps`: calls a second of one (app, path), 0 = unlimited; `qps_of` for single paths.

    `throttle`: how a call too many is refused: 40100 as in 2020, or 40110 with headers, and nothing for `retry_in`
    seconds. `inactive_code`: how an inactive account is refused. `creative_report_limit`: a creative report has no more
    rows and does not say so. `creative_page_size`: the largest page of creatives, 100 since 2022. `report_cache`: bytes
    of encoded reports kept for the same call again (not while growing).
    """

    agents: tuple[JrttAgents, ...] = (JrttAgents(count=2, children=2),)
    objects: JrttObjects = JrttObjects()
    tokens: Tokens = Tokens(rotate=True, code_life=600)
    qps: Natural = 50
    qps_of: Mapping[str, Natural] = {}
    throttle: Literal["40100", "40110"] = "40100"
    retry_in: Natural = 30
    inactive_code: Literal[40002, 40300] = 40002
    creative_report_limit: Natural = 5000
    creative_page_size: Annotated[int, Meta(ge=1, le=1000)] = 100
    report_cache: Natural = 64 << 20

    def __post_init__(self) -> None:
        if self.quota != Quotas() or self.quota_of:
            raise ValueError("quota: the medium counts calls a second; the keys are qps and qps_of")


class Scenario(_Part, frozen=True):
    """Everything, from one seed. Where some media are named, the others have no agents."""

    seed: Natural = 20200531
    dates: tuple[Day, ...] = ()
    gdt: Gdt = Gdt()
    wx: Wx = Wx()
    wx_b: WxB = WxB()
    jrtt: Jrtt = Jrtt()

    @classmethod
    def load(cls, path: Path) -> Self:
        """The scenario in a TOML file, or a JSON one by its suffix. Raises ScenarioError."""
        try:
            return cls.parse(path.read_bytes(), json=path.suffix == ".json")
        except (OSError, ScenarioError) as error:
            raise ScenarioError(f"scenario {path}: {error}") from error

    @classmethod
    def parse(cls, text: bytes, *, json: bool) -> Self:
        """The scenario in `text`. Raises ScenarioError."""
        return cls._convert(_decode(text, json=json))

    def patched(self, text: bytes, *, json: bool) -> Self:
        """This scenario with `text` merged into it: sections key by key, anything else replaced, null = its default."""
        return self._convert(_merge(msgspec.to_builtins(self), _decode(text, json=json)))

    @classmethod
    def _convert(cls, tree: object) -> Self:
        if isinstance(tree, dict) and MEDIA & tree.keys():
            tree = {medium: {"agents": []} for medium in MEDIA} | tree
        try:
            return msgspec.convert(tree, cls)
        except msgspec.ValidationError as error:
            raise ScenarioError(str(error)) from error


MEDIA = {"gdt", "wx", "wx_b", "jrtt"}


def _decode(text: bytes, *, json: bool) -> object:
    try:
        return msgspec.json.decode(text) if json else msgspec.toml.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ScenarioError(f"not {'JSON' if json else 'TOML'}: {error}") from error


def _merge(base: Any, patch: Any) -> Any:  # noqa: ANN401 -- trees of builtins
    """`patch` merged into `base` as RFC 7396 says."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(base) if isinstance(base, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merge(merged.get(key), value)
    return merged
