"""What a server says of itself, in a few queries, and what its directory says when it is down."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from backup_core.monitor.facts import Archiver, ReadyFiles, ServerFacts
from backup_core.postgres.server import Server

_NAMES = ("archive_mode", "archive_command", "archive_library", "archive_timeout", "wal_level")
_MORE_NAMES = ("full_page_writes", "data_directory", "hot_standby", "restore_command")
_WAL_NAMES, _STATUS_DIRECTORY, _ARCHIVER_SHOWN = 100000, 120000, 140000

_SETTINGS = f"""
SELECT name, setting, pending_restart FROM pg_settings
WHERE pending_restart OR name IN ({", ".join(f"'{name}'" for name in (*_NAMES, *_MORE_NAMES))})
"""
_SELF = """
SELECT pg_is_in_recovery(), clock_timestamp(),
    (SELECT system_identifier FROM pg_control_system()),
    pg_last_xact_replay_timestamp(),
    pg_is_in_recovery()
        AND coalesce(pg_last_{wal}_receive_{lsn}() = pg_last_{wal}_replay_{lsn}(), false)
"""
_ARCHIVER = """
SELECT archived_count, last_archived_time, failed_count, last_failed_time, last_failed_wal
FROM pg_stat_archiver
"""
_RUNS = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'archiver'"
_READY = """
SELECT count(*), min(modification) FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'
"""
_READY_BEFORE_12 = """
SELECT count(*), min((pg_stat_file('{0}/' || name, true)).modification)
FROM pg_ls_dir('{0}') AS name WHERE name LIKE '%.ready'
"""


def read_server(server: Server) -> ServerFacts:
    """Ask a server for everything but its waiting WAL; raises ServerError."""
    settings: dict[str, str] = {}
    pending = []
    for name, value, waits in server.rows(_SETTINGS):
        settings[str(name)] = "" if value is None else str(value)
        if waits:
            pending.append(str(name))
    new = server.version >= _WAL_NAMES
    words = {"wal": "wal", "lsn": "lsn"} if new else {"wal": "xlog", "lsn": "location"}
    [(recovers, clock, system, replayed, caught_up)] = server.rows(_SELF.format(**words))
    now = datetime.now(UTC)
    told = _time(clock) or now
    return ServerFacts(
        version=server.version,
        in_recovery=recovers is True,
        clock=told,
        clock_offset=(told - now).total_seconds(),
        system_identifier=int(str(system)) % (1 << 64),
        data_directory=settings.get("data_directory", ""),
        settings=settings,
        pending_restart=tuple(pending),
        archiver=_archiver(server),
        replayed=_time(replayed),
        caught_up=caught_up is True,
    )


def _archiver(server: Server) -> Archiver:
    [(archived, last_archived, failed, last_failed, file)] = server.rows(_ARCHIVER)
    runs = None
    if server.version >= _ARCHIVER_SHOWN:
        runs = server.rows(_RUNS)[0][0] != 0
    return Archiver(
        archived=int(str(archived)),
        last_archived=_time(last_archived),
        failed=int(str(failed)),
        last_failed=_time(last_failed),
        last_failed_file=None if file is None else str(file),
        runs=runs,
    )


def read_ready(server: Server) -> ReadyFiles:
    """Ask a server for the files that wait to be archived; raises ServerError."""
    if server.version >= _STATUS_DIRECTORY:
        query = _READY
    else:
        wal = "pg_wal" if server.version >= _WAL_NAMES else "pg_xlog"
        query = _READY_BEFORE_12.format(f"{wal}/archive_status")
    [(count, oldest)] = server.rows(query)
    return ReadyFiles(count=int(str(count)), oldest=_time(oldest))


def ready_in(data_dir: Path) -> ReadyFiles | None:
    """The same from the data directory itself; None where it cannot be looked into."""
    times = []
    for name in ("pg_wal", "pg_xlog"):
        try:
            files = list((data_dir / name / "archive_status").iterdir())
        except OSError:
            continue
        for file in files:
            if file.suffix == ".ready":
                times.append(_modified(file))
        return ReadyFiles(
            count=len(times), oldest=min((time for time in times if time), default=None)
        )
    return None


def _modified(file: Path) -> datetime | None:
    try:
        return datetime.fromtimestamp(file.stat().st_mtime, UTC)
    except OSError:
        return None


def wal_directory(data_dir: Path) -> Path:
    """Where the WAL is, a link followed; the data directory itself where there is none."""
    found = (data_dir / name for name in ("pg_wal", "pg_xlog"))
    return next((path for path in found if path.is_dir()), data_dir)


def _time(value: object) -> datetime | None:
    return value if isinstance(value, datetime) else None
