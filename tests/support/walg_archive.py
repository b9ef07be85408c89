"""Archives as WAL-G writes them, from files as values.

Written from WAL-G's formats alone and with the standard library's tar, so that no mistake of the
code under test is repeated here. Compression is the product's own.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable

from backup_core.storage.base import Storage
from backup_core.stream.compress import compress
from tests.support.walg_backup import EXTENSIONS, Stored, Style, WalgBackup
from tests.support.walg_documents import files_document, metadata_document, sentinel_document


def push(storage: Storage, backup: WalgBackup, style: Style | None = None) -> WalgBackup:
    """Write a backup, the sentinel last; return it, to be the parent of another."""
    style = style or Style()
    extension = EXTENSIONS[style.method]
    slash = "" if style.remote else "/"
    folder = f"basebackups_005/{backup.name}/"
    parts = {
        f"part_{number:03d}.tar{extension}": names
        for number, names in enumerate(_compose(backup, style), 1)
    }
    for part, names in parts.items():
        entries = [(slash + name, backup.files[name]) for name in names]
        directories = [slash + name for name in backup.directories] if part[5:8] == "001" else []
        if style.remote and directories:
            entries += [("backup_label", Stored(payload=backup.label))]
            entries += [("global/pg_control", Stored(payload=backup.control))]
        _put_tar(storage, f"{folder}tar_partitions/{part}", directories, entries, style)
    control = [(f"{slash}global/pg_control", Stored(payload=backup.control))]
    _put_tar(storage, f"{folder}tar_partitions/pg_control.tar{extension}", [], control, style)
    if not style.remote:
        label = [
            ("backup_label", Stored(payload=backup.label)),
            ("tablespace_map", Stored(payload=backup.tablespace_map)),
        ]
        _put_tar(storage, f"{folder}tar_partitions/backup_label.tar{extension}", [], label, style)
    listing = files_document(backup, parts, style)
    if style.files == "object":
        storage.put(f"{folder}files_metadata.json", [json.dumps(listing).encode()])
    sentinel = sentinel_document(backup, style)
    if style.files == "sentinel":
        sentinel |= {key: listing[key] for key in ("Files", "TarFileSets")}
    else:
        storage.put(f"{folder}metadata.json", [json.dumps(metadata_document(backup)).encode()])
    key = f"basebackups_005/{backup.name}_backup_stop_sentinel.json"
    storage.put(key, [json.dumps(sentinel).encode()])
    return backup


def _compose(backup: WalgBackup, style: Style) -> list[list[str]]:
    """The names in each partition, by the composer; there is always one."""
    names = [name for name, file in backup.files.items() if file.payload is not None]
    match style.composer:
        case "regular":
            groups = [names]
        case "rating":
            still = [name for name in names if not backup.files[name].updates]
            groups = [still, [name for name in names if backup.files[name].updates]]
        case "database":
            folders = {
                name: name.rpartition("/")[0] if name.startswith("base/") else "" for name in names
            }
            groups = [[n for n in names if folders[n] == f] for f in sorted({*folders.values()})]
    parts: list[list[str]] = [[]]
    for group in groups:
        size = style.threshold
        for name in group:
            if size >= style.threshold and parts[-1]:
                parts.append([])
            size = 0 if size >= style.threshold else size
            parts[-1].append(name)
            size += len(backup.files[name].payload or b"")
    return parts


def _put_tar(
    storage: Storage,
    key: str,
    directories: Iterable[str],
    entries: Iterable[tuple[str, Stored]],
    style: Style,
) -> None:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in directories:
            info = tarfile.TarInfo(name or "/")
            info.type, info.mode = tarfile.DIRTYPE, 0o700
            tar.addfile(info)
        for name, file in entries:
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(file.payload or b""), file.mode
            info.mtime = file.mtime_ns // 10**9
            tar.addfile(info, io.BytesIO(file.payload or b""))
    storage.put(key, [compress(made.getvalue(), method=style.method, level=3)])
