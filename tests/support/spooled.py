"""A site whose server archives through a spool, and the workers that it leaves behind."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from backup_core.archive.ready import waiting
from backup_core.postgres.archiving import archive_command
from tests.support.cluster import Cluster
from tests.support.environment import clean_environ, pitr_program
from tests.support.segments import archived
from tests.support.site import Site

HELD = "false"
SECONDS = 60.0


def spool_of(site: Site) -> Path:
    """The site's spool."""
    return site.base / "spool"


def push_command(site: Site, *extra: str, spool: Path | None = None) -> str:
    """The archive_command of the site with its spool."""
    words = [*extra, "--repository", f"file://{site.repository}"]
    return archive_command(
        [str(pitr_program())], spool=str(spool or spool_of(site)), extra_arguments=words
    )


def spooled_cluster(site: Site, name: str = "data", **kwargs: Any) -> Cluster:
    """A running cluster of small segments whose archive_command fails, until it is released."""
    settings = {"archive_command": HELD} | kwargs.pop("settings", {})
    return site.cluster(name, settings=settings, **{"wal_segment_mb": 1} | kwargs)


def release(cluster: Cluster, command: str) -> None:
    """Let the server archive by this command from now on."""
    cluster.settings(archive_command=command)
    cluster.reload()
    cluster.wait_until(f"SELECT current_setting('archive_command') = $c${command}$c$")


def fill(cluster: Cluster, segments: int) -> list[str]:
    """Make this many segments that wait to be archived; return the names of all that wait."""
    for _ in range(segments):
        cluster.sql(
            "SELECT pg_logical_emit_message(true, 'fill', repeat(md5(random()::text), 9000))"
        )
        cluster.sql("SELECT pg_switch_wal()")
    return waiting_of(cluster)


def waiting_of(cluster: Cluster) -> list[str]:
    """The names of the files that wait."""
    return waiting(str(cluster.data_dir / "pg_wal" / "archive_status"))


def contents(cluster: Cluster, names: list[str]) -> dict[str, bytes]:
    """The files of these names, as the server has them now."""
    return {name: (cluster.data_dir / "pg_wal" / name).read_bytes() for name in names}


def until(condition: Callable[[], object], seconds: float = SECONDS) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)


def until_archived(cluster: Cluster) -> None:
    """Wait until nothing waits any more."""
    until(lambda: not waiting_of(cluster))


def workers(spool: Path, command: str = "push-ahead") -> list[int]:
    """The processes that work for a spool."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if command.encode() in words and str(spool).encode() in words:
                found.append(int(entry.name))
    return found


@contextmanager
def no_worker_left(spool: Path) -> Iterator[None]:
    """End the workers of a spool with the block."""
    try:
        yield
    finally:
        end_workers(spool)


def end_workers(spool: Path) -> None:
    """Kill the workers of a spool, as a power cut would."""
    for command in ("push-ahead", "prefetch"):
        for pid in workers(spool, command):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            until(lambda pid=pid: not Path(f"/proc/{pid}").exists())  # type: ignore[misc]


def audited(site: Site, command: str) -> str:
    """An archive_command that keeps a copy of every file it takes for archived.

    The copy is made after the command said yes: what it holds must be in the repository. The path
    is relative to the data directory, for up to 15 the server cuts a command at 1,023 bytes.
    """
    (site.base / "audit").mkdir(exist_ok=True)
    return f"({command}) && cp %p ../audit/%f"


def audit(site: Site) -> list[str]:
    """Hold every file that was taken for archived against the repository; return their names."""
    kept = sorted((site.base / "audit").iterdir())
    for path in kept:
        assert archived(site.repository, path.name) == path.read_bytes(), path.name
    return [path.name for path in kept]


def push_ahead(site: Site, cluster: Cluster, *extra: str) -> subprocess.Popen[bytes]:
    """Start a worker as wal-push does; the caller ends it."""
    words = ["--repository", f"file://{site.repository}", *extra]
    return _start(pitr_program(), cluster, spool_of(site), words)


@contextmanager
def worker_of(program: Path, cluster: Cluster, spool: Path, words: list[str]) -> Iterator[None]:
    """A worker that runs while the block does."""
    worker = _start(program, cluster, spool, words)
    try:
        yield
    finally:
        worker.kill()
        worker.wait()


def _start(
    program: Path, cluster: Cluster, spool: Path, words: list[str]
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [
            *(str(program), "push-ahead", "--spool-dir", str(spool)),
            *("--pgdata", str(cluster.data_dir), *words),
        ],
        env=clean_environ(),
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )


def marked_in(spool: Path) -> set[str]:
    """The names of the files that a spool has markers of."""
    folder = spool / "ok"
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def marked(site: Site) -> set[str]:
    """The names of the files that the site's spool has markers of."""
    return marked_in(spool_of(site))


def mark_all(site: Site, cluster: Cluster) -> list[str]:
    """Have a worker push all that waits while the server may not archive; return the names."""
    names = waiting_of(cluster)
    words = ["--repository", f"file://{site.repository}"]
    with worker_of(pitr_program(), cluster, spool_of(site), words):
        until(lambda: marked(site) >= set(names))
    return names
