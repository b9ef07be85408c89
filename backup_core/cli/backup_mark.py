"""Mark a backup permanent, with all that it is made on: no policy removes it then.

wal-g sees the same mark. Exit codes: 0; 3 another backup that is permanent is made on it, or a
backup or a deletion runs; 5 no such backup; others in docs/exit-codes.md.
"""

from __future__ import annotations

import argparse

from backup_core.cli.options import add_common, load_settings, open_repository
from backup_core.repository.lock import backup_lock
from backup_core.retention.mark import mark_backup


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("name", metavar="NAME", help="a backup's name, or LATEST")
    parser.add_argument(
        "-i", "--impermanent", action="store_true", help="take the mark away instead"
    )
    add_common(parser)


def run(args: argparse.Namespace) -> int:
    """Change the mark and say of which backups."""
    storage = open_repository(load_settings(args).settings)
    with backup_lock(storage):
        changed = mark_backup(storage, args.name, permanent=not args.impermanent)
    state = "impermanent" if args.impermanent else "permanent"
    for name in changed:
        print(f"{name} is {state} now")
    if not changed:
        print(f"it was {state} already")
    return 0
