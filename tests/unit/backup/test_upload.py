"""A partition's stream: what it holds, and what its report says of it."""

import hashlib
import io
import os
import tarfile
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import google_crc32c
import pytest

from backup_core.backup.frames import FRAME_SIZE
from backup_core.backup.partition import Partition
from backup_core.backup.upload import PartReport, UploadOptions, partition_stream
from backup_core.errors import PitrError
from backup_core.postgres.datadir import DataDirectory, DataFile
from backup_core.stream.chunks import CHUNK_SIZE
from backup_core.stream.compress import EXTENSIONS, FRAMED, compress, decode
from backup_core.stream.digest import WRITTEN

OPTIONS = UploadOptions(method="zstd", level=1, pages=None, checkpoint=lambda _: None)
ROOT = DataDirectory(path="", mode=0o700, mtime=0, uid=0, gid=0)


def data_file(path: Path) -> DataFile:
    """The file as a walk of the data directory describes it."""
    return DataFile(
        path=f"base/1/{path.name}",
        source=str(path),
        size=path.stat().st_size,
        mode=0o600,
        mtime=1,
        uid=0,
        gid=0,
    )


def packed(*files: DataFile, options: UploadOptions = OPTIONS) -> tuple[bytes, PartReport]:
    """The stored bytes and the report."""
    report = PartReport(name="part_001.tar.zst")
    partition = Partition(name="part_001", files=files)
    return b"".join(partition_stream(partition, (ROOT,), options, report)), report


def unpacked(stored: bytes) -> dict[str, bytes]:
    """The regular files in the stored tar, by the standard library."""
    data = b"".join(decode([stored], extension="zst", name="part"))
    with tarfile.open(fileobj=io.BytesIO(data)) as file:
        found = {}
        for info in file:
            stream = file.extractfile(info)
            if stream is not None:
                found[info.name] = stream.read()
        return found


def test_the_files_come_out_as_they_were(tmp_path: Path) -> None:
    """With WAL-G's leading slash, their digests in the report."""
    contents = {"1": b"", "2": b"x" * 8192, "3": os.urandom(3 << 20)}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    stored, report = packed(*(data_file(tmp_path / name) for name in contents))
    assert unpacked(stored) == {f"/base/1/{name}": data for name, data in contents.items()}
    assert [file.digest for file in report.files] == [
        WRITTEN.new(data).hexdigest() for data in contents.values()
    ]
    assert report.checksums == [google_crc32c.value(data) for data in contents.values()]
    assert report.sha256 == hashlib.sha256(stored).hexdigest()
    assert report.stored_size == len(stored)


def test_each_frame_stands_alone_at_the_offset_that_the_report_says(tmp_path: Path) -> None:
    """So that a range of the object gives a range of the tar."""
    (tmp_path / "1").write_bytes(os.urandom(3 * FRAME_SIZE))
    stored, report = packed(data_file(tmp_path / "1"))
    whole = b"".join(decode([stored], extension="zst", name="part"))
    assert len(report.frames) > 2
    ends = [*report.frames[1:], (len(stored), len(whole))]
    for (start, offset), (stop, after) in zip(report.frames, ends, strict=True):
        frame = b"".join(decode([stored[start:stop]], extension="zst", name="frame"))
        assert frame == whole[offset:after]
    assert report.frame_digests == [
        WRITTEN.new(stored[start:stop]).digest()
        for (start, _), (stop, _) in pairwise([*report.frames, ends[-1]])
    ]


@pytest.mark.parametrize("method", [name for name in EXTENSIONS if name not in FRAMED])
def test_a_codec_of_one_frame_an_object_makes_one(tmp_path: Path, method: str) -> None:
    """Stock WAL-G reads no second one; by the report, decoding begins at the object's start."""
    content = bytes(range(256)) * 4096 * 9
    (tmp_path / "1").write_bytes(content)
    options = replace(OPTIONS, method=method)
    stored, report = packed(data_file(tmp_path / "1"), options=options)
    whole = b"".join(decode([stored], extension=EXTENSIONS[method], name="part"))
    assert stored == compress(whole, method=method, level=1)
    assert report.frames == [(0, 0)]
    assert (report.tar_size, report.stored_size) == (len(whole), len(stored))
    assert report.sha256 == hashlib.sha256(stored).hexdigest()
    assert [whole[file.offset :][: file.size] for file in report.files] == [content]


def test_the_index_points_at_each_files_data(tmp_path: Path) -> None:
    """Offset and size within the tar."""
    (tmp_path / "1").write_bytes(b"one")
    (tmp_path / "2").write_bytes(b"second")
    stored, report = packed(data_file(tmp_path / "1"), data_file(tmp_path / "2"))
    whole = b"".join(decode([stored], extension="zst", name="part"))
    found = [whole[file.offset : file.offset + file.size] for file in report.files]
    assert found == [b"one", b"second"]


def test_a_file_that_vanished_is_left_out(tmp_path: Path) -> None:
    """WAL replay redoes its removal."""
    (tmp_path / "1").write_bytes(b"one")
    gone = data_file(tmp_path / "1")
    (tmp_path / "1").unlink()
    stored, report = packed(gone)
    assert unpacked(stored) == {}
    assert (report.vanished, report.files) == (["base/1/1"], [])


@pytest.mark.parametrize("size", [0, 5 << 20, 20 << 20])
def test_a_file_keeps_the_size_it_was_opened_with(tmp_path: Path, size: int) -> None:
    """What shrinks is filled with zeros, what grows is cut; replay redoes both."""
    path = tmp_path / "1"
    path.write_bytes(b"x" * (10 << 20))

    def resize(_: int) -> None:
        os.truncate(path, size)

    stored, report = packed(data_file(path), options=replace(OPTIONS, checkpoint=resize))
    content = unpacked(stored)["/base/1/1"]
    kept = content.rstrip(b"\0")
    assert len(content) == 10 << 20
    assert kept == b"x" * len(kept)
    assert min(size, 10 << 20) <= len(kept) <= max(size, CHUNK_SIZE)
    assert report.files[0].digest == WRITTEN.new(content).hexdigest()
    assert report.checksums == [google_crc32c.value(content)]


def test_a_file_that_cannot_be_read_ends_the_partition(tmp_path: Path) -> None:
    """It is never taken for a vanished one."""
    (tmp_path / "1").write_bytes(b"one")
    (tmp_path / "1").chmod(0)
    with pytest.raises(PitrError, match="cannot read"):
        packed(data_file(tmp_path / "1"))
