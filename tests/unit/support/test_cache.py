"""The cache of unpacked downloads: whole or absent, and built once."""

import threading
from pathlib import Path

import pytest

from tests.support.cache import cache_dir, cached


def _write_program(directory: Path) -> None:
    (directory / "program").write_text("whole")


def test_an_absent_entry_is_built(tmp_path: Path) -> None:
    """The first caller gets what the build wrote."""
    entry = cached("tool", _write_program, root=tmp_path / "cache")
    assert (entry / "program").read_text() == "whole"


def test_a_present_entry_is_not_built_again(tmp_path: Path) -> None:
    """The second caller gets the first one's entry."""
    builds: list[Path] = []
    for _ in range(2):
        cached("tool", builds.append, root=tmp_path)
    assert len(builds) == 1


def test_a_failed_build_leaves_no_entry(tmp_path: Path) -> None:
    """What a build wrote before it raised is never taken for the whole."""

    def half(directory: Path) -> None:
        (directory / "program").write_text("hal")
        raise OSError("the network went away")

    with pytest.raises(OSError, match="network"):
        cached("tool", half, root=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["tool.lock"]


def test_an_entry_is_invisible_while_it_is_built(tmp_path: Path) -> None:
    """No other process can see the half of an entry under its name."""

    def look(directory: Path) -> None:
        _write_program(directory)
        assert not (tmp_path / "tool").exists()

    cached("tool", look, root=tmp_path)
    assert (tmp_path / "tool" / "program").exists()


def test_what_a_killed_build_left_is_removed(tmp_path: Path) -> None:
    """The next build clears the remains of one that could not clean up."""
    remains = tmp_path / ".tool.abandoned"
    remains.mkdir()
    cached("tool", _write_program, root=tmp_path)
    assert not remains.exists()


def test_racing_callers_build_once(tmp_path: Path) -> None:
    """Whoever comes second waits for the first one's build."""
    builds: list[Path] = []
    started = threading.Barrier(4)

    def ask() -> None:
        started.wait()
        cached("tool", builds.append, root=tmp_path)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(builds) == 1


def test_the_directory_is_the_one_the_environment_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PITR_TEST_CACHE wins over the home directory."""
    monkeypatch.setenv("PITR_TEST_CACHE", str(tmp_path))
    assert cache_dir() == tmp_path


def test_a_user_without_a_home_has_a_cache_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unprivileged service user gets a directory of its own in /var/tmp."""
    monkeypatch.delenv("PITR_TEST_CACHE", raising=False)
    monkeypatch.setenv("HOME", "/nonexistent")
    assert cache_dir().parent == Path("/var/tmp")
