"""Verify that the WAL that is needed is there, and with --content that it is what it should be.

Needed is what leads from the oldest backup to now, and what makes each other backup consistent.
With --server, now is what the server of the PG* variables says, and so is what it has handed over;
else it is where --timeline and --lsn say, or the end of the archive. Exit codes: 0, also if WAL is
still on its way; 10 WAL is lost, or the archive has a newer timeline than the server; 6 segments
are damaged; others in docs/exit-codes.md.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

from backup_core import log
from backup_core.cli.options import add_common, load_settings, open_repository
from backup_core.cli.output import reporter, size, table
from backup_core.config import Settings
from backup_core.errors import UsageError
from backup_core.postgres.lsn import Lsn
from backup_core.postgres.wal import segment_name
from backup_core.storage.base import Storage
from backup_core.verify.content import ContentReport, check_content
from backup_core.verify.facts import read_facts
from backup_core.verify.integrity import Integrity, Position, Status, integrity
from backup_core.verify.waldump import finder
from backup_core.verify.window import ClusterWal, Facts

LOST, DAMAGED = 10, 6
CHECKS = ("integrity", "timeline")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("checks", nargs="*", metavar="CHECK", help="integrity, timeline; or both")
    parser.add_argument("--content", action="store_true", help="read the segments and check them")
    parser.add_argument("--server", action="store_true", help="ask the server where it is")
    parser.add_argument("--timeline", metavar="N", type=int, help="the server's timeline")
    parser.add_argument("--lsn", metavar="LSN", help="how far the server has written")
    parser.add_argument("--backup", metavar="NAME", help="begin from this backup, look at no other")
    parser.add_argument("--pg-waldump", metavar="PROGRAM", help="for --content; else what is found")
    parser.add_argument("--workers", metavar="N", help="read this many segments at once")
    parser.add_argument("--json", action="store_true", help="print JSON (docs/json.md)")
    add_common(parser)


def run(args: argparse.Namespace) -> int:
    """Look, print, and tell by the code."""
    for check in args.checks:
        if check not in CHECKS:
            raise UsageError(
                f'there is no check "{check}"', hint=f"There are {' and '.join(CHECKS)}."
            )
    if (args.timeline is None) != (args.lsn is None):
        raise UsageError("--timeline and --lsn go together", hint="Give both, or --server.")
    settings = load_settings(args, download_concurrency=args.workers).settings
    storage = open_repository(settings)
    position = _position(args)
    facts = read_facts(storage)
    cluster = newest_cluster(facts)
    found = integrity(facts, cluster, position, oldest=args.backup)
    if args.backup is not None and found.oldest is None:
        raise UsageError(
            f"no way leads from {args.backup} to timeline {found.timeline}",
            hint="pitr backup-list shows the backups, pitr wal-show the timelines.",
        )
    content = _content(storage, found, facts, cluster, settings, args) if args.content else None
    checks = args.checks or CHECKS
    if args.json:
        print(json.dumps(_document(found, content, facts, checks), indent=2))
    else:
        _print(found, content, facts, checks)
    if content is not None and content.bad:
        return DAMAGED
    verdicts = [_VERDICTS[check](found) for check in checks]
    return LOST if "FAILURE" in verdicts else 0


_VERDICTS = {
    "integrity": lambda found: found.verdict,
    "timeline": lambda found: found.timeline_verdict,
}


def newest_cluster(facts: Facts) -> ClusterWal:
    """The cluster of the newest backup."""
    owners = {item.system_identifier: item for item in facts.wal}
    known = [b.system_identifier for b in facts.backups if b.system_identifier in owners]
    return owners[known[-1]] if known else facts.wal[0]


def _position(args: argparse.Namespace) -> Position | None:
    if args.timeline is not None:
        return Position(timeline=args.timeline, lsn=Lsn.parse(args.lsn))
    if not args.server:
        return None
    from backup_core.postgres.server import connect

    with connect() as server:
        timeline, lsn = server.position()
        archived = None if server.in_recovery() else server.archiver().last_archived
    is_segment = archived is not None and len(archived) == 24
    return Position(timeline=timeline, lsn=lsn, archived=archived if is_segment else None)


def _content(
    storage: Storage,
    found: Integrity,
    facts: Facts,
    cluster: ClusterWal,
    settings: Settings,
    args: argparse.Namespace,
) -> ContentReport:
    runs = [item.wal for item in found.stretches if item.status is Status.FOUND]
    with reporter(log.get("wal-verify")) as report:
        report.step("read the segments")
        report.total(sum(run.count for run in runs) * facts.segment_size)
        return check_content(
            storage,
            runs,
            segment_size=facts.segment_size,
            system_identifier=cluster.system_identifier,
            find_waldump=finder(args.pg_waldump),
            workers=settings.download_concurrency,
            advance=report.advance,
        )


def _print(
    found: Integrity, content: ContentReport | None, facts: Facts, checks: Sequence[str]
) -> None:
    if "integrity" in checks:
        start = found.oldest.name if found.oldest else "no backup"
        print(f"integrity: {found.verdict}, from {start} to timeline {found.timeline}")
        rows = [
            [str(w.timeline), *_names(found, i, facts), str(w.count), s.status.value]
            for i, s in enumerate(found.stretches)
            for w in [s.wal]
        ]
        heads = ["timeline", "first segment", "last segment", "segments", "status"]
        for line in table(heads, rows, right=[0, 3]) if rows else ():
            print(line)
    if "timeline" in checks:
        print(_timeline(found))
    if content is not None:
        by = f"{content.dumped} of them by pg_waldump" if content.dumped else "without pg_waldump"
        print(
            f"content: {len(content.bad)} bad of {content.checked} segments, "
            f"{size(content.size)}, {by}"
        )
        for item in content.bad:
            print(f"BAD {item.name}: {item.reason}")


def _timeline(found: Integrity) -> str:
    newest = f"the archive's newest is {found.highest}"
    if found.position is None:
        return f"timeline: not compared with a server's (--server), {newest}"
    return (
        f"timeline: {found.timeline_verdict}, the server's is {found.position.timeline}, {newest}"
    )


def _names(found: Integrity, number: int, facts: Facts) -> tuple[str, str]:
    wal = found.stretches[number].wal
    return (
        segment_name(wal.timeline, wal.first, facts.segment_size),
        segment_name(wal.timeline, wal.last, facts.segment_size),
    )


def _document(
    found: Integrity, content: ContentReport | None, facts: Facts, checks: Sequence[str]
) -> dict[str, object]:
    document: dict[str, object] = {"version": 1}
    if "integrity" in checks:
        document["integrity"] = {
            "status": found.verdict,
            "timeline": found.timeline,
            "oldest_backup": found.oldest.name if found.oldest else None,
            "stretches": [
                {
                    "timeline": stretch.wal.timeline,
                    "first": _names(found, number, facts)[0],
                    "last": _names(found, number, facts)[1],
                    "segments": stretch.wal.count,
                    "status": stretch.status.value,
                }
                for number, stretch in enumerate(found.stretches)
            ],
        }
    if "timeline" in checks:
        document["timeline"] = {
            "status": found.timeline_verdict,
            "server": found.position.timeline if found.position else None,
            "archive": found.highest,
        }
    if content is not None:
        document["content"] = {
            "checked": content.checked,
            "size": content.size,
            "dumped": content.dumped,
            "bad": [{"name": item.name, "reason": item.reason} for item in content.bad],
        }
    return document
