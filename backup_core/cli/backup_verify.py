"""Verify stored backups without restoring them: every object against its digest.

Without names all backups are verified. --sample and --time-budget read a random part; with --state
a later call goes on where this one ended. Backups of WAL-G and WAL-E have no digests: theirs are
decoded and walked. Exit codes: 0 nothing is wrong with what was read; 6 something is damaged or
missing; 5 no such backup; 9 a key is needed; others in docs/exit-codes.md.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from backup_core import log
from backup_core.cli.options import add_common, load_settings, open_repository
from backup_core.cli.output import reporter, size, table
from backup_core.config.values import duration
from backup_core.errors import UsageError
from backup_core.repository.catalog import Catalog, read_catalog
from backup_core.repository.chain import chain
from backup_core.repository.sentinel import Backup
from backup_core.verify.backup_pass import BackupVerdict, PassRequest, verify_backups

DAMAGED = 6


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("names", nargs="*", metavar="NAME", help="a backup's name, or LATEST")
    parser.add_argument("--sample", metavar="PERCENT", help="read so much of them only: 5%%")
    parser.add_argument("--time-budget", metavar="TIME", help="begin nothing new after: 30min")
    parser.add_argument("--state", metavar="FILE", type=Path, help="go on from what this file says")
    parser.add_argument("--workers", metavar="N", help="read this many objects at once")
    parser.add_argument("--json", action="store_true", help="print JSON (docs/json.md)")
    add_common(parser)


def run(args: argparse.Namespace) -> int:
    """Read, print, and tell by the code."""
    share = _share(args.sample)
    seconds = duration(args.time_budget) if args.time_budget else None
    settings = load_settings(args, download_concurrency=args.workers).settings
    storage = open_repository(settings)
    catalog = read_catalog(storage)
    with reporter(log.get("backup-verify")) as report:
        report.step("read the backups")
        verdicts = verify_backups(
            storage,
            _backups(catalog, args.names),
            PassRequest(
                sample=share,
                seconds=seconds,
                state=args.state,
                workers=settings.download_concurrency,
            ),
            advance=report.advance,
            total=report.total,
        )
    unreadable = () if args.names else catalog.unreadable
    if args.json:
        print(json.dumps(_document(verdicts, catalog, named=bool(args.names)), indent=2))
    else:
        _print(verdicts)
        for broken in unreadable:
            print(f"UNREADABLE {broken.name}: {broken.reason}")
    return DAMAGED if unreadable or any(v.status == "damaged" for v in verdicts) else 0


def _share(text: str | None) -> float:
    if text is None:
        return 1.0
    try:
        share = float(text.removesuffix("%")) / 100
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise UsageError(f'"{text}" is not a share', hint="Give a percentage, such as 5%.")
    return share


def _backups(catalog: Catalog, names: Sequence[str]) -> list[Backup]:
    """The named ones with all that they are made on, or all."""
    if not names:
        return list(catalog.backups)
    by_name = {backup.name: backup for backup in catalog.backups}
    wanted = [item for name in names for item in chain(catalog.named(name), by_name)]
    return [backup for backup in catalog.backups if backup in wanted]


def _print(verdicts: Sequence[BackupVerdict]) -> None:
    if not verdicts:
        print("there is no backup")
        return
    heads = ["name", "status", "parts proved", "read now"]
    rows = [[v.backup.name, v.status, f"{v.proved} of {v.parts}", size(v.read)] for v in verdicts]
    for line in table(heads, rows, right=[2, 3]):
        print(line)
    for verdict in verdicts:
        for item in verdict.bad:
            print(f"BAD {item.key}: {item.reason}")


def _document(
    verdicts: Sequence[BackupVerdict], catalog: Catalog, *, named: bool
) -> dict[str, object]:
    return {
        "version": 1,
        "backups": [
            {
                "name": verdict.backup.name,
                "status": verdict.status,
                "parts": verdict.parts,
                "proved": verdict.proved,
                "read_size": verdict.read,
                "bad": [{"key": item.key, "reason": item.reason} for item in verdict.bad],
            }
            for verdict in verdicts
        ],
        "unreadable": [
            {"name": item.name, "reason": item.reason}
            for item in (() if named else catalog.unreadable)
        ],
    }
