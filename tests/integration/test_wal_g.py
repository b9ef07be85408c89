"""What WAL-G left behind comes back byte for byte, and recovers to what was in it."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.cluster import Cluster
from tests.support.postgres import find_binaries
from tests.support.site import Site, open_site, paused, promoted
from tests.support.walg import FIXTURES, digests, encryption
from tests.support.walg_tables import answers

FULL = ("lz4", "zstd", "brotli", "lzma", "none", "database", "remote", "without-list")
ENCRYPTED = ("libsodium", "pgp")
CHAINS = ("chain", "rating")
NAMES = (*FULL, *ENCRYPTED, *CHAINS)
MAJOR = 15
# what recovery needs besides, and the map that pitr leaves out when it is empty or mapped anew
OURS_ALONE = {"postgresql.auto.conf", "recovery.signal", "backup_manifest", "tablespace_map"}


def backups(name: str) -> list[str]:
    """The backups of an archive, oldest first."""
    return sorted(path.stem.removeprefix("manifest-") for path in (FIXTURES / name).glob("*.tsv"))


EVERY_BACKUP = [(name, backup) for name in NAMES for backup in backups(name)]
LAST_BACKUPS = [(name, backups(name)[-1]) for name in NAMES]
LAYERS = [("chain", backup) for backup in backups("chain")]

Digests = dict[str, tuple[int, str]]


@pytest.fixture
def pg15(tmp_path: Path) -> Iterator[Site]:
    """A place for servers of the archives' version."""
    with open_site(tmp_path, find_binaries(MAJOR)) as site:
        yield site


def settings(site: Site, name: str) -> dict[str, str]:
    """What reading an archive takes besides its place."""
    return encryption(name, site.base) if name in ENCRYPTED else {}


def fetched(site: Site, name: str, *args: str) -> Cluster:
    """A data directory that pitr restored from an archive, its tablespace beside it."""
    site = replace(site, repository=FIXTURES / name / "archive")
    directory, space = site.base / "restored", site.base / "space"
    mapping = ("--tablespace-mapping", f"/srv/db1/space={space}")
    site.run("backup-fetch", directory, *args, *mapping, env=settings(site, name))
    return site.make_cluster(adopt=directory, start=False)


def manifest(name: str, backup: str) -> Digests:
    """Size and digest of each file that wal-g restored."""
    lines = (FIXTURES / name / f"manifest-{backup}.tsv").read_text().splitlines()
    rows = [line.split("\t") for line in lines]
    return {path: (int(size), digest) for path, size, digest in rows}


def without(found: Digests) -> Digests:
    """Without what pitr writes to start the recovery."""
    return {path: entry for path, entry in found.items() if path not in OURS_ALONE}


def check_values(name: str, key: str, restored: Cluster) -> None:
    """Every table holds what it held; one that was dropped is gone."""
    assert answers(restored) == json.loads((FIXTURES / name / "values.json").read_text())[key]


@pytest.mark.parametrize(("name", "backup"), EVERY_BACKUP)
def test_every_file_is_what_wal_g_restores(pg15: Site, name: str, backup: str) -> None:
    """In every codec, scheme and layer of a chain; no file more, none less."""
    restored = fetched(pg15, name, backup)
    assert without(digests(restored.data_dir)) == without(manifest(name, backup))


@pytest.mark.parametrize(("name", "backup"), LAST_BACKUPS)
def test_a_server_recovers_to_the_end(pg15: Site, name: str, backup: str) -> None:
    """Of the WAL that WAL-G archived."""
    restored = fetched(pg15, name, backup)
    restored.start(env=settings(pg15, name))
    promoted(restored)
    check_values(name, "end", restored)


@pytest.mark.parametrize(("name", "backup"), LAYERS)
def test_a_server_recovers_to_the_backup(pg15: Site, name: str, backup: str) -> None:
    """And to nothing after it."""
    restored = fetched(pg15, name, backup, "--target", "immediate")
    restored.start(env=settings(pg15, name))
    paused(restored)
    check_values(name, backup, restored)


def test_a_server_recovers_to_a_restore_point(pg15: Site) -> None:
    """By its name."""
    restored = fetched(pg15, "lz4", backups("lz4")[0], "--target-name", "phase1")
    restored.start()
    paused(restored)
    check_values("lz4", "phase1", restored)
