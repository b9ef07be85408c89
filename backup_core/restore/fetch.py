"""Carry a restore out: the narrative.

The order is the safety: files, then what was found is held against the plan, then the recovery
settings, then durability, and pg_control last, without which no server starts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from backup_core.errors import CorruptError, PitrError
from backup_core.postgres.control import CONTROL_FILE, ControlFile
from backup_core.postgres.lsn import Lsn
from backup_core.postgres.recovery import RecoveryConfig
from backup_core.repository import layout, parts, wal_e
from backup_core.repository.catalog import read_catalog
from backup_core.repository.files_metadata import path_key
from backup_core.repository.index import IndexedFile
from backup_core.restore import check, finish, plan, preflight, ranged, tree
from backup_core.restore.durable import barrier
from backup_core.restore.existing import check_files, clear
from backup_core.restore.extract import (
    Extracted,
    ExtractOptions,
    LayerView,
    extract_parts,
    read_held,
)
from backup_core.restore.known import KnownFiles
from backup_core.restore.marker import remove_marker, write_marker
from backup_core.restore.members import split_path
from backup_core.restore.minimal_config import CONFIG_FILES, minimal_files
from backup_core.restore.places import Layout, lay_out
from backup_core.restore.prepare import PROVIDE, RestorePlan, find_way
from backup_core.storage.base import Storage


def carry_out(
    storage: Storage,
    planned: RestorePlan,
    recovery: RecoveryConfig | None,
    *,
    workers: int,
    advance: Callable[[int], None] = lambda _: None,
    step: Callable[[str], None] = lambda _: None,
    warn: Callable[[str], None] = lambda _: None,
) -> None:
    """Restore as planned; `recovery` None leaves the recovery configuration to the operator.

    `warn` is told what was found on the way. Raises CorruptError, ClusterMismatchError,
    StorageError or PitrError; the directory then has no pg_control, without which no server starts.
    """
    index = planned.index
    known = KnownFiles.of(index) if index else None
    files = known.files if known else {}
    places = lay_out(planned.data_dir, planned.tablespaces)
    step("restore the data directory")
    for directory in (places.data_dir, *places.tablespaces.values()):
        _make_place(directory)
    with barrier([places.data_dir, *places.tablespaces.values()]) as durable:
        if index is not None:  # without digests there is no going on
            write_marker(planned.data_dir, planned.backup.name)
        clear(places, planned.existing, files)
        last = _read_last_parts(storage, planned, known)
        options = ExtractOptions(layout=places, known=known, workers=workers, advance=advance)
        extracted = _extract(storage, planned, options, last)
        held = extracted.held | last
        _check_complete(planned.backup.name, files, extracted.files | set(held))
        check.check_essentials(planned.backup, planned.data_dir)
        control = check.check_held(
            planned.backup, held, planned.tablespaces, system_identifier=planned.system_identifier
        )
        for warning in _findings(planned, extracted, last):
            warn(warning)
        if wal_e.is_offline(planned.backup):
            _find_way_offline(storage, planned, control)
        if planned.request.verify and index is not None:
            step("verify every file")
            check_files(places, index, workers=workers)
        step("set up recovery")
        finish.make_directories(planned.data_dir, planned.backup.major)
        finish.link_tablespaces(planned.data_dir, planned.tablespaces)
        _write_label(planned, held)
        _write_config(planned, held[CONTROL_FILE], control, warn)
        if recovery is not None:
            finish.write_recovery(planned.data_dir, recovery)
        step("make everything durable")
        durable.wait()
        finish.place_control(planned.data_dir, held[CONTROL_FILE])
        remove_marker(planned.data_dir)


def _extract(
    storage: Storage, planned: RestorePlan, options: ExtractOptions, last: Mapping[str, bytes]
) -> Extracted:
    """Extract by the index where its digests prove each range, or else whole partitions."""
    index, kept = planned.index, planned.existing.kept
    if index is None or not ranged.is_ranged(index):
        return _extract_layers(storage, planned, replace(options, kept=kept), last)
    folder = layout.partitions(planned.backup.name)
    files = {file.path: file for file in index.files if not parts.is_last(file.part)}
    ranged.make_directories(storage, folder, index, options.layout)
    ranged.write_files(
        storage,
        folder,
        index,
        {path: file for path, file in files.items() if path not in kept},
        options.layout,
        workers=options.workers,
        advance=options.advance,
    )
    return Extracted(files=set(files), size=sum(file.size for file in files.values()))


def _make_place(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        directory.chmod(0o700)
    except OSError as error:
        raise PitrError(
            f"cannot make the directory {directory}: {error.strerror}",
            hint="Make it, owned by the server's user, or give a tablespace another place with "
            "--tablespace-mapping OLD=NEW.",
        ) from None


def _extract_layers(
    storage: Storage, planned: RestorePlan, options: ExtractOptions, last: Mapping[str, bytes]
) -> Extracted:
    """Extract the backups of a chain, the oldest first; return what came out of the newest."""
    extracted = Extracted()
    for number in reversed(range(len(planned.chain))):
        keys = [key for key in planned.parts[number] if not parts.is_last(key)]
        if planned.layers is None:
            extracted = extract_parts(storage, keys, options)
            continue
        page_size = check.page_size(planned.chain, last.get(CONTROL_FILE))
        view = LayerView(plan=planned.layers, number=number, page_size=page_size)
        extracted = extract_parts(storage, keys, replace(options, layer=view))
        _remove_vanished(view, keys, extracted, options.layout)
    return extracted


def _remove_vanished(
    view: LayerView, keys: Sequence[str], extracted: Extracted, places: Layout
) -> None:
    """Remove what older backups restored and the newest had no more when it came to it."""
    written = {path_key(path) for path in extracted.files}
    written |= extracted.left_out | set(extracted.held)
    only_the_list_tells = not view.tells_partitions and not all(map(layout.extension_of, keys))
    for path in view.plan.vanished(view.number, written, whole=only_the_list_tells):
        tree.remove_file(places.locate(split_path(path)))


def _read_last_parts(
    storage: Storage, planned: RestorePlan, known: KnownFiles | None
) -> dict[str, bytes]:
    held: dict[str, bytes] = {}
    for key in filter(parts.is_last, planned.parts[0]):
        for name, content in read_held(storage, key).items():
            if known is not None:
                known.check(name, content)
            held[name] = content
    return held


def _find_way_offline(storage: Storage, planned: RestorePlan, control: ControlFile) -> None:
    """Look for the WAL from where pg_control says that a server will begin."""
    backup = replace(
        planned.backup,
        timeline=control.timeline,
        start_lsn=control.redo,
        finish_lsn=Lsn(control.checkpoint + 1),
    )
    plan.check_ended_before(backup, planned.request.target)
    archive = preflight.read_archive(storage)
    catalog = read_catalog(storage)
    find_way(storage, catalog, archive, backup, planned.request, planned.segment_size)


def _check_complete(name: str, files: Mapping[str, IndexedFile], written: set[str]) -> None:
    lacking = files.keys() - written
    if lacking:
        raise CorruptError(
            f'backup {name} lacks {len(lacking)} files that its index names: "{min(lacking)}", ...',
            hint="The stored backup is damaged; restore an older one.",
        )


def _write_label(planned: RestorePlan, small: Mapping[str, bytes]) -> None:
    if "backup_label" in small:
        finish.write_file(planned.data_dir / "backup_label", small["backup_label"])
    original = small.get("tablespace_map", b"")
    tablespace_map = finish.map_tablespaces(original, planned.tablespaces)
    if tablespace_map:
        finish.write_file(planned.data_dir / "tablespace_map", tablespace_map)
    manifest = planned.manifest
    if manifest is None:
        return
    if tablespace_map != original:
        manifest = finish.describe_map(manifest, tablespace_map)
    finish.write_file(planned.data_dir / "backup_manifest", manifest)


def _write_config(
    planned: RestorePlan, content: bytes, control: ControlFile, warn: Callable[[str], None]
) -> None:
    """Write what is missing of the configuration, or tell of it, unless the plan did."""
    if planned.request.minimal_config:
        written = finish.write_missing(planned.data_dir, minimal_files(content, control))
        if written:
            warn(f"wrote a minimal {', '.join(written)}: look at it before users connect")
        return
    missing = [name for name in CONFIG_FILES if not (planned.data_dir / name).exists()]
    if missing and planned.index is None and planned.backup.origin != wal_e.ORIGIN:
        warn(f"the backup holds no {', '.join(missing)}: {PROVIDE}")


def _findings(
    planned: RestorePlan, extracted: Extracted, last: Mapping[str, bytes]
) -> Iterator[str]:
    """What to tell of the extracted files; raises CorruptError if some are missing unnoticed."""
    if planned.index is None and planned.layers is None:
        size = extracted.size + sum(map(len, last.values()))
        warning = check.check_size(planned.backup, size, force=planned.request.force)
        if warning is not None:
            yield warning
    for path, target in sorted(extracted.links.items()):
        made = (
            " is an empty directory now" if (planned.data_dir / path).is_dir() else " is left out"
        )
        yield f"{path} was a symbolic link to {target} and{made}"
    for path in sorted(extracted.left_out):
        yield f"{path} is left out: the backup's own would decide how the server starts"
