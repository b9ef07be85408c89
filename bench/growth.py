"""Whether time and memory stay flat while clusters grow, in bytes and in relations.

pitr alone is measured, in a directory. A cluster of relations has a table for each, of one page, as
applications with a schema for each customer make them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.clusters import SETTINGS, Dataset, archiving, data_size, finish, make_pgbench
from bench.measure import Sample, measure
from bench.places import Directory
from bench.tools import Pitr, Site
from bench.works import Say, empty, have_memory
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
    """Back up and restore clusters of each size, in a directory of its own that is empty then."""
    for number, gibibytes in enumerate(conditions.sizes):
        here = _directory(conditions, f"size-{number}")
        here.say(f"a cluster of {gibibytes:g} GiB is made")
        data = make_pgbench(here.base, here.binaries, max(1, round(gibibytes * SCALE_A_GIB)))
        size = data.size / (1 << 30)
        yield _measured(here, Growth(name=f"{size:.2f} GiB", amount=size, unit="GiB"), data)
    for number, thousands in enumerate(conditions.relations):
        here = _directory(conditions, f"relations-{number}")
        count = round(thousands * 1000)
        here.say(f"a cluster of {count:,} relations is made")
        data = _make_tables(count, here)
        name = f"{count:,} relations, {data.size / (1 << 30):.2f} GiB"
        yield _measured(here, Growth(name=name, amount=thousands, unit="1,000"), data)


def _directory(conditions: Conditions, name: str) -> Conditions:
    base = conditions.base / name
    base.mkdir()
    return replace(conditions, base=base)


def _make_tables(count: int, conditions: Conditions) -> Dataset:
    """A cluster of so many tables of one row."""
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
        finish(cluster)
    return Dataset(name="relations", cluster=cluster, size=data_size(cluster.data_dir))


def _measured(conditions: Conditions, found: Growth, data: Dataset) -> Growth:
    base = conditions.base
    tool = Pitr(
        Site(cluster=data.cluster, base=base, level=conditions.level),
        conditions.pitr,
        Directory(base / "repository"),
    )
    with data.cluster:
        for number in range(conditions.runs):
            tool.reset()
            with archiving(data.cluster, tool.archive_command):
                add(found, "backup", measure(tool.backup(), env=tool.environ), conditions)
            target = base / f"restored-{number}"
            target.mkdir(mode=0o700)
            have_memory(base / "memory", data.size)
            add(found, "restore", measure(tool.restore(target), env=tool.environ), conditions)
            empty(target)
    empty(base)
    return found


def add(found: Growth, work: str, sample: Sample, conditions: Conditions) -> None:
    """Keep a sample, and say it."""
    found.samples.setdefault(work, []).append(sample)
    conditions.say(f"{found.name}: {work}: {sample.wall:.2f} s")
