"""Write a file of a backup to standard output, without fetching the backup.

Exit codes: 0 written; 3 the backup has no index; 5 no such backup or file; 6 what is stored is
damaged (what was written until then is not to be used); 7 the repository cannot be reached; 9 no
key.
"""

from __future__ import annotations

import argparse
import os
import sys

from backup_core.cli.options import add_common, load_settings, open_throttled
from backup_core.errors import UsageError
from backup_core.restore.selected import find_files


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("name", help="a backup's name, or LATEST")
    parser.add_argument("path", help="relative to the data directory, such as PG_VERSION")
    add_common(parser)


def run(args: argparse.Namespace) -> int:
    """Write the file."""
    settings = load_settings(args).settings
    if not args.path.strip("/"):
        raise UsageError("the path of the file is empty")
    found = find_files(open_throttled(settings), args.name, [_literally(args.path)])
    output = sys.stdout.fileno()
    for piece in found.contents():
        rest = piece
        while rest:
            rest = rest[os.write(output, rest) :]
    return 0


def _literally(path: str) -> str:
    """A pattern that stands for the path alone."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in path)
