"""What keeps a drill's server away from everything but its own files (pure).

A restored cluster has production's settings, jobs and subscriptions, and on the production host
even its paths. So its configuration is not used at all: the server gets one that is made here from
what pg_control records, and what must not be otherwise stands on its command line, which wins over
every file. It archives nothing, listens to no network, follows no primary, loads no library unasked
(some start jobs), subscribes to nothing, and reads the archive by wal-fetch, which never writes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from backup_core.errors import UsageError
from backup_core.postgres.recovery import RecoveryConfig, quote_setting, rewrite_auto_conf

PORT = 5432
_NEWEST = 99
_NOT_TO_BE_SET = ("data_directory", "include", "recovery_", "restore_command", "standby_mode")
_LIBRARIES = 15
_PRIMARY_AS_SETTING = 12
_SUBSCRIPTIONS = 10
HBA = "local all all trust\n"
"""Whoever reaches the socket may connect: its directory is the drill's own and closed."""


def fixed_settings(major: int, *, sockets: Path, config: Path, hba: Path) -> dict[str, str]:
    """The settings that isolate a server of this major version (9 stands for 9.6)."""
    settings = {
        "config_file": str(config),
        "hba_file": str(hba),
        "ident_file": str(hba.with_name("pg_ident.conf")),
        "listen_addresses": "",
        "unix_socket_directories": str(sockets),
        "unix_socket_permissions": "0700",
        "port": str(PORT),
        "archive_mode": "off",
        "archive_command": "false",
        "session_preload_libraries": "",
        "local_preload_libraries": "",
        "hot_standby": "off",
        "ssl": "off",
        "logging_collector": "off",
        "log_destination": "stderr",
        "lc_messages": "C",
    }
    if major >= _SUBSCRIPTIONS:
        settings["max_logical_replication_workers"] = "0"
    if major >= _PRIMARY_AS_SETTING:
        settings |= {"primary_conninfo": "", "primary_slot_name": "", "archive_cleanup_command": ""}
        settings["recovery_end_command"] = ""
    if major >= _LIBRARIES:
        settings["archive_library"] = ""
    return settings


def words(settings: Mapping[str, str]) -> list[str]:
    """The settings as arguments of `postgres`."""
    return [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]


def config_file(limits: Mapping[str, str], extra: Iterable[tuple[str, str]]) -> str:
    """The whole postgresql.conf: the limits that replay needs, and the operator's own wishes."""
    settings = dict(limits) | {"shared_preload_libraries": ""} | dict(extra)
    lines = (f"{name} = {quote_setting(value)}\n" for name, value in settings.items())
    return "# Written by pitr drill.\n" + "".join(lines)


def auto_conf(recovery: RecoveryConfig) -> str:
    """The whole postgresql.auto.conf: nothing that ALTER SYSTEM wrote on the primary is left."""
    is_file = recovery.signal == "recovery.conf"
    return rewrite_auto_conf("", recovery.server_settings if is_file else recovery.settings)


def check_extra(extra: Iterable[tuple[str, str]]) -> None:
    """Raise UsageError for a setting of the operator's that would undo the isolation.

    Libraries may be named: some extensions answer no query without theirs.
    """
    nowhere = Path("/")
    fixed = fixed_settings(_NEWEST, sockets=nowhere, config=nowhere, hba=nowhere / "hba")
    for name, _ in extra:
        if name.lower() in fixed or name.lower().startswith(_NOT_TO_BE_SET):
            raise UsageError(
                f"{name} is not the operator's to set: it keeps the drill away from production",
                hint="Leave it out.",
            )
