"""The names of the Redis keys: templates in conf/{medium}.toml, filled with tenant, agent and date."""

import tomllib
from datetime import date
from functools import cache
from typing import NamedTuple, Self

from ark.errors import ConfigError
from ark.rows import compact
from ark.settings import CONF


class Keys(NamedTuple):
    """The sorted sets of one tenant: score = agent id, member = token or account id (seed 003 §1.2)."""

    tokens: str
    agents: str
    accounts: str

    @classmethod
    def of(cls, medium: str, tenant: str, day: date, agent: str) -> Self:
        """The keys of `tenant` in `medium`; ConfigError where a template is missing or names an unknown field."""
        values = {"tenant": tenant, "agent": agent, "date": compact(day)}
        templates = _templates(medium)
        try:
            return cls(**{name: templates[name].format(**values) for name in cls._fields})
        except (KeyError, IndexError, ValueError) as error:
            raise ConfigError(
                f"[redis] of conf/{medium}.toml: {error} is missing or unknown;"
                f" it needs {', '.join(cls._fields)}, made of {{tenant}}, {{agent}} and {{date}}"
            ) from error


@cache
def _templates(medium: str) -> dict[str, str]:
    path = CONF / f"{medium}.toml"
    if not path.exists():
        raise ConfigError(f"medium {medium!r} is unknown: there is no conf/{medium}.toml")
    templates: dict[str, str] = tomllib.loads(path.read_text(encoding="utf-8")).get("redis", {})
    return templates
