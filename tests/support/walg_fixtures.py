"""Make the archives of tests/fixtures/wal-g: `python -m tests.support.walg_fixtures DIRECTORY`.

`WALG_BIN` names the binary, the arguments the directory to write to and, if not all are to be made,
which. One small server (PostgreSQL 15, segments of 1 MiB, its catalogs cut down) pushes into one
prefix after the other. Each backup is restored by wal-g itself; what came out is held against the
data directory as it was at the end of the push, and written down as the manifest.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.support.cluster import Cluster, Setting
from tests.support.postgres import find_binaries
from tests.support.walg import WalG, digests, encryption
from tests.support.walg_tables import CHAIN, LONE, answers, fill, go_on, go_on_more

BASE = Path("/srv/db1")
DATA = BASE / "data"
SPACE = BASE / "space"
MAJOR = 15
TRAP = b"wi1U is how an increment begins, and this file is none\n"
DISCARD = "exit 0\n"
NOT_COMPARED = {"backup_label", "tablespace_map", "global/pg_control"}
MADE_ANEW = "pg_internal.init"
SETTINGS: dict[str, Setting] = {
    "autovacuum": False,
    "bgwriter_lru_maxpages": 0,
    "checkpoint_timeout": "1d",
    "fsync": False,
    "shared_buffers": "16MB",
    "max_connections": 10,
    "max_wal_size": "64MB",
    "min_wal_size": "2MB",
    "wal_compression": True,
    "wal_level": "replica",
}
SHRINK = (
    "UPDATE pg_database SET datistemplate = false",
    "DROP DATABASE template0",
    "DROP DATABASE template1",
    "DROP SCHEMA information_schema CASCADE",
    "DELETE FROM pg_description",
    "DELETE FROM pg_shdescription",
    "DELETE FROM pg_collation WHERE collname NOT IN ('default', 'C', 'POSIX')",
    "DELETE FROM pg_statistic",
    "VACUUM FULL",
)


@dataclass(frozen=True, kw_only=True)
class Archive:
    """One prefix to fill: the settings of wal-g in it, and the flags of each push."""

    name: str
    env: dict[str, str] = field(default_factory=dict)
    flags: Sequence[str] = ()
    scheme: str = ""
    remote: bool = False
    chain: bool = False


METHODS = ("lz4", "zstd", "brotli", "lzma", "none")
DELTAS = {"WALG_DELTA_MAX_STEPS": "6"}
SMALL = {"WALG_COMPRESSION_METHOD": "lzma"}
ARCHIVES = (
    *(Archive(name=method, env={"WALG_COMPRESSION_METHOD": method}) for method in METHODS),
    Archive(name="libsodium", env=SMALL, scheme="libsodium"),
    Archive(name="pgp", env=SMALL, scheme="pgp"),
    Archive(name="database", env=SMALL, flags=("--database-composer",)),
    Archive(name="remote", env=SMALL, remote=True),
    Archive(name="without-list", env=SMALL, flags=("--without-files-metadata",)),
    Archive(name="chain", env=SMALL | DELTAS, chain=True),
    Archive(name="rating", env=SMALL | DELTAS, flags=("--rating-composer",), chain=True),
)


def main(target: Path, names: Sequence[str]) -> None:
    """Make the archives of these names, or all."""
    with server() as cluster:
        for archive in ARCHIVES:
            if not names or archive.name in names:
                make(archive, target / archive.name, cluster)
                print(archive.name, flush=True)


@contextmanager
def server() -> Iterator[Cluster]:
    """A small server that archives by what the current prefix's script says."""
    BASE.joinpath("home").mkdir(exist_ok=True)
    SPACE.mkdir(exist_ok=True)
    cluster = Cluster.create(DATA, find_binaries(MAJOR), wal_segment_mb=1, settings=SETTINGS)
    with (DATA / "postgresql.conf").open("a") as conf:
        conf.write(f"include_if_exists '{BASE}/archiving.conf'\n")
    (BASE / "archiving.conf").write_text(
        f"archive_mode = on\narchive_command = 'sh {BASE}/archive.sh %p'\n"
    )
    (BASE / "archive.sh").write_text(DISCARD)
    (DATA / "notes").write_bytes(TRAP)
    cluster.settings(allow_system_table_mods=True)
    with cluster:
        for statement in SHRINK:
            cluster.sql(statement)
        cluster.sql(f"CREATE TABLESPACE space LOCATION '{SPACE}'")
        yield cluster


def make(archive: Archive, target: Path, cluster: Cluster) -> None:
    """Fill one prefix; beside it come the manifests and the values of a right restore."""
    shutil.rmtree(target, ignore_errors=True)
    (target / "archive").mkdir(parents=True)
    env = {"WALG_PG_WAL_SIZE": "1", "PGDATA": str(DATA)} | archive.env
    if archive.scheme:
        env |= encryption(archive.scheme, BASE)
    wal_g = WalG(repository=target / "archive", home=BASE / "home", env=env)
    values: dict[str, object] = {}
    (BASE / "archive.sh").write_text(DISCARD)
    fill(cluster)
    archive_all(cluster)
    (BASE / "archive.sh").write_text(f"{wal_g.command('wal-push')} $1\n")
    for step in CHAIN if archive.chain else LONE:
        step(cluster)
        values[push(archive, wal_g, cluster)] = answers(cluster)
    go_on(cluster)
    values["phase1"] = answers(cluster)
    go_on_more(cluster)
    values["end"] = answers(cluster)
    archive_all(cluster)
    drop_older_wal(wal_g.repository)
    (target / "values.json").write_text(json.dumps(values, indent=1) + "\n")


def drop_older_wal(repository: Path) -> None:
    """Delete the WAL before the first backup, which no restore needs."""
    first = min(path.name for path in (repository / "basebackups_005").iterdir())
    for path in (repository / "wal_005").iterdir():
        if path.name < first.removeprefix("base_")[:24]:
            path.unlink()


def push(archive: Archive, wal_g: WalG, cluster: Cluster) -> str:
    """Take a backup, restore it by wal-g, and write its manifest; return its name."""
    cluster.sql("CHECKPOINT")
    where = [] if archive.remote else [DATA]
    wal_g.run("backup-push", *where, *archive.flags, env=cluster.environ)
    source = digests(DATA)
    listed = json.loads(wal_g.run("backup-list", "--json").stdout)
    name = str(listed[-1]["backup_name"])
    restored = BASE / "restored"
    restore(wal_g, name, restored)
    found = digests(restored)
    odd = {path for path in found if source.get(path) != found[path]} - NOT_COMPARED
    relations = {path for path in source if path.startswith(("base/", "global/", "pg_tblspc/"))}
    lost = {path for path in relations - found.keys() if not path.endswith(MADE_ANEW)}
    if odd or lost:
        raise RuntimeError(f"{name}: differs {sorted(odd)}, lost {sorted(lost)}")
    manifest = wal_g.repository.parent / f"manifest-{name}.tsv"
    manifest.write_text(
        "".join(f"{path}\t{size}\t{digest}\n" for path, (size, digest) in sorted(found.items()))
    )
    return name


def restore(wal_g: WalG, name: str, directory: Path) -> None:
    """Restore a backup to a directory of its own, tablespaces too."""
    shutil.rmtree(directory, ignore_errors=True)
    shutil.rmtree(BASE / "restored-space", ignore_errors=True)
    path = wal_g.repository / f"basebackups_005/{name}_backup_stop_sentinel.json"
    spec = json.loads(path.read_text()).get("Spec") or {"tablespaces": []}
    spec["base_prefix"] = str(directory)
    for oid in spec["tablespaces"]:
        spec[oid]["loc"] = str(BASE / "restored-space")
    (BASE / "spec.json").write_text(json.dumps(spec))
    wal_g = replace(without_last_dots(wal_g, name), env={**wal_g.env, "PGDATA": str(directory)})
    wal_g.run("backup-fetch", directory, name, "--restore-spec", BASE / "spec.json")


def without_last_dots(wal_g: WalG, name: str) -> WalG:
    """wal-g until 3.0.8 cannot read the names that it gives what is not compressed: mend a copy."""
    if not [*wal_g.repository.glob(f"basebackups_005/{name}/tar_partitions/*.")]:
        return wal_g
    copy = BASE / "mended"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(wal_g.repository, copy)
    for path in copy.rglob("*."):
        path.rename(path.with_name(path.name[:-1]))
    return replace(wal_g, repository=copy)


def archive_all(cluster: Cluster) -> None:
    """Finish the current segment and wait until it is archived."""
    name = cluster.scalar("SELECT pg_walfile_name(pg_switch_wal())")
    cluster.wait_until(f"SELECT last_archived_wal >= '{name}' FROM pg_stat_archiver", timeout=60)


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute(), sys.argv[2:])
