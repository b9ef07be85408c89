"""Markers as the server's shell sees them: equal to the nanosecond, or they say nothing."""

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_core.archive.spool import (
    OK,
    Spool,
    claim_of,
    data_directory,
    pause_before_reading,
)
from backup_core.postgres.archiving import archive_command
from tests.support.segments import FIRST, SECOND

SHELLS = [shell for shell in ("sh", "dash", "bash", "busybox") if shutil.which(shell)]
WRITTEN = 1_700_000_000_123_456_789
SECOND_NS = 1_000_000_000


@pytest.fixture
def cluster(tmp_path: Path) -> Path:
    """A data directory with one segment, as far as the shell looks at it."""
    wal = tmp_path / "data directory" / "pg_wal"
    wal.mkdir(parents=True)
    (wal / FIRST).write_bytes(b"segment")
    os.utime(wal / FIRST, ns=(WRITTEN, WRITTEN))
    return wal.parent


@pytest.fixture
def spool(tmp_path: Path, cluster: Path) -> Spool:
    """A spool, with a name that needs quoting, that is bound to it."""
    root = tmp_path / "the spool's"
    for folder in ("ok", "at"):
        (root / folder).mkdir(parents=True)
    (root / "pgdata").symlink_to(cluster)
    return Spool(str(root))


def answers(shell: str, spool: Spool, cluster: Path, name: str = FIRST) -> bool:
    """Whether the shell answers for a file without calling pitr, which is `false` here."""
    assert "%" not in spool.root
    command = archive_command(["false"], spool=spool.root)
    command = command.replace("%f", name).replace("%p", f"pg_wal/{name}")
    words = ["busybox", "sh"] if shell == "busybox" else [shell]
    return subprocess.run([*words, "-c", command], cwd=cluster, check=False).returncode == 0


@pytest.mark.parametrize("shell", SHELLS)
class TestShell:
    """What archive_command answers by itself."""

    def test_a_file_of_the_marked_time_is_answered_for(
        self, shell: str, spool: Spool, cluster: Path
    ) -> None:
        """The quick way."""
        spool.mark(FIRST, WRITTEN)
        assert answers(shell, spool, cluster)

    @pytest.mark.parametrize("moved", [1, -1, SECOND_NS, -SECOND_NS, 10**15])
    def test_a_file_of_any_other_time_is_not(
        self, shell: str, spool: Spool, cluster: Path, moved: int
    ) -> None:
        """Neither younger nor older, be it by a nanosecond."""
        spool.mark(FIRST, WRITTEN)
        time = WRITTEN + moved
        os.utime(cluster / "pg_wal" / FIRST, ns=(time, time))
        assert not answers(shell, spool, cluster)

    @pytest.mark.parametrize("folder", ["ok", "at"])
    def test_half_a_marker_or_none_says_nothing(
        self, shell: str, spool: Spool, cluster: Path, folder: str
    ) -> None:
        """A missing `at` is not made or removed by itself, but dash does not take it either."""
        assert not answers(shell, spool, cluster)
        spool.mark(FIRST, WRITTEN)
        Path(spool.path(folder, FIRST)).unlink()
        if folder == OK or shell != "bash":
            assert not answers(shell, spool, cluster)

    def test_a_missing_file_is_not_answered_for(
        self, shell: str, spool: Spool, cluster: Path
    ) -> None:
        """A marker alone archives nothing."""
        spool.mark(SECOND, WRITTEN)
        assert not answers(shell, spool, cluster, SECOND)

    def test_the_spool_of_another_data_directory_says_nothing(
        self, shell: str, spool: Spool, cluster: Path, tmp_path: Path
    ) -> None:
        """Even for a copy of the same file with the same time."""
        spool.mark(FIRST, WRITTEN)
        copy = tmp_path / "copy"
        shutil.copytree(cluster, copy)
        assert not answers(shell, spool, copy)

    def test_a_time_in_whole_seconds_is_never_enough(
        self, shell: str, spool: Spool, cluster: Path
    ) -> None:
        """As on a file system without nanoseconds: the long way is taken."""
        for folder, stamp in (("ok", WRITTEN + 1), ("at", WRITTEN - 1)):
            path = Path(spool.path(folder, FIRST))
            path.touch()
            whole = stamp // SECOND_NS * SECOND_NS
            os.utime(path, ns=(whole, whole))
        assert not answers(shell, spool, cluster)


def test_the_command_quotes_what_the_shell_and_the_server_would_read() -> None:
    """Blanks, quotes and percent signs in a path."""
    command = archive_command(["/opt/my tools/pitr"], spool="/var/100%/it's")
    assert "100%%" in command
    words = shlex.split(command.replace("%%", "%").replace("%f", "F").replace("%p", "P"))
    assert words[words.index("exec") + 1 :] == [
        *("/opt/my tools/pitr", "wal-push", "--spool-dir", "/var/100%/it's", "P")
    ]


def test_a_marker_counts_for_its_time_only(spool: Spool) -> None:
    """Python's own look agrees with the shell's."""
    spool.mark(FIRST, WRITTEN)
    assert spool.is_marked(FIRST, WRITTEN)
    assert not spool.is_marked(FIRST, WRITTEN + 1)
    assert not spool.is_marked(SECOND, WRITTEN)
    spool.unmark(FIRST)
    assert not spool.is_marked(FIRST, WRITTEN)
    assert spool.names(OK) == []


def test_a_lock_is_seen_by_other_processes_and_ends_with_its_own(spool: Spool) -> None:
    """Nothing has to be recognised as stale."""
    program = (
        "import sys; from backup_core.archive.spool import Spool; s = Spool(sys.argv[1]);"
        "s.lock(int(sys.argv[2])); print('held', flush=True); sys.stdin.read()"
    )
    number = claim_of(FIRST)
    with subprocess.Popen(
        ["python", "-c", program, spool.root, str(number)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        assert spool.is_locked(number)
        assert not spool.try_lock(number)
        assert spool.try_lock(claim_of(SECOND))
        holder.kill()
        holder.wait()
    assert spool.try_lock(number)


@given(modified=st.integers(1, 10**19), now=st.integers(1, 10**19))
def test_a_file_is_read_only_when_a_write_would_move_its_time(modified: int, now: int) -> None:
    """After the pause the clock has left the file's tick, or its second where times are whole."""
    pause = pause_before_reading(modified, now)
    room = 2 * SECOND_NS if modified % SECOND_NS == 0 else 12_000_000
    if pause is None:
        assert modified > now + room
    else:
        assert now + pause * SECOND_NS >= modified + room - 2048  # a float's own room
        assert pause <= 2 * room / SECOND_NS


def test_the_data_directory_is_known_by_its_control_file(cluster: Path, tmp_path: Path) -> None:
    """A file elsewhere, as one pushes by hand, has none."""
    assert data_directory(str(cluster / "pg_wal" / FIRST)) is None
    (cluster / "global").mkdir()
    (cluster / "global" / "pg_control").touch()
    assert data_directory(str(cluster / "pg_wal" / FIRST)) == str(cluster)
    assert data_directory(str(tmp_path / FIRST)) is None
