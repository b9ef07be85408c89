"""A directory of variables means what daemontools' envdir makes of it."""

from pathlib import Path

import pytest

from backup_core.config import envdir
from backup_core.errors import ConfigError


def variables(directory: Path, **contents: bytes) -> dict[str, str]:
    """Write the files and read them over an environment that has A and HOME."""
    for name, content in contents.items():
        (directory / name).write_bytes(content)
    return envdir.read(directory, {"A": "old", "HOME": "/root"})


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b"value\n", "value"),
        (b"value", "value"),
        (b"value \t\r\n", "value"),
        (b" value\n", " value"),
        (b"first\nsecond\n", "first"),
        (b"two\0lines\n", "two\nlines"),
        (b"\n", ""),
    ],
)
def test_the_first_line_is_the_value(tmp_path: Path, content: bytes, value: str) -> None:
    """Trailing blanks go, leading ones stay, NUL stands for a newline."""
    assert variables(tmp_path, A=content) == {"A": value, "HOME": "/root"}


def test_an_empty_file_unsets(tmp_path: Path) -> None:
    """No byte at all takes a variable away that the environment has."""
    assert variables(tmp_path, A=b"") == {"HOME": "/root"}


def test_hidden_files_and_directories_are_passed_over(tmp_path: Path) -> None:
    """An editor's swap file sets nothing."""
    (tmp_path / "below").mkdir()
    (tmp_path / ".B.swp").write_bytes(b"x")
    assert variables(tmp_path) == {"A": "old", "HOME": "/root"}


@pytest.mark.parametrize("name", ["missing", "file"])
def test_what_is_no_readable_directory_is_refused(tmp_path: Path, name: str) -> None:
    """The error names the path."""
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(ConfigError, match=name):
        envdir.read(tmp_path / name, {})


def test_a_value_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    """The error names the file."""
    with pytest.raises(ConfigError, match="/A"):
        variables(tmp_path, A=b"\xff\n")
