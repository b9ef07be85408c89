"""pg_waldump, PostgreSQL's own reader of WAL: it checks each record's CRC and its link back.

A subprocess, because nothing else follows the format of every version: it is used where it is
installed, in the major version that wrote the WAL, and its absence is said.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

from backup_core.errors import PitrError
from backup_core.postgres.lsn import Lsn
from backup_core.postgres.wal import parse_segment_header, parse_wal_name

_PLACES = ("/usr/lib/postgresql/{}/bin/pg_waldump", "/usr/pgsql-{}/bin/pg_waldump")
_VERSION = re.compile(r"\(PostgreSQL\) (\d+)")
_NOTHING_BEGINS = "could not find a valid record after"


@dataclass(frozen=True, kw_only=True)
class Waldump:
    """The program for one major version."""

    program: str

    def follow(self, directory: Path) -> dict[str, str]:
        """Follow the records through each run of segments in a directory.

        Returns complaints by the name of the run's first segment.
        """
        complaints = {}
        for run in _runs(sorted(directory.iterdir())):
            message = self._read(directory, run)
            if message is not None:
                complaints[run[0].name] = message
        return complaints

    def _read(self, directory: Path, run: list[Path]) -> str | None:
        with run[0].open("rb") as file:
            header = parse_segment_header(file.read(64), name=run[0].name)
        start = header.page_address
        end = Lsn(start + len(run) * header.segment_size)
        timeline = str(parse_wal_name(run[0].name).timeline)
        done = subprocess.run(
            [
                *(self.program, "--stats", "-p", str(directory), "-t", timeline),
                *("-s", str(start), "-e", str(end)),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == 0 or _NOTHING_BEGINS in done.stderr:
            return None
        lines = [line for line in done.stderr.splitlines() if "first record is after" not in line]
        return f"pg_waldump: {' '.join(lines) or done.returncode}"


def _runs(paths: list[Path]) -> Iterator[list[Path]]:
    """Files whose segments follow on each other."""
    run = paths[:1]
    for one, two in pairwise(paths):
        if not _follows(one, two):
            yield run
            run = []
        run.append(two)
    if run:
        yield run


def _follows(one: Path, two: Path) -> bool:
    if one.name[:8] != two.name[:8]:
        return False
    with one.open("rb") as first, two.open("rb") as second:
        headers = [parse_segment_header(file.read(64), name=file.name) for file in (first, second)]
    return headers[1].page_address == headers[0].page_address + headers[0].segment_size


def finder(program: str | None = None) -> Callable[[str], Waldump | None]:
    """What finds pg_waldump for a major version: the named one, or what is installed."""

    @cache
    def find(major: str) -> Waldump | None:
        if program is not None:
            if not _is_of(program, major):
                raise PitrError(
                    f"{program} is not the pg_waldump of PostgreSQL {major}, which wrote the WAL",
                    hint="Name the program of that version, or none.",
                )
            return Waldump(program=program)
        places = [shutil.which("pg_waldump"), *(place.format(major) for place in _PLACES)]
        fitting = (place for place in places if place and _is_of(place, major))
        return next((Waldump(program=place) for place in fitting), None)

    return find


def _is_of(program: str, major: str) -> bool:
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    except OSError:
        return False
    match = _VERSION.search(done.stdout)
    return match is not None and match[1] == major
