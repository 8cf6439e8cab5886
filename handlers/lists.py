"""Which of its agent's lists in Redis a job works from."""

from ark.accounts.keys import Keys
from ark.errors import UsageError
from ark.job import CHILD, PARENT, Job
from handlers.api import ApiHandler


def list_key(handler: ApiHandler | type[ApiHandler], job: Job, keys: Keys) -> str:
    """The Redis list that a job works from: the one it names, else the one of its agent's generation."""
    second = job.agent_level == CHILD and handler.works_on == "accounts" and keys.child_accounts
    named: str = getattr(keys, handler.works_on)
    return job.redis_accounts_key or second or named


def check_level(job: Job, keys: Keys) -> None:
    """Raise UsageError for an `agent_level` that says nothing, where the medium has generations."""
    if keys.child_accounts and job.agent_level not in {"", PARENT, CHILD}:
        raise UsageError(
            f"agent_level is {job.agent_level!r}: write {PARENT!r} for a first-generation agent, {CHILD!r} for a"
            " second-generation one, or leave it out"
        )


def disagreement(job: Job, keys: Keys) -> str:
    """What to tell where `agent_level` and the account key mean different generations; the key holds."""
    second = {keys.accounts: False, keys.child_accounts: True}.get(job.redis_accounts_key)
    if second is None or not job.agent_level or second == (job.agent_level == CHILD):
        return ""
    generation = "second" if second else "first"
    return (
        f"agent_level is {job.agent_level}, although {job.redis_accounts_key} holds accounts of the {generation}"
        " generation: the key holds"
    )
