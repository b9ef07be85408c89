"""Replaying archived segments: from a bucket 20 ms away by the spool, from a directory by `cp`.

Both recover the same copy of a data directory along the same segments; what differs is only where
the segments come from. The server's log tells how long it replayed.
"""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from backup_core.postgres.archiving import archive_command
from backup_core.postgres.recovery import restore_command
from bench.archivers import peak_of_workers
from bench.archiving import HELD, let_archive
from bench.clusters import GENERATOR, ROWS_A_SCALE, WORDS
from bench.measure import Sample
from bench.works import Say, Series
from tests.support.cluster import Cluster
from tests.support.faults import Delay
from tests.support.postgres import Binaries
from tests.support.proxy import FaultProxy
from tests.support.seaweed import REGION, SeaweedFS
from tests.support.site import archive_everything
from tests.support.spooled import end_workers, until, waiting_of

LATENCY = 0.02
NEAR, FAR, WITHOUT = "cp, local", "pitr, spool", "pitr, no spool"
REPLAYED = re.compile(r"redo done at .* elapsed: ([0-9.]+) s")
SETTINGS = {
    "archive_mode": "on",
    "archive_command": HELD,
    "autovacuum": "off",
    "max_wal_size": "20GB",
    "checkpoint_timeout": "1h",
    "shared_buffers": "256MB",
}


@dataclass(frozen=True, kw_only=True)
class Story:
    """A data directory as it was before the segments, and the segments in a directory."""

    before: Path
    near: Path
    count: int


def replays(
    base: Path,
    binaries: Binaries,
    pitr: Path,
    server: SeaweedFS,
    *,
    count: int,
    runs: int,
    say: Say,
) -> Series:
    """Recover along `count` segments from each source in turn."""
    spool, config = base / "replay-spool", base / "replay.toml"
    with FaultProxy(server.url, lambda _: Delay(seconds=LATENCY)) as proxy:
        _configure(config, server, proxy.url)
        story = _make(base, binaries, pitr, config, count)
        commands = {
            NEAR: f'cp {quote(str(story.near))}/%f "%p"',
            FAR: restore_command(
                [str(pitr)], spool=str(spool), extra_arguments=["--config", str(config)]
            ),
            WITHOUT: restore_command([str(pitr)], extra_arguments=["--config", str(config)]),
        }
        found = Series(work=f"replay {story.count}", data="mixed", size=story.count << 24)
        for _ in range(runs):
            for name, command in commands.items():
                seconds = _replay(base / "replayed", story, binaries, command)
                peak = peak_of_workers(spool, "prefetch")
                found.add(name, Sample(wall=seconds, cpu=0, largest=peak, tree=peak), say)
                end_workers(spool)
                shutil.rmtree(spool, ignore_errors=True)
    return found


def _make(base: Path, binaries: Binaries, pitr: Path, config: Path, count: int) -> Story:
    """Make a cluster, keep a copy of it, and archive what it writes then to both places."""
    near, before = base / "near", base / "before"
    near.mkdir()
    cluster = Cluster.create(base / "replay-source", binaries, settings=SETTINGS)
    with cluster:
        cluster.sql(GENERATOR)
        cluster.sql("SELECT fill_orders(%s, %s)", 2 * ROWS_A_SCALE, WORDS.split())
        cluster.stop()
        shutil.copytree(cluster.data_dir, before, symlinks=True)
        cluster.start()
        while len(waiting_of(cluster)) < count:
            cluster.sql("CREATE TABLE copied AS TABLE orders")
            cluster.sql("UPDATE copied SET amount = amount + 1 WHERE customer % 50 = 0")
            cluster.sql("DROP TABLE copied")
        push = archive_command(
            [str(pitr)],
            spool=str(base / "replay-source-spool"),
            extra_arguments=["--config", str(config)],
        )
        let_archive(cluster, f"({push}) && cp %p {quote(str(near))}/%f")
        archive_everything(cluster)
        until(lambda: not waiting_of(cluster), 600)
    end_workers(base / "replay-source-spool")
    shutil.rmtree(cluster.data_dir)
    return Story(before=before, near=near, count=len(list(near.iterdir())))


def _replay(target: Path, story: Story, binaries: Binaries, command: str) -> float:
    """Recover a copy to the end of the archive; return the seconds from the first record."""
    shutil.copytree(story.before, target, symlinks=True)
    (target / "recovery.signal").touch()
    cluster = Cluster.adopt(target, binaries)
    cluster.settings(restore_command=command, archive_mode="off", recovery_target_timeline="1")
    with cluster:
        cluster.wait_until("SELECT NOT pg_is_in_recovery()", timeout=600)
        (seconds,) = REPLAYED.findall(cluster.log)
    shutil.rmtree(target)
    cluster.log_path.unlink()
    return float(seconds)


def _configure(config: Path, server: SeaweedFS, endpoint: str) -> None:
    settings = {
        "repository": f"s3://{server.bucket}/replay",
        "s3_endpoint": endpoint,
        "s3_region": REGION,
        "s3_access_key_id": server.access_key,
        "s3_secret_access_key": server.secret_key,
    }
    config.write_text("".join(f'{name} = "{value}"\n' for name, value in settings.items()))
    config.chmod(0o600)
