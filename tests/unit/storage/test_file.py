"""What is particular to a repository in a directory: durability, debris, the disk's refusals."""

import json
import os
import signal
import stat
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from backup_core.errors import AlreadyExistsError, NotFoundError, StorageError, UsageError
from backup_core.storage.file import FileStorage

TEMPORARY = "key.tmp.20260131T235959Z-0123456789abcdef"

Process = subprocess.Popen[str]

# How to run a command that can write no more than a mebibyte, and what the system then says. The
# last word of each is the directory, then comes the command. A full disk needs a file system of
# its own, which not every kernel and container grants; a limit on file sizes is always there.
_LIMIT = ("sh", "-c", 'ulimit -f 1024; shift; exec "$@"', "sh")
_MOUNT = (
    "unshare",
    "-Urm",
    "sh",
    "-c",
    'mount -t tmpfs -o size=1m none "$1"; shift; exec "$@"',
    "sh",
)
SMALL_DISKS: dict[str, tuple[tuple[str, ...], str]] = {
    "limit on file size": (_LIMIT, "file too large")
}
if subprocess.run((*_MOUNT, "/mnt", "mountpoint", "/mnt"), capture_output=True).returncode == 0:
    SMALL_DISKS["full disk"] = (_MOUNT, "no space left on device")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty repository's directory."""
    directory = tmp_path / "repo"
    directory.mkdir()
    return directory


@pytest.fixture
def store(root: Path) -> FileStorage:
    """The repository in it."""
    return FileStorage(root)


@pytest.fixture
def locked() -> Iterator[Callable[[Path, int], None]]:
    """Set a mode, to be undone afterwards so that the directory can be removed."""
    assert os.geteuid() != 0, "permissions mean nothing to root: run the tests as another user"
    changed: list[Path] = []

    def lock(path: Path, mode: int) -> None:
        changed.append(path)
        path.chmod(mode)

    yield lock
    for path in changed:
        path.chmod(0o755)


def keys(store: FileStorage, prefix: str = "") -> list[str]:
    """The keys of a listing."""
    return [info.key for info in store.list(prefix)]


def on_disk(root: Path) -> list[str]:
    """Everything below root that is there, listed or not."""
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def open_files() -> int:
    """How many files this process holds open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def start_python(code: str, *arguments: object, prefix: tuple[str, ...] = ()) -> Process:
    """Start a process that runs `code` with `store` opened on its first argument."""
    opening = """
        import os, sys, time
        from pathlib import Path
        from backup_core.errors import AlreadyExistsError, StorageError
        from backup_core.storage.file import FileStorage
        root = Path(sys.argv[1])
        store = FileStorage(root)
    """
    script = textwrap.dedent(opening) + textwrap.dedent(code)
    command = [*prefix, sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def read_line(process: Process) -> str:
    """What the process says next."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def send_line(process: Process) -> None:
    """Let the process go on."""
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


class TestRoot:
    def test_missing_root_is_refused(self, tmp_path: Path) -> None:
        """An unmounted disk does not become a fresh repository."""
        with pytest.raises(StorageError, match="no such file") as caught:
            FileStorage(tmp_path / "unmounted")
        assert "Mount the disk" in (caught.value.hint or "")
        assert on_disk(tmp_path) == []

    def test_root_must_be_a_directory(self, tmp_path: Path) -> None:
        """A file is no repository."""
        (tmp_path / "file").write_bytes(b"")
        with pytest.raises(StorageError, match="not a directory"):
            FileStorage(tmp_path / "file")

    def test_url_is_absolute(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A relative root is fixed when it is opened, wherever the process goes later."""
        monkeypatch.chdir(tmp_path)
        store = FileStorage(Path())
        monkeypatch.chdir("/")
        assert store.url == f"file://{tmp_path}"
        store.put("key", [b"x"])
        assert on_disk(tmp_path) == ["key"]

    def test_no_verb_says_absent_when_the_root_is_gone(
        self, root: Path, store: FileStorage
    ) -> None:
        """A repository that disappears is an error, never "no such object" or an empty listing."""
        store.put("dir/key", [b"x"])
        root.rename(root.with_name("elsewhere"))
        for call in (
            lambda: store.get("dir/key"),
            lambda: store.stat("dir/key"),
            lambda: keys(store),
            lambda: keys(store, "dir/"),
            lambda: store.put("dir/new", [b"x"]),
            lambda: store.put("new", [b"x"], if_absent=True),
        ):
            with pytest.raises(StorageError, match="cannot open the repository's directory"):
                call()
        assert "repository's directory" in (store.delete(["dir/key"])["dir/key"] or "")
        assert not root.exists()


class TestDurability:
    @pytest.fixture
    def calls(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """What is asked of the system, in order; the random part of names is left out."""
        recorded: list[str] = []

        def shown(target: bytes | int) -> str:
            path = f"/proc/self/fd/{target}" if isinstance(target, int) else os.fsdecode(target)
            path = os.path.realpath(path) if isinstance(target, int) else path
            relative = os.path.relpath(path, root)
            start, mark, _ = relative.partition(".tmp.")
            return f"{start}.tmp" if mark else relative

        def record(name: str) -> None:
            original = getattr(os, name)

            def call(target: bytes | int, *rest: object, **options: object) -> object:
                recorded.append(f"{name} {shown(target)}")
                return original(target, *rest, **options)

            monkeypatch.setattr(os, name, call)

        for name in ("mkdir", "write", "fsync", "link", "replace", "unlink", "rmdir"):
            record(name)
        return recorded

    def test_replacing_put(self, store: FileStorage, calls: list[str]) -> None:
        """Data is synced before it gets its name, and the name before put returns."""
        store.put("key", [b"x"])
        assert calls == ["write key.tmp", "fsync key.tmp", "replace key.tmp", "fsync ."]

    def test_conditional_put(self, store: FileStorage, calls: list[str]) -> None:
        """A link cannot replace: it is the test and the creation in one step."""
        store.put("key", [b"x"], if_absent=True)
        assert calls == [
            "write key.tmp",
            "fsync key.tmp",
            "link key.tmp",
            "unlink key.tmp",
            "fsync .",
        ]

    def test_new_directories_are_synced(self, store: FileStorage, calls: list[str]) -> None:
        """Each directory that is made is durable in the one above it before data is written."""
        store.put("a/b/key", [b"x"])
        assert calls == [
            "mkdir a",
            "fsync .",
            "mkdir a/b",
            "fsync a",
            "write a/b/key.tmp",
            "fsync a/b/key.tmp",
            "replace a/b/key.tmp",
            "fsync a/b",
        ]

    def test_existing_object_is_durable_when_reported(
        self, store: FileStorage, calls: list[str]
    ) -> None:
        """The writer of what is found may have been killed before its last sync."""
        store.put("a/key", [b"x"])
        calls.clear()
        with pytest.raises(AlreadyExistsError):
            store.put("a/key", [b"x"], if_absent=True)
        assert calls == ["fsync a"]

    def test_deletion_is_durable(self, store: FileStorage, calls: list[str]) -> None:
        """A power cut after delete does not bring objects back; a directory is synced once."""
        store.put("a/one", [b"x"])
        store.put("a/two", [b"x"])
        calls.clear()
        store.delete(["a/one", "a/two"])
        assert calls == ["unlink a/one", "unlink a/two", "fsync a", "rmdir a"]


class TestFiles:
    @pytest.mark.parametrize("if_absent", [False, True])
    def test_modes_keep_others_out(self, root: Path, store: FileStorage, if_absent: bool) -> None:
        """Backups hold every table: the world reads nothing, whatever the umask."""
        before = os.umask(0)
        try:
            store.put("a/b/key", [b"x"], if_absent=if_absent)
        finally:
            os.umask(before)
        modes = [stat.S_IMODE((root / name).stat().st_mode) for name in ("a", "a/b", "a/b/key")]
        assert modes == [0o750, 0o750, 0o640]
        assert (root / "a/b/key").stat().st_nlink == 1

    @pytest.mark.parametrize("if_absent", [False, True])
    @pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
    def test_source_that_raises_leaves_no_debris(
        self, root: Path, store: FileStorage, error: type[BaseException], if_absent: bool
    ) -> None:
        """Neither a temporary nor a directory made for the object remains."""

        def source() -> Iterator[bytes]:
            yield b"half"
            assert [path for path in on_disk(root) if ".tmp." in path]
            raise error

        with pytest.raises(error):
            store.put("new/dir/key", source(), if_absent=if_absent)
        assert on_disk(root) == []

    def test_loser_of_a_race_leaves_no_debris(self, root: Path, store: FileStorage) -> None:
        """Only the winner's file is there."""

        def overtaken() -> Iterator[bytes]:
            yield b"slow"
            store.put("key", [b"fast"])

        with pytest.raises(AlreadyExistsError):
            store.put("key", overtaken(), if_absent=True)
        assert on_disk(root) == ["key"]

    @pytest.mark.parametrize("if_absent", [False, True])
    def test_object_cannot_be_a_directory(
        self, root: Path, store: FileStorage, if_absent: bool
    ) -> None:
        """Where `a/b` is an object `a` cannot be one, and no source is read to find out."""
        store.put("a/b", [b"x"])
        with pytest.raises(StorageError, match="is a directory") as caught:
            store.put("a", iter(()), if_absent=if_absent)
        assert not isinstance(caught.value, AlreadyExistsError)
        assert on_disk(root) == ["a", "a/b"]

    @pytest.mark.parametrize("if_absent", [False, True])
    @pytest.mark.parametrize("key", ["a/b", "a/b/c"])
    def test_directory_cannot_be_an_object(
        self, root: Path, store: FileStorage, key: str, if_absent: bool
    ) -> None:
        """Where `a` is an object nothing can be stored below it."""
        store.put("a", [b"x"])
        with pytest.raises(StorageError, match="not a directory") as caught:
            store.put(key, [b"x"], if_absent=if_absent)
        assert f"{root}/{key}" in (caught.value.hint or "")
        assert on_disk(root) == ["a"]

    def test_directory_that_appears_while_writing(self, root: Path, store: FileStorage) -> None:
        """The collision is found at the last step too, and is not "already exists"."""

        def overtaken() -> Iterator[bytes]:
            yield b"x"
            store.put("a/b", [b"y"])

        with pytest.raises(StorageError, match="is a directory") as caught:
            store.put("a", overtaken(), if_absent=True)
        assert not isinstance(caught.value, AlreadyExistsError)
        assert on_disk(root) == ["a", "a/b"]

    def test_name_too_long(self, root: Path, store: FileStorage) -> None:
        """A name that the file system refuses is one clear line."""
        with pytest.raises(StorageError, match="file name too long"):
            store.put("n" * 250, [b"x"])
        assert on_disk(root) == []

    def test_readers_close_their_file(self, store: FileStorage) -> None:
        """A reader that is used up, abandoned or never begun holds no file open."""
        store.put("key", [b"x" * (3 << 20)])
        before = open_files()
        readers = [store.get("key") for _ in range(3)]
        assert open_files() == before + 3
        assert sum(map(len, readers[0])) == 3 << 20
        next(readers[1])
        readers.clear()
        assert open_files() == before

    def test_failing_get_leaves_nothing_open(self, root: Path, store: FileStorage) -> None:
        """What is no regular file is no object, and asking for it neither blocks nor leaks."""
        os.mkfifo(root / "fifo")
        (root / "directory").mkdir()
        before = open_files()
        for key in ("fifo", "directory"):
            with pytest.raises(NotFoundError):
                store.get(key)
            with pytest.raises(NotFoundError):
                store.stat(key)
        assert open_files() == before


class TestListing:
    def test_temporaries_are_hidden(self, root: Path, store: FileStorage) -> None:
        """A killed writer's file, ours or WAL-G's, is in no listing."""
        store.put("dir/key", [b"x"])
        (root / TEMPORARY).write_bytes(b"half")
        (root / "dir" / TEMPORARY).write_bytes(b"half")
        (root / "debris").mkdir()
        (root / "debris" / TEMPORARY).write_bytes(b"half")
        assert keys(store) == ["dir/key"]
        assert keys(store, "dir/key.tmp.") == []
        assert [info.key for info in store.list(delimiter="/")] == ["dir/"]

    @pytest.mark.parametrize("name", ["key.tmp.1", "key.tmp.20260131T235959Z-01", f"{TEMPORARY}.x"])
    def test_other_names_are_not(self, store: FileStorage, name: str) -> None:
        """Only the exact form of a temporary's name is hidden."""
        store.put(name, [b"x"])
        assert keys(store) == [name]

    @pytest.mark.parametrize("key", [TEMPORARY, f"dir/{TEMPORARY}", f"{TEMPORARY}/key"])
    def test_key_that_would_be_hidden_is_refused(self, store: FileStorage, key: str) -> None:
        """Nothing can be stored that a listing would not show."""
        with pytest.raises(UsageError):
            store.put(key, [b"x"])

    def test_unreadable_directory_raises(
        self, root: Path, store: FileStorage, locked: Callable[[Path, int], None]
    ) -> None:
        """A listing that misses a directory would let retention or verify decide wrongly."""
        store.put("a/key", [b"x"])
        store.put("b/key", [b"x"])
        locked(root / "b", 0)
        found = store.list()
        assert next(found).key == "a/key"
        with pytest.raises(StorageError, match=f"cannot list {root}/b/: permission denied"):
            next(found)

    def test_only_the_directory_of_the_prefix_is_read(
        self, root: Path, store: FileStorage, locked: Callable[[Path, int], None]
    ) -> None:
        """Looking for one segment reads one directory, whatever lies beside and below it."""
        for key in ("wal/0001.zst", "wal/0002/below", "other/key"):
            store.put(key, [b"x"])
        locked(root / "wal/0002", 0)
        locked(root / "other", 0)
        assert keys(store, "wal/0001") == ["wal/0001.zst"]

    def test_unreadable_lost_and_found_is_passed_over(
        self, root: Path, store: FileStorage, locked: Callable[[Path, int], None]
    ) -> None:
        """A repository may be the root of a file system, which has a directory of its own."""
        store.put("key", [b"x"])
        (root / "lost+found").mkdir()
        locked(root / "lost+found", 0)
        assert keys(store) == ["key"]

    def test_what_vanishes_meanwhile_is_dropped(self, store: FileStorage) -> None:
        """Objects and directories deleted during a listing are not an error."""
        for key in ("a", "b", "c/key", "d"):
            store.put(key, [b"x"])
        found = store.list()
        assert next(found).key == "a"
        store.delete(["b", "c/key"])
        assert [info.key for info in found] == ["d"]

    def test_foreign_files_are_passed_over(self, root: Path, store: FileStorage) -> None:
        """What no key can name is no object."""
        store.put("key", [b"x"])
        Path(os.fsdecode(os.fsencode(root) + b"/latin-\xe9")).write_bytes(b"x")
        os.mkfifo(root / "fifo")
        (root / "dangling").symlink_to("nowhere")
        (root / "empty").mkdir()
        assert keys(store) == ["key"]
        assert [info.key for info in store.list(delimiter="/")] == ["key"]

    def test_part_of_the_repository_on_another_disk(
        self, root: Path, store: FileStorage, tmp_path: Path
    ) -> None:
        """A symbolic link to a directory is that directory, and outlives its contents."""
        (tmp_path / "other_disk").mkdir()
        (root / "wal").symlink_to(tmp_path / "other_disk")
        store.put("wal/key", [b"x"], if_absent=True)
        assert keys(store) == ["wal/key"]
        store.delete(["wal/key"])
        assert on_disk(root) == ["wal"]


class TestDelete:
    def test_empty_directories_are_removed(self, root: Path, store: FileStorage) -> None:
        """Directories exist for objects only; the root stays."""
        store.put("a/b/c/key", [b"x"])
        store.put("a/kept", [b"x"])
        store.delete(["a/b/c/key"])
        assert on_disk(root) == ["a", "a/kept"]
        store.delete(["a/kept"])
        assert on_disk(root) == []
        assert root.is_dir()

    def test_failure_is_reported_for_its_key(
        self, root: Path, store: FileStorage, locked: Callable[[Path, int], None]
    ) -> None:
        """A directory that refuses keeps its object, and the others go."""
        for key in ("a/key", "locked/key", "z/key"):
            store.put(key, [b"x"])
        locked(root / "locked", 0o500)
        outcome = store.delete(["a/key", "locked/key", "z/key"])
        assert outcome == {
            "a/key": None,
            "locked/key": f"cannot delete {root}/locked/key: permission denied",
            "z/key": None,
        }
        assert keys(store) == ["locked/key"]

    def test_put_and_delete_of_the_same_directory(self, root: Path, store: FileStorage) -> None:
        """A put succeeds while others keep removing the directory it needs."""

        def churn(number: int) -> None:
            for _ in range(150):
                key = f"busy/dir/{number}"
                store.put(key, [b"x"], if_absent=True)
                assert store.delete([key]) == {key: None}

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(churn, range(4)))
        assert on_disk(root) == []


class TestDiskRefusals:
    @pytest.mark.parametrize("verb", ["put", "put if absent"])
    def test_read_only_directory(
        self,
        root: Path,
        store: FileStorage,
        locked: Callable[[Path, int], None],
        verb: str,
    ) -> None:
        """One clear line with the path, and what to do."""
        locked(root, 0o500)
        with pytest.raises(StorageError) as caught:
            store.put("new/key", [b"x"], if_absent=verb == "put if absent")
        assert caught.value.message == f"cannot create {root}/new/key: permission denied"
        assert f"read and write {root}/new/key" in (caught.value.hint or "")

    def test_unreadable_object(
        self, root: Path, store: FileStorage, locked: Callable[[Path, int], None]
    ) -> None:
        """An object that may not be read is not a missing one."""
        store.put("dir/key", [b"x"])
        locked(root / "dir", 0)
        for call in (store.get, store.stat):
            with pytest.raises(StorageError, match="permission denied"):
                call("dir/key")

    @pytest.mark.parametrize("disk", SMALL_DISKS)
    def test_disk_too_small(self, root: Path, disk: str) -> None:
        """A write that is cut short is an error, leaves nothing, and the store goes on."""
        code = """
            import json
            try:
                store.put("dir/large", [b"x" * (2 << 20)], if_absent=True)
            except StorageError as error:
                left = os.listdir(root)
                store.put("dir/small", [b"x"])
                print(json.dumps([error.message, error.hint, left]))
        """
        prefix, reason = SMALL_DISKS[disk]
        process = start_python(code, root, prefix=(*prefix, str(root)))
        message, hint, left = json.loads(process.communicate(timeout=60)[0])
        assert message == f"cannot write {root}/dir/large: {reason}"
        assert f"{root}/dir/large" in hint
        assert left == []


class TestProcesses:
    def test_exactly_one_of_many_processes_wins(self, root: Path, store: FileStorage) -> None:
        """Two servers that archive the same name at once: one creates it, the others are told."""
        code = """
            mine = sys.argv[2].encode() * 100_000
            def source():
                yield mine
                print("ready", flush=True)
                sys.stdin.readline()
                yield mine
            try:
                store.put("race/key", source(), if_absent=True)
                print("won")
            except AlreadyExistsError:
                print("lost")
        """
        writers = {letter: start_python(code, root, letter) for letter in "abcdef"}
        for process in writers.values():
            assert read_line(process) == "ready"
        for process in writers.values():
            send_line(process)
        answers = {
            letter: process.communicate(timeout=60)[0] for letter, process in writers.items()
        }
        winners = [letter for letter, answer in answers.items() if answer == "won\n"]
        assert sorted(answers.values()) == ["lost\n"] * 5 + ["won\n"]
        assert b"".join(store.get("race/key")) == winners[0].encode() * 200_000
        assert on_disk(root) == ["race", "race/key"]

    @pytest.mark.parametrize("if_absent", [False, True])
    def test_killed_writer_leaves_nothing_visible(
        self, root: Path, store: FileStorage, if_absent: bool
    ) -> None:
        """After kill -9 half-way no verb sees the object, and the same put succeeds."""
        code = """
            def source():
                yield b"half" * 100_000
                print("half-way", flush=True)
                time.sleep(60)
            store.put("dir/key", source())
        """
        process = start_python(code, root)
        assert read_line(process) == "half-way"
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        assert any(".tmp." in path for path in on_disk(root))
        assert keys(store) == []
        assert list(store.list(delimiter="/")) == []
        with pytest.raises(NotFoundError):
            store.get("dir/key")
        store.put("dir/key", [b"whole"], if_absent=if_absent)
        assert keys(store) == ["dir/key"]
        assert b"".join(store.get("dir/key")) == b"whole"
