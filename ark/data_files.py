"""Reading the files of conf/ that are typed as a whole."""

from pathlib import Path
from typing import TypeVar

import msgspec

from ark.errors import ConfigError

T = TypeVar("T", bound=msgspec.Struct)


def read(path: Path, kind: type[T]) -> T:
    """The TOML file at `path` as a `kind`; ConfigError naming the file, what does not fit, and its sections."""
    try:
        return msgspec.toml.decode(path.read_bytes(), type=kind)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        *others, last = (f"[{section}]" for section in kind.__struct_fields__)
        raise ConfigError(
            f"{path} is not as expected: {error}; it has the sections {', '.join(others)} and {last}"
        ) from error
