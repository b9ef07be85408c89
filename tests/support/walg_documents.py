"""The documents of a backup by WAL-G, of early versions and of today's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.support.walg_backup import EXTENSIONS, Style, WalgBackup

_TIME = "2026-11-22T12:00:00.123456789Z"
_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"


def files_document(
    backup: WalgBackup, parts: Mapping[str, Sequence[str]], style: Style
) -> dict[str, object]:
    """files_metadata.json as a value."""
    slash = "" if style.remote else "/"
    files: dict[str, object] = {
        slash + name: {
            "IsIncremented": False,
            "IsSkipped": False,
            "MTime": _TIME,
            "UpdatesCount": 0,
        }
        for name in backup.directories
    }
    for name, file in backup.files.items():
        files[slash + name] = {
            "IsIncremented": file.incremented,
            "IsSkipped": file.skipped,
            "MTime": f"2026-11-22T13:00:00.{file.mtime_ns % 10**9:09d}+01:00",
            "UpdatesCount": file.updates,
        }
    sets = {part: [slash + name for name in names] for part, names in parts.items()}
    sets[f"backup_label.tar{EXTENSIONS[style.method]}"] = ["tablespace_map", "backup_label"]
    databases = {"postgres": {"oid": 5, "tables_new": {"public.t": {"oid": 1, "relfilenode": 1}}}}
    return {
        "Files": files,
        "TarFileSets": {} if style.remote else sets,
        "DatabasesByNames": {} if style.remote else databases,
    }


def sentinel_document(backup: WalgBackup, style: Style) -> dict[str, object]:
    """The sentinel as a value; early versions have neither a version nor times."""
    document: dict[str, object] = {"LSN": backup.start_lsn}
    if backup.parent:
        early = style.files == "sentinel"
        document |= {
            "DeltaFromLSN" if early else "DeltaLSN": backup.parent.start_lsn,
            "DeltaFrom": backup.parent.name,
            "DeltaFullName": backup.root.name,
            "DeltaCount": backup.depth,
        }
    size = sum(len(file.payload or b"") for file in backup.files.values())
    document |= {
        "PgVersion": backup.pg_version,
        "FinishLSN": backup.finish_lsn,
        "SystemIdentifier": backup.system_identifier,
        "UncompressedSize": size,
        "CompressedSize": size,
        "Spec": _spec(backup) if backup.tablespaces else None,
    }
    if style.files == "sentinel":
        return document
    if style.files == "nowhere":
        document["FilesMetadataDisabled"] = True
    times = {"StartTime": _TIME, "FinishTime": _TIME, "DateFmt": _FORMAT}
    return document | {
        "ChkpNum": None,
        "Version": 2,
        **times,
        "Hostname": "db1",
        "DataDir": backup.data_dir,
        "IsPermanent": False,
    }


def _spec(backup: WalgBackup) -> dict[str, object]:
    links = {
        str(oid): {"loc": location, "link": f"pg_tblspc/{oid}"}
        for oid, location in backup.tablespaces.items()
    }
    return {"base_prefix": backup.data_dir, "tablespaces": [*links], **links}


def metadata_document(backup: WalgBackup) -> dict[str, object]:
    """metadata.json as a value."""
    return {
        "start_time": _TIME,
        "finish_time": _TIME,
        "date_fmt": _FORMAT,
        "hostname": "db1",
        "data_dir": backup.data_dir,
        "pg_version": backup.pg_version,
        "start_lsn": backup.start_lsn,
        "finish_lsn": backup.finish_lsn,
        "is_permanent": False,
        "system_identifier": backup.system_identifier,
        "uncompressed_size": 0,
        "compressed_size": 0,
    }
