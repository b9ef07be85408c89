"""Attributes of the server: `postgresql`."""

# ruff: noqa: RUF009  # each call makes a field
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from provision.kinds import (
    BOOLEAN,
    PATH,
    PG_VERSION,
    PORT,
    SETTING,
    USER_NAME,
    Kind,
    map_of,
    one_of,
    text,
)
from provision.schema.fields import attribute, open_map
from provision.values import PgVersion

Sink = Literal["conf_d", "include_file"]
SettingValue = str | int | float | bool

_SINK: Kind[Sink] = one_of("conf_d", "include_file")
_CLUSTER = text("name of a cluster", r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_SETTINGS = map_of(
    SETTING,
    r"[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*)*",
    "setting of PostgreSQL",
    fold=str.lower,
)


@dataclass(frozen=True, kw_only=True)
class Postgresql:
    """The server that is on the host."""

    version: PgVersion = attribute(
        PG_VERSION,
        default=PgVersion(major=18),
        required=True,
        doc="The major version that runs on the host.",
    )
    cluster: str = attribute(
        _CLUSTER,
        default="main",
        doc="The cluster's name, a part of the default paths.",
    )
    user: str = attribute(USER_NAME, default="postgres", doc="The user that the server runs as.")
    group: str = attribute(USER_NAME, default="postgres", doc="That user's group.")
    port: int = attribute(PORT, default=5432, doc="The port that the server listens on.")
    bin_directory: str | None = attribute(
        PATH,
        default=None,
        derived="version",
        doc="Where the server's programs are.",
    )
    data_directory: str | None = attribute(
        PATH,
        default=None,
        derived="version and cluster",
        doc="The data directory, PGDATA.",
    )
    config_directory: str | None = attribute(
        PATH,
        default=None,
        derived="version and cluster",
        doc="Where postgresql.conf is.",
    )
    socket_directory: str = attribute(
        PATH,
        default="/var/run/postgresql",
        doc="Where the server's socket is.",
    )
    sink: Sink = attribute(
        _SINK,
        default="conf_d",
        doc="Where settings are written: a file in conf.d, or one that postgresql.conf includes.",
    )
    manage_include: bool = attribute(
        BOOLEAN,
        default=False,
        doc="Whether the line in postgresql.conf that reads conf.d or the file is ours.",
    )
    settings: Mapping[str, SettingValue] = open_map(
        _SETTINGS,
        doc="Settings of PostgreSQL, checked against the version.",
    )
