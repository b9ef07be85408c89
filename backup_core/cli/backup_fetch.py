"""Restore a base backup into an empty directory and set up recovery to a moment.

Without a name, the newest backup that ended before the target is taken. Exit codes: 0 restored; 2
the arguments make no sense; 3 refused, before the first byte was written but for what only the
backup's pg_control tells; 5 no such backup; 6 the stored backup is damaged; 7 the repository cannot
be reached; 1 a file could not be written. After a failure that came later than the plan, the
directory holds no pg_control and cannot be started.
"""

from __future__ import annotations

import argparse
import re
import sys
from datetime import datetime
from pathlib import Path

from backup_core import log
from backup_core.archive.spool import Spool
from backup_core.cli.fetch_some import fetch_some
from backup_core.cli.options import add_common, add_spool, load_settings, open_throttled
from backup_core.cli.output import duration, moment, reporter, size
from backup_core.cli.restore_plan import print_plan
from backup_core.cli.spooling import empty_for_restore, spool_for_restore
from backup_core.config import Loaded, stores
from backup_core.errors import UsageError
from backup_core.postgres.lsn import Lsn
from backup_core.postgres.recovery import (
    RecoveryConfig,
    RecoveryTarget,
    recovery_files,
    restore_command,
)
from backup_core.restore.fetch import carry_out
from backup_core.restore.occupied import Onto
from backup_core.restore.prepare import RestorePlan, RestoreRequest, plan_restore
from backup_core.stream.throttle import paced_advance

_KEEPS_TARGET = 13
_NOT_IN_A_COMMAND = ("s3_", "gcs_", "age_", "libsodium_", "pgp_", "gpg_", "key_command")


_UTC = re.compile(r"\s*(UTC|GMT|Z)$")  # as the server's log writes it


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("pgdata", help="where to: empty or absent, but for --resume and --delta")
    parser.add_argument("name", nargs="?", help="a backup's name, or LATEST")
    targets = parser.add_argument_group("recovery target (manual, section 19.5.6)")
    targets.add_argument("--target-time", metavar="TIME", help="stop before commits after TIME")
    targets.add_argument("--target-lsn", metavar="LSN", help="stop at this WAL position")
    targets.add_argument("--target-xid", metavar="XID", type=int, help="stop at this transaction")
    targets.add_argument("--target-name", metavar="NAME", help="stop at this restore point")
    targets.add_argument(
        "--target", choices=["immediate"], help="stop as soon as the backup is consistent"
    )
    targets.add_argument("--exclusive", action="store_true", help="stop just before the target")
    targets.add_argument(
        "--target-timeline", metavar="TLI", help="latest (the default), current or a number"
    )
    targets.add_argument(
        "--target-action",
        choices=["pause", "promote", "shutdown"],
        help="what the server does at the target; its own default is to pause",
    )
    _configure_restore(parser)
    add_common(parser)


def _configure_restore(parser: argparse.ArgumentParser) -> None:
    where = parser.add_argument_group("restore")
    where.add_argument(
        "--tablespace-mapping",
        metavar="OLD=NEW",
        action="append",
        default=[],
        help="put the tablespace at OLD (a location or an OID) into NEW; may be repeated",
    )
    where.add_argument("--standby", action="store_true", help="set up a standby")
    where.add_argument("--primary-conninfo", metavar="CONNINFO", help="what a standby follows")
    where.add_argument(
        "--archive-mode-off", action="store_true", help="let the restored server archive nothing"
    )
    where.add_argument("--restore-command", metavar="COMMAND", help="instead of our wal-fetch")
    where.add_argument(
        "--no-recovery-config", action="store_true", help="write no settings and no signal file"
    )
    where.add_argument("--workers", metavar="N", help="restore this many parts at once")
    onto = where.add_mutually_exclusive_group()
    onto.add_argument(
        "--resume",
        action="store_true",
        help="go on with a restore of the same backup that was interrupted",
    )
    onto.add_argument(
        "--delta",
        action="store_true",
        help="turn a stopped server's data directory into the backup: fetch files that differ by "
        "digest, remove what the backup does not have",
    )
    onto.add_argument(
        "--only",
        metavar="PATTERN",
        action="append",
        help="write only the files whose paths match, below the directory; may be repeated",
    )
    where.add_argument(
        "--verify",
        action="store_true",
        help="hold every restored file against its digest at the end, much as pg_verifybackup does",
    )
    where.add_argument("--dry-run", action="store_true", help="print the plan and stop")
    where.add_argument(
        "--force",
        action="store_true",
        help="go on although WAL is missing on the way, or bytes of a WAL-E backup, or WAL that "
        "was never archived is lost by --delta",
    )
    where.add_argument(
        "--minimal-config",
        action="store_true",
        help="write postgresql.conf, pg_hba.conf and pg_ident.conf where the backup holds none",
    )
    add_spool(parser)


def run(args: argparse.Namespace) -> int:
    """Plan, show the plan, and carry it out."""
    loaded = load_settings(args, download_concurrency=args.workers, spool_dir=args.spool_dir)
    workers = loaded.settings.download_concurrency
    if not str(args.pgdata).strip():
        raise UsageError("the directory to restore into has an empty name")
    target = _target(args)
    storage = open_throttled(loaded.settings)
    if args.only:
        _refuse_recovery(args, target)
        return fetch_some(storage, args, workers, loaded.settings.disk_rate_limit)
    request = RestoreRequest(
        data_dir=Path(args.pgdata).absolute(),
        backup=args.name,
        target=target,
        tablespace_mapping=_mapping(args.tablespace_mapping),
        force=args.force,
        minimal_config=args.minimal_config,
        onto=_onto(args),
        verify=args.verify,
    )
    spool = spool_for_restore(loaded, request.data_dir, who="backup-fetch")
    limit = loaded.settings.disk_rate_limit
    read = paced_advance(lambda _: None, limit)
    planned = plan_restore(storage, request, workers=workers, advance=read)
    recovery = None if args.no_recovery_config else _recovery(args, loaded, planned, target, spool)
    logger = log.get("backup-fetch")
    for warning in planned.warnings:
        log.event(logger, log.WARNING, warning)
    if recovery is not None and args.restore_command is None:
        _warn_of_environment(args, loaded)
    if args.dry_run:
        print_plan(planned, recovery, workers=workers)
        return 0
    began = datetime.now().astimezone()
    if spool is not None:
        empty_for_restore(spool, who="backup-fetch")
    with reporter(logger) as report:
        report.total(planned.restored_size - planned.existing.kept_size)
        carry_out(
            storage,
            planned,
            recovery,
            workers=workers,
            advance=paced_advance(report.advance, limit),
            step=report.step,
            warn=lambda warning: log.event(logger, log.WARNING, warning),
        )
    log.event(
        logger,
        log.INFO,
        _next_step(recovery is not None),
        action="fetch-backup",
        name=planned.backup.name,
        prefix=loaded.settings.repository,
        pgdata=planned.data_dir,
        size=size(planned.restored_size),
        took=duration(datetime.now().astimezone() - began),
        target=describe_target(target),
        state="complete",
    )
    return 0


def _refuse_recovery(args: argparse.Namespace, target: RecoveryTarget) -> None:
    if target.is_set or args.standby or args.tablespace_mapping or args.minimal_config:
        raise UsageError(
            "--only writes files and sets nothing up: options of recovery make no sense with it"
        )


def _onto(args: argparse.Namespace) -> Onto:
    if args.resume:
        return Onto.RESUME
    return Onto.DELTA if args.delta else Onto.EMPTY


def _next_step(configured: bool) -> str:
    """What to do now: a server that is started without recovery settings asks to be corrupted."""
    if configured:
        return "restored; start the server to begin recovery"
    return (
        "restored without recovery settings; before you start the server, set restore_command and "
        "make recovery.signal (until 11: recovery.conf), and never remove backup_label"
    )


def _target(args: argparse.Namespace) -> RecoveryTarget:
    return RecoveryTarget(
        time=parse_time(args.target_time) if args.target_time else None,
        lsn=Lsn.parse(args.target_lsn) if args.target_lsn else None,
        xid=args.target_xid,
        name=args.target_name,
        immediate=args.target == "immediate",
        inclusive=not args.exclusive,
        timeline=args.target_timeline,
        action=args.target_action,
    )


def parse_time(text: str) -> datetime:
    """Read a time; without a zone, the local one is meant."""
    try:
        return datetime.fromisoformat(_UTC.sub("+00:00", text)).astimezone()
    except ValueError:
        raise UsageError(
            f'"{text}" is not a time',
            hint='Write it as "2026-11-22 10:15:00+00"; without a zone, the local one is meant.',
        ) from None


def describe_target(target: RecoveryTarget) -> str:
    """The target in a few words."""
    if target.time is not None:
        return f"time {moment(target.time)}"
    if target.lsn is not None:
        return f"LSN {target.lsn}"
    if target.xid is not None:
        return f"transaction {target.xid}"
    if target.name is not None:
        return f"restore point {target.name}"
    return "end of backup" if target.immediate else "end of the archived WAL"


def _mapping(pairs: list[str]) -> dict[str, str]:
    mapping = {}
    for pair in pairs:
        old, equals, new = pair.partition("=")
        if not equals or not old or not new:
            raise UsageError(
                f'"{pair}" is not a tablespace mapping', hint="Write it as OLD=NEW, both paths."
            )
        mapping[old] = new
    return mapping


def _recovery(
    args: argparse.Namespace,
    loaded: Loaded,
    planned: RestorePlan,
    target: RecoveryTarget,
    spool: Spool | None,
) -> RecoveryConfig:
    command = args.restore_command or restore_command_for(
        args, loaded, planned, target, spool, standby=args.standby
    )
    return recovery_files(
        planned.backup.major,
        target=target,
        restore_command=command,
        standby=args.standby,
        archive_mode_off=args.archive_mode_off,
        primary_conninfo=args.primary_conninfo,
        gap_follows=planned.gap_follows,
    )


def restore_command_for(
    args: argparse.Namespace,
    loaded: Loaded,
    planned: RestorePlan,
    target: RecoveryTarget,
    spool: Spool | None = None,
    *,
    standby: bool = False,
) -> str:
    """The restore_command, with the settings on its line: the server's environment is not ours."""
    extra = []
    if args.envdir is not None:
        extra += ["--envdir", str(args.envdir.absolute())]
    if loaded.file is not None:
        extra += ["--config", str(loaded.file.absolute())]
    if loaded.origins["repository"].startswith(("flag ", "environment ")):
        extra += ["--repository", loaded.settings.repository]
    if target.is_set and planned.backup.major < _KEEPS_TARGET and not standby:
        extra.append("--demand")
    return restore_command(
        [_program()], spool=None if spool is None else spool.root, extra_arguments=extra
    )


def _warn_of_environment(args: argparse.Namespace, loaded: Loaded) -> None:
    """Tell of settings of store and keys that wal-fetch will lack: no command may have them."""
    names = [
        origin.removeprefix("environment ")
        for name, origin in loaded.origins.items()
        if name.startswith(_NOT_IN_A_COMMAND)
        and stores.concerns(name, stores.scheme(loaded.settings.repository))
        and origin.startswith("environment ")
    ]
    if names and args.envdir is None:
        log.event(
            log.get("backup-fetch"),
            log.WARNING,
            f"wal-fetch needs {', '.join(sorted(names))} in the restored server's environment; "
            "give --envdir or --config, and it reads them there",
        )


def _program() -> str:
    """The pitr that runs now, by a path that the server finds too."""
    beside = Path(sys.executable).with_name("pitr")
    return str(beside if beside.exists() else Path(sys.argv[0]).absolute())
