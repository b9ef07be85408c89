"""What the figures were measured on, without anything that names the machine."""

import os
import platform
from datetime import UTC, datetime
from pathlib import Path

from backports.zstd import zstd_version

from tests.support.cache import run
from tests.support.postgres import Binaries


def describe(binaries: Binaries, pgbackrest: str) -> list[tuple[str, str]]:
    """Pairs of a name and what it is on this machine."""
    postgres = run([str(binaries.program("postgres")), "--version"]).strip()
    return [
        ("date", f"{datetime.now(UTC):%Y-%m-%d}"),
        ("processors", f"{os.cpu_count()} of {_field('/proc/cpuinfo', 'model name')}"),
        ("memory", f"{_memory() / (1 << 30):.0f} GiB"),
        ("kernel", f"{platform.system()} {platform.release().split('-')[0]}"),
        ("PostgreSQL", postgres.rpartition("(PostgreSQL) ")[2]),
        ("pgBackRest", pgbackrest),
        ("Python", platform.python_version()),
        ("libzstd of pitr", zstd_version),
    ]


def _memory() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _field(path: str, name: str) -> str:
    for line in Path(path).read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return platform.machine()
