"""The encrypted archive that WAL-E left behind, read with its envdir and the key in gpg's ring."""

import hashlib
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.test_wal_e import CONTENT, TARGETS
from tests.support.cluster import Cluster
from tests.support.commands import complaint
from tests.support.environment import pitr_program
from tests.support.postgres import find_binaries
from tests.support.site import Site, archive_everything, open_site, paused, promoted
from tests.support.wal_e import ARCHIVES, BACKUP, open_archive
from tests.unit.stream.encrypt.keys import run_gpg

ARCHIVE = open_archive("gpg")
KEY = ARCHIVES / "gpg" / "key"


@dataclass(frozen=True)
class Ring:
    """gpg's home with the archive's key, and that key's name."""

    home: Path
    key_id: str


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ring]:
    """The throwaway key of the archive, imported as its owner would."""
    home = tmp_path_factory.mktemp("gnupg")
    home.chmod(0o700)
    run_gpg(home, b"", "--import", str(KEY / "secret.gpg"))
    listed = run_gpg(home, b"", "--with-colons", "--list-secret-keys").decode()
    key_id = next(line.split(":")[4] for line in listed.splitlines() if line.startswith("sec:"))
    yield Ring(home=home, key_id=key_id[-8:])
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False)


@pytest.fixture
def pg14(tmp_path: Path) -> Iterator[Site]:
    """A place for servers of the archive's version, with a copy of the archive."""
    with open_site(tmp_path, find_binaries(14)) as site:
        shutil.rmtree(site.repository)
        shutil.copytree(ARCHIVE.prefix, site.repository)
        yield site


def variables(site: Site, ring: Ring) -> dict[str, str]:
    """What WAL-E's envdir has."""
    return {
        "WALE_FILE_PREFIX": f"file://localhost{site.repository}",
        "WALE_GPG_KEY_ID": ring.key_id,
        "GNUPGHOME": str(ring.home),
    }


@pytest.fixture
def envdir(pg14: Site, ring: Ring) -> Path:
    """That envdir."""
    directory = pg14.base / "env"
    directory.mkdir()
    for name, value in variables(pg14, ring).items():
        (directory / name).write_text(value + "\n")
    return directory


@pytest.fixture
def wal_e(pg14: Site, ring: Ring) -> str:
    """The command line of old: pitr in the place of wal-e, under envdir."""
    link = pg14.base / "wal-e"
    link.symlink_to(pitr_program())
    settings = " ".join(f"{name}={value}" for name, value in variables(pg14, ring).items())
    return f"env {settings} {link} --gpg-key-id {ring.key_id}"


def restored(site: Site, envdir: Path, *args: str | Path) -> Cluster:
    """Restore into `new` with a minimal configuration, and let the tests connect."""
    target = site.base / "new"
    site.pitr("backup-fetch", "--envdir", envdir, target, *args, "--minimal-config")
    (target / "pg_hba.conf").write_text("local all all trust\n")
    return site.make_cluster(adopt=target, start=False)


def test_the_archive_is_listed(pg14: Site, envdir: Path) -> None:
    """Backup and WAL."""
    assert BACKUP in pg14.pitr("backup-list", "--envdir", envdir).stdout
    names = [row["name"] for row in ARCHIVE.wal if len(row["name"]) == 24]
    assert names[-1] in pg14.pitr("wal-show", "--envdir", envdir).stdout


def test_every_wal_object_is_fetched(pg14: Site, envdir: Path) -> None:
    """As it was before WAL-E compressed and encrypted it."""
    for row in ARCHIVE.wal:
        destination = pg14.base / row["name"]
        pg14.pitr("wal-fetch", "--envdir", envdir, row["name"], destination)
        content = destination.read_bytes()
        assert hashlib.sha256(content).hexdigest() == row["sha256_of_decoded"]


def test_every_file_is_restored_to_the_byte(pg14: Site, envdir: Path) -> None:
    """By the manifest that was made when WAL-E wrote it."""
    target = pg14.base / "new"
    pg14.pitr("backup-fetch", "--envdir", envdir, target, "--no-recovery-config")
    for row in ARCHIVE.base:
        path = target / row["path"]
        assert path.is_dir() is (row["type"] == "d")
        if path.is_file():
            assert hashlib.sha256(path.read_bytes()).hexdigest() == row["sha256"], row["path"]


@pytest.mark.parametrize("target", TARGETS)
def test_a_server_recovers_to_what_was_there(pg14: Site, envdir: Path, target: str) -> None:
    """At each target; the server finds the key by the envdir that its restore_command names."""
    options, content, meta = TARGETS[target]
    cluster = restored(pg14, envdir, *options)
    cluster.start()
    (paused if options else promoted)(cluster)
    assert cluster.sql(CONTENT) == [content]
    assert cluster.scalar("SELECT v FROM meta") == meta


def test_the_commands_of_old_keep_working(pg14: Site, envdir: Path, wal_e: str) -> None:
    """restore_command and archive_command as they stood, with pitr in wal-e's place."""
    command = f'{wal_e} wal-fetch -p 4 "%f" "%p"'
    cluster = restored(pg14, envdir, "--restore-command", command)
    with (cluster.data_dir / "postgresql.auto.conf").open("a") as conf:
        conf.write(f"archive_mode = on\narchive_command = '{wal_e} wal-push %p'\n")
    cluster.start()
    promoted(cluster)
    cluster.sql("CREATE TABLE later AS SELECT n FROM generate_series(1, 1000) n")
    name = archive_everything(cluster)
    stored = next((pg14.repository / "wal_005").glob(f"{name}*")).read_bytes()
    assert stored[0] & 0xFC == 0x84, "an OpenPGP message begins with the session key's packet"
    pg14.pitr("wal-fetch", "--envdir", envdir, name, pg14.base / name)


def test_without_the_key_nothing_is_restored(pg14: Site) -> None:
    """One line says that it is the key that lacks."""
    done = pg14.run("backup-fetch", pg14.base / "new", check=False)
    assert done.returncode == 9, done.stderr
    assert "is encrypted by openpgp, and no key for that is configured" in complaint(done)
    assert not (pg14.base / "new").exists()
    assert pg14.run("backup-list", check=False).returncode in (6, 9)
