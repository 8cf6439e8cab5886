"""The job argument: what one run of one interface works on.

job        `Job`, and how it is decoded, encoded, typed as flags      argument   the text, read without ever running it
wire       one line per key: its check, its sample, its flag
"""

from ark.job.job import (
    CHILD,
    PARENT,
    Job,
    Output,
    decode,
    differences,
    encode,
    from_flags,
    from_wire,
    override,
    split_command,
    to_wire,
)

__all__ = [
    "CHILD",
    "PARENT",
    "Job",
    "Output",
    "decode",
    "differences",
    "encode",
    "from_flags",
    "from_wire",
    "override",
    "split_command",
    "to_wire",
]
