"""The environment that programs under test see: the operator's own settings never leak in."""

import os
import sysconfig
from pathlib import Path

FOREIGN_PREFIXES = (
    *("PG", "PITR_", "WALE_", "WALG_", "AWS_", "GOOGLE_"),
    *("PYTEST_", "PYTHON", "COLUMNS"),
)


def clean_environ() -> dict[str, str]:
    """Return this process's environment without settings of pitr, its peers or PostgreSQL.

    PATH begins with the directory of the installed commands, HOME is absent, messages are English.
    """
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(FOREIGN_PREFIXES)
    }
    kept.pop("HOME", None)
    kept["LANG"] = kept["LC_ALL"] = "C.UTF-8"
    kept["PATH"] = f"{scripts_dir()}{os.pathsep}{kept.get('PATH', os.defpath)}"
    return kept


def scripts_dir() -> Path:
    """Return the directory where this interpreter's environment holds installed commands."""
    return Path(sysconfig.get_path("scripts"))


def pitr_program() -> Path:
    """Return the path of the installed `pitr` command."""
    return scripts_dir() / "pitr"
