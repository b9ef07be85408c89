"""What a host has: values that `observe` reads from hosts and the plan compares with.

A rendered tree can be turned into the same values, so the plan never asks where they come from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

PathKind = Literal["file", "directory", "link", "absent", "other"]


@dataclass(frozen=True, kw_only=True)
class PathState:
    """One path; `content` is None for a file that was too large to be sent, `digest` is SHA-256."""

    kind: PathKind
    owner: str = ""
    group: str = ""
    mode: str = ""
    digest: str = ""
    content: bytes | None = field(default=None, repr=False)
    target: str = ""


ABSENT = PathState(kind="absent")


@dataclass(frozen=True, kw_only=True)
class SettingState:
    """A running server's setting: its value, where it was read, whether a restart is pending.

    `automatic` is its value in postgresql.auto.conf, loaded or not; None if it is not there.
    """

    value: str
    unit: str = ""
    source_file: str = ""
    pending_restart: bool = False
    automatic: str | None = None


@dataclass(frozen=True, kw_only=True)
class ServerState:
    """A PostgreSQL server; `settings` is empty and `version` 0 where it does not answer.

    `data_version` is the text of PG_VERSION, "" without a data directory; `errors` are the lines
    of pg_file_settings that the server could not apply.
    """

    answers: bool = False
    version: int = 0
    in_recovery: bool = False
    data_version: str = ""
    settings: Mapping[str, SettingState] = field(default_factory=dict)
    errors: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Hold:
    """Somebody keeps a host as it is: who, why, and until when (UTC, ISO 8601; "" is for ever)."""

    who: str
    why: str
    until: str


@dataclass(frozen=True, kw_only=True)
class Applied:
    """One object as an apply left it; `digest` is a file's SHA-256."""

    path: str
    kind: PathKind
    owner: str = ""
    group: str = ""
    mode: str = ""
    digest: str = ""
    target: str = ""


@dataclass(frozen=True, kw_only=True)
class JournalEntry:
    """A resource that an earlier apply made, with the objects it consists of."""

    id: str
    objects: tuple[Applied, ...]


@dataclass(frozen=True, kw_only=True)
class Journal:
    """What the last apply left on a host: by whom, from which revision, and its resources."""

    applied_at: str
    applied_by: str
    revision: str
    resources: tuple[JournalEntry, ...] = ()


@dataclass(frozen=True, kw_only=True)
class HostState:
    """Everything that was asked of one host, in one answer.

    `users` and `packages` map names to whether they are there; `venvs` maps a path to the installed
    version of its distribution, "" for none; `guards` maps a guard's words to whether it succeeded;
    `interrupted` tells that an apply ended in the middle, `busy` that one runs.
    """

    paths: Mapping[str, PathState] = field(default_factory=dict)
    users: Mapping[str, bool] = field(default_factory=dict)
    packages: Mapping[str, bool] = field(default_factory=dict)
    venvs: Mapping[str, str] = field(default_factory=dict)
    guards: Mapping[tuple[str, ...], bool] = field(default_factory=dict)
    timers: Mapping[str, bool] = field(default_factory=dict)
    server: ServerState = field(default_factory=ServerState)
    journal: Journal | None = None
    hold: Hold | None = None
    interrupted: bool = False
    busy: bool = False
