"""Show the archived WAL: timelines, ranges and gaps.

Exit codes: 0, also with gaps, which are printed; others in docs/exit-codes.md.
"""

from __future__ import annotations

import argparse
import json

from backup_core import log
from backup_core.cli.options import add_common, load_settings, open_repository
from backup_core.cli.output import moment, size, table
from backup_core.errors import MissingKeyError
from backup_core.postgres.timeline import TimelineHistory
from backup_core.postgres.wal import WalKind, segment_name
from backup_core.repository.wal_archive import (
    WalObject,
    WalRange,
    archived_segment_size,
    first_objects,
    list_wal,
    read_history,
    some_segment,
)
from backup_core.storage.base import Storage
from backup_core.verify.wal import TimelineWal, timelines


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--json", action="store_true", help="print JSON (docs/json.md)")
    add_common(parser)


def run(args: argparse.Namespace) -> int:
    """Print the timelines."""
    storage = open_repository(load_settings(args).settings)
    firsts = list(first_objects(storage))
    segment = some_segment(storage, firsts)
    segment_size = archived_segment_size(storage, segment) or 0
    found = timelines(list_wal(storage), _histories(storage, firsts), segment_size or 1)
    if args.json:
        print(json.dumps(_document(found, segment_size), indent=2))
    elif not found:
        print("no WAL is archived")
    else:
        _print(found, segment_size)
    return 0


def _histories(storage: Storage, objects: list[WalObject]) -> dict[int, TimelineHistory]:
    """What the history files say; nothing where a host has only public keys."""
    numbers = {item.wal.timeline for item in objects if item.wal.kind is WalKind.HISTORY}
    try:
        return {number: read_history(storage, number) for number in sorted(numbers)}
    except MissingKeyError as error:
        message = f"timelines are shown without their parents: {error.message}"
        log.event(log.get("wal-show"), log.WARNING, message)
        return {}


def _names(run: WalRange, segment_size: int) -> tuple[str, str]:
    return (
        segment_name(run.timeline, run.first, segment_size),
        segment_name(run.timeline, run.last, segment_size),
    )


def _print(found: tuple[TimelineWal, ...], segment_size: int) -> None:
    heads = ["timeline", "parent", "begins at", "first segment", "last segment", "segments"]
    rows: list[list[str]] = []
    for item in found:
        for number, run in enumerate(item.ranges or (None,)):
            first, last = _names(run, segment_size) if run else ("-", "-")
            own = [str(item.timeline), str(item.parent or "-"), str(item.begin or "-")]
            count = str(run.count) if run else "0"
            rows.append([*(own if number == 0 else ["", "", ""]), first, last, count])
    for line in table(heads, rows, right=[0, 5]):
        print(line)
    for item in found:
        newest = f", newest stored {moment(item.newest)}" if item.newest else ""
        print(f"timeline {item.timeline}: {item.segments} segments, {size(item.size)}{newest}")
        for gap in item.gaps:
            first, last = _names(gap, segment_size)
            print(f"GAP on timeline {item.timeline}: {first} to {last}, {gap.count} segments")


def _document(found: tuple[TimelineWal, ...], segment_size: int) -> dict[str, object]:
    def spans(runs: tuple[WalRange, ...]) -> list[dict[str, object]]:
        return [
            {
                "first": _names(run, segment_size)[0],
                "last": _names(run, segment_size)[1],
                "segments": run.count,
            }
            for run in runs
        ]

    return {
        "version": 1,
        "wal_segment_size": segment_size or None,
        "timelines": [
            {
                "timeline": item.timeline,
                "parent": item.parent,
                "begin_lsn": str(item.begin) if item.begin is not None else None,
                "segments": item.segments,
                "stored_size": item.size,
                "newest": item.newest.isoformat() if item.newest else None,
                "ranges": spans(item.ranges),
                "gaps": spans(item.gaps),
            }
            for item in found
        ],
    }
