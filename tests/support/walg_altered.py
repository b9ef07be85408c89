"""Copies of WAL-G's archives that a test alters: documents, partitions, their bytes."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from nacl import bindings

Document = dict[str, Any]
Member = tuple[tarfile.TarInfo, bytes]


@dataclass(frozen=True, kw_only=True)
class StoredBackup:
    """One backup in an archive below a directory."""

    archive: Path
    name: str

    @property
    def folder(self) -> Path:
        """What belongs to the backup, but for its sentinel."""
        return self.archive / "basebackups_005" / self.name

    @property
    def sentinel(self) -> Path:
        """The object whose existence makes the backup exist."""
        return self.folder.with_name(f"{self.name}_backup_stop_sentinel.json")

    @property
    def listing(self) -> Path:
        """The list of its files."""
        return self.folder / "files_metadata.json"

    def part(self, name: str) -> Path:
        """A partition by the beginning of its name."""
        [path] = (self.folder / "tar_partitions").glob(f"{name}.tar*")
        return path

    @property
    def largest_part(self) -> Path:
        """The partition with nearly everything."""
        return max((self.folder / "tar_partitions").iterdir(), key=lambda path: path.stat().st_size)


def stored_backups(archive: Path) -> list[StoredBackup]:
    """The backups of an archive, oldest first."""
    folders = sorted(path for path in (archive / "basebackups_005").iterdir() if path.is_dir())
    return [StoredBackup(archive=archive, name=folder.name) for folder in folders]


def alter(path: Path, change: Callable[[Document], object]) -> None:
    """Change a JSON document in place."""
    document = json.loads(path.read_bytes())
    change(document)
    path.write_text(json.dumps(document))


def cut(path: Path) -> None:
    """Leave the first half of an object."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def tar_file(name: str, content: bytes) -> Member:
    """A regular member."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), 0o600
    return info, content


def tar_link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> Member:
    """A symbolic link, or by its `kind` a hard one."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info, b""


def add_part(backup: StoredBackup, members: Iterable[Member]) -> None:
    """Store one more partition, not compressed, and list its members as files.

    Names that are not UTF-8 are listed as WAL-G lists them: each such byte is U+FFFD.
    """
    members = list(members)
    made = BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for info, content in members:
            tar.addfile(info, BytesIO(content))
    part = "part_900.tar"
    (backup.folder / "tar_partitions" / part).write_bytes(made.getvalue())
    raw = (info.name.encode("utf-8", "surrogateescape") for info, _ in members)
    names = [name.decode("utf-8", "replace") for name in raw]

    def enlist(document: Document) -> None:
        plain = {"IsIncremented": False, "IsSkipped": False, "UpdatesCount": 0}
        document["Files"] |= dict.fromkeys(names, plain)
        document["TarFileSets"][part] = names

    alter(backup.listing, enlist)


def seal_messages(messages: Sequence[bytes], key: bytes) -> bytes:
    """A stream of libsodium's with these messages, of which none says that it is the last."""
    state = bindings.crypto_secretstream_xchacha20poly1305_state()
    stored: bytes = bindings.crypto_secretstream_xchacha20poly1305_init_push(state, key)
    for message in messages:
        stored += bindings.crypto_secretstream_xchacha20poly1305_push(state, message)
    return stored
