"""Uploads partitions side by side, while watching that the backup can still succeed.

Threads, not processes: reading, digests and compression leave the interpreter's lock.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import replace

from backup_core.backup.partition import Partition
from backup_core.backup.upload import PartReport, UploadOptions, partition_stream
from backup_core.postgres.datadir import DataDirectory
from backup_core.repository import layout
from backup_core.storage.base import Storage


class _AbandonedError(Exception):
    """Raised in a worker whose backup has failed elsewhere."""


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
    """Upload all partitions, the first with the directories; return their reports in order.

    Every `alive_interval` seconds `watch` is called. The first error of a worker or of `watch`
    ends all workers and is raised.
    """
    cancelled = threading.Event()

    def checkpoint(size: int) -> None:
        if cancelled.is_set():
            raise _AbandonedError
        options.checkpoint(size)

    checked = replace(options, checkpoint=checkpoint)

    def upload(partition: Partition) -> PartReport:
        key = layout.partition(name, partition.name, extension)
        report = PartReport(name=key.rpartition("/")[2])
        held = directories if partition is partitions[0] else ()
        storage.put(key, partition_stream(partition, held, checked, report), if_absent=True)
        return report

    with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="partition") as pool:
        futures = [pool.submit(upload, partition) for partition in partitions]
        try:
            _await(futures, alive_interval, watch)
        except BaseException:
            cancelled.set()
            pool.shutdown(cancel_futures=True)
            raise
    return [future.result() for future in futures]


def _await(
    futures: list[Future[PartReport]], alive_interval: float | None, watch: Callable[[], None]
) -> None:
    pending = set(futures)
    while pending:
        done, pending = wait(pending, timeout=alive_interval, return_when=FIRST_EXCEPTION)
        for future in done:
            future.result()
        if pending:
            watch()
