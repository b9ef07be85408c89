"""PostgreSQL's own programs, of the version of the backup."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from backup_core.errors import NotFoundError, PitrError

_PLACES = ("/usr/lib/postgresql/{}/bin", "/usr/pgsql-{}/bin", "/usr/local/pgsql/bin")
_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class Programs:
    """The programs of one installation, run with this environment."""

    directory: Path
    environment: Mapping[str, str] = field(repr=False)

    def find(self, name: str) -> Path | None:
        """A program's path; None where this version or package does not have it."""
        path = self.directory / name
        return path if os.access(path, os.X_OK) else None

    def run(self, words: Sequence[str]) -> None:
        """Run a program; raises PitrError with its last words if it does not end with 0."""
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(self.environment),
            check=False,
            start_new_session=True,
        )
        if done.returncode != 0:
            said = done.stdout.decode("utf-8", "replace").strip().splitlines()
            name = Path(words[0]).name
            words_said = "; ".join(said[-_SHOWN:]) or f"exit code {done.returncode}"
            raise PitrError(f"{name}: {words_said}")


def find_programs(major: int, given: Path | None, environment: Mapping[str, str]) -> Programs:
    """Find an installation of this major version (9 stands for 9.6); raises NotFoundError."""
    label = "9.6" if major == 9 else str(major)
    for directory in _candidates(label, given, environment):
        if _version(directory / "postgres") == label:
            return Programs(directory=directory, environment=environment)
    where = str(given) if given else "the usual places and on PATH"
    raise NotFoundError(
        f"there is no PostgreSQL {label} in {where}, and the backup is of that version",
        hint="Install it, or name the directory of its programs with --bin-directory.",
    )


def _candidates(label: str, given: Path | None, environment: Mapping[str, str]) -> Iterator[Path]:
    if given is not None:
        yield given
        return
    yield from (Path(place.format(label)) for place in _PLACES)
    yield from (Path(entry) for entry in environment.get("PATH", "").split(os.pathsep) if entry)


def _version(postgres: Path) -> str:
    try:
        done = subprocess.run([postgres, "--version"], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    found = re.search(r"\(PostgreSQL\) (9\.[0-9]+|[0-9]+)", done.stdout)
    return found[1] if found else ""
