"""From a URL to a store."""

from pathlib import Path

import pytest

from backup_core.errors import ConfigError, StorageError
from backup_core.storage.registry import open_storage


@pytest.mark.parametrize("start", ["file://", "file://localhost", "FILE://"])
def test_file_url_opens_the_directory(tmp_path: Path, start: str) -> None:
    """A directory of this host is a repository."""
    storage = open_storage(f"{start}{tmp_path}")
    storage.put("key", [b"x"])
    assert (tmp_path / "key").read_bytes() == b"x"
    assert storage.url == f"file://{tmp_path}"


def test_path_is_taken_literally(tmp_path: Path) -> None:
    """Spaces, quotes and percent signs in a path need no encoding."""
    directory = tmp_path / 'it\'s 100%25 "mine" #1?'
    directory.mkdir()
    open_storage(f"file://{directory}").put("key", [b"x"])
    assert (directory / "key").exists()


def test_missing_directory_is_refused(tmp_path: Path) -> None:
    """A repository is never made by opening it."""
    with pytest.raises(StorageError, match="no such file or directory"):
        open_storage(f"file://{tmp_path}/unmounted")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["ftp://host/path", "memory://", "/srv/pitr", "file:/srv", ""])
def test_unknown_scheme_is_a_config_error(url: str) -> None:
    """The hint lists the schemes that exist."""
    with pytest.raises(ConfigError) as caught:
        open_storage(url)
    assert caught.value.hint == "A repository's URL begins with one of: file://, gs://, s3://."


@pytest.mark.parametrize("url", ["file://", "file://srv/pitr", "file://localhost", "file:///a\0b"])
def test_file_url_without_local_path_is_a_config_error(url: str) -> None:
    """A relative path, or another host's, is a mistake in writing."""
    with pytest.raises(ConfigError, match="directory of this host"):
        open_storage(url)
