"""PostgreSQL's backup_manifest: rendered for pg_verifybackup, read back, and proved by it."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_core.errors import CorruptError
from backup_core.postgres.lsn import Lsn
from backup_core.postgres.manifest import (
    Manifest,
    ManifestFile,
    ManifestWalRange,
    crc32c_text,
    parse_manifest,
    render_manifest,
    replace_file,
)
from backup_core.storage.checksum import crc32c
from tests.support.cluster import Cluster
from tests.support.fixtures import MakeCluster
from tests.support.postgres import Binaries

Describe = Callable[[str, bytes], ManifestFile]
NOON = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
WAL = ManifestWalRange(timeline=1, start=Lsn.parse("0/2000028"), end=Lsn.parse("0/2000100"))


def entry(path: str, content: bytes = b"", modified: datetime = NOON) -> ManifestFile:
    return ManifestFile(
        path=path, size=len(content), modified=modified, checksum=crc32c_text(crc32c([content]))
    )


def early_entry(path: str, content: bytes = b"") -> ManifestFile:
    """An entry of an early version of pitr."""
    checksum = sha256(content).hexdigest()
    return replace(entry(path, content), algorithm="SHA256", checksum=checksum)


def rendered(*files: ManifestFile, system_identifier: int | None = None) -> bytes:
    return b"".join(render_manifest(files, [WAL], system_identifier=system_identifier))


def with_checksum(body: str) -> bytes:
    """A manifest of any body that ends with the right checksum."""
    data = body.encode()
    return data + f'"Manifest-Checksum": "{sha256(data).hexdigest()}"}}\n'.encode()


PATHS = st.one_of(
    st.text(min_size=1, max_size=30).filter(lambda path: path.isprintable()),
    st.binary(min_size=1, max_size=30).map(lambda raw: raw.decode("utf-8", "surrogateescape")),
)
CHECKSUMS = st.one_of(
    st.tuples(st.just("CRC32C"), st.binary(min_size=4, max_size=4).map(bytes.hex)),
    st.tuples(st.just("SHA256"), st.binary(min_size=32, max_size=32).map(bytes.hex)),
)
FILES = st.builds(
    lambda checksum, **others: ManifestFile(algorithm=checksum[0], checksum=checksum[1], **others),
    CHECKSUMS,
    path=PATHS,
    size=st.integers(0, 2**40),
    modified=st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1)).map(  # noqa: DTZ001
        lambda moment: moment.replace(microsecond=0, tzinfo=UTC)
    ),
)
RANGES = st.builds(
    ManifestWalRange,
    timeline=st.integers(1, 2**32 - 1),
    start=st.integers(0, 2**64 - 1).map(Lsn),
    end=st.integers(0, 2**64 - 1).map(Lsn),
)


class TestRender:
    """The layout is the server's."""

    def test_a_manifest_looks_as_the_server_writes_it(self) -> None:
        """One line a file; the last line is the SHA-256 of all lines before it."""
        body = (
            '{ "PostgreSQL-Backup-Manifest-Version": 1,\n'
            '"Files": [\n'
            '{ "Path": "backup_label", "Size": 0, "Last-Modified": "2026-11-22 12:00:00 GMT", '
            '"Checksum-Algorithm": "CRC32C", "Checksum": "00000000" },\n'
            '{ "Path": "base/1/1259", "Size": 3, "Last-Modified": "2026-11-22 12:00:00 GMT", '
            '"Checksum-Algorithm": "CRC32C", "Checksum": "b73f4b36" }\n'
            "],\n"
            '"WAL-Ranges": [\n'
            '{ "Timeline": 1, "Start-LSN": "0/2000028", "End-LSN": "0/2000100" }\n'
            "],\n"
        )
        assert rendered(entry("backup_label"), entry("base/1/1259", b"abc")) == with_checksum(body)

    def test_a_system_identifier_makes_it_version_2(self) -> None:
        """Servers from 17 on read it; older ones know version 1 only."""
        lines = rendered(system_identifier=7_711_140_584_919_151_705).splitlines()
        assert lines[:2] == [
            b'{ "PostgreSQL-Backup-Manifest-Version": 2,',
            b'"System-Identifier": 7711140584919151705,',
        ]

    def test_times_are_in_gmt(self) -> None:
        """Whatever zone a time comes in."""
        east = datetime(2026, 11, 22, 13, 30, tzinfo=timezone(timedelta(hours=1, minutes=30)))
        assert b'"Last-Modified": "2026-11-22 12:00:00 GMT"' in rendered(entry("x", modified=east))

    def test_a_path_that_is_not_utf8_is_encoded(self) -> None:
        """Its bytes are written in hexadecimal, under the name the server uses for it."""
        assert b'{ "Encoded-Path": "636166e9", "Size"' in rendered(entry(os.fsdecode(b"caf\xe9")))

    def test_files_are_consumed_as_bytes_are_produced(self) -> None:
        """A manifest without end can be begun: nothing is collected first."""
        endless = (entry(f"base/1/{number}") for number in itertools.count())
        pieces = render_manifest(endless, [WAL], system_identifier=None)
        begin = b"".join(itertools.islice(pieces, 100))
        assert begin.count(b'"Path"') > 90


class TestParse:
    """What is rendered reads back; everything else is corrupt."""

    @given(
        files=st.lists(FILES, max_size=5),
        ranges=st.lists(RANGES, max_size=3),
        identifier=st.none() | st.integers(1, 2**64 - 1),
    )
    def test_what_is_rendered_reads_back(
        self, files: list[ManifestFile], ranges: list[ManifestWalRange], identifier: int | None
    ) -> None:
        """Paths of any bytes, times to the second, sizes and ranges survive."""
        data = b"".join(render_manifest(files, ranges, system_identifier=identifier))
        assert parse_manifest(data) == Manifest(
            system_identifier=identifier, files=tuple(files), ranges=tuple(ranges)
        )

    @given(data=st.data())
    def test_any_changed_byte_is_noticed(self, data: st.DataObject) -> None:
        """The manifest's own checksum covers it, its last line included."""
        damaged = bytearray(rendered(entry("PG_VERSION", b"15\n")))
        position = data.draw(st.integers(0, len(damaged) - 1))
        damaged[position] ^= data.draw(st.integers(1, 255))
        with pytest.raises(CorruptError, match="the backup manifest is damaged"):
            parse_manifest(bytes(damaged))

    @given(length=st.integers(0, 400))
    def test_a_truncated_manifest_is_noticed(self, length: int) -> None:
        """However little is missing."""
        whole = rendered(entry("PG_VERSION", b"15\n"))
        with pytest.raises(CorruptError):
            parse_manifest(whole[: min(length, len(whole) - 1)])

    @pytest.mark.parametrize(
        ("body", "why"),
        [
            ("{,\n", "it is not JSON"),
            ("[" * 100_000 + "\n", "it is not JSON"),
            ('{ "Files": [],\n', '"PostgreSQL-Backup-Manifest-Version" is missing'),
            ('{ "PostgreSQL-Backup-Manifest-Version": 3,\n', "its version is 3"),
            ('{ "PostgreSQL-Backup-Manifest-Version": true,\n', "of another type"),
            ('{ "PostgreSQL-Backup-Manifest-Version": 1,\n', '"Files" is missing'),
            ('{ "PostgreSQL-Backup-Manifest-Version": 2,\n', '"System-Identifier" is missing'),
        ],
    )
    def test_a_document_of_another_kind_is_corrupt(self, body: str, why: str) -> None:
        """Even with a right checksum; the error says what is wrong."""
        with pytest.raises(CorruptError, match=why):
            parse_manifest(with_checksum(body))

    @pytest.mark.parametrize(
        ("change", "why"),
        [
            ({"Checksum-Algorithm": "SHA512"}, '"SHA512", not CRC32C or SHA256'),
            ({"Checksum-Algorithm": "SHA256"}, '"[0-9a-f]{8}" is not a SHA256'),
            ({"Checksum": "abc"}, '"abc" is not a CRC32C'),
            ({"Last-Modified": "yesterday"}, '"yesterday" is not a time'),
            ({"Last-Modified": "2026-11-22 12:00:00 CET"}, "is not a time"),
            ({"Size": "3"}, '"Size" is missing or of another type'),
            ({"Path": None}, '"Path" is missing'),
            ({"Encoded-Path": "xy"}, '"xy" is not an encoded path'),
        ],
    )
    def test_an_impossible_entry_is_corrupt(self, change: dict[str, str], why: str) -> None:
        """Each field of a file's entry has one form."""
        document = json.loads(rendered(entry("PG_VERSION", b"15\n")))
        document["Files"][0].update(change)
        del document["Manifest-Checksum"]
        body = json.dumps(document).removesuffix("}") + ",\n"
        with pytest.raises(CorruptError, match=why):
            parse_manifest(with_checksum(body))

    def test_an_impossible_position_is_corrupt(self) -> None:
        """An LSN in a WAL range is read as strictly as anywhere."""
        body = rendered().decode().replace("0/2000028", "0-2000028").rpartition('"Manifest-')[0]
        with pytest.raises(CorruptError, match='"0-2000028" is not an LSN'):
            parse_manifest(with_checksum(body))


class TestReplace:
    """One file is described anew."""

    @given(files=st.lists(FILES, min_size=1, max_size=5, unique_by=lambda file: file.path))
    def test_only_the_named_file_changes(self, files: list[ManifestFile]) -> None:
        """Its entry and the checksum are new; the order and all else stay."""
        new = entry(files[-1].path, b"other content")
        for identifier in (None, 7):
            before = rendered(*files, system_identifier=identifier)
            after = rendered(*files[:-1], new, system_identifier=identifier)
            assert replace_file(before, new) == after

    def test_a_file_that_is_not_listed_cannot_be_replaced(self) -> None:
        """A manifest without it does not belong to the backup that holds it."""
        with pytest.raises(CorruptError, match="does not list tablespace_map"):
            replace_file(rendered(entry("PG_VERSION")), entry("tablespace_map"))

    def test_a_damaged_manifest_is_not_given_a_right_checksum(self) -> None:
        """The old checksum is verified before a new one is made."""
        damaged = rendered(entry("PG_VERSION"), entry("tablespace_map")).replace(b"2026", b"2025")
        with pytest.raises(CorruptError, match="it says"):
            replace_file(damaged, entry("tablespace_map"))


@pytest.mark.postgres(14, 15, 17, 18)
class TestPgVerifybackup:
    """The stock program accepts what is rendered here, and rejects what it should."""

    def test_a_rendered_manifest_is_accepted(self, make_cluster: MakeCluster) -> None:
        """Files with names of all kinds, and the WAL range, are proved."""
        cluster = make_cluster()
        backup = base_backup(cluster)
        for name in ('quo"te\\back', "t\tab", "ünï", os.fsdecode(b"caf\xe9"), "sp ace"):
            (backup / "base" / name).write_bytes(b"content")
        write_manifest(backup, cluster)
        assert verify(backup, cluster.binaries) == ""

    def test_a_replaced_entry_is_what_counts(self, make_cluster: MakeCluster) -> None:
        """The file with its new content is accepted; its old entry would not have been."""
        cluster = make_cluster()
        backup = base_backup(cluster)
        write_manifest(backup, cluster)
        (backup / "backup_label").write_bytes(b"remapped")
        assert "backup_label" in verify(backup, cluster.binaries)
        manifest = backup / "backup_manifest"
        manifest.write_bytes(
            replace_file(manifest.read_bytes(), entry("backup_label", b"remapped"))
        )
        assert verify(backup, cluster.binaries) == ""

    def test_an_early_manifest_has_two_kinds_of_checksums_then(
        self, make_cluster: MakeCluster
    ) -> None:
        """Its SHA-256 are proved beside the CRC-32C of an entry that was replaced."""
        cluster = make_cluster()
        backup = base_backup(cluster)
        write_manifest(backup, cluster, early_entry)
        (backup / "backup_label").write_bytes(b"remapped")
        manifest = backup / "backup_manifest"
        manifest.write_bytes(
            replace_file(manifest.read_bytes(), entry("backup_label", b"remapped"))
        )
        assert verify(backup, cluster.binaries) == ""
        (backup / "PG_VERSION").write_bytes(b"x" * len((backup / "PG_VERSION").read_bytes()))
        assert "PG_VERSION" in verify(backup, cluster.binaries)


def base_backup(cluster: Cluster) -> Path:
    """A plain backup by the stock program, with its WAL."""
    backup = cluster.data_dir.with_name("backup")
    cluster.run("pg_basebackup", "-D", str(backup), "--checkpoint=fast", "--wal-method=stream")
    return backup


def write_manifest(backup: Path, cluster: Cluster, described: Describe = entry) -> None:
    """Put a manifest of ours in place of the stock program's, with the same WAL ranges."""
    manifest = backup / "backup_manifest"
    stock = json.loads(manifest.read_bytes())
    ranges = [
        ManifestWalRange(
            timeline=item["Timeline"],
            start=Lsn.parse(item["Start-LSN"]),
            end=Lsn.parse(item["End-LSN"]),
        )
        for item in stock["WAL-Ranges"]
    ]
    manifest.unlink()
    identifier = int(cluster.scalar("SELECT system_identifier FROM pg_control_system()"))
    manifest.write_bytes(
        b"".join(
            render_manifest(
                describe(backup, described),
                ranges,
                system_identifier=identifier if cluster.binaries.major >= 17 else None,
            )
        )
    )


def describe(backup: Path, described: Describe) -> Iterator[ManifestFile]:
    """Entries for all files of a backup but its WAL."""
    for file in sorted(backup.rglob("*")):
        path = str(file.relative_to(backup))
        if file.is_file() and not path.startswith("pg_wal/"):
            yield described(path, file.read_bytes())


def verify(backup: Path, binaries: Binaries) -> str:
    """What pg_verifybackup complains about; nothing if it accepts the backup."""
    done = subprocess.run(
        [str(binaries.program("pg_verifybackup")), "--quiet", str(backup)],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    assert (done.returncode == 0) == (done.stderr == "")
    return done.stderr
