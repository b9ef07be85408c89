"""Archive again what the archive lost and a server still has in its pg_wal.

Run it on the primary and on its standbys, with --pgdata or --pg-wal. Only segments that lie in a
gap are pushed, never the newest: those are the archiver's. Each is held against its name, its
cluster and its own records first, and nothing is overwritten. Exit codes: 0 no gap is left; 10 some
segments are still lost; others in docs/exit-codes.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from backup_core import log
from backup_core.archive.push import push_wal
from backup_core.cli.options import add_common, load_settings, open_repository
from backup_core.cli.wal_verify import LOST, newest_cluster
from backup_core.config import Settings
from backup_core.errors import ConfigError, CorruptError, PitrError
from backup_core.postgres.wal import segment_name
from backup_core.storage.base import Storage
from backup_core.verify.content import check_segment
from backup_core.verify.facts import read_facts
from backup_core.verify.integrity import Status, integrity


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--pgdata", metavar="DIR", help="the server's data directory")
    where.add_argument("--pg-wal", metavar="DIR", type=Path, help="a directory of WAL segments")
    parser.add_argument("--dry-run", action="store_true", help="say what would be pushed and stop")
    add_common(parser)


def run(args: argparse.Namespace) -> int:
    """Look for what is lost and push what is found of it."""
    settings = load_settings(args, pgdata=args.pgdata).settings
    directory = _directory(args, settings)
    storage = open_repository(settings)
    lost = list(_lost(storage))
    left = 0
    for name, segment_size, system_identifier in lost:
        path = directory / name
        why = _why_not(path, segment_size, system_identifier)
        if why is not None:
            left += 1
            print(f"LOST {name}: {why}")
        elif args.dry_run:
            print(f"would push {name}")
        else:
            left += not _push(storage, path, settings)
    print(f"{len(lost)} segments were lost, {left} still are")
    return LOST if left else 0


def _directory(args: argparse.Namespace, settings: Settings) -> Path:
    if args.pg_wal is not None:
        return Path(args.pg_wal)
    if settings.pgdata is None:
        raise ConfigError(
            "no directory says where WAL may still be", hint="Give --pgdata or --pg-wal."
        )
    found = (settings.pgdata / name for name in ("pg_wal", "pg_xlog"))
    return next((path for path in found if path.exists()), settings.pgdata / "pg_wal")


def _lost(storage: Storage) -> Iterator[tuple[str, int, int | None]]:
    """The segments in gaps, with what they must be: the newest may be pushed any moment."""
    facts = read_facts(storage)
    cluster = newest_cluster(facts)
    seen = set()
    for stretch in integrity(facts, cluster, None).stretches:
        if stretch.status is Status.FOUND:
            continue
        for number in range(stretch.wal.first, stretch.wal.last + 1):
            name = segment_name(stretch.wal.timeline, number, facts.segment_size)
            if name not in seen:
                seen.add(name)
                yield name, facts.segment_size, cluster.system_identifier


def _why_not(path: Path, segment_size: int, system_identifier: int | None) -> str | None:
    """Why a file cannot stand for the lost segment; None if it can."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return f"{path.parent} does not have it"
    except OSError as error:
        raise PitrError(
            f"cannot read {path}: {error.strerror}", hint="Run as the user that owns it."
        ) from None
    try:
        check_segment(
            data, path.name, segment_size=segment_size, system_identifier=system_identifier
        )
    except CorruptError as error:
        return error.message
    return None


def _push(storage: Storage, path: Path, settings: Settings) -> bool:
    try:
        push_wal(storage, path, method=settings.compression_method, level=settings.zstd_level)
    except PitrError as error:
        log.event(log.get("wal-repair"), log.ERROR, error.message)
        print(f"LOST {path.name}: {error.message}")
        return False
    print(f"pushed {path.name}")
    return True
