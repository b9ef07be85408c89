"""The spool as commands use it: opened, checked and bound; and the workers left behind."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO, cast

from backup_core import log
from backup_core.archive.binding import (
    SpoolError,
    bind,
    binding_of,
    check_directory,
    empty,
    refuse_living,
)
from backup_core.archive.launch import leave_behind
from backup_core.archive.spool import PREFETCHER, PUSHER, Spool
from backup_core.cli.options import (
    add_common,
    add_spool,
    common_arguments,
    environment,
    load_settings,
)
from backup_core.config import Loaded, Settings
from backup_core.errors import PitrError

_LOG_LIMIT = 1 << 20
_SECONDS_TO_END = 10.0


def open_spool(loaded: Loaded, data_dir: str | Path, *, who: str) -> Spool | None:
    """The spool that the settings name, bound to this cluster; None, with a warning, if it is of
    no use now.

    Raises ConfigError for one that could make WAL get lost.
    """
    root = loaded.settings.spool_dir
    if root is None:
        return None
    check_directory(root, data_dir)
    try:
        spool = Spool(str(root))
        if bind(spool, binding_of(data_dir, loaded.settings.repository)):
            log.event(log.get(who), log.INFO, "the spool is bound to this cluster", spool=root)
        return spool
    except SpoolError as error:
        log.event(
            log.get(who), log.WARNING, f"{error.message}; going on without it", hint=error.hint
        )
    return None


def spool_for_restore(loaded: Loaded, data_dir: Path, *, who: str) -> Spool | None:
    """The spool that a restored server can use; None, with a warning, if it is another cluster's.

    Raises ConfigError for one that could make WAL get lost.
    """
    root = loaded.settings.spool_dir
    if root is None:
        return None
    try:
        check_directory(root, data_dir)
        refuse_living(Spool(str(root)), os.path.realpath(data_dir))
    except SpoolError as error:
        message = f"{error.message}; recovery will not prefetch"
        log.event(log.get(who), log.WARNING, message, hint=error.hint)
        return None
    return Spool(str(root))


def empty_for_restore(spool: Spool, *, who: str) -> None:
    """Throw away what was left for the cluster that this restore replaces, and see workers end.

    One that does not end soon writes nothing more there, since the spool is no longer its own.
    """
    empty(spool)
    deadline = time.monotonic() + _SECONDS_TO_END
    while spool.is_locked(PUSHER) or spool.is_locked(PREFETCHER):
        if time.monotonic() > deadline:
            message = f"a worker of the cluster before still uses the spool {spool.root}"
            log.event(log.get(who), log.WARNING, message)
            return
        time.sleep(0.05)


def start_worker(
    command: str, args: argparse.Namespace, spool: Spool, data_dir: str, *, who: str
) -> None:
    """Leave a worker behind; that this fails is only logged."""
    words = [command, "--spool-dir", spool.root, "--pgdata", data_dir, *common_arguments(args)]
    try:
        leave_behind(words, environment())
    except OSError as error:
        log.event(log.get(who), log.WARNING, f"cannot start {command}: {error.strerror}")


@dataclass(frozen=True, kw_only=True)
class Workplace:
    """What a worker has before it: its settings, the spool and the cluster that they are for."""

    settings: Settings
    spool: Spool
    data_dir: str
    is_current: Callable[[], bool]


def configure_worker(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of a worker."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--pgdata", metavar="DIR", type=Path, required=True, help="whose WAL")
    add_spool(parser)
    add_common(parser)


def prepare_worker(args: argparse.Namespace, *, who: str) -> Workplace | None:
    """Settle the settings, bind the spool and log into it; None if that cannot be used."""
    loaded = load_settings(args, spool_dir=args.spool_dir)
    is_current = _watch_settings(args, loaded)
    if not (args.pgdata / "global" / "pg_control").exists():
        raise PitrError(f"{args.pgdata} is no data directory any more")
    spool = open_spool(loaded, args.pgdata, who=who)
    if spool is None:
        return None
    settings = loaded.settings
    log.configure(settings.log_level, settings.log_format, cast("TextIO", WorkerLog(spool, who)))
    return Workplace(
        settings=settings, spool=spool, data_dir=str(args.pgdata), is_current=is_current
    )


def _watch_settings(args: argparse.Namespace, loaded: Loaded) -> Callable[[], bool]:
    """Make a test whether the files that the settings came from are as they were.

    A worker outlives many calls, so it must not go on with what an operator has changed.
    """

    def seen() -> list[tuple[str, int, int, int]]:
        return [_trace(path) for path in _sources(args, loaded)]

    before = seen()
    return lambda: seen() == before


def _sources(args: argparse.Namespace, loaded: Loaded) -> Iterator[str]:
    if loaded.file is not None:
        yield str(loaded.file)
    if args.envdir is not None:
        yield str(args.envdir)
        with suppress(OSError):
            yield from sorted(entry.path for entry in os.scandir(args.envdir))


def _trace(path: str) -> tuple[str, int, int, int]:
    try:
        status = Path(path).stat()
    except OSError:
        return path, 0, 0, 0
    return path, status.st_ino, status.st_size, status.st_mtime_ns


class WorkerLog:
    """The log of workers in the spool: a stream that begins anew at 1 MiB, with one file before it.

    They have no other: the server's log collector must not wait for them.
    """

    def __init__(self, spool: Spool, name: str) -> None:
        self._path = Path(spool.path(f"{name}.log"))
        self._file = self._path.open("a", encoding="utf-8")

    def write(self, text: str) -> int:
        """Append text."""
        if self._file.tell() > _LOG_LIMIT:
            self._file.close()
            self._path.replace(f"{self._path}.1")
            self._file = self._path.open("a", encoding="utf-8")
        return self._file.write(text)

    def flush(self) -> None:
        """Hand what was written to the system."""
        self._file.flush()
