"""PostgreSQL starts `pitr wal-push` once a segment, so what it imports is chosen, and kept so."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.environment import clean_environ
from tests.support.segments import FIRST, segment, wal_file

PROGRAM = """
import sys
from backup_core.cli.main import main
code = main(sys.argv[1:])
print("modules:", *sorted(sys.modules))
sys.exit(code)
"""
HEAVY = {
    *("psycopg", "numpy", "rich", "asyncio", "concurrent.futures", "unittest", "http", "email"),
    *("ssl", "socket", "tomllib", "tempfile", "difflib", "subprocess", "hashlib", "random"),
    *("blake3", "google_crc32c"),
}
HELP = {
    "backup_core",
    "backup_core.archive",
    "backup_core.archive.push",
    "backup_core.cli",
    "backup_core.cli.main",
    "backup_core.cli.options",
    "backup_core.cli.wal_push",
    "backup_core.config",
    "backup_core.config.encryption",
    "backup_core.config.encryption_values",
    "backup_core.config.file",
    "backup_core.config.foreign",
    "backup_core.config.loading",
    "backup_core.config.locations",
    "backup_core.config.row",
    "backup_core.config.settings",
    "backup_core.config.store_values",
    "backup_core.config.stores",
    "backup_core.config.table",
    "backup_core.config.table_encryption",
    "backup_core.config.table_spool",
    "backup_core.config.table_stores",
    "backup_core.config.values",
    "backup_core.errors",
    "backup_core.log",
    "backup_core.postgres",
    "backup_core.postgres.lsn",
    "backup_core.postgres.wal",
    "backup_core.repository",
    "backup_core.repository.identity",
    "backup_core.repository.layout",
    "backup_core.repository.sealed",
    "backup_core.repository.wal_archive",
    "backup_core.storage",
    "backup_core.storage.base",
    "backup_core.stream",
    "backup_core.stream.chunks",
    "backup_core.stream.compress",
    "backup_core.stream.encrypt",
    "backup_core.stream.encrypt.blocks",
    "backup_core.stream.encrypt.scheme",
}
PUSH = HELP | {
    "backup_core.config.keyring",
    "backup_core.storage.file",
    "backup_core.storage.file_errors",
    "backup_core.storage.file_listing",
    "backup_core.storage.keys",
    "backup_core.storage.registry",
}


def modules(*arguments: str | Path) -> set[str]:
    """Everything that is imported when a command has run."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, arguments)],
        env=clean_environ(),
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.partition("modules:")[2].split())


@pytest.fixture
def arguments(tmp_path: Path) -> tuple[str | Path, ...]:
    """Those of a push that succeeds."""
    repository = tmp_path / "repository"
    repository.mkdir()
    return ("wal-push", wal_file(tmp_path, FIRST, segment()), "--repository", str(repository))


def engine(imported: set[str]) -> set[str]:
    """The modules of backup_core among them."""
    return {name for name in imported if name.partition(".")[0] == "backup_core"}


def test_the_help_of_wal_push_imports_exactly_these_modules() -> None:
    """A name that appears here costs every segment of every cluster."""
    imported = modules("wal-push", "--help")
    assert engine(imported) == HELP
    assert not imported & HEAVY


def test_wal_push_imports_exactly_these_modules(arguments: tuple[str | Path, ...]) -> None:
    """Besides the help's, only the store that the repository's URL names."""
    imported = modules(*arguments)
    assert engine(imported) == PUSH
    assert not imported & HEAVY


def test_a_repeated_push_imports_the_decoder_only(arguments: tuple[str | Path, ...]) -> None:
    """The comparison with what is archived already needs no more."""
    modules(*arguments)
    imported = modules(*arguments)
    assert engine(imported) == PUSH | {"backup_core.stream.frames"}
    assert not imported & HEAVY
