"""Single files come out whole, by no more than the frames that they touch."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from backup_core.errors import CorruptError, NotFoundError, PitrError, RefusedError
from backup_core.repository import layout
from backup_core.restore.selected import find_files
from backup_core.storage.memory import MemoryStorage
from backup_core.stream.compress import EXTENSIONS
from tests.unit.backup.test_golden import FILES, NAME, backed_up, data_directory

RANDOM = os.urandom(21 << 20)


class Counted(MemoryStorage):
    """Counts the bytes that it hands out."""

    fetched = 0

    def get(self, key: str, *, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Hand out and count."""
        for chunk in super().get(key, start=start, stop=stop):
            self.fetched += len(chunk)
            yield chunk


def filled(directory: Path, **more: bytes) -> Path:
    """The golden data directory with more files in base/1."""
    data_directory(directory)
    for name, content in more.items():
        (directory / "base/1" / name).write_bytes(content)
    return directory


@pytest.mark.parametrize("method", EXTENSIONS)
def test_a_file_is_what_it_was(tmp_path: Path, method: str) -> None:
    """In every codec, framed or not; a leading slash does no harm."""
    storage = backed_up(filled(tmp_path / "data", f7=RANDOM[: 9 << 20], f8=b""), method)
    for path, content in (FILES | {"base/1/f7": RANDOM[: 9 << 20], "base/1/f8": b""}).items():
        found = find_files(storage, NAME, [f"/{path}"])
        assert [file.path for file in found.files] == [path]
        assert b"".join(found.contents()) == content


def test_patterns_choose_files_and_they_are_written_below_a_directory(tmp_path: Path) -> None:
    """Under their paths; a file that is there already is not written over."""
    storage = backed_up(filled(tmp_path / "data", f7=RANDOM, f8=b""))
    found = find_files(storage, "LATEST", ["base/*", "PG_VERSION"])
    done: list[int] = []
    found.write_below(tmp_path / "out", workers=3, advance=done.append)
    written = {
        str(path.relative_to(tmp_path / "out")): path.read_bytes()
        for path in (tmp_path / "out").rglob("*")
        if path.is_file()
    }
    assert written == FILES | {"base/1/f7": RANDOM, "base/1/f8": b""}
    assert sum(done) == found.size == sum(map(len, written.values()))
    with pytest.raises(PitrError, match="cannot write"):
        found.write_below(tmp_path / "out", workers=3, advance=done.append)


def test_a_small_file_of_a_large_backup_is_a_small_range(tmp_path: Path) -> None:
    """The frames that it touches, and what tells where it is."""
    made = backed_up(filled(tmp_path / "data", f2=RANDOM, f3=b"small", f4=RANDOM))
    storage = Counted()
    for info in made.list(""):
        storage.put(info.key, made.get(info.key))
    found = find_files(storage, NAME, ["base/1/f3"])
    storage.fetched = 0
    assert b"".join(found.contents()) == b"small"
    assert storage.fetched < 6 << 20


@pytest.mark.parametrize("method", ["zstd", "none", "lz4"])
def test_damage_is_found(tmp_path: Path, method: str) -> None:
    """Before the damaged frame is used where frames have digests, or by the file's own."""
    storage = backed_up(filled(tmp_path / "data", f7=RANDOM[: 6 << 20]), method)
    key = layout.partition(NAME, "part_001", EXTENSIONS[method])
    stored = bytearray(b"".join(storage.get(key)))
    stored[len(stored) // 2] ^= 1
    storage.put(key, [stored])
    with pytest.raises(CorruptError):
        b"".join(find_files(storage, NAME, ["base/1/f7"]).contents())
    with pytest.raises(CorruptError):
        find_files(storage, NAME, ["*"]).write_below(
            tmp_path / "out", workers=1, advance=lambda _: None
        )


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    """No such file, no such backup, no index."""
    storage = backed_up(data_directory(tmp_path / "data"))
    with pytest.raises(NotFoundError, match="no file that is called base/1/9"):
        find_files(storage, NAME, ["base/1/9"])
    with pytest.raises(NotFoundError):
        find_files(storage, "base_0000000100000000000000FF", ["*"])
    storage.delete([layout.index(NAME)])
    with pytest.raises(RefusedError, match="no index"):
        find_files(storage, NAME, ["*"])
