"""A site whose server archives through a spool, and the workers that it leaves behind."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from backup_core.archive.ready import waiting
from backup_core.postgres.archiving import archive_command
from tests.support.cluster import Cluster
from tests.support.environment import pitr_program
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
