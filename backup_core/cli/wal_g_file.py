"""WAL-G's configuration file, for calls under its name: an object of settings.

JSON and TOML are read by the standard library. WAL-G reads YAML and others too; such a file is an
error rather than passed over, for it may hold the repository's place or a key.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from backup_core.errors import ConfigError

NAMED_BY = "WALG_CONFIG_PATH"
_HINT = 'Write it as {"WALG_S3_PREFIX": "s3://bucket/path"}, in a file that ends in .json.'
_EXTENSIONS = ("json", "toml", "yaml", "yml", "properties", "props", "prop", "hcl", "env", "ini")


def find(given: str | None, environ: Mapping[str, str]) -> Path | None:
    """The file that --config or WALG_CONFIG_PATH names, else .walg.* in the home directory."""
    named = given or environ.get(NAMED_BY)
    if named:
        return Path(named)
    home = environ.get("HOME")
    candidates = [Path(home, f".walg.{extension}") for extension in _EXTENSIONS] if home else []
    return next((file for file in candidates if _is_file(file)), None)


def _is_file(file: Path) -> bool:
    try:
        return file.is_file()
    except OSError:  # a home directory that is closed to us is another user's
        return False


def read(file: Path) -> dict[str, str]:
    """Read the settings as variables; raises ConfigError for whatever is not JSON or TOML."""
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"cannot read {file}: {error.strerror}", hint="Check --config and its permissions."
        ) from None
    except UnicodeDecodeError:
        raise ConfigError(f"{file} is not UTF-8", hint="Write it as UTF-8.") from None
    document = _parse(file, text)
    if not isinstance(document, dict):
        raise ConfigError(f"{file} is not an object of settings", hint=_HINT)
    return {name.upper(): _text(value) for name, value in document.items()}


def _parse(file: Path, text: str) -> object:
    if file.suffix not in (".json", ".toml"):
        raise ConfigError(f"{file} is neither JSON nor TOML by its name", hint=_HINT)
    try:
        if file.suffix == ".json":
            return json.loads(text)
        import tomllib

        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{file} cannot be read: {error}", hint=_HINT) from None


def _text(value: object) -> str:
    """A value as a variable holds it; what is nested is left to the rules for its name."""
    return value if isinstance(value, str) else json.dumps(value, default=str)
