"""Uploads partitions side by side, while watching that the backup can still succeed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

from backup_core.backup.partition import FIRST, Partition
from backup_core.backup.upload import PartReport, UploadOptions, partition_stream
from backup_core.postgres.datadir import DataDirectory
from backup_core.repository import layout
from backup_core.storage.base import Storage
from backup_core.stream.parallel import in_order, run_all

_FRAMES_AHEAD = 2


def upload_partitions(
    storage: Storage,
    name: str,
    partitions: Sequence[Partition],
    directories: tuple[DataDirectory, ...],
    options: UploadOptions,
    *,
    workers: int,
    extension: str,
    alive_interval: float | None,
    watch: Callable[[], None],
) -> list[PartReport]:
    """Upload all partitions, that of the first name with the directories; return their reports.

    Every `alive_interval` seconds `watch` is called. The first error of a worker or of `watch`
    ends all workers and is raised.
    """

    def upload(partition: Partition, advance: Callable[[int], None]) -> PartReport:
        key = layout.partition(name, partition.name, extension)
        report = PartReport(name=key.rpartition("/")[2])
        held = directories if partition.name == FIRST else ()
        checked = replace(
            options, checkpoint=advance, each=partial(in_order, compressors, _FRAMES_AHEAD)
        )
        storage.put(key, partition_stream(partition, held, checked, report), if_absent=True)
        return report

    with ThreadPoolExecutor(workers, thread_name_prefix="compressor") as compressors:
        return run_all(
            upload,
            partitions,
            workers=workers,
            advance=options.checkpoint,
            interval=alive_interval,
            watch=watch,
        )
