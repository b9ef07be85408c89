"""Finding PostgreSQL's programs."""

from pathlib import Path

import pytest

from tests.support.cache import cached
from tests.support.postgres import find_binaries, required_programs


def _install(bindir: Path, major: int, *, without: str = "") -> None:
    bindir.mkdir(parents=True)
    for name in required_programs(major):
        if name != without:
            program = bindir / name
            program.write_text(f"#!/bin/sh\necho 'postgres (PostgreSQL) {major}.1'\n")
            program.chmod(0o755)


def _build_nothing(_directory: Path) -> None:
    """Stand for a build that was done earlier."""


@pytest.fixture(autouse=True)
def no_system_postgres(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at PATH only, and never download."""
    monkeypatch.setattr("tests.support.postgres.SYSTEM_DIRECTORY", tmp_path / "none")
    monkeypatch.setenv("PITR_TEST_CACHE", str(tmp_path / "cache"))


def test_the_newest_on_path_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two installations the later major is taken, whatever their order on PATH."""
    _install(tmp_path / "new", 16)
    _install(tmp_path / "old", 14)
    monkeypatch.setenv("PATH", f"{tmp_path / 'old'}:{tmp_path / 'new'}:/usr/bin:/bin")
    assert find_binaries().bindir == tmp_path / "new"


def test_an_incomplete_installation_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server without pgbench is of no use, however new it is."""
    _install(tmp_path / "new", 16, without="pgbench")
    _install(tmp_path / "old", 14)
    monkeypatch.setenv("PATH", f"{tmp_path / 'new'}:{tmp_path / 'old'}:/usr/bin:/bin")
    assert find_binaries().major == 14


def test_without_any_installation_the_embedded_default_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine without PostgreSQL gets the one in the cache."""
    cached("postgresql-17", _build_nothing, root=tmp_path / "cache")
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    assert find_binaries().bindir == tmp_path / "cache" / "postgresql-17" / "bin"


def test_a_missing_program_is_named(tmp_path: Path) -> None:
    """Asking a server-only build for a client names the client."""
    cached("postgresql-13", _build_nothing, root=tmp_path / "cache")
    with pytest.raises(FileNotFoundError, match=r"PostgreSQL 13 .* has no psql"):
        find_binaries(13).program("psql")
