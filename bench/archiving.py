"""Archiving by a real server: many segments that wait, and one that comes alone.

The server is the clock: what counts is when it takes a file for archived, whatever the command did
to make it say so. Each tool archives the same segments, which are made to wait again for the next.
"""

import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from bench.archivers import Archiver
from bench.measure import Sample
from bench.works import Say, Series
from tests.support.cluster import Cluster

HELD = "false"
LONE_A_ROUND = 5
QUIET_SECONDS = 1.0
CALLS = 200
_POLL = 0.0005


def drains(
    cluster: Cluster, archivers: Sequence[Archiver], *, data: str, runs: int, say: Say
) -> Series:
    """The time until the server has archived everything that waits, from the moment it may."""
    waiting = _names(cluster, ".ready")
    size = sum((cluster.data_dir / "pg_wal" / name).stat().st_size for name in waiting)
    found = Series(work=f"archive {len(waiting)} that wait", data=data, size=size)
    for _ in range(runs):
        for archiver in archivers:
            _wait_again(cluster, waiting)
            archiver.prepare()
            os.sync()
            began = time.perf_counter()
            let_archive(cluster, archiver.command)
            while _names(cluster, ".ready"):
                time.sleep(0.005)
            wall = time.perf_counter() - began
            found.add(archiver.name, _sample(wall, archiver.worker()), say)
            let_archive(cluster, HELD)
            archiver.end()
    return found


def lone_segments(
    cluster: Cluster, archivers: Sequence[Archiver], *, data: str, runs: int, say: Say
) -> Series:
    """The time from the switch of one segment, on a server that does nothing, to its archiving."""
    found = Series(work="archive one, the server idle", data=data, size=16 << 20)
    for archiver in archivers:
        archiver.prepare()
    for _ in range(runs):
        for archiver in archivers:
            let_archive(cluster, archiver.command)
            _lone(cluster)
            for _ in range(LONE_A_ROUND):
                time.sleep(QUIET_SECONDS)
                found.add(archiver.name, _sample(_lone(cluster)), say)
            archiver.end()
            let_archive(cluster, HELD)
    return found


def answered_calls(cluster: Cluster, command: str, *, name: str, marked: Path) -> dict[str, float]:
    """Medians, in seconds, of a shell that answers from the spool and of one that says `true`."""
    words = command.replace("%f", name).replace("%p", f"pg_wal/{name}")
    if not marked.exists():
        raise RuntimeError(f"{marked} is not there: the shell would not answer by itself")
    times: dict[str, list[float]] = {"true": [], "fast path": []}
    for _ in range(CALLS):
        for kind, text in (("true", "true"), ("fast path", words)):
            began = time.perf_counter()
            subprocess.run(["/bin/sh", "-c", text], cwd=cluster.data_dir, check=True)
            times[kind].append(time.perf_counter() - began)
    return {kind: median(values) for kind, values in times.items()}


def let_archive(cluster: Cluster, command: str) -> None:
    """Set the server's archive_command; it is in force when this returns."""
    literal = "'" + command.replace("'", "''") + "'"
    cluster.sql(f"ALTER SYSTEM SET archive_command = {literal}")
    cluster.sql("SELECT pg_reload_conf()")
    cluster.wait_until(f"SELECT current_setting('archive_command') = {literal}")


def _lone(cluster: Cluster) -> float:
    """Fill most of a segment, finish it, and wait for the server to take it for archived."""
    status = cluster.data_dir / "pg_wal" / "archive_status"
    with cluster.connect() as connection:
        connection.execute(
            "SELECT pg_logical_emit_message(true, 'lone', (SELECT string_agg("
            "md5(random()::text) || repeat('x', 64), '') FROM generate_series(1, 130000)))"
        )
        row = connection.execute("SELECT pg_walfile_name(pg_current_wal_lsn())").fetchone()
        assert row is not None
        began = time.perf_counter()
        connection.execute("SELECT pg_switch_wal()")
        while not (status / f"{row[0]}.done").exists():
            time.sleep(_POLL)
        return time.perf_counter() - began


def _names(cluster: Cluster, suffix: str) -> list[str]:
    folder = cluster.data_dir / "pg_wal" / "archive_status"
    return sorted(path.stem for path in folder.glob(f"*{suffix}") if len(path.stem) == 24)


def _wait_again(cluster: Cluster, names: Sequence[str]) -> None:
    """Make the server archive these files anew."""
    folder = cluster.data_dir / "pg_wal" / "archive_status"
    for name in names:
        done = folder / f"{name}.done"
        if done.exists():
            done.rename(folder / f"{name}.ready")


def _sample(seconds: float, worker: int = 0) -> Sample:
    return Sample(wall=seconds, cpu=0, largest=worker, tree=worker)
