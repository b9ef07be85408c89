"""`pitr st` at three in the morning: what an operator looks at, moves, and gets wrong."""

import json
import os
import pty
import subprocess
from pathlib import Path
from typing import ClassVar

import pytest

from backup_core.repository import layout
from backup_core.storage.file import FileStorage
from tests.support.backups import BACKUP, store
from tests.support.commands import complaint
from tests.support.environment import clean_environ, pitr_program
from tests.support.segments import FIRST, segment, stored_files, wal_file
from tests.support.site import Site

WAL_KEY = f"wal_005/{FIRST}.zst"


@pytest.fixture
def stocked(site: Site) -> Site:
    """A repository with a segment and a backup's documents."""
    site.run("wal-push", wal_file(site.base, FIRST, segment()))
    store(FileStorage(site.repository), BACKUP)
    return site


def failed(site: Site, code: int, *args: str | Path) -> str:
    """Run pitr st in vain, with this exit code; return the complaint."""
    done = site.run("st", *args, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return complaint(done)


def on_terminal(site: Site, typed: str, *args: str | Path) -> tuple[int, str]:
    """Run pitr st on a terminal on which someone types; return exit code and what it shows."""
    outer, inner = pty.openpty()
    try:
        process = subprocess.Popen(
            [str(pitr_program()), "st", *map(str, args)],
            env=clean_environ() | site.environ,
            cwd=site.base,
            stdin=inner,
            stdout=inner,
            stderr=inner,
        )
        os.close(inner)
        os.write(outer, typed.encode())
        said = b""
        try:
            while chunk := os.read(outer, 1 << 16):
                said += chunk
        except OSError:  # the other end is closed
            pass
        return process.wait(30), said.decode(errors="replace")
    finally:
        os.close(outer)


class TestLooking:
    """ls, stat and cat."""

    def test_ls_shows_folders_and_objects(self, stocked: Site) -> None:
        """And looks into a folder that is named with or without its slash."""
        assert "wal_005/" in stocked.run("st", "ls").stdout
        inside = stocked.run("st", "ls", "wal_005").stdout
        assert inside == stocked.run("st", "ls", "wal_005/").stdout
        assert inside.split()[-1] == WAL_KEY

    def test_ls_recursively_as_json(self, stocked: Site) -> None:
        """Every object with its exact size and time."""
        found = json.loads(stocked.run("st", "ls", "-r", "--json").stdout)
        assert found["version"] == 1
        listed = {row["key"]: row["size"] for row in found["objects"]}
        assert listed == {
            name: (stocked.repository / name).stat().st_size
            for name in stored_files(stocked.repository)
        }
        assert all(row["modified"].endswith("+00:00") for row in found["objects"])

    def test_ls_as_json_of_folders_and_of_nothing(self, site: Site) -> None:
        """Valid in either case."""
        assert json.loads(site.run("st", "ls", "--json").stdout)["objects"] == []
        site.run("wal-push", wal_file(site.base, FIRST, segment()))
        rows = json.loads(site.run("st", "ls", "--json").stdout)["objects"]
        assert {"key": "wal_005/", "size": 0, "modified": None} in rows

    def test_an_empty_repository_is_called_empty(self, site: Site) -> None:
        """Which a wrong URL often is."""
        done = site.run("st", "ls")
        assert done.stdout == ""
        assert done.stderr.endswith(f"{site.repository} is empty\n")

    def test_stat_tells_the_exact_size(self, stocked: Site) -> None:
        """In bytes."""
        size = (stocked.repository / WAL_KEY).stat().st_size
        assert f"size      {size} (" in stocked.run("st", "stat", WAL_KEY).stdout

    def test_cat_writes_the_bytes_as_stored_or_decoded(self, stocked: Site) -> None:
        """A sentinel can be read at once."""
        shown = stocked.run("st", "cat", layout.sentinel(BACKUP.name)).stdout
        assert json.loads(shown)["LSN"] == BACKUP.start_lsn
        stocked.run("st", "put", wal_file(stocked.base, "note", b"hello\n"), "note")
        assert stocked.run("st", "cat", "note.zst", "--decompress").stdout == "hello\n"

    def test_cat_keeps_bytes_from_a_terminal(self, stocked: Site) -> None:
        """But shows text there."""
        code, said = on_terminal(stocked, "", "cat", WAL_KEY)
        assert code == 2
        assert "would garble the terminal" in said
        code, said = on_terminal(stocked, "", "cat", layout.sentinel(BACKUP.name))
        assert code == 0
        assert "SystemIdentifier" in said


class TestMoving:
    """get and put."""

    def test_get_decodes_and_put_encodes(self, stocked: Site) -> None:
        """As wal-g's st does."""
        stocked.run("st", "get", WAL_KEY, stocked.base / "fetched")
        assert (stocked.base / "fetched").read_bytes() == segment()
        stocked.run("st", "put", stocked.base / "fetched", "again")
        assert "again.zst" in stored_files(stocked.repository)
        (stocked.base / "folder").mkdir()
        stocked.run("st", "get", "again.zst", stocked.base / "folder")
        assert (stocked.base / "folder/again").read_bytes() == segment()

    def test_get_and_put_leave_the_bytes_alone_on_request(self, stocked: Site) -> None:
        """So an object can be moved as it is."""
        stored = (stocked.repository / WAL_KEY).read_bytes()
        stocked.run("st", "get", "--no-decompress", WAL_KEY, stocked.base / "raw")
        assert (stocked.base / "raw").read_bytes() == stored
        stocked.run("st", "put", "--no-compress", stocked.base / "raw", "copy.zst")
        assert (stocked.repository / "copy.zst").read_bytes() == stored

    def test_put_reads_standard_input(self, site: Site) -> None:
        """Named by a dash."""
        site.pitr("st", "put", "-", "note", "--no-compress", env=site.environ, input="hello")
        assert (site.repository / "note").read_bytes() == b"hello"

    def test_get_overwrites_nothing(self, stocked: Site) -> None:
        """Also if the file is empty or a dangling link."""
        there = wal_file(stocked.base, "there", b"")
        assert "exists already" in failed(stocked, 3, "get", WAL_KEY, there)
        link = stocked.base / "link"
        link.symlink_to("nowhere")
        failed(stocked, 3, "get", WAL_KEY, link)
        assert there.read_bytes() == b""
        assert not (stocked.base / "nowhere").exists()

    def test_a_damaged_object_leaves_no_file(self, stocked: Site) -> None:
        """Nor a temporary one."""
        path = stocked.repository / WAL_KEY
        path.write_bytes(path.read_bytes()[:-5])
        (stocked.base / "folder").mkdir()
        assert WAL_KEY in failed(stocked, 6, "get", WAL_KEY, stocked.base / "folder")
        assert list((stocked.base / "folder").iterdir()) == []

    def test_put_replaces_only_by_force(self, stocked: Site) -> None:
        """And says what it replaces."""
        file = wal_file(stocked.base, "note", b"one")
        stocked.run("st", "put", file, "note")
        file.write_bytes(b"two")
        assert "-f replaces it" in failed(stocked, 3, "put", file, "note")
        done = stocked.run("st", "put", "-f", file, "note")
        assert "replacing note.zst" in done.stderr
        assert stocked.run("st", "cat", "--decompress", "note.zst").stdout == "two"


class TestRemoving:
    """rm, which cannot be undone."""

    def test_without_a_terminal_nothing_goes_unasked(self, stocked: Site) -> None:
        """What would go is shown all the same."""
        before = stored_files(stocked.repository)
        done = stocked.run("st", "rm", WAL_KEY, check=False)
        assert done.returncode == 3
        assert WAL_KEY in done.stderr
        assert "--yes removes unasked" in done.stderr
        assert stored_files(stocked.repository) == before

    def test_on_a_terminal_only_yes_is_yes(self, stocked: Site) -> None:
        """Not y, and not the return key."""
        for typed in ("\n", "y\n", "no\n"):
            code, said = on_terminal(stocked, typed, "rm", WAL_KEY)
            assert code == 3, said
        code, said = on_terminal(stocked, "yes\n", "rm", WAL_KEY)
        assert code == 0, said
        assert WAL_KEY not in stored_files(stocked.repository)

    def test_a_prefix_goes_with_everything_below_it(self, stocked: Site) -> None:
        """What that means for backups is said first."""
        done = stocked.run("st", "rm", "-r", "--yes", "basebackups_005/")
        assert "in 2 objects will be removed" in done.stderr
        assert f"backup {BACKUP.name} will not exist any more" in done.stderr
        assert stored_files(stocked.repository) == [layout.IDENTITY, WAL_KEY]

    def test_one_wrong_key_saves_all(self, stocked: Site) -> None:
        """A typing error must not remove half of what was meant."""
        failed(stocked, 5, "rm", "--yes", WAL_KEY, "wal_005/nothing")
        assert WAL_KEY in stored_files(stocked.repository)

    def test_what_cannot_be_removed_is_named(self, stocked: Site) -> None:
        """And the others go."""
        folder = stocked.repository / "wal_005"
        folder.chmod(0o500)
        try:
            done = stocked.run(
                *("st", "rm", "--yes", WAL_KEY, layout.metadata(BACKUP.name)), check=False
            )
        finally:
            folder.chmod(0o700)
        assert done.returncode == 1
        [said] = [line for line in done.stderr.splitlines() if " ERROR " in line]
        assert WAL_KEY in said
        assert layout.metadata(BACKUP.name) not in stored_files(stocked.repository)


class TestCheck:
    """check, before anything depends on it."""

    @pytest.mark.parametrize("what", ["read", "write"])
    def test_a_healthy_repository_works(self, stocked: Site, what: str) -> None:
        """Each verb has its time, and nothing is left behind."""
        before = stored_files(stocked.repository)
        done = stocked.run("st", "check", what)
        assert done.stdout.endswith(f"{what} works\n")
        assert done.stdout.count(" ms ") >= 3
        assert stored_files(stocked.repository) == before

    def test_an_empty_repository_can_be_checked(self, site: Site) -> None:
        """A new one is."""
        assert "empty" in site.run("st", "check", "read").stdout
        site.run("st", "check", "write")

    def test_the_verb_that_is_refused_is_shown(self, stocked: Site) -> None:
        """With the store's own words."""
        stocked.repository.chmod(0o500)
        (stocked.repository / "pitr").chmod(0o500)
        try:
            done = stocked.run("st", "check", "write", check=False)
        finally:
            (stocked.repository / "pitr").chmod(0o700)
            stocked.repository.chmod(0o700)
        assert done.returncode == 7
        assert "put" in done.stdout
        assert "FAILED" in done.stdout
        assert "permission denied" in complaint(done).lower()


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["stat", "wal_005/nothing"], 5),
        (["cat", "wal_005/nothing"], 5),
        (["get", "wal_005/nothing", "nothing"], 5),
        (["ls", "nothing"], 5),
        (["rm", "--yes", "nothing"], 5),
        (["rm", "--yes", "-r", "nothing"], 5),
        (["rm", "--yes", "-r", ""], 2),
        (["rm", "--yes", "wal_005/"], 2),
        (["put", "nothing", "key"], 5),
        (["put", ".", "key"], 1),
        (["put", "file", "../key"], 2),
        (["put", "file", "key.zst"], 2),
        (["get", WAL_KEY, "no/such/folder/file"], 1),
        (["stat", ""], 2),
        (["stat"], 2),
        (["list"], 2),
        ([], 2),
        (["check", "everything"], 2),
        (["ls", "--repository", "file:///no/such/directory"], 7),
        (["ls", "--repository", "ftp://host/path"], 2),
    ],
)
def test_mistakes_have_their_exit_codes(stocked: Site, args: list[str], code: int) -> None:
    """And change nothing."""
    wal_file(stocked.base, "file", b"content")
    before = stored_files(stocked.base)
    failed(stocked, code, *args)
    assert stored_files(stocked.base) == before


class TestEncrypted:
    """What the repository encrypts, seen as stored and as it was."""

    ENV: ClassVar = {"WALG_LIBSODIUM_KEY": "a key of at least 25 characters"}

    @pytest.fixture
    def sealed(self, site: Site) -> Site:
        """A repository with an encrypted segment."""
        site.run("wal-push", wal_file(site.base, FIRST, segment()), env=self.ENV)
        return site

    def test_get_gives_the_file_as_it_was(self, sealed: Site) -> None:
        """Decrypted and decoded, unless told otherwise, one after the other."""
        for name, flags in {
            "file": (),
            "zst": ("--no-decompress",),
            "raw": ("--no-decrypt",),
        }.items():
            sealed.run("st", "get", *flags, WAL_KEY, sealed.base / name, env=self.ENV)
        assert (sealed.base / "file").read_bytes() == segment()
        assert (sealed.base / "zst").read_bytes().startswith(b"\x28\xb5\x2f\xfd")
        assert (sealed.base / "raw").read_bytes() == (sealed.repository / WAL_KEY).read_bytes()

    def test_put_encrypts_what_is_confidential(self, sealed: Site) -> None:
        """An object that was fetched as stored goes back as it is."""
        (sealed.base / "note").write_bytes(segment())
        sealed.run("st", "put", sealed.base / "note", "wal_005/note", env=self.ENV)
        assert not (sealed.repository / "wal_005/note.zst").read_bytes().startswith(b"\x28\xb5")
        raw = ("st", "get", "--no-decrypt", WAL_KEY, sealed.base / "raw")
        sealed.run(*raw, env=self.ENV)
        back = ("--no-encrypt", "--no-compress", sealed.base / "raw", "wal_005/back.zst")
        sealed.run("st", "put", *back, env=self.ENV)
        stored = (sealed.repository / "wal_005/back.zst").read_bytes()
        assert stored == (sealed.repository / WAL_KEY).read_bytes()

    def test_put_says_what_is_stored_in_plain_text(self, sealed: Site) -> None:
        """Outside of WAL and backups nothing is encrypted, and that can be refused."""
        (sealed.base / "note").write_text("secret")
        done = sealed.run("st", "put", sealed.base / "note", "notes/a", env=self.ENV)
        assert "notes/a.zst is stored in plain text" in done.stderr
        strict = self.ENV | {"PITR_REQUIRE_ENCRYPTION": "true"}
        done = sealed.run("st", "put", sealed.base / "note", "notes/b", env=strict, check=False)
        assert done.returncode == 3
        assert not list((sealed.repository / "notes").glob("b*"))

    def test_without_the_key_only_the_stored_bytes_are_to_be_had(self, sealed: Site) -> None:
        """The complaint says so."""
        assert "no key is configured" in failed(sealed, 9, "get", WAL_KEY, sealed.base / "file")
        sealed.run("st", "get", "--no-decrypt", WAL_KEY, sealed.base / "raw")
