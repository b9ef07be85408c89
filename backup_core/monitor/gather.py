"""Looks at everything, each part by itself, so that what is broken hides nothing else."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from backup_core.errors import MissingKeyError, PitrError, StorageError
from backup_core.monitor.facts import (
    Facts,
    Pushing,
    ReadyFiles,
    RepositoryFacts,
    ServerFacts,
    Space,
    StoreTrial,
    Switched,
    Trouble,
)
from backup_core.monitor.server import read_ready, read_server, ready_in, wal_directory
from backup_core.monitor.store_trial import try_store
from backup_core.postgres.server import Server, connect
from backup_core.postgres.wal import last_segment_before, segment_name
from backup_core.repository import drills, layout
from backup_core.repository.catalog import read_catalog
from backup_core.repository.drills import DrillRecord
from backup_core.repository.identity import load_identity
from backup_core.repository.wal_archive import find_wal
from backup_core.storage.base import Storage
from backup_core.verify.ends import read_recovery

T = TypeVar("T")
_SECONDS_TO_CONNECT = 10
_POLL = 0.1
_DRILLS_LOOKED_AT = 50
_PROBE = b"a page of WAL, for a trial of encryption " * 200


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is to be looked at, and how deeply; times in seconds.

    `bare` opens the store as it is, `sealed` as the commands see it, `scheme` is what encrypts and
    `scratch` a storage in memory that encrypts likewise. `pushing` reads what the spool tells.
    `server`, `trials`, `switch` and `windows` can be left out.
    """

    bare: Callable[[], Storage]
    sealed: Callable[[], Storage]
    scheme: str = "none"
    scratch: Callable[[], tuple[Storage, Storage]] | None = field(default=None, repr=False)
    pushing: Callable[[], Pushing | None] = lambda: None
    pgdata: Path | None = None
    repository_directory: Path | None = None
    may_delete: bool = True
    archive_timeout: float = 60.0
    server: bool = True
    repository: bool = True
    trials: bool = True
    switch: bool = True
    windows: bool = True


def gather(subject: Subject) -> Facts:
    """Look at everything that the subject has; nothing is raised but what is a defect."""
    look = _Look(subject)
    return look.facts()


class _Look:
    """One look, and the troubles that it met."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self.troubles: dict[str, Trouble] = {}
        self.skipped: dict[str, str] = {}

    def facts(self) -> Facts:
        subject = self._subject
        server, ready, switched = self._server() if subject.server else (None, None, None)
        repository = self._part("repository", self._repository) if subject.repository else None
        tries = subject.trials and "repository" not in self.troubles
        data_dir = self._data_dir(server)
        if ready is None and data_dir is not None:
            ready = ready_in(data_dir)
        return Facts(
            now=datetime.now(UTC),
            server=server,
            ready=ready,
            pushing=subject.pushing() if subject.server else None,
            repository=repository,
            trial=self._part("store", self._trial) if tries else None,
            switched=switched,
            encrypted=self._part("encryption", self._encryption) if subject.trials else None,
            spaces=tuple(self._spaces(data_dir)),
            troubles=self.troubles,
            skipped=self.skipped,
        )

    def _part(self, name: str, work: Callable[[], T]) -> T | None:
        try:
            return work()
        except PitrError as error:
            self.troubles[name] = Trouble(message=error.message, hint=error.hint)
            return None

    # --- the server ---

    def _server(self) -> tuple[ServerFacts | None, ReadyFiles | None, Switched | None]:
        found: ServerFacts | None = None
        ready: ReadyFiles | None = None
        switched: Switched | None = None
        try:
            with connect(timeout=_SECONDS_TO_CONNECT) as server:
                found = read_server(server)
                ready = self._part("ready", lambda: read_ready(server))
                if self._subject.trials and self._may_switch(found):
                    switched = self._part("switch", lambda: self._switch(server))
        except PitrError as error:
            self.troubles["server"] = Trouble(message=error.message, hint=error.hint)
        return found, ready, switched

    def _may_switch(self, server: ServerFacts) -> bool:
        why = ""
        if not self._subject.switch:
            why = "not asked for"
        elif server.in_recovery:
            why = "a standby cannot end a segment"
        elif server.settings.get("archive_mode") == "off":
            why = "the server does not archive"
        if why:
            self.skipped["switch"] = why
        return not why

    def _switch(self, server: Server) -> Switched:
        storage = self._subject.sealed()
        size = _segment_size(server)
        began = time.monotonic()
        end = server.switch_wal("pitr check")
        name = segment_name(server.checkpoint_timeline(), last_segment_before(end, size), size)
        while find_wal(storage, name) is None:
            waited = time.monotonic() - began
            if waited > self._subject.archive_timeout:
                raise StorageError(
                    f"WAL segment {name} did not arrive in {storage.url} within {waited:.0f} s",
                    hint="The server's log has archive_command's own words. If it calls the "
                    "segment archived, it writes elsewhere: compare its settings with pitr config.",
                )
            time.sleep(_POLL)
        return Switched(segment=name, seconds=time.monotonic() - began)

    def _data_dir(self, server: ServerFacts | None) -> Path | None:
        told = Path(server.data_directory) if server and server.data_directory else None
        path = told or self._subject.pgdata
        return path if path is not None and path.is_dir() else None

    # --- the repository ---

    def _repository(self) -> RepositoryFacts:
        storage = self._subject.sealed()
        identity = load_identity(storage)
        recovery, damaged = read_recovery(storage) if self._subject.windows else (None, ())
        records = [item.record for item in drills.load_newest(storage, _DRILLS_LOOKED_AT)]
        return RepositoryFacts(
            url=storage.url,
            system_identifier=identity.system_identifier if identity else None,
            catalog=read_catalog(storage),
            recovery=recovery,
            damaged=damaged,
            drills=_newest_of_each(records),
            drill_proved=max((each.started for each in records if each.succeeded), default=None),
        )

    def _trial(self) -> StoreTrial:
        return try_store(self._subject.bare(), may_delete=self._subject.may_delete)

    # --- the rest ---

    def _encryption(self) -> str:
        """What came of encrypting and decrypting something, in a word or two."""
        if self._subject.scheme == "none" or self._subject.scratch is None:
            return "nothing is encrypted"
        sealed, stored = self._subject.scratch()
        key = layout.wal(f"{secrets.token_hex(12).upper()}", "zst")
        sealed.put(key, [_PROBE])
        if b"a page of WAL" in b"".join(stored.get(key)):
            raise StorageError(f"{self._subject.scheme} is set, and what is written is plain")
        try:
            back = b"".join(sealed.get(key))
        except MissingKeyError:
            return f"{self._subject.scheme} encrypts; this host has no key to decrypt"
        if back != _PROBE:
            raise StorageError(f"what {self._subject.scheme} encrypted is decrypted to other bytes")
        return f"{self._subject.scheme} encrypts and decrypts"

    def _spaces(self, data_dir: Path | None) -> list[Space]:
        places: dict[str, Path] = {}
        if data_dir is not None:
            places["pg_wal"] = wal_directory(data_dir)
        if self._subject.repository_directory is not None:
            places["repository"] = self._subject.repository_directory
        return [space for space in map(_space, places, places.values()) if space is not None]


def _segment_size(server: Server) -> int:
    """In bytes; pg_settings has blocks before 11 and bytes since, current_setting has a unit."""
    [(value,)] = server.rows("SELECT pg_size_bytes(current_setting('wal_segment_size'))")
    return int(str(value))


def _newest_of_each(records: list[DrillRecord]) -> tuple[DrillRecord, ...]:
    newest: Mapping[str, DrillRecord] = {record.drill: record for record in records}
    return tuple(newest[name] for name in sorted(newest))


def _space(place: str, path: Path) -> Space | None:
    try:
        found = os.statvfs(path)
    except OSError:
        return None
    unit = found.f_frsize
    total = (found.f_blocks - found.f_bfree + found.f_bavail) * unit
    return Space(place=place, path=str(path), free=found.f_bavail * unit, total=total)
