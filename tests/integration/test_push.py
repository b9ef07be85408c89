"""`pitr wal-push` says yes only to what is durable, whole and this cluster's."""

import os
import signal
import time
from pathlib import Path

import pytest

from tests.support.commands import complaint, finished, started
from tests.support.segments import (
    BACKUP_HISTORY,
    FIRST,
    HISTORY,
    MEBIBYTE,
    SECOND,
    archived,
    segment,
    stored_files,
    wal_file,
)
from tests.support.site import Site

FILES = {
    FIRST: (segment(), segment(seed=1)),
    f"{FIRST}.partial": (segment(), segment(seed=1)),
    f"{SECOND}.00000028.backup": (BACKUP_HISTORY, BACKUP_HISTORY + b"CHECKPOINT LOCATION: 0/1\n"),
    "00000002.history": (HISTORY, b"1\t0/4000000\tno recovery target specified\n"),
}
each_kind = pytest.mark.parametrize("name", FILES)
SLOW = {"WALG_ZSTD_LEVEL": "19"}


def push(site: Site, path: Path, expected: int, **env: str) -> str:
    """Push a file, check the exit code, and return what the command said."""
    done = site.run("wal-push", path, env=env, check=False)
    assert done.returncode == expected, done.stderr
    return complaint(done) if expected else done.stderr


@each_kind
def test_a_file_is_archived_byte_for_byte(site: Site, name: str) -> None:
    """Whatever PostgreSQL hands to archive_command comes back as it was."""
    content = FILES[name][0]
    push(site, wal_file(site.base, name, content), 0)
    assert archived(site.repository, name) == content


@pytest.mark.parametrize("mebibytes", [1, 16, 64])
def test_the_segment_size_is_read_from_the_segment(site: Site, mebibytes: int) -> None:
    """No setting tells the segment size."""
    content = segment(size=mebibytes * MEBIBYTE)
    push(site, wal_file(site.base, FIRST, content), 0)
    assert archived(site.repository, FIRST) == content


@each_kind
def test_the_same_content_again_is_success(site: Site, name: str) -> None:
    """A server that crashed before it noted the success archives the file once more."""
    path = wal_file(site.base, name, FILES[name][0])
    push(site, path, 0)
    before = {file: (site.repository / file).stat() for file in stored_files(site.repository)}
    assert "already archived" in push(site, path, 0)
    after = {file: (site.repository / file).stat() for file in stored_files(site.repository)}
    assert [(s.st_ino, s.st_mtime_ns) for s in after.values()] == [
        (s.st_ino, s.st_mtime_ns) for s in before.values()
    ]


@each_kind
@pytest.mark.parametrize("codecs", [("zstd", "zstd"), ("zstd", "none"), ("none", "zstd")])
def test_other_content_under_a_name_is_refused(
    site: Site, name: str, codecs: tuple[str, str]
) -> None:
    """Nothing is overwritten and nothing stored beside it, whichever codec stored the first."""
    mine, other = FILES[name]
    push(site, wal_file(site.base, name, mine), 0, WALG_COMPRESSION_METHOD=codecs[0])
    before = stored_files(site.repository)
    path = wal_file(site.base / "other", name, other)
    assert "different content" in push(site, path, 3, WALG_COMPRESSION_METHOD=codecs[1])
    assert archived(site.repository, name) == mine
    assert stored_files(site.repository) == before


def test_the_same_content_under_another_codec_is_success(site: Site) -> None:
    """Equality is of the contents, so a changed codec stores nothing twice."""
    path = wal_file(site.base, FIRST, segment())
    push(site, path, 0, WALG_COMPRESSION_METHOD="zstd")
    before = stored_files(site.repository)
    push(site, path, 0, WALG_COMPRESSION_METHOD="none")
    assert stored_files(site.repository) == before


def test_a_segment_of_another_cluster_is_refused(site: Site) -> None:
    """The first push binds the repository to its cluster."""
    push(site, wal_file(site.base, FIRST, segment()), 0)
    stranger = wal_file(site.base, SECOND, segment(SECOND, system_identifier=42))
    assert "belongs to the cluster" in push(site, stranger, 3)
    assert archived(site.repository, SECOND) is None


WRONG = {
    "truncated": (FIRST, segment()[:-512], 6, "page header says"),
    "over-long": (FIRST, segment() + bytes(512), 6, "page header says"),
    "empty": (FIRST, b"", 6, "too short"),
    "garbage": (FIRST, b"\xa5" * MEBIBYTE, 6, "not a WAL segment"),
    "zeros": (FIRST, bytes(MEBIBYTE), 6, "not a WAL segment"),
    "impossible size": (FIRST, segment(stated_size=3), 6, "impossible WAL segment size"),
    "recycled": (SECOND, segment(FIRST), 6, "other WAL than its name says"),
    "later timeline": (FIRST, segment(timeline=2), 6, "timeline 2"),
    "truncated partial": (f"{FIRST}.partial", segment()[:-1], 6, "page header says"),
    "no WAL name": ("postgresql.conf", segment(), 2, "not the name of a WAL file"),
    "lower case": (FIRST.replace("1", "a"), segment(), 2, "not the name of a WAL file"),
    "garbage history": ("00000002.history", b"\xff\xfe", 6, "text file"),
    "wrong history": ("00000002.history", b"what is this\n", 6, "line 1"),
    "empty history": ("00000002.history", b"", 6, "names no ancestor"),
    "wrong backup history": (f"{FIRST}.00000028.backup", HISTORY, 6, "backup history"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_file_that_is_not_what_its_name_says_is_refused(site: Site, case: str) -> None:
    """One line says what is wrong, and the repository stays untouched."""
    name, content, code, words = WRONG[case]
    assert words in push(site, wal_file(site.base / "pg_wal", name, content), code)
    assert stored_files(site.repository) == []


def test_what_cannot_be_read_is_refused(site: Site) -> None:
    """A missing file, a directory and a file without permission each have their own words."""
    assert "there is no file" in push(site, site.base / FIRST, 5)
    (site.base / SECOND).mkdir()
    assert "is a directory" in push(site, site.base / SECOND, 2)
    closed = wal_file(site.base, FIRST, segment())
    closed.chmod(0)
    assert "ermission denied" in push(site, closed, 1)


def test_a_repository_that_does_not_take_the_file_is_named(site: Site) -> None:
    """Missing, closed, read-only for us: exit code 7, and nothing is created."""
    path = wal_file(site.base, FIRST, segment())
    missing = f"{site.base}/absent"
    assert missing in push(site, path, 7, WALG_FILE_PREFIX=missing)
    assert not Path(missing).exists()
    site.repository.chmod(0o500)
    assert str(site.repository) in push(site, path, 7)
    site.repository.chmod(0o700)
    assert stored_files(site.repository) == []


def test_a_full_repository_keeps_nothing_of_the_file(site: Site) -> None:
    """The limit on file sizes strikes in mid-write, as a full disk does."""
    path = wal_file(site.base, FIRST, segment(size=16 * MEBIBYTE))
    limited = ("sh", "-c", 'ulimit -f 2048; exec "$@"', "sh")
    plain = {"WALG_COMPRESSION_METHOD": "none"}
    with started(site, "wal-push", path, env=plain, under=limited) as process:
        done = finished(process)
    assert done.returncode == 7
    assert "file too large" in complaint(done)
    assert archived(site.repository, FIRST) is None
    assert not [name for name in stored_files(site.repository) if FIRST in name]
    push(site, path, 0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", ["reading", "writing"])
def test_a_signal_ends_the_push_within_the_archivers_range(
    site: Site, number: signal.Signals, moment: str
) -> None:
    """An exit code above 125 would end PostgreSQL's archiver; nothing is left of the file."""
    path = site.base / FIRST
    if moment == "reading":
        os.mkfifo(path)
    else:
        wal_file(site.base, FIRST, segment(size=64 * MEBIBYTE))
    with started(site, "wal-push", path, env=SLOW) as process:
        if moment == "reading":
            pipe = wait_for_reader(path)
            wait_until_asleep(process.pid)
        else:
            wait_for_writer(site.repository)
        process.send_signal(number)
        done = finished(process)
    if moment == "reading":
        os.close(pipe)
    assert done.returncode == 125
    assert complaint(done) == "pitr wal-push: error: interrupted"
    assert not [name for name in stored_files(site.repository) if FIRST in name]


def wait_for_reader(pipe: Path) -> int:
    """Wait until someone reads from a named pipe; return its other end, open."""
    deadline = time.monotonic() + 30
    while True:
        try:
            return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def wait_until_asleep(pid: int) -> None:
    """Wait until a process is blocked: a signal before that finds it on its way into a read.

    Python handles a signal between two steps of its own. One that comes after the last step and
    before the system call is handled when the call returns, which a pipe nobody feeds never does;
    a file always does.
    """
    deadline = time.monotonic() + 30
    before = ""
    while (now := _sleeping_since(pid)) != before or not now:
        assert time.monotonic() < deadline
        before = now
        time.sleep(0.3)


def _sleeping_since(pid: int) -> str:
    """The number of times a sleeping process has given up its processor; empty for one awake."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    return status["voluntary_ctxt_switches"] if status["State"].startswith("S") else ""


def wait_for_writer(repository: Path) -> None:
    """Wait until a temporary file of the segment is there."""
    deadline = time.monotonic() + 30
    while not [name for name in stored_files(repository) if FIRST in name]:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_crash_is_a_failure_that_the_archiver_survives(site: Site) -> None:
    """A broken installation fails with 1, in one line, and PostgreSQL tries again."""
    broken = site.base / "broken" / "backports"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("")
    path = wal_file(site.base, FIRST, segment())
    done = site.run("wal-push", path, env={"PYTHONPATH": str(broken.parent)}, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("pitr wal-push: error: unexpected ImportError")


@pytest.mark.parametrize("_round", range(3))
def test_of_two_racers_with_different_content_one_wins(site: Site, _round: int) -> None:
    """What is stored is the content of the one that was told so; the other is refused."""
    contents = [segment(seed=1), segment(seed=2)]
    paths = [wal_file(site.base / str(n), FIRST, text) for n, text in enumerate(contents)]
    with (
        started(site, "wal-push", paths[0], env=SLOW) as one,
        started(site, "wal-push", paths[1], env=SLOW) as two,
    ):
        codes = [finished(process).returncode for process in (one, two)]
    assert sorted(codes) == [0, 3]
    assert archived(site.repository, FIRST) == contents[codes.index(0)]


def test_of_two_racers_with_the_same_content_both_win(site: Site) -> None:
    """The one that comes second finds what it brings."""
    paths = [wal_file(site.base / str(number), FIRST, segment()) for number in range(2)]
    with (
        started(site, "wal-push", paths[0], env=SLOW) as one,
        started(site, "wal-push", paths[1], env=SLOW) as two,
    ):
        assert [finished(process).returncode for process in (one, two)] == [0, 0]
    assert archived(site.repository, FIRST) == segment()
