"""Copy base backups and the WAL they need to another repository, byte for byte.

FROM and TO are URLs of repositories. Without options the latest backup is copied, with the WAL
from its start to its finish. An interrupted copy is continued by giving the same command again.
Exit codes: 0 copied, or with --dry-run: it could be; 3 refused: WAL is missing on the way, or the
target is another cluster's or holds something else under one of the keys; 5 no such backup; 6 what
was read is damaged; 7 a repository cannot be reached; 9 an object is plain and must not be, or its
key is needed; others in docs/exit-codes.md.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from backup_core import log
from backup_core.cli.options import add_common, load_settings, open_repository
from backup_core.cli.output import reporter, size
from backup_core.config import Settings, envdir, load
from backup_core.config.locations import repository_url
from backup_core.copy.items import CopyItem, CopyPlan
from backup_core.copy.run import CopyOptions, CopyResult, carry_out
from backup_core.copy.survey import CopyRequest, plan_from
from backup_core.errors import UsageError
from backup_core.postgres.wal import segment_name


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("source", metavar="FROM", help="URL of the repository to copy from")
    parser.add_argument("target", metavar="TO", help="URL of the repository to copy to")
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--backup",
        metavar="NAME",
        action="append",
        help="copy this backup, LATEST by default; may be repeated",
    )
    which.add_argument("--all", action="store_true", help="copy every backup")
    parser.add_argument(
        "-w",
        "--with-history",
        action="store_true",
        help="copy the WAL after the backups too, to its end and on every timeline",
    )
    parser.add_argument("--dry-run", action="store_true", help="print the plan and stop")
    parser.add_argument(
        "--verify", action="store_true", help="read back all that the target then has"
    )
    parser.add_argument("--workers", metavar="N", help="copy this many objects at once")
    source = parser.add_argument_group("settings of FROM, where they are not those of TO")
    source.add_argument("--from-config", metavar="FILE", type=Path, help="a pitr.toml for FROM")
    source.add_argument("--from-envdir", metavar="DIR", type=Path, help="variables for FROM")
    add_common(parser)


def run(args: argparse.Namespace) -> int:
    """Plan, show the plan, and carry it out."""
    if args.repository is not None:
        raise UsageError(
            "copy is between two repositories, so --repository names neither",
            hint="Write pitr copy FROM TO.",
        )
    source_url, args.repository = map(repository_url, (args.source, args.target))
    settings = load_settings(args, download_concurrency=args.workers).settings
    source = open_repository(_source_settings(args, settings, source_url))
    target = open_repository(settings)
    logger = log.get("copy")
    if settings.encryption != "none":
        message = "objects are copied as they are: what is plain in FROM is plain in TO"
        log.event(logger, log.WARNING, message)
    request = CopyRequest(
        backups=tuple(args.backup or ["LATEST"]),
        everything=args.all,
        with_history=args.with_history,
    )
    plan = plan_from(source, target, request)
    for warning in plan.warnings:
        log.event(logger, log.WARNING, warning)
    if args.dry_run:
        _print(plan)
        return 0
    options = CopyOptions(workers=settings.download_concurrency, verify=args.verify)
    with reporter(logger) as report:
        report.total(plan.missing_size)
        result = carry_out(source, target, plan, options, advance=report.advance, step=report.step)
    _log(plan, result, source.url, target.url)
    return 0


def _source_settings(args: argparse.Namespace, settings: Settings, url: str) -> Settings:
    """Those of the target with another URL, unless the source has its own: then only them."""
    if args.from_config is None and args.from_envdir is None:
        return replace(settings, repository=url)
    environ = {} if args.from_envdir is None else envdir.read(args.from_envdir, {})
    return load(flags={"repository": url}, environ=environ, config_file=args.from_config).settings


def _print(plan: CopyPlan) -> None:
    """A line for each object, in the order in which they would come, and then the sum."""
    for item in plan.items:
        print(f"{_state(item)}  {item.size:>12}  {item.key}")
    for backup in plan.backups:
        print(f"backup   {backup.backup.name}: {_sum((*backup.objects, backup.sentinel))}")
    for span in plan.wal_spans:
        first = segment_name(span.timeline, span.first, plan.segment_size)
        last = segment_name(span.timeline, span.last, plan.segment_size)
        print(f"segments {first} to {last}: {span.count}")
    print(f"WAL      {_sum(plan.wal)}")
    missing = [item for item in plan.items if item.present is None]
    print(f"to copy  {_sum(missing)}")
    print("nothing was written (--dry-run)")


def _state(item: CopyItem) -> str:
    return "copy   " if item.present is None else "present"


def _sum(items: tuple[CopyItem, ...] | list[CopyItem]) -> str:
    return f"{len(items)} objects, {size(sum(item.size for item in items))}"


def _log(plan: CopyPlan, result: CopyResult, source: str, target: str) -> None:
    log.event(
        log.get("copy"),
        log.INFO,
        "copied",
        action="copy",
        names=",".join(item.backup.name for item in plan.backups),
        source=source,
        prefix=target,
        objects=result.copied,
        size=size(result.copied_size),
        present=result.present,
        state="complete",
    )
