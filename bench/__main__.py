"""Compare pitr with pgBackRest: `python -m bench --help`; `make bench` provides what it needs."""

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench.clusters import Dataset, make_mixed, make_pgbench
from bench.machine import describe
from bench.programs import UnavailableError, find_pgbackrest, install_pitr
from bench.report import Results, markdown, print_results
from bench.tools import WORKERS, PgBackRest, Pitr, Site, Tool
from bench.works import (
    Series,
    backups_and_restores,
    limits,
    pushes_and_fetches,
    start_up,
    stored_ratio,
)
from tests.support.cache import run
from tests.support.postgres import Binaries, find_binaries

SEGMENTS = 50
START_UPS = 20
NEWEST_MAJOR = 15  # the newest that Debian's pgBackRest 2.45 knows


class Bench:
    """One run; everything it makes is below `base`."""

    def __init__(self, base: Path, arguments: argparse.Namespace) -> None:
        self.base = base
        self.runs: int = arguments.runs
        self.scale: int = arguments.scale
        self.level: int = arguments.level
        self.binaries: Binaries = find_binaries(NEWEST_MAJOR)
        self.peer, self.peer_version = self._find_peer()
        say("pitr is installed")
        self.pitr = install_pitr(base)
        self.compared: list[Series] = []
        self.limits: list[Series] = []
        self.conditions = [
            f"zstd level {self.level}, {WORKERS} workers, {self.runs} alternating runs"
        ]

    def run(self) -> Results:
        """Measure everything, one data set after the other."""
        segments = self.base / "segments"
        makers: list[Callable[[], Dataset]] = [
            lambda: make_pgbench(self.base, self.binaries, self.scale),
            lambda: make_mixed(
                self.base, self.binaries, self.scale, segments=SEGMENTS, keep=segments
            ),
        ]
        for make in makers:
            say(f"a cluster of scale {self.scale} is made")
            data = make()
            with data.cluster:
                self._measure(data, segments)
            shutil.rmtree(data.cluster.data_dir)
        return Results(
            machine=describe(self.binaries, self.peer_version),
            conditions=self.conditions,
            compared=self.compared,
            limits=self.limits,
            start_up=start_up(self._start_ups(), runs=START_UPS),
        )

    def _measure(self, data: Dataset, segments: Path) -> None:
        ratio = stored_ratio(data, level=self.level)
        compresses = f", zstd -{self.level} makes it {ratio:.1f} times smaller" if ratio else ""
        self.conditions.append(f"data *{data.name}*: {data.size / 1e6:.0f} MB{compresses}")
        tools, target = self._tools(data), self.base / "restored"
        self.limits += limits(data, level=self.level, runs=self.runs, say=say)
        self.compared += backups_and_restores(data, tools, target, runs=self.runs, say=say)
        if segments.exists():
            self.compared += pushes_and_fetches(
                data, tools, segments, target, runs=self.runs, say=say
            )

    def _tools(self, data: Dataset) -> list[Tool]:
        base = self.base / f"{data.name}-repositories"
        base.mkdir()
        site = Site(cluster=data.cluster, base=base, level=self.level)
        tools: list[Tool] = [Pitr(site, self.pitr)]
        if self.peer is not None:
            tools.append(PgBackRest(site, self.peer))
        return tools

    def _find_peer(self) -> tuple[Path | None, str]:
        try:
            peer = find_pgbackrest(self.binaries)
        except UnavailableError as error:
            say(f"pgBackRest cannot be had, pitr is measured alone: {error}")
            return None, "could not be had; pitr was measured alone"
        return peer, run([str(peer), "version"]).split()[-1]

    def _start_ups(self) -> dict[str, list[str]]:
        interpreter = str(self.pitr.with_name("python"))
        commands = {
            "python -c pass": [interpreter, "-c", "pass"],
            "pitr wal-push --help": [str(self.pitr), "wal-push", "--help"],
        }
        if self.peer is not None:
            commands["pgbackrest version"] = [str(self.peer), "version"]
        return commands


def say(text: str) -> None:
    """Tell how far it is, on standard error."""
    print(text, file=sys.stderr, flush=True)


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--scale", type=int, default=50, help="size, 15 MB a unit (50)")
    parser.add_argument("--runs", type=int, default=5, help="runs of everything (5)")
    parser.add_argument("--level", type=int, default=3, choices=range(1, 20), help="zstd's (3)")
    default = Path(__file__).with_name("RESULTS.md")
    parser.add_argument("--output", type=Path, default=default, help="bench/RESULTS.md")
    return parser.parse_args(argv)


def main() -> int:
    """Run the benchmark in a directory of its own, and leave nothing but the results."""
    arguments = parse()
    if os.geteuid() == 0:
        say("PostgreSQL refuses to run as root; make bench changes the user")
        return 2
    base = Path(tempfile.mkdtemp(prefix="pitr-bench-"))
    try:
        results = Bench(base, arguments).run()
    finally:
        shutil.rmtree(base, ignore_errors=True)
    print_results(results)
    try:
        arguments.output.write_text(markdown(results))
    except OSError as error:
        say(f"cannot write {arguments.output}: {error.strerror}; the results are printed only")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
