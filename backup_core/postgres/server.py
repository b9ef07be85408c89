"""A running PostgreSQL server; the only user of psycopg.

Functions were renamed in 10 (xlog to wal, location to lsn) and 15 (pg_start_backup to
pg_backup_start); only the non-exclusive backup interface is used, which 9.6 brought.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psycopg
import psycopg.conninfo

from backup_core.errors import CorruptError, RefusedError, ServerError
from backup_core.postgres.lsn import Lsn

_START = re.compile(r"^START WAL LOCATION: (\S+) \(file ([0-9A-F]{24})\)$", re.MULTILINE)
_OLDEST = 90600
_IDLE_SESSION_TIMEOUT = 140000


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """The names of the server's functions, by version."""

    start_backup: str
    stop_backup: str
    switch_wal: str
    replay_lsn: str
    write_position: str


def dialect(version: int) -> Dialect:
    """Choose by `server_version_num`; raises RefusedError before 9.6."""
    if version < _OLDEST:
        raise RefusedError(
            f"the server's version {version} is older than 9.6",
            hint="It has no non-exclusive backups; upgrade it, or use the tool of its time.",
        )
    if version >= 150000:
        start, stop = "pg_backup_start(%s, fast => true)", "pg_backup_stop(false)"
    elif version >= 100000:
        start, stop = "pg_start_backup(%s, true, false)", "pg_stop_backup(false, false)"
    else:
        start, stop = "pg_start_backup(%s, true, false)", "pg_stop_backup(false)"
    new = version >= 100000
    replayed = "pg_last_wal_replay_lsn" if new else "pg_last_xlog_replay_location"
    written = "pg_current_wal_lsn" if new else "pg_current_xlog_location"
    named = "pg_walfile_name" if new else "pg_xlogfile_name"
    return Dialect(
        start_backup=f"SELECT {start}",
        stop_backup=f"SELECT lsn, labelfile, spcmapfile FROM {stop}",
        switch_wal=f"SELECT {'pg_switch_wal' if new else 'pg_switch_xlog'}()",
        replay_lsn=f"SELECT {replayed}()",
        write_position=f"SELECT {written}(), {named}({written}())",
    )


@dataclass(frozen=True, kw_only=True)
class Address:
    """A server that is reached by its socket alone, whatever libpq's environment says."""

    sockets: Path
    port: int
    user: str
    database: str = "postgres"


@dataclass(frozen=True, kw_only=True)
class ArchiverStatus:
    """What pg_stat_archiver says."""

    last_archived: str | None
    last_failed: str | None
    last_failed_time: datetime | None


@dataclass(frozen=True, kw_only=True)
class BackupEnd:
    """What the server hands over at the end of a backup, to be stored byte for byte.

    `stop_time` is the server's: a recovery target before it may lie inside the backup.
    """

    stop_lsn: Lsn
    stop_time: datetime
    first_segment: str
    label: str
    tablespace_map: str


def parse_label(label: str) -> tuple[Lsn, str]:
    """The start LSN and the first WAL segment that a backup label names; raises CorruptError."""
    match = _START.search(label)
    if match is None:
        raise CorruptError("the backup label that the server gave has no START WAL LOCATION")
    return Lsn.parse(match[1]), match[2]


class Server:
    """A connection that stays open for the length of a backup; errors are ServerError."""

    def __init__(self, connection: psycopg.Connection[tuple[object, ...]]) -> None:
        self._connection = connection
        self.version = connection.info.server_version
        self._dialect = dialect(self.version)

    @property
    def major(self) -> int:
        """The major version; 9 stands for 9.6."""
        return self.version // 10000

    def stay(self) -> None:
        """Lift the limits that could end the session, and the backup with it."""
        self._value("SELECT set_config('statement_timeout', '0', false)")
        if self.version >= _IDLE_SESSION_TIMEOUT:
            self._value("SELECT set_config('idle_session_timeout', '0', false)")

    def in_recovery(self) -> bool:
        """Tell whether the server is a standby."""
        return self._value("SELECT pg_is_in_recovery()") is True

    def setting(self, name: str) -> str:
        """A setting's value as SHOW prints it."""
        return str(self._value("SELECT current_setting(%s)", name))

    def data_directory(self) -> Path:
        """Where the server's data is, on the server's host."""
        return Path(self.setting("data_directory"))

    def system_identifier(self) -> int:
        """The identifier that initdb gave the cluster."""
        return int(str(self._value("SELECT system_identifier FROM pg_control_system()")))

    def checkpoint_timeline(self) -> int:
        """The timeline of the latest checkpoint or restartpoint."""
        return int(str(self._value("SELECT timeline_id FROM pg_control_checkpoint()")))

    def replay_lsn(self) -> Lsn:
        """How far a standby has replayed."""
        return Lsn.parse(str(self._value(self._dialect.replay_lsn)))

    def position(self) -> tuple[int, Lsn]:
        """The timeline and the LSN that a primary has written, or a standby replayed, up to."""
        if self.in_recovery():
            return self.checkpoint_timeline(), self.replay_lsn()
        lsn, name = self._row(self._dialect.write_position)
        return int(str(name)[:8], 16), Lsn.parse(str(lsn))

    def switch_wal(self, restore_point: str) -> Lsn:
        """Finish the current WAL segment; return the end of the WAL in it (exclusive).

        A restore point goes first: without new WAL the server would not switch.
        """
        self._value("SELECT pg_create_restore_point(%s)", restore_point)
        return Lsn.parse(str(self._value(self._dialect.switch_wal)))

    def archiver(self) -> ArchiverStatus:
        """Read pg_stat_archiver."""
        row = self._row(
            "SELECT last_archived_wal, last_failed_wal, last_failed_time FROM pg_stat_archiver"
        )
        archived, failed, moment = row
        return ArchiverStatus(
            last_archived=str(archived) if archived else None,
            last_failed=str(failed) if failed else None,
            last_failed_time=moment if isinstance(moment, datetime) else None,
        )

    def start_backup(self, label: str) -> Lsn:
        """Begin a non-exclusive backup with an immediate checkpoint; return its start LSN."""
        return Lsn.parse(str(self._value(self._dialect.start_backup, label)))

    def stop_backup(self) -> BackupEnd:
        """End the backup without waiting for the archiver."""
        lsn, label, tablespace_map = map(str, self._row(self._dialect.stop_backup))
        return BackupEnd(
            stop_lsn=Lsn.parse(lsn),
            stop_time=self.clock(),
            first_segment=parse_label(label)[1],
            label=label,
            tablespace_map=tablespace_map,
        )

    def clock(self) -> datetime:
        """The server's time now, by which commits are stamped."""
        moment = self._value("SELECT clock_timestamp()")
        assert isinstance(moment, datetime)
        return moment

    def replayed(self) -> datetime | None:
        """When the last transaction that was replayed had committed; None if none was."""
        moment = self._value("SELECT pg_last_xact_replay_timestamp()")
        return moment if isinstance(moment, datetime) else None

    def ask(self, query: str, timeout: float) -> str | None:
        """The first value that a query of the operator's returns, as psql shows it.

        None for no row and for null. Raises ServerError, also after `timeout` seconds.
        """
        milliseconds = f"{max(1, round(timeout * 1000))}"
        self._value("SELECT set_config('statement_timeout', %s, false)", milliseconds)
        result = self._execute(query).pgresult
        value = result.get_value(0, 0) if result and result.ntuples and result.nfields else None
        return None if value is None else value.decode("utf-8", "replace")

    def rows(self, query: str) -> list[tuple[object, ...]]:
        """All rows of a query."""
        return self._execute(query).fetchall()

    def ping(self) -> None:
        """Raise ServerError if the connection, and with it the backup, is lost."""
        self._value("SELECT 1")

    def _value(self, query: str, *parameters: object) -> object:
        return self._row(query, *parameters)[0]

    def _row(self, query: str, *parameters: object) -> tuple[object, ...]:
        row = self._execute(query, *parameters).fetchone()
        assert row is not None, query
        return row

    def _execute(self, query: str, *parameters: object) -> psycopg.Cursor[tuple[object, ...]]:
        try:
            return self._connection.execute(query.encode(), parameters or None)
        except psycopg.errors.InsufficientPrivilege as error:
            raise ServerError(
                f"the server refuses: {_first_line(error)}",
                hint="Connect as a superuser, or grant the role EXECUTE on the backup functions, "
                "pg_switch_wal and pg_create_restore_point, and make it a member of "
                "pg_read_all_settings.",
            ) from None
        except psycopg.errors.QueryCanceled as error:
            raise ServerError(f"the server gave up: {_first_line(error)}") from None
        except psycopg.OperationalError as error:
            raise ServerError(
                f"the connection to the server is lost: {_first_line(error)}",
                hint="Whatever ran on it has ended with it; the server's log says why. Try again.",
            ) from None
        except psycopg.Error as error:
            raise ServerError(f"the server refuses: {_first_line(error)}") from None


@contextmanager
def connect(address: Address | None = None, *, timeout: int = 30) -> Iterator[Server]:
    """Connect as libpq's environment says, or to an address; leaving ends the session.

    Any backup in it ends, too. The encoding is fixed because psycopg gives bytes, not texts, in a
    SQL_ASCII database. `timeout` is in seconds, two at least.
    """
    try:
        connection = psycopg.connect(
            _conninfo(address),
            autocommit=True,
            application_name="pitr",
            client_encoding="UTF8",
            connect_timeout=timeout,
            keepalives_idle=60,
        )
    except psycopg.Error as error:
        raise ServerError(
            f"cannot connect to the server: {_first_line(error)}",
            hint="Set PGHOST, PGPORT, PGUSER and PGDATABASE as for psql; psql must be able to "
            "connect without a password prompt.",
        ) from None
    try:
        server = Server(connection)
        server.stay()
        yield server
    finally:
        connection.close()


def _conninfo(address: Address | None) -> str:
    """What libpq's environment could add stands here, empty: PGHOSTADDR leads elsewhere."""
    if address is None:
        return ""
    return psycopg.conninfo.make_conninfo(
        "",
        host=str(address.sockets),
        hostaddr="",
        port=address.port,
        user=address.user,
        dbname=address.database,
        sslmode="disable",
        gssencmode="disable",
        target_session_attrs="any",
        options="-c datestyle=ISO -c timezone=UTC",
    )


def _first_line(error: psycopg.Error) -> str:
    lines = str(error).removeprefix("connection is bad: ").strip().splitlines()
    return lines[0] if lines else type(error).__name__
