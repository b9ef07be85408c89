"""Show every setting in force and where it comes from; secrets are masked.

Exit codes: 0 the settings are usable, 2 one of them is not.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from backup_core.cli.options import add_common, load_settings
from backup_core.cli.output import table
from backup_core.config import describe


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_common(parser)


def run(args: argparse.Namespace) -> int:
    """Print the settings."""
    rows = describe(load_settings(args))
    if args.json:
        print(json.dumps({"version": 1, "settings": [asdict(row) for row in rows]}, indent=2))
        return 0
    for line in table(
        ["setting", "value", "from", "meaning"],
        [[row.name, row.value or "-", row.origin, row.description] for row in rows],
    ):
        print(line)
    return 0
