"""A server with segments that wait to be archived, and every archiver that there is beside it."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from backup_core.postgres.archiving import archive_command
from bench.archivers import (
    Archiver,
    pgbackrest_archiver,
    pitr_archiver,
    walg_archiver,
)
from bench.archiving import HELD, answered_calls, drains, let_archive, lone_segments
from bench.clusters import GENERATOR, ROWS_A_SCALE, WORDS
from bench.comparison import Conditions
from bench.places import Place
from bench.tools import Site
from bench.works import Series
from tests.support.cluster import Cluster
from tests.support.spooled import end_workers, marked_in, until, waiting_of, worker_of

SETTINGS = {
    "archive_mode": "on",
    "archive_command": HELD,
    "autovacuum": "off",
    "max_wal_size": "20GB",
    "wal_keep_size": "20GB",
    "checkpoint_timeout": "1h",
}
PGBENCH, MIXED = "pgbench", "mixed"


@contextmanager
def held_server(conditions: Conditions, data: str, count: int) -> Iterator[Cluster]:
    """A server that has at least `count` segments waiting, of pgbench's load or the mixed one."""
    cluster = Cluster.create(
        conditions.base / f"waiting-{data}", conditions.binaries, settings=SETTINGS
    )
    with cluster:
        if data == MIXED:
            cluster.sql(GENERATOR)
            cluster.sql("SELECT fill_orders(%s, %s)", 2 * ROWS_A_SCALE, WORDS.split())
        while len(waiting_of(cluster)) < count:
            if data == MIXED:
                cluster.sql("CREATE TABLE copied AS TABLE orders")
                cluster.sql("DROP TABLE copied")
            else:
                cluster.pgbench("--initialize", "--quiet", "--scale=10")
        yield cluster
    shutil.rmtree(cluster.data_dir)


def archivers(
    conditions: Conditions, cluster: Cluster, base: Path, place: Callable[[str], Place]
) -> list[Archiver]:
    """pitr with and without a spool, and what of its peers is on this machine."""
    base.mkdir()
    site = Site(cluster=cluster, base=base, level=conditions.level)
    found = [
        pitr_archiver(site, conditions.pitr, place("ahead"), ahead=True),
        pitr_archiver(site, conditions.pitr, place("single"), ahead=False),
    ]
    if conditions.pgbackrest is not None:
        peer = conditions.pgbackrest
        found += [
            pgbackrest_archiver(site, peer, place("async"), asynchronous=True),
            pgbackrest_archiver(site, peer, place("sync"), asynchronous=False),
        ]
    if os.environ.get("WALG_BIN"):
        found.append(walg_archiver(site, os.environ["WALG_BIN"], place("walg")))
    return found


def archived_in(
    conditions: Conditions, data: str, where: str, place: Callable[[str], Place], count: int
) -> list[Series]:
    """Drain what waits, and archive lone segments, by every archiver in turn."""
    runs, say = conditions.runs, conditions.say
    name = f"{data}, {where}"
    with held_server(conditions, data, count) as cluster:
        every = archivers(conditions, cluster, conditions.base / f"archive-{where}-{data}", place)
        drained = drains(cluster, every, data=name, runs=runs, say=say)
        let_archive(cluster, "true")
        until(lambda: not waiting_of(cluster))
        lone = lone_segments(cluster, every, data=name, runs=runs, say=say)
    return [drained, lone]


def shell_calls(conditions: Conditions) -> dict[str, float]:
    """Seconds of a call that the spool answers, and of `true`; the server archives nothing."""
    base = conditions.base / "calls"
    base.mkdir()
    repository, spool = base / "repository", base / "spool"
    repository.mkdir()
    with held_server(conditions, PGBENCH, 1) as cluster:
        (name, *_) = waiting_of(cluster)
        words = ["--repository", f"file://{repository}"]
        with worker_of(conditions.pitr, cluster, spool, words):
            until(lambda: name in marked_in(spool))
        end_workers(spool)
        command = archive_command(["false"], spool=str(spool))
        return answered_calls(cluster, command, name=name, marked=spool / "ok" / name)
