"""Attributes of what archives, backs up and restores: `pitr`, without its larger sections."""

# ruff: noqa: RUF009  # each call makes a field
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from provision.content import SecretRef
from provision.kinds import (
    BOOLEAN,
    PATH,
    SECRET,
    TEXT,
    TEXT_OR_SECRET,
    Kind,
    duration,
    integer,
    list_of,
    map_of,
    one_of,
    text,
)
from provision.schema.fields import attribute, open_map, section
from provision.schema.recovery import Drill, Recovery
from provision.schema.schedules import BaseBackup, Logrotate, Retention
from provision.values import Duration

Profile = Literal["pitr", "wal-e", "wal-g"]
Scheme = Literal["none", "age", "libsodium", "openpgp"]
ArchiveMode = Literal["on", "always"]

_PROFILE: Kind[Profile] = one_of("pitr", "wal-e", "wal-g")
_SCHEME: Kind[Scheme] = one_of("none", "age", "libsodium", "openpgp")
_ARCHIVE_MODE: Kind[ArchiveMode] = one_of("on", "always")
_REQUIREMENT = text(
    "requirement of pip",
    r"[A-Za-z0-9][A-Za-z0-9._-]*(\[[a-z0-9,_-]+\])?(==[A-Za-z0-9.+!_-]+)?",
    hint="Write a name, or a name and a version: pitr==1.2.0",
)
_REPOSITORY = text(
    "URL of a repository",
    r"(s3|gs)://[a-z0-9][a-z0-9._-]{1,221}(/[^\s?#@]*)?|file:///[^\s?#]+",
    hint="Write s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or file:///DIRECTORY, without credentials.",
)
_FILES = map_of(SECRET, r"[A-Za-z0-9][A-Za-z0-9._-]*", "name of a file")
_ENVIRONMENT = map_of(TEXT_OR_SECRET, r"[A-Z_][A-Z0-9_]*", "name of a variable")


@dataclass(frozen=True, kw_only=True)
class Package:
    """What is installed."""

    requirement: str = attribute(
        _REQUIREMENT,
        default="pitr",
        doc="The distribution that pip installs, with a version if it matters.",
    )
    find_links: str | None = attribute(
        TEXT,
        default=None,
        doc="A directory of wheels on the host, or a URL, used instead of the package index.",
    )
    manage: bool = attribute(
        BOOLEAN,
        default=True,
        doc="Whether the program is installed by us.",
    )
    probe: bool = attribute(
        BOOLEAN,
        default=True,
        doc="Whether a new environment has to list the repository's backups before it is used.",
    )


@dataclass(frozen=True, kw_only=True)
class Encryption:
    """How what leaves the host is encrypted."""

    scheme: Scheme = attribute(_SCHEME, default="none", doc="The scheme.")
    recipients: tuple[str, ...] = attribute(
        list_of(TEXT),
        default=(),
        merge="append_unique",
        doc="Public keys of those who can read the archive.",
    )
    key_id: str | None = attribute(
        text("id of a key", r"[A-Za-z0-9@._+ <>-]+"),
        default=None,
        doc="The key in gpg's keyring of the server's user that OpenPGP encrypts to.",
    )
    identity: SecretRef | None = attribute(
        SECRET,
        default=None,
        doc="The private key with which this host restores, and encrypts if nothing else is set; "
        "one of OpenPGP in ASCII armour.",
    )


@dataclass(frozen=True, kw_only=True)
class Archive:
    """Continuous archiving."""

    enabled: bool = attribute(BOOLEAN, default=True, doc="Whether WAL is archived.")
    timeout: Duration = attribute(
        duration("0s", "1d"),
        default=Duration(seconds=60),
        doc="After how long a segment that is not full is archived as well; 0s for never.",
    )
    mode: ArchiveMode = attribute(
        _ARCHIVE_MODE,
        default="on",
        doc="Whether a standby archives too: always.",
    )


@dataclass(frozen=True, kw_only=True)
class Monitoring:
    """Metrics, and the limits that alerts are made of."""

    textfile_directory: str = attribute(
        PATH,
        default="/var/lib/prometheus/node-exporter",
        doc="Where node_exporter reads metrics from files.",
    )
    rules_file: str | None = attribute(
        PATH,
        default=None,
        doc="Where alert rules for Prometheus are written; null for not at all.",
    )
    dashboard_file: str | None = attribute(
        PATH,
        default=None,
        doc="Where a dashboard for Grafana is written; null for not at all.",
    )
    wal_age: Duration = attribute(
        duration("1s"),
        default=Duration(seconds=900),
        doc="How old the last archived segment may be.",
    )
    pending_wal: int = attribute(
        integer(1, 1_000_000),
        default=2000,
        doc="How many segments may wait to be archived.",
    )
    backup_age: Duration = attribute(
        duration("1min"),
        default=Duration(seconds=108000),
        doc="How old the last base backup may be.",
    )
    drill_age: Duration = attribute(
        duration("1h"),
        default=Duration(seconds=172800),
        doc="How long ago a drill may last have proved a restore.",
    )
    replay_lag: Duration = attribute(
        duration("1s"),
        default=Duration(seconds=10800),
        doc="How far a replica may be behind, beyond a delay that it keeps.",
    )


@dataclass(frozen=True, kw_only=True)
class Pitr:
    """Archiving, base backups, retention, recovery and drills."""

    profile: Profile = attribute(
        _PROFILE,
        default="pitr",
        doc="Whose paths the defaults follow: our own, or those that WAL-E or WAL-G had.",
    )
    prefix: str | None = attribute(
        PATH,
        default=None,
        derived="profile",
        doc="Where the program is installed.",
    )
    package: Package = section(Package, doc="What is installed.")
    config_directory: str | None = attribute(
        PATH,
        default=None,
        derived="profile",
        doc="Where the directory of environment variables is.",
    )
    log_directory: str | None = attribute(
        PATH,
        default=None,
        derived="profile",
        doc="Where logs are written.",
    )
    state_directory: str | None = attribute(
        PATH,
        default=None,
        derived="profile",
        doc="What is kept from run to run.",
    )
    spool_directory: str | None = attribute(
        PATH,
        default=None,
        doc="Where WAL is pushed ahead and prefetched, of this cluster alone and not in the data "
        "directory; null for not at all.",
    )
    repository: str | None = attribute(
        _REPOSITORY,
        default=None,
        doc="Where WAL and base backups are kept; one prefix for all hosts of a cluster.",
    )
    environment: Mapping[str, str | SecretRef] = open_map(
        _ENVIRONMENT,
        doc="Variables of the program's environment.",
    )
    files: Mapping[str, SecretRef] = open_map(
        _FILES,
        doc="Secrets that are wanted as files, in config_directory: a service account of Google.",
    )
    encryption: Encryption = section(Encryption, doc="How what leaves the host is encrypted.")
    archive: Archive = section(Archive, doc="Continuous archiving.")
    base_backup: BaseBackup = section(BaseBackup, doc="Base backups.")
    retention: Retention = section(Retention, doc="What is kept in the repository.")
    recovery: Recovery = section(Recovery, doc="How a replica follows, or a restore ends.")
    drill: Drill = section(Drill, doc="Restores that prove that a restore works.")
    logrotate: Logrotate = section(Logrotate, doc="What happens to logs.")
    monitoring: Monitoring = section(Monitoring, doc="Metrics and the limits of alerts.")
