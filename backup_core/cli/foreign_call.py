"""What a call of another tool comes to: a command of ours, its arguments and its variables.

A value instead of a call, so that a translation can be read, tested and printed without a store.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from backup_core.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Call:
    """One of our commands with its arguments and the whole environment it is to see.

    `codes` maps our exit codes to the tool's where they differ. With `says` nothing is run: it is
    the answer.
    """

    command: str = ""
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    codes: Mapping[int, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    says: str | None = None


def changed(environ: Mapping[str, str], changes: Mapping[str, str | None]) -> dict[str, str]:
    """The environment with some variables set and others, those that are None, taken away."""
    merged: dict[str, str | None] = {**environ, **changes}
    return {name: value for name, value in merged.items() if value is not None}


def refuse_command(tool: str, command: str, reasons: Mapping[str, str]) -> UsageError:
    """The error for a command that pitr does not stand in for; `reasons` has hints by command."""
    if command in reasons:
        return UsageError(f'pitr does not take over "{tool} {command}"', hint=reasons[command])
    return UsageError(
        f'there is no command "{tool} {command}"' if command else f"{tool} without a command",
        hint="pitr stands in for backup-push, backup-fetch, backup-list, delete, wal-push and "
        "wal-fetch.",
    )


def tablespace_arguments(path: str, pgdata: str) -> tuple[str, ...]:
    """The mappings that a file of --restore-spec asks for.

    The file is a JSON object with `tablespaces`, a list of OIDs, and an object with `loc` for each.
    Raises UsageError for a file that says anything else, or names another data directory.
    """
    try:
        spec = json.loads(Path(path).read_text(encoding="utf-8"))
        base = spec.get("base_prefix")
        pairs = [(str(oid), str(spec[str(oid)]["loc"])) for oid in spec["tablespaces"]]
    except OSError as error:
        raise UsageError(
            f"cannot read --restore-spec {path}: {error.strerror}", hint="Check the path."
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UsageError(
            f"--restore-spec {path} is not a specification of tablespaces",
            hint='Write {"tablespaces": ["16384"], "16384": {"loc": "/new/place"}}.',
        ) from None
    if base is not None and Path(base).absolute() != Path(pgdata).absolute():
        raise UsageError(
            f"--restore-spec {path} has base_prefix {base}, but the restore goes to {pgdata}",
            hint="Take base_prefix out of the file, or restore to the directory it names.",
        )
    return tuple(word for oid, place in pairs for word in _mapping(oid, place))


def _mapping(oid: str, place: str) -> Sequence[str]:
    return ("--tablespace-mapping", f"{oid}={place.rstrip('/') or '/'}")
