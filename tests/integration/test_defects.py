"""The defects of wal-g that would turn a good archive into a bad restore; pitr has none of them.

Numbers are those of the list that was made from wal-g's source. Those that concern reading:

    D1   the sentinel's version is lost, so a lost list goes unnoticed  here, unit test_sentinel,
                                                                        test_files_metadata
    D2   a page of zeros counts as missing, older content comes back    here, unit test_increments,
                                                                        test_delta_model
    D3   a retry takes a file that was half written for a whole one     here, unit test_increments
    D7   a delta's base may be of another branch of the history         here
    D8   increments of early versions are written out as files          here, unit test_delta_model
    D10  wal-fetch ends recovery on trouble, leaves part of a file      here, test_fetch
    D11  members of a tar leave the directory, links lead to themselves here, unit test_tree
    D12  a libsodium stream may lack its end                            here, unit test_libsodium
    D13  OpenPGP text mode, in which carriage returns are lost          here, unit test_openpgp
    D15  corrupt pages and missing WAL end in success                   here, test_pages
    D16  a mask never matches the label, so that it is not extracted    here
    D17  backups of a standby overwrite one another in place            here, unit test_chain
    D20  another server is taken when the one that is meant is away     here
    D21  tablespaces are linked under the original data directory       here, test_tablespaces
    D22  a corrupt object is fetched for an hour before it is an error  here, unit test_increment
    D23  a file name that is not UTF-8                                  here, test_odd_names,
                                                                        unit test_files_metadata

Those that do not: D4, D5 and D14 are about deleting, D6 about deriving deltas from WAL, D9 about
state that pushes share, D18 about a store that pitr does not have, D19 about a module that pushes.
"""

import json
import shutil
import socket
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.integration.test_wal_g import manifest, without
from tests.support.commands import complaint
from tests.support.postgres import find_binaries
from tests.support.site import Site, open_site, promoted
from tests.support.walg import FIXTURES, LIBSODIUM_KEY, digests, encryption
from tests.support.walg_altered import (
    Document,
    StoredBackup,
    add_part,
    alter,
    cut,
    seal_messages,
    stored_backups,
    tar_file,
    tar_link,
)
from tests.unit.stream.encrypt.keys import run_gpg

USAGE, REFUSED, CORRUPT, NO_SERVER = 2, 3, 6, 8
DELIVERED, ABSENT, STOP = 0, 74, 200

Open = Callable[[str], Site]


@pytest.fixture
def pg15(tmp_path: Path) -> Iterator[Site]:
    """A place for servers of the archives' version."""
    with open_site(tmp_path, find_binaries(15)) as site:
        yield site


@pytest.fixture
def archive(pg15: Site) -> Open:
    """Copies of archives, to be damaged."""

    def make(name: str) -> Site:
        target = pg15.base / f"archive-{name}"
        shutil.copytree(FIXTURES / name / "archive", target)
        return replace(pg15, repository=target)

    return make


def fetch(site: Site, *words: str | Path, code: int = 0, env: dict[str, str] | None = None) -> str:
    """Restore with the tablespace beside the data directory; return what was said."""
    mapping = ("--tablespace-mapping", f"16770={site.base / 'space'}")
    done = site.run("backup-fetch", site.base / "new", *words, *mapping, env=env, check=False)
    assert done.returncode == code, done.stderr
    return complaint(done) if code else done.stderr


def newest(site: Site) -> StoredBackup:
    """The newest backup of an archive."""
    return stored_backups(site.repository)[-1]


def unstartable(site: Site) -> bool:
    """No server would start on what is left."""
    return not (site.base / "new" / "global" / "pg_control").exists()


def is_what_wal_g_restores(site: Site, name: str, backup: StoredBackup) -> bool:
    """Every file of the restored directory, and no other."""
    return without(digests(site.base / "new")) == without(manifest(name, backup.name))


def test_d01_a_lost_list_of_files_is_an_error(archive: Open) -> None:
    """Wal-g takes the version for 0, warns, and unpacks increments as if they were files."""
    site = archive("chain")
    newest(site).listing.unlink()
    assert "has lost its list of files" in fetch(site, newest(site).name, code=CORRUPT)
    assert unstartable(site)


def test_d02_a_page_of_zeros_stays_one(archive: Open) -> None:
    """Wal-g's reverse unpacking brings the rows of the older backup back."""
    site = archive("chain")
    fetch(site, newest(site).name)
    restored = site.make_cluster(adopt=site.base / "new", start=False)
    restored.start()
    promoted(restored)
    values = json.loads((FIXTURES / "chain" / "values.json").read_text())
    count = restored.scalar("SELECT count(*) FROM zeroed")
    assert str(count) == str(values["end"]["zeroed"][0])


def test_d03_a_second_try_never_builds_on_the_first(archive: Open) -> None:
    """Wal-g drops the pages past the end of a half-written file; here the remains are refused."""
    site = archive("chain")
    part = stored_backups(site.repository)[0].largest_part
    whole = part.read_bytes()
    cut(part)
    fetch(site, "LATEST", code=CORRUPT)
    assert list((site.base / "new" / "base").rglob("*"))
    assert unstartable(site)
    part.write_bytes(whole)
    assert "is not empty" in fetch(site, "LATEST", code=REFUSED)
    shutil.rmtree(site.base / "new")
    shutil.rmtree(site.base / "space")
    fetch(site, "LATEST")
    assert is_what_wal_g_restores(site, "chain", newest(site))


@pytest.mark.parametrize(("fork", "code"), [("0/3000000", REFUSED), ("0/37F0000", 0)])
def test_d07_a_base_of_another_branch_is_refused(archive: Open, fork: str, code: int) -> None:
    """Its pages have changes that the branch never had, for it ended after the fork."""
    site = archive("chain")
    *_, base, delta = stored_backups(site.repository)
    branch = replace(delta, name=delta.name.replace("base_00000001", "base_00000002"))
    delta.folder.rename(branch.folder)
    delta.sentinel.rename(branch.sentinel)
    (site.repository / "wal_005" / "00000002.history").write_text(f"1\t{fork}\tfailover\n")
    words = (branch.name, "--dry-run", "--target", "immediate", "--force")
    said = fetch(site, *words, code=code)
    assert (f"timeline 2 does not contain backup {base.name}" in said) == bool(code)


def test_d08_a_chain_by_an_early_version_is_merged(archive: Open) -> None:
    """Its lists are in the sentinels, where wal-g overlooks them and takes increments for files."""
    site = archive("chain")
    for backup in stored_backups(site.repository):
        alter(backup.sentinel, early(json.loads(backup.listing.read_bytes())))
        backup.listing.unlink()
        (backup.folder / "metadata.json").unlink()
    fetch(site, newest(site).name)
    assert is_what_wal_g_restores(site, "chain", newest(site))


def early(listing: Document) -> Callable[[Document], None]:
    """Change a sentinel to what versions before 2 wrote: without version and times."""

    def change(sentinel: Document) -> None:
        for key in ("Version", "StartTime", "FinishTime", "DateFmt", "Hostname", "IsPermanent"):
            del sentinel[key]
        if "DeltaLSN" in sentinel:
            sentinel["DeltaFromLSN"] = sentinel.pop("DeltaLSN")
        sentinel |= {key: listing[key] for key in ("Files", "TarFileSets")}

    return change


@pytest.mark.parametrize("trouble", [cut, lambda path: path.chmod(0)], ids=["cut off", "denied"])
def test_d10_trouble_never_ends_recovery(archive: Open, trouble: Callable[[Path], None]) -> None:
    """Wal-g exits with 1, at which the server promotes, and leaves the part that it has."""
    site = archive("lz4")
    segment = site.repository / "wal_005" / "00000001000000000000000E.lz4"
    trouble(segment)
    fetch_wal(site, segment.stem, STOP)
    fetch_wal(site, "00000001000000000000000F", ABSENT)
    fetch_wal(site, "00000001000000000000000D", DELIVERED)


def fetch_wal(site: Site, name: str, code: int, env: dict[str, str] | None = None) -> None:
    """Fetch a WAL file as a server does; only a delivery leaves anything."""
    done = site.run("wal-fetch", name, site.base / "fetched", env=env, check=False)
    assert done.returncode == code, done.stderr
    assert [path.name for path in site.base.glob("fetched*")] == ["fetched"] * (code == DELIVERED)


@pytest.mark.parametrize("name", ["../outside", "/tmp/../../outside", "base/../../outside"])
def test_d11_no_member_leaves_the_directory(archive: Open, name: str) -> None:
    """Wal-g joins the name to the directory and writes wherever that is."""
    site = archive("lz4")
    add_part(newest(site), [tar_file(name, b"evil")])
    assert "leads out of the data directory" in fetch(site, "LATEST", code=CORRUPT)
    assert not list(site.base.rglob("outside"))
    assert unstartable(site)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE], ids=["symbolic", "hard"])
def test_d11_nothing_is_written_through_a_link(archive: Open, kind: bytes) -> None:
    """Wal-g makes links as it meets them, though to their own names by mistake."""
    site = archive("lz4")
    elsewhere = site.base / "elsewhere"
    elsewhere.mkdir()
    link = tar_link("/base/way", str(elsewhere), kind)
    add_part(newest(site), [link, tar_file("/base/way/file", b"evil")])
    fetch(site, "LATEST", code=CORRUPT)
    assert not list(elsewhere.iterdir())
    assert not (site.base / "new" / "base" / "way").is_symlink()
    assert unstartable(site)


def test_d11_a_link_is_told_of_and_not_made(archive: Open) -> None:
    """Wal-g makes one that leads to itself, and no server can read what it stood for."""
    site = archive("lz4")
    add_part(newest(site), [tar_link("/server.key", "/etc/ssl/server.key")])
    said = fetch(site, "LATEST")
    assert "server.key was a symbolic link to /etc/ssl/server.key and is left out" in said
    assert is_what_wal_g_restores(site, "lz4", newest(site))
    assert not (site.base / "new" / "server.key").is_symlink()


def test_d12_a_backup_without_its_end_is_an_error(archive: Open) -> None:
    """Libsodium's last message says that it is; wal-g accepts a stream that is cut before it."""
    site = archive("libsodium")
    part = newest(site).largest_part
    size = part.stat().st_size - 24
    part.write_bytes(part.read_bytes()[: 24 + size // 8209 * 8209])
    said = fetch(site, "LATEST", code=CORRUPT, env=encryption("libsodium", site.base))
    assert "the end of its encrypted content is missing" in said
    assert unstartable(site)


def test_d12_a_history_without_its_end_is_an_error(archive: Open) -> None:
    """Nothing else would tell: not compressed, it is a shorter history, of another branch."""
    site = archive("libsodium")
    env = encryption("libsodium", site.base)
    lines = [f"{number}\t0/{number}000000\twhy".ljust(4095) + "\n" for number in (1, 2)]
    stored = seal_messages(["".join(lines).encode()], LIBSODIUM_KEY.encode())
    assert len(stored) == 24 + 8209
    (site.repository / "wal_005" / "00000004.history").write_bytes(stored)
    fetch_wal(site, "00000004.history", STOP, env)
    fetch_wal(site, "00000001000000000000001E", DELIVERED, env)


@contextmanager
def keyring() -> Iterator[Path]:
    """A home of gpg with the archive's key, short enough for the path of its agent's socket."""
    with tempfile.TemporaryDirectory(prefix="gpg-") as directory:
        home = Path(directory)
        run_gpg(home, (FIXTURES / "pgp-secret.asc").read_bytes(), "--import")
        try:
            yield home
        finally:
            end = ["gpgconf", "--homedir", directory, "--kill", "all"]
            subprocess.run(end, capture_output=True, check=False)


def test_d13_carriage_returns_survive_openpgp(archive: Open) -> None:
    """Wal-g marks what it encrypts as text, of which gpg drops them; this is no text."""
    site = archive("pgp")
    name = "000000010000000000000022"
    stored = (site.repository / "wal_005" / f"{name}.lzma").read_bytes()
    with keyring() as home:
        assert b"\r" not in run_gpg(home, stored, "--decrypt")
    fetch_wal(site, name, DELIVERED, encryption("pgp", site.base))
    assert (site.base / "fetched").stat().st_size == 1 << 20


def test_d15_corrupt_pages_are_told_of(archive: Open) -> None:
    """Wal-g writes down which it found, ends with success, and says nothing when it restores."""
    site = archive("chain")
    full, *_, last = stored_backups(site.repository)
    found = {"CorruptBlocksCount": 3, "SomeCorruptBlocks": [1, 2, 5]}
    files = json.loads(last.listing.read_bytes())["Files"]
    still_there = next(path for path, file in files.items() if file["IsSkipped"])

    def mark(document: Document) -> None:
        document["Files"][still_there]["CorruptBlocks"] = found

    alter(full.listing, mark)
    said = fetch(site, last.name, "--dry-run")
    assert f"{last.name} holds 3 pages whose checksums failed" in said


def test_d15_missing_wal_is_no_success(archive: Open) -> None:
    """Wal-g's verify says FAILURE and exits with 0, and its restore does not look."""
    site = archive("chain")
    (site.repository / "wal_005" / "000000010000000000000039.lzma").rename(
        site.repository / "wal_005" / "00000001000000000000003A.lzma"
    )
    said = fetch(site, newest(site).name, code=REFUSED)
    assert "000000010000000000000039" in said
    assert not (site.base / "new").exists()


def test_d16_a_backup_without_its_label_is_an_error(archive: Open) -> None:
    """Wal-g's masks leave it out, and a server begins recovery at the wrong place without it."""
    site = archive("without-list")
    newest(site).part("backup_label").unlink()
    assert "lacks its backup_label" in fetch(site, "LATEST", code=CORRUPT)
    assert unstartable(site)


def test_d16_a_mask_is_refused(archive: Open) -> None:
    """In wal-g's place, too."""
    site = archive("lz4")
    words = ("wal-g", "backup-fetch", site.base / "new", "LATEST", "--mask", "base/*")
    done = site.run("compat", *words, check=False)
    assert done.returncode == USAGE, done.stderr
    assert not (site.base / "new").exists()


def test_d17_a_base_that_was_overwritten_is_an_error(archive: Open) -> None:
    """Two backups of a standby can have one name; wal-g builds the delta on the wrong one."""
    site = archive("chain")
    full, *_, last = stored_backups(site.repository)
    alter(full.sentinel, lambda document: document.update(LSN=document["LSN"] + 0x100))
    assert f"made on a {full.name} that began at" in fetch(site, last.name, code=CORRUPT)
    assert not (site.base / "new").exists()


def test_d17_a_backup_that_is_overwritten_halfway_is_an_error(archive: Open) -> None:
    """Its label is already the later backup's, its sentinel still the earlier one's."""
    site = archive("chain")
    full, later, *_ = stored_backups(site.repository)
    for part in ("backup_label", "pg_control"):
        shutil.copy(later.part(part), full.part(part))
    assert "as its backup_label says" in fetch(site, full.name, code=CORRUPT)
    assert unstartable(site)


def test_d20_no_other_server_is_taken(site: Site) -> None:
    """Wal-g goes on to localhost, and backs up whatever cluster it finds there."""
    with socket.create_server(("127.0.0.1", 0)) as localhost:
        localhost.settimeout(0)
        env = {"PGHOST": str(site.base / "nowhere"), "PGPORT": str(localhost.getsockname()[1])}
        done = site.run("backup-push", env=env, check=False)
        with pytest.raises(BlockingIOError):
            localhost.accept()
    assert done.returncode == NO_SERVER, done.stderr
    assert "nowhere" in complaint(done)
    assert not site.backups()


def test_d21_nothing_is_made_where_the_original_was(archive: Open) -> None:
    """Wal-g makes tablespaces and their links below the data directory that was backed up."""
    site = archive("chain")
    original = site.base / "original"
    original.mkdir()

    def move(document: Document) -> None:
        document["DataDir"] = document["Spec"]["base_prefix"] = str(original / "data")
        document["Spec"]["16770"]["loc"] = str(original / "space")

    for backup in stored_backups(site.repository):
        alter(backup.sentinel, move)
    fetch(site, newest(site).name)
    [link] = (site.base / "new" / "pg_tblspc").iterdir()
    assert link.readlink() == site.base / "space"
    assert not list(original.iterdir())


def test_d22_a_corrupt_object_is_an_error_at_once(archive: Open) -> None:
    """Wal-g fetches it again and again, for up to an hour."""
    site = archive("chain")
    part = stored_backups(site.repository)[0].largest_part
    data = bytearray(part.read_bytes())
    data[len(data) // 2] ^= 1
    part.write_bytes(data)
    began = time.monotonic()
    fetch(site, "LATEST", code=CORRUPT)
    assert time.monotonic() - began < 20
    assert unstartable(site)


def test_d23_a_name_that_is_not_utf_8_is_restored(archive: Open) -> None:
    """Wal-g writes another into its list, or none at all: its backup fails at the last step."""
    site = archive("lz4")
    add_part(newest(site), [tar_file("/base/caf\udce9", b"content")])
    fetch(site, "LATEST")
    assert (site.base / "new" / "base" / "caf\udce9").read_bytes() == b"content"
