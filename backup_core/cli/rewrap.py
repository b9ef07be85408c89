"""Encrypt what is stored for the age recipients that are configured now, and for nobody else.

Change the recipients on the database hosts first, then run this where the secret key is. Only
headers are written anew: no content is decrypted, and S3 moves no large object for it. An
interrupted run is continued by the same command. A key that is removed opens nothing that is stored
from then on; whoever copied objects before can still open the copies. Exit codes: 0; 9 some objects
could not be opened with the keys at hand; 3 a backup is running; others in docs/exit-codes.md.
"""

from __future__ import annotations

import argparse

from backup_core import log
from backup_core.cli.options import add_common, load_settings, open_bare
from backup_core.cli.output import reporter
from backup_core.config.keyring import age_recipients, keyring
from backup_core.errors import ConfigError, EncryptionError
from backup_core.keys.rewrap import RewrapCounts, RewrapRequest, rewrap


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--no-wal", action="store_true", help="rewrap backups only")
    which.add_argument("--no-backups", action="store_true", help="rewrap WAL only")
    parser.add_argument("--dry-run", action="store_true", help="count what would change and stop")
    parser.add_argument("--workers", metavar="N", help="rewrap this many objects at once")
    add_common(parser)


def run(args: argparse.Namespace) -> int:
    """Look at every object and rewrap those that need it."""
    from backup_core.stream.encrypt.age import parse_recipients

    settings = load_settings(args, download_concurrency=args.workers).settings
    recipients = parse_recipients(age_recipients(settings))
    if not recipients:
        raise ConfigError(
            "no age recipients are configured, so there is nothing to rewrap for",
            hint="Set PITR_AGE_RECIPIENTS to all public keys that shall open the repository.",
        )
    identities = keyring(settings).age_identities()
    if not identities and not args.dry_run:
        raise ConfigError(
            "rewrapping needs a secret key that opens what is stored now",
            hint="Set PITR_AGE_IDENTITY_FILE, or --dry-run to see how much would change.",
        )
    request = RewrapRequest(
        recipients=recipients,
        identities=identities,
        backups=not args.no_backups,
        wal=not args.no_wal,
        workers=settings.download_concurrency,
    )
    logger = log.get("rewrap")
    with reporter(logger) as report:
        report.step("look for objects with other recipients")
        counts = rewrap(open_bare(settings), request, dry_run=args.dry_run, advance=report.advance)
    _print(counts, dry_run=args.dry_run)
    if counts.failed:
        raise _failure(counts)
    return 0


def _print(counts: RewrapCounts, *, dry_run: bool) -> None:
    verb = "to rewrap" if dry_run else "rewrapped"
    print(f"{verb}     {counts.changed} objects")
    print(f"unchanged     {counts.unchanged} objects, their recipients are these")
    for scheme, count in sorted(counts.other.items()):
        print(f"not age       {count} objects, scheme {scheme}; rewrap does not touch them")
    if dry_run:
        print("nothing was written (--dry-run)")


def _failure(counts: RewrapCounts) -> EncryptionError:
    for error in counts.failures:
        log.event(log.get("rewrap"), log.ERROR, error.message)
    return EncryptionError(
        f"{counts.failed} objects could not be rewrapped: {counts.failures[0].message}",
        hint="Set the identities that open them and run this again; pitr keys lists what needs "
        "which.",
    )
