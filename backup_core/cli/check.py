"""Look at everything that can be wrong with archiving, backups and drills, and say what to do.

Settings, the archiver, a segment that is ended and followed into the repository, what the store
permits, encryption, clocks, free space, the age of backups, recovery windows and drills. A server
that is down is said, and the rest looked at. In the repository stays the segment; nothing else.
Exit codes: 0 all is well, warnings included; 10 something is not; others in docs/exit-codes.md.
With --nagios: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

from backup_core.archive.spool import Spool
from backup_core.archive.status import load_status
from backup_core.cli.main import exit_code, report_error
from backup_core.cli.options import add_common, load_settings, open_bare, open_repository
from backup_core.cli.windows import promise_of
from backup_core.config import Settings
from backup_core.config.keyring import seal_storage
from backup_core.monitor.facts import Facts, Pushing
from backup_core.monitor.gather import Subject, gather
from backup_core.monitor.judge import LEVELS, Finding, Limits, judge, worst
from backup_core.storage.base import Storage
from backup_core.storage.memory import MemoryStorage

FAILED = 10
_UNKNOWN = 3
_STATES = ("OK", "OK", "WARNING", "CRITICAL")
_PATIENCE = 10.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON (docs/json.md)")
    form.add_argument("--nagios", action="store_true", help="one line and its exit codes")
    parser.add_argument("--no-switch", action="store_true", help="end no WAL segment")
    parser.add_argument("--no-windows", action="store_true", help="list no WAL: fast on long ones")
    parser.add_argument("--no-server", action="store_true", help="look at the repository alone")
    add_common(parser)


def run(args: argparse.Namespace) -> int:
    """Look, judge and tell."""
    if not args.nagios:
        return _run(args)
    try:
        return _run(args)
    except Exception as error:
        report_error("pitr check", error)
        print(f"PITR UNKNOWN - the check itself failed, with exit code {exit_code(error)}")
        return _UNKNOWN


def _run(args: argparse.Namespace) -> int:
    settings = load_settings(args).settings
    facts = gather(
        replace(
            subject_of(settings),
            switch=not args.no_switch,
            windows=not args.no_windows,
            server=not args.no_server,
        )
    )
    limits = limits_of(settings)
    findings = judge(facts, limits)
    level = worst(findings)
    if args.nagios:
        _print_nagios(findings, facts, limits)
        return LEVELS.index(level) - 1 if level != "ok" else 0
    if args.json:
        checks = [asdict(finding) for finding in findings]
        print(json.dumps({"version": 1, "level": level, "checks": checks}, indent=2))
    else:
        _print(findings)
    return FAILED if level == "critical" else 0


def subject_of(settings: Settings) -> Subject:
    """What there is to be looked at; the store is tried for seconds only, not for minutes."""
    hasty = replace(settings, retry_timeout=min(settings.retry_timeout, _PATIENCE))
    url = settings.repository
    return Subject(
        bare=lambda: open_bare(hasty),
        sealed=lambda: open_repository(hasty),
        scheme=settings.encryption,
        scratch=lambda: _scratch(hasty),
        pushing=lambda: _pushing(settings.spool_dir),
        pgdata=settings.pgdata,
        repository_directory=Path(url.removeprefix("file://")) if url.startswith("file:") else None,
        may_delete=settings.may_delete,
        archive_timeout=settings.archive_timeout,
    )


def _scratch(settings: Settings) -> tuple[Storage, Storage]:
    stored = MemoryStorage()
    return seal_storage(stored, settings), stored


def _pushing(spool_dir: Path | None) -> Pushing | None:
    status = None if spool_dir is None else load_status(Spool(str(spool_dir)))
    if status is None:
        return None
    try:
        return Pushing(
            failing_since=_moment(status.failing_since),
            last_failed=_moment(status.last_failure),
            file=status.last_failure_name,
            message=status.last_failure_message,
        )
    except (ValueError, TypeError):
        return None


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)


def limits_of(settings: Settings) -> Limits:
    """From when on something is not well, by the settings."""
    return Limits(
        wal_age=settings.max_wal_age,
        backup_age=settings.max_backup_age,
        ready_files=settings.max_ready_files,
        free_percent=float(settings.min_free_percent),
        drill_age=settings.max_drill_age,
        promise=promise_of(settings),
    )


def _print(findings: Sequence[Finding]) -> None:
    for finding in findings:
        print(f"{finding.level:9} {finding.name:11} {finding.text}")
        if finding.hint and finding.level in ("warning", "critical"):
            print(f"{'':21} hint: {finding.hint}")
    count = {level: sum(each.level == level for each in findings) for level in LEVELS}
    bad = f"{count['critical']} critical, {count['warning']} warnings"
    print(f"{len(findings)} looked at: {bad}")


def _print_nagios(findings: Sequence[Finding], facts: Facts, limits: Limits) -> None:
    """One line with the worst first and performance data, and the rest below it."""
    order = sorted(findings, key=lambda each: -LEVELS.index(each.level))
    bad = [each for each in order if each.level in ("warning", "critical")]
    state = _STATES[LEVELS.index(order[0].level)] if order else "OK"
    told = "; ".join(f"{each.name}: {each.text}" for each in bad) or f"{len(findings)} looked at"
    data = " ".join(_performance(facts, limits))
    print(f"PITR {state} - {_plain(told)}" + (f" | {data}" if data else ""))
    for finding in order:
        print(_plain(f"{finding.level} {finding.name}: {finding.text}"))
    sys.stdout.flush()


def _plain(text: str) -> str:
    return text.replace("|", "/")


def _performance(facts: Facts, limits: Limits) -> list[str]:
    data = []
    if facts.ready is not None:
        data.append(f"ready_files={facts.ready.count};;{limits.ready_files};0")
    if facts.server is not None and facts.server.archiver.last_archived is not None:
        age = _age(facts.server.clock, facts.server.archiver.last_archived)
        data.append(f"wal_age={age:.0f}s;;{limits.wal_age:.0f};0")
    if facts.repository is not None and facts.repository.catalog.backups:
        newest = max(backup.finish_time for backup in facts.repository.catalog.backups)
        data.append(f"backup_age={_age(facts.now, newest):.0f}s;;{limits.backup_age:.0f};0")
    return data


def _age(now: datetime, then: datetime) -> float:
    return max(0.0, (now - then).total_seconds())
