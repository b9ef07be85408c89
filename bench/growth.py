"""Whether time and memory stay flat while clusters grow, in bytes and in relations.

pitr alone is measured, in a directory. A cluster of relations has a table for each, of one page, as
applications with a schema for each customer make them.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.clusters import SETTINGS, Dataset, archiving, data_size, make_pgbench
from bench.measure import Sample, measure
from bench.places import Directory
from bench.tools import Pitr, Site
from bench.works import Say
from tests.support.cluster import Cluster
from tests.support.postgres import Binaries

SCALE_A_GIB = 68
TABLES_A_STATEMENT = 500


@dataclass(kw_only=True)
class Growth:
    """Samples of one size, by the work: `amount` is what they are divided by."""

    name: str
    amount: float
    unit: str
    samples: dict[str, list[Sample]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """Where, by what, how large: GiB of data and thousands of relations."""

    base: Path
    binaries: Binaries
    pitr: Path
    runs: int
    level: int
    sizes: Sequence[float]
    relations: Sequence[float]
    say: Say


def growth(conditions: Conditions) -> Iterator[Growth]:
    """Back up and restore clusters of each size; they are gone when the next is made."""
    for gibibytes in conditions.sizes:
        scale = max(1, round(gibibytes * SCALE_A_GIB))
        data = _made(conditions, f"{gibibytes:g} GiB", scale_of(scale, conditions))
        size = data.size / (1 << 30)
        found = Growth(name=f"{size:.2f} GiB", amount=size, unit="GiB")
        yield _measured(conditions, found, data)
    for thousands in conditions.relations:
        count = round(thousands * 1000)
        data = _made(conditions, f"{count:,} relations", tables(count, conditions))
        name = f"{count:,} relations, {data.size / (1 << 30):.2f} GiB"
        found = Growth(name=name, amount=thousands, unit="1,000")
        yield _measured(conditions, found, data)


def scale_of(scale: int, conditions: Conditions) -> Callable[[], Dataset]:
    """What makes a cluster of pgbench's tables."""
    return lambda: make_pgbench(conditions.base, conditions.binaries, scale)


def tables(count: int, conditions: Conditions) -> Callable[[], Dataset]:
    """What makes a cluster of so many tables of one row."""

    def make() -> Dataset:
        cluster = Cluster.create(
            conditions.base / "relations",
            conditions.binaries,
            settings=SETTINGS | {"max_locks_per_transaction": 1024},
        )
        with cluster:
            for start in range(0, count, TABLES_A_STATEMENT):
                stop = min(count, start + TABLES_A_STATEMENT)
                cluster.sql(
                    "DO $$ BEGIN FOR n IN "
                    f"{start}..{stop - 1} LOOP "
                    "EXECUTE format('CREATE TABLE r%s AS SELECT %s AS n', n, n); "
                    "END LOOP; END $$"
                )
            cluster.settings(fsync="on", archive_command="true")
            cluster.reload()
            cluster.sql("CHECKPOINT")
            cluster.stop()
        return Dataset(name="relations", cluster=cluster, size=data_size(cluster.data_dir))

    return make


def _made(conditions: Conditions, what: str, make: Callable[[], Dataset]) -> Dataset:
    conditions.say(f"a cluster of {what} is made")
    return make()


def _measured(conditions: Conditions, found: Growth, data: Dataset) -> Growth:
    site = Site(cluster=data.cluster, base=conditions.base / "growth", level=conditions.level)
    site.base.mkdir()
    tool = Pitr(site, conditions.pitr, Directory(site.base / "repository"))
    target = site.base / "restored"
    with data.cluster:
        for _ in range(conditions.runs):
            tool.reset()
            with archiving(data.cluster, tool.archive_command):
                add(found, "backup", measure(tool.backup(), env=tool.environ), conditions)
            target.mkdir(mode=0o700)
            add(found, "restore", measure(tool.restore(target), env=tool.environ), conditions)
            shutil.rmtree(target)
    shutil.rmtree(data.cluster.data_dir)
    shutil.rmtree(site.base)
    return found


def add(found: Growth, work: str, sample: Sample, conditions: Conditions) -> None:
    """Keep a sample, and say it."""
    found.samples.setdefault(work, []).append(sample)
    conditions.say(f"{found.name}: {work}: {sample.wall:.2f} s")
