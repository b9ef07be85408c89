"""Copy a cluster while it runs, from its files to the documents beside them."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from backup_core.backup.documents import (
    corrupt_pages_document,
    files_metadata,
    manifest,
    started_document,
)
from backup_core.backup.options import Progress, PushOptions
from backup_core.backup.pages import PageLayout, is_mended_by_wal
from backup_core.backup.partition import FIRST, Partition, plan_partitions
from backup_core.backup.resume import take_over
from backup_core.backup.upload import PartReport, UploadOptions, text_stream
from backup_core.backup.workers import upload_partitions
from backup_core.postgres.control import ControlFile, read_control
from backup_core.postgres.datadir import Listing, list_data_directory
from backup_core.postgres.lsn import Lsn
from backup_core.postgres.server import BackupEnd, Server
from backup_core.repository import layout
from backup_core.repository.index import BackupIndex, render_index
from backup_core.repository.sentinel import Backup, Tablespace, render_metadata
from backup_core.storage.base import Storage
from backup_core.storage.keys import is_utf8
from backup_core.stream.compress import EXTENSIONS, encode
from backup_core.stream.digest import WRITTEN

_CONTROL = "global/pg_control"


class Copy:
    """The state of one backup while it is copied."""

    def __init__(
        self,
        storage: Storage,
        server: Server,
        directory: Path,
        control: ControlFile,
        name: str,
        options: PushOptions,
        progress: Progress,
        check_lock: Callable[[], None],
        *,
        resumed: bool = False,
    ) -> None:
        self._storage = storage
        self._server = server
        self._directory = directory
        self._control = control
        self._name = name
        self._options = options
        self._progress = progress
        self._check_lock = check_lock
        self._resumed = resumed
        self._listing = Listing(files=(), directories=(), tablespaces=(), warnings=())
        self._found_size = 0
        self._reports: list[PartReport] = []

    @property
    def vanished(self) -> int:
        return sum(len(report.vanished) for report in self._reports)

    def run(self) -> BackupEnd:
        """Copy the data directory, then pg_control, end the backup and store its label."""
        self._progress.step("copy the data directory")
        listing = list_data_directory(self._directory, major=self._server.major)
        for warning in listing.warnings:
            self._progress.warn(warning)
        self._found_size = listing.size
        self._progress.total(listing.size)
        self._listing = replace(listing, files=())  # from here on the reports name the files
        self._reports = self._taken_over(listing)
        if not self._resumed:
            document = started_document(self._control.system_identifier)
            self._put(layout.started(self._name), [document])
        partitions = self._plan(listing)
        self._reports += upload_partitions(
            self._storage,
            self._name,
            partitions,
            listing.directories,
            self._upload_options(),
            workers=self._options.workers,
            extension=EXTENSIONS[self._options.method],
            alive_interval=self._options.alive_interval,
            watch=self._watch,
        )
        content, _ = read_control(self._directory)
        self._put_small("pg_control", {f"/{_CONTROL}": content})
        self._progress.step("end the backup")
        end = self._server.stop_backup()
        self._put_small(
            "backup_label",
            {"backup_label": end.label.encode(), "tablespace_map": end.tablespace_map.encode()},
        )
        return end

    def _taken_over(self, listing: Listing) -> list[PartReport]:
        """What an interrupted backup of this name stored and still is right."""
        if not self._resumed:
            return []
        self._progress.step("compare what an interrupted backup stored")
        return take_over(
            self._storage,
            self._name,
            listing,
            self._upload_options(),
            workers=self._options.workers,
            warn=self._progress.warn,
        )

    def _plan(self, listing: Listing) -> tuple[Partition, ...]:
        """Partitions of the files that are not stored yet."""
        stored = {file.path for report in self._reports for file in report.files}
        taken = {report.name.partition(".")[0] for report in self._reports}
        left = [file for file in listing.files if file.path not in stored]
        if not left and FIRST in taken:
            return ()
        return plan_partitions(
            left,
            threshold=self._options.partition_threshold,
            workers=self._options.workers,
            taken=taken,
        )

    def corrupt_pages(self, start: Lsn, stop: Lsn) -> dict[str, list[int]]:
        """The suspect pages that no WAL of the backup will mend, by file."""
        corrupt: dict[str, list[int]] = {}
        for suspect in (page for report in self._reports for page in report.suspects):
            if not is_mended_by_wal(suspect, start, stop):
                corrupt.setdefault(suspect.path, []).append(suspect.block)
        return corrupt

    def describe(
        self,
        start: Lsn,
        end: BackupEnd,
        timeline: int,
        started: datetime,
        corrupt: dict[str, list[int]],
    ) -> Backup:
        return Backup(
            name=self._name,
            timeline=timeline,
            start_lsn=start,
            finish_lsn=end.stop_lsn,
            start_time=started,
            finish_time=end.stop_time,
            pg_version=self._server.version,
            system_identifier=self._control.system_identifier,
            hostname=socket.gethostname(),
            data_dir=str(self._directory),
            uncompressed_size=sum(file.size for report in self._reports for file in report.files),
            compressed_size=sum(report.stored_size for report in self._reports),
            data_catalog_size=self._found_size,
            tablespaces=tuple(
                Tablespace(oid=link.oid, location=link.location)
                for link in self._listing.tablespaces
            ),
            permanent=self._options.permanent,
            files_metadata_disabled=not (self._options.list_files and self._names_are_utf8()),
            user_data=self._options.user_data,
            corrupt_pages=sum(map(len, corrupt.values())),
        )

    def write_documents(self, backup: Backup, corrupt: dict[str, list[int]]) -> None:
        """Write everything but the sentinel, from which on the backup exists."""
        index = BackupIndex(
            wal_segment_size=self._control.wal_segment_size,
            algorithm=WRITTEN,
            files=tuple(file for report in self._reports for file in report.files),
            directories=tuple(directory.path for directory in self._listing.directories),
            parts=tuple(report.indexed() for report in self._reports),
        )
        name = self._name
        self._put(layout.metadata(name), [render_metadata(backup)])
        if not backup.files_metadata_disabled:
            self._put(layout.files_metadata(name), files_metadata(index, corrupt))
        if corrupt:
            self._put(layout.corrupt_pages(name), [corrupt_pages_document(corrupt)])
        checksums = (each for report in self._reports for each in report.checksums)
        self._put(layout.manifest(name), manifest(index, checksums, backup))
        self._put(layout.index(name), encode(render_index(index), method="zstd", level=3))

    def _names_are_utf8(self) -> bool:
        """WAL-G's list of files cannot hold other names and would lose those files."""
        return all(is_utf8(file.path) for report in self._reports for file in report.files)

    def _put_small(self, part: str, members: dict[str, bytes]) -> None:
        extension = EXTENSIONS[self._options.method]
        key = layout.partition(self._name, part, extension)
        report = PartReport(name=key.rpartition("/")[2])
        self._put(key, text_stream(members, self._upload_options(), report))
        self._reports.append(report)

    def _put(self, key: str, chunks: Iterable[bytes]) -> None:
        self._storage.put(key, chunks, if_absent=True)

    def _upload_options(self) -> UploadOptions:
        checked = self._options.verify_checksums and self._control.data_checksum_version > 0
        pages = PageLayout(
            block_size=self._control.block_size,
            segment_blocks=self._control.relation_segment_blocks,
        )
        return UploadOptions(
            method=self._options.method,
            level=self._options.level,
            pages=pages if checked else None,
            checkpoint=self._progress.advance,
        )

    def _watch(self) -> None:
        """Raise as soon as the backup cannot succeed any more."""
        self._server.ping()
        self._check_lock()
