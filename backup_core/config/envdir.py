"""A directory of variables, a file each, as daemontools' envdir reads it.

Read here as well, so that a command needs no other program in front of it: restore_command is run
by the server, whose own environment has none of these variables.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from backup_core.errors import ConfigError


def read(directory: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment with the directory's variables over it.

    A value is a file's first line without trailing blanks, NULs in it being newlines; an empty file
    takes the variable away. Raises ConfigError for a directory or a file that cannot be read.
    """
    merged = dict(environ)
    try:
        for file in sorted(directory.iterdir()):
            if file.name.startswith(".") or not file.is_file():
                continue
            content = file.read_bytes()
            merged.pop(file.name, None)
            if content:
                line = content.split(b"\n", 1)[0].rstrip(b" \t\r").replace(b"\0", b"\n")
                merged[file.name] = line.decode()
    except OSError as error:
        raise ConfigError(
            f'cannot read envdir "{error.filename}": {error.strerror}',
            hint="Check the path, and that this user is in the group that may read it.",
        ) from None
    except UnicodeDecodeError:
        raise ConfigError(f'"{file}" is not UTF-8', hint="Write the value as UTF-8.") from None
    return merged
