"""Reading one run: its columns, and the value that they make."""

from collections.abc import Mapping
from typing import Any

import msgspec

from ark.ledger.records import Run
from ark.ledger.tables import runs

RUN = [runs.c[name] for name in Run.__struct_fields__ if name != "pending"]


def made(values: Mapping[str, Any]) -> Run:
    """The run of one row of RUN's columns."""
    return Run(**{**values, "next": msgspec.json.decode(values["next"])})
