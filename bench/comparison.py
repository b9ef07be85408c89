"""pitr beside pgBackRest, command beside command, on the same clusters."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from bench.clusters import Dataset, make_mixed, make_pgbench
from bench.places import Bucket, Directory, Place
from bench.tools import PgBackRest, Pitr, Site, Tool
from bench.works import (
    Say,
    Series,
    backups_and_restores,
    limits,
    pushes_and_fetches,
    stored_ratio,
)
from tests.support.postgres import Binaries
from tests.support.seaweed import SeaweedFS

SEGMENTS = 50
SEGMENTS_IN_BUCKET = 25


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What is compared, how often, and below which directory."""

    base: Path
    binaries: Binaries
    pitr: Path
    pgbackrest: Path | None
    runs: int
    scale: int
    level: int
    say: Say


@dataclass(kw_only=True)
class Found:
    """The figures of one kind of repository."""

    conditions: list[tuple[str, str]] = field(default_factory=list)
    compared: list[Series] = field(default_factory=list)
    limits: list[Series] = field(default_factory=list)


class Comparison:
    """One run: `in_directory` with both clusters, `in_bucket` with the one like real data."""

    def __init__(self, conditions: Conditions, server: SeaweedFS | None) -> None:
        self._with = conditions
        self._server = server
        self._segments = conditions.base / "segments"
        self.in_directory = Found()
        self.in_bucket = Found()

    def run(self, *, in_directory: bool, in_bucket: bool) -> None:
        """Measure everything that is asked for, one data set after the other."""
        if in_directory:
            self._with_cluster(self._make_pgbench, [self._in_directory])
        works = [self._in_directory] * in_directory + [self._in_bucket] * in_bucket
        if works:
            self._with_cluster(self._make_mixed, works)

    def _with_cluster(
        self, make: Callable[[], Dataset], works: Sequence[Callable[[Dataset], None]]
    ) -> None:
        self._with.say(f"a cluster of scale {self._with.scale} is made")
        data = make()
        with data.cluster:
            for work in works:
                work(data)
        shutil.rmtree(data.cluster.data_dir)

    def _make_pgbench(self) -> Dataset:
        return make_pgbench(self._with.base, self._with.binaries, self._with.scale)

    def _make_mixed(self) -> Dataset:
        return make_mixed(
            self._with.base,
            self._with.binaries,
            self._with.scale,
            segments=SEGMENTS,
            keep=self._segments,
        )

    def _in_directory(self, data: Dataset) -> None:
        site = self._site(data, "directory")
        found = self.in_directory
        found.limits += limits(data, level=site.level, runs=self._with.runs, say=self._with.say)
        self._compare(found, data, site, lambda tool: Directory(site.base / tool), SEGMENTS)

    def _in_bucket(self, data: Dataset) -> None:
        server = self._server
        assert server is not None
        ca_file = Path(server.environ["WALG_S3_CA_CERT_FILE"])
        site = self._site(data, "bucket")
        found = self.in_bucket
        place = partial(Bucket, server, ca_file)
        self._compare(found, data, site, place, SEGMENTS_IN_BUCKET)

    def _compare(
        self,
        found: Found,
        data: Dataset,
        site: Site,
        place: Callable[[str], Place],
        segments: int,
    ) -> None:
        ratio = stored_ratio(data, level=site.level)
        compresses = f", zstd -{site.level} makes it {ratio:.1f} times smaller" if ratio else ""
        found.conditions.append((f"data *{data.name}*", f"{data.size / 1e6:.0f} MB{compresses}"))
        tools: list[Tool] = [Pitr(site, self._with.pitr, place("pitr"))]
        if self._with.pgbackrest is not None:
            tools.append(PgBackRest(site, self._with.pgbackrest, place("pgbackrest")))
        target, runs, say = self._with.base / "restored", self._with.runs, self._with.say
        found.compared += backups_and_restores(data, tools, target, runs=runs, say=say)
        if self._segments.exists():
            paths = sorted(self._segments.iterdir())[:segments]
            found.compared += pushes_and_fetches(data, tools, paths, target, runs=runs, say=say)

    def _site(self, data: Dataset, place: str) -> Site:
        base = self._with.base / f"{data.name}-{place}"
        base.mkdir()
        return Site(cluster=data.cluster, base=base, level=self._with.level)
