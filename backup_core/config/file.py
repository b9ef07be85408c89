"""pitr.toml: found, read, and turned into text by field name.

Keys are the field names of Settings. A mistake in the file is an error where one in the
environment is a warning: the file is ours alone, while an environment is shared.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from backup_core.config.table import TABLE
from backup_core.errors import ConfigError

SYSTEM_FILE = Path("/etc/pitr/pitr.toml")


def find(
    config_file: Path | None, environ: Mapping[str, str], *, system_file: Path = SYSTEM_FILE
) -> Path | None:
    """Choose the file to read: the one given, PITR_CONFIG, the system's, the user's, or none.

    Only the first two must exist. A home directory that is closed to us is another user's.
    """
    if config_file is not None or "PITR_CONFIG" in environ:
        return config_file or Path(environ["PITR_CONFIG"])
    if _present(system_file):
        return system_file
    home = environ.get("HOME", "")
    user_file = Path(home, ".config/pitr/pitr.toml")
    return user_file if home and os.access(home, os.X_OK) and _present(user_file) else None


def _present(file: Path) -> bool:
    """Tell whether there is a file to read; one behind a closed directory counts as there."""
    try:
        file.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def read(file: Path) -> Mapping[str, tuple[str, str]]:
    """Read field name to (value as text, "file:line"); raises ConfigError for any mistake."""
    text = _read_text(file)
    import tomllib

    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        where, reason = _where(text, str(error))
        raise ConfigError(f"{file}:{where}: {reason}", hint="Correct the TOML syntax.") from None
    return {
        key: _entry(key, value, f"{file}:{_line(text, key)}") for key, value in document.items()
    }


def _read_text(file: Path) -> str:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ConfigError(
            f'cannot read configuration file "{file}": {error.strerror}',
            hint="Check the path, --config, PITR_CONFIG and the file's permissions.",
        ) from None
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{file}:{line}: not UTF-8", hint="TOML files are UTF-8.") from None


def _entry(key: str, value: object, where: str) -> tuple[str, str]:
    if key not in TABLE:
        raise ConfigError(f'{where}: "{key}" is not a setting', hint=_nearest(key))
    if isinstance(value, bool):
        return str(value).lower(), where
    if isinstance(value, int | float | str):
        return str(value), where
    raise ConfigError(
        f"{where}: {key} must be a string, a number or a boolean",
        hint=f"Write {key} = and a single value.",
    )


def _where(text: str, message: str) -> tuple[int, str]:
    """Split tomllib's message into line and reason."""
    match = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)$", message)
    line = int(match[1]) if match and match[1] else text.rstrip("\n").count("\n") + 1
    reason = message[: match.start()] if match else message
    return line, reason[:1].lower() + reason[1:]


def _line(text: str, key: str) -> int:
    """Find the line that sets a top-level key or opens the table of that name."""
    quoted = rf"[\"']?{re.escape(key)}[\"']?\s*"
    match = re.search(rf"^\s*(?:{quoted}[.=]|\[+\s*{quoted}[\].])", text, re.MULTILINE)
    return text.count("\n", 0, match.end()) + 1 if match else 1


def _nearest(key: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(key, TABLE, n=1)
    return f'The nearest is "{near[0]}".' if near else "See docs/settings.md for the names."
