"""Compare pitr with its peers: `python -m bench --help`; `make bench` provides them."""

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from bench import growth, report
from bench.clients import Clients
from bench.comparison import Comparison, Conditions, Found
from bench.fleet import ROUND_TRIP
from bench.fleet_runs import FleetRuns, tool_names
from bench.fleet_tools import PARALLEL
from bench.listings import listings
from bench.machine import describe
from bench.places import Bucket, Directory
from bench.programs import (
    NEWEST_MAJOR,
    PROVISIONERS,
    UnavailableError,
    find_pgbackrest,
    find_provisioners,
    install_pitr,
)
from bench.rendering import renderings
from bench.replay import replays
from bench.report import Section
from bench.start import start_ups
from bench.tools import WORKERS
from bench.waiting import MIXED, PGBENCH, archived_in, shell_calls
from tests.support.cache import run
from tests.support.certificates import make_certificate
from tests.support.postgres import Binaries, find_binaries
from tests.support.rig.client import Rig, rig_available
from tests.support.seaweed import SeaweedFS, seaweed

PEER, SDK = "pgBackRest", "boto3"
DIRECTORY, BUCKET, STORE, START = ("tools", "tools-s3", "store", "start-up")
ARCHIVE, ARCHIVE_S3, REPLAY = ("archive", "archive-s3", "replay")
PROVISION, RENDER, GROWTH = ("provision", "render", "growth")
PARTS = (
    *(DIRECTORY, BUCKET, STORE, START, ARCHIVE, ARCHIVE_S3, REPLAY),
    *(PROVISION, RENDER, GROWTH),
)
RESULTS = Path(__file__).with_name("RESULTS.md")
EXPLANATIONS = {
    DIRECTORY: "Every run has two workers, page checksums, durable writes and a warm page cache; "
    "backups\ninclude the proof that archiving works, and the checkpoint at their start is "
    "immediate.",
    BUCKET: "As above, on a SeaweedFS of this machine that is reached by TLS, with its data on the "
    "same disk\nand its work on the same processors.",
    STORE: "Each client in a process of its own, which is measured without its start: the store of "
    "pitr with\nits default settings, boto3 with its default TransferConfig. The last column is "
    "the peak beyond\nwhat the process held before the work; the bound is (workers + 4) x 20 MiB.",
    ARCHIVE: "A real server calls each archiver; the segments wait and are released, or one comes "
    "alone after a\nsecond of quiet. Every archiver has an empty repository and its default number "
    "of workers,\nbut pgBackRest's asynchronous one, which has two. The ratio is pitr with "
    "push-ahead to each;\n*worker* is the peak resident size of what `pitr wal-push` leaves "
    "behind.",
    ARCHIVE_S3: "As above, on a SeaweedFS of this machine that is reached by TLS.",
    REPLAY: "The server's own time of replay, from the first record to the last. The bucket is "
    "behind a proxy that\nholds each answer back for 20 ms. The ratio is `cp` to each;\n"
    "*worker* is the peak resident size of what `pitr wal-fetch` leaves behind.",
    GROWTH: "pitr alone, two workers, in a directory of this machine. A unit is a GiB of data,\n"
    "1,000 relations, or a call; flat figures down a column are what is wanted.",
    START: "Whole processes, but for the imports: those are as the interpreter counts them. S3 is "
    "a SeaweedFS\nof this machine, reached by TLS; what is pushed is a segment of 16 MiB that "
    "compresses threefold.",
    PROVISION: "Hosts of this machine with a root, a network and an sshd of their own, behind a "
    "proxy that delays\nevery byte; their work is done by the same processors, and is not in the "
    "column *processor*. All\ntools bring the same files with the same owners and modes, to hosts "
    "that are new for each of them;\nAnsible with pipelining and persistent connections, pyinfra "
    "with --yes. Only provision checks its\nscripts before and looks again afterwards.",
    RENDER: "Whole processes; the project is that of roles/, cluster by cluster.",
}


class Bench:
    """One run; everything it makes is below `base`."""

    def __init__(self, base: Path, arguments: argparse.Namespace) -> None:
        self.base = base
        self.arguments = arguments
        self.binaries: Binaries = find_binaries(NEWEST_MAJOR)
        self.peer, self.peer_version = self._find_peer()
        say("pitr is installed")
        self.pitr = install_pitr(base)

    def run(self, parts: list[str]) -> Iterator[Section]:
        """Measure the parts, one after the other."""
        with ExitStack() as servers:
            if {DIRECTORY, BUCKET} & {*parts}:
                server = servers.enter_context(self._server("tools")) if BUCKET in parts else None
                yield from self._tools(server, parts)
        if STORE in parts:
            yield self._store()
        if START in parts:
            yield self._start()
        if ARCHIVE in parts:
            yield self._archive()
        if ARCHIVE_S3 in parts:
            yield self._archive_s3()
        if REPLAY in parts:
            yield self._replay()
        if PROVISION in parts:
            yield from self._provision()
        if RENDER in parts:
            yield self._render()
        if GROWTH in parts:
            yield self._growth()

    def _tools(self, server: SeaweedFS | None, parts: list[str]) -> Iterator[Section]:
        comparison = Comparison(self._conditions(), server)
        comparison.run(in_directory=DIRECTORY in parts, in_bucket=BUCKET in parts)
        if DIRECTORY in parts:
            yield self._tool_section(DIRECTORY, "a directory", comparison.in_directory)
        if BUCKET in parts:
            yield self._tool_section(BUCKET, "an S3 bucket", comparison.in_bucket)

    def _conditions(self) -> Conditions:
        return Conditions(
            base=self.base,
            binaries=self.binaries,
            pitr=self.pitr,
            pgbackrest=self.peer,
            runs=self.arguments.runs,
            scale=self.arguments.scale,
            level=self.arguments.level,
            say=say,
        )

    def _archive(self) -> Section:
        conditions, count = self._conditions(), self.arguments.segments
        found = [
            series
            for data in (PGBENCH, MIXED)
            for series in archived_in(
                conditions,
                data,
                "directory",
                lambda name, data=data: Directory(self.base / f"{data}-{name}"),  # type: ignore[misc]
                count,
            )
        ]
        tables = [report.beside_all(found), report.calls(shell_calls(conditions))]
        return self._section("Archiving by a server, into a directory", ARCHIVE, [], tables)

    def _archive_s3(self) -> Section:
        with self._server(ARCHIVE_S3) as server:
            place = partial(Bucket, server, Path(server.environ["WALG_S3_CA_CERT_FILE"]))
            found = archived_in(self._conditions(), PGBENCH, "S3", place, self.arguments.segments)
        return self._section(
            "Archiving by a server, into an S3 bucket", ARCHIVE_S3, [], [report.beside_all(found)]
        )

    def _replay(self) -> Section:
        directory = self.base / "server-replay"
        with seaweed(directory) as server:
            found = replays(
                self.base,
                self.binaries,
                self.pitr,
                server,
                count=self.arguments.segments,
                runs=self.arguments.runs,
                say=say,
            )
        shutil.rmtree(directory)
        return self._section("Replaying", REPLAY, [], [report.beside_all([found])])

    def _tool_section(self, part: str, place: str, found: Found) -> Section:
        tables = [report.compared(found.compared, PEER, "largest process", "all")]
        if found.limits:
            tables.append(report.limits(found.limits))
        setting = ("zstd level, workers", f"{self.arguments.level}, {WORKERS}")
        conditions = [setting, *found.conditions]
        return self._section(f"Beside pgBackRest, in {place}", part, conditions, tables)

    def _store(self) -> Section:
        with self._server(STORE) as server:
            clients = Clients(server, self.base, runs=self.arguments.runs, say=say)
            found = [*clients.large(), *clients.small()]
        tables = [report.compared(found, SDK, "memory", "beyond the start")]
        return self._section("The S3 store beside boto3", STORE, [], tables)

    def _start(self) -> Section:
        with self._server(START) as server:
            found = start_ups(self.base, self.pitr, self.peer, server)
        return self._section("Start-up", START, [], [report.start_ups(found)])

    def _provision(self) -> Iterator[Section]:
        if not rig_available():
            say("hosts need root: provisioning is not measured")
            return
        try:
            peers = find_provisioners()
        except UnavailableError as error:
            say(f"Ansible and pyinfra cannot be had, provision is measured alone: {error}")
            peers = None
        base = self.base / PROVISION
        base.mkdir(mode=0o755)
        with Rig(base) as rig:
            runs = FleetRuns(rig, self.pitr.with_name("provision"), peers, base)
            found, files = runs.run(self.arguments.hosts, runs=self.arguments.runs, say=say)
        conditions = [
            ("hosts, files each", f"{self.arguments.hosts}, {files}"),
            ("round trip", f"{ROUND_TRIP * 1000:.0f} ms"),
            ("hosts at once", str(PARALLEL)),
            ("others", ", ".join(PROVISIONERS) if peers else "could not be had"),
        ]
        tables = [report.several(found, tool_names(found))]
        yield self._section("Provisioning a fleet", PROVISION, conditions, tables)

    def _render(self) -> Section:
        base = self.base / RENDER
        base.mkdir()
        program = self.pitr.with_name("provision")
        found = renderings(program, base, runs=self.arguments.runs, say=say)
        return self._section("Rendering a fleet", RENDER, [], [report.alone(found)])

    def _growth(self) -> Section:
        arguments = self.arguments
        conditions = growth.Conditions(
            base=self.base,
            binaries=self.binaries,
            pitr=self.pitr,
            runs=arguments.runs,
            level=arguments.level,
            sizes=arguments.sizes,
            relations=arguments.relations,
            say=say,
        )
        found = [listings(conditions), *growth.growth(conditions)]
        return self._section("Growth", GROWTH, [], [report.growth(found)])

    def _section(
        self,
        title: str,
        part: str,
        conditions: Sequence[tuple[str, str]],
        tables: list[report.Figures],
    ) -> Section:
        facts = [
            *describe(self.binaries, self.peer_version),
            ("alternating runs", str(self.arguments.runs)),
            *conditions,
        ]
        return Section(title=title, facts=facts, explanation=EXPLANATIONS[part], tables=tables)

    @contextmanager
    def _server(self, name: str) -> Iterator[SeaweedFS]:
        """A server for one part, whose data go when the part ends."""
        directory = self.base / f"server-{name}"
        with seaweed(directory, tls=make_certificate(directory / "certificates")) as server:
            yield server
        shutil.rmtree(directory)

    def _find_peer(self) -> tuple[Path | None, str]:
        try:
            peer = find_pgbackrest(self.binaries)
        except UnavailableError as error:
            say(f"pgBackRest cannot be had, pitr is measured alone: {error}")
            return None, "could not be had; pitr was measured alone"
        return peer, run([str(peer), "version"]).split()[-1]


def say(text: str) -> None:
    """Tell how far it is, on standard error."""
    print(text, file=sys.stderr, flush=True)


def numbers(text: str) -> list[float]:
    """Numbers that are separated by commas; none for an empty text."""
    return [float(word) for word in text.split(",") if word]


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", choices=PARTS, action="append", help="only this part, repeatable")
    parser.add_argument("--scale", type=int, default=50, help="size, 15 MB a unit (50)")
    parser.add_argument("--segments", type=int, default=200, help="to archive and replay (200)")
    parser.add_argument("--runs", type=int, default=5, help="runs of everything (5)")
    parser.add_argument("--hosts", type=int, default=20, help="of the fleet (20)")
    parser.add_argument("--level", type=int, default=3, choices=range(1, 20), help="zstd's (3)")
    parser.add_argument("--sizes", type=numbers, default=[1, 4, 16], help="of growth, GiB (1,4,16)")
    parser.add_argument(
        "--relations", type=numbers, default=[1, 10, 100], help="of growth, thousands (1,10,100)"
    )
    parser.add_argument("--output", type=Path, default=RESULTS, help="bench/RESULTS.md")
    return parser.parse_args(argv)


def main() -> int:
    """Run the benchmark in a directory of its own, and leave nothing but the results."""
    arguments = parse()
    if os.geteuid() == 0:
        say("PostgreSQL refuses to run as root; make bench changes the user")
        return 2
    base = Path(tempfile.mkdtemp(prefix="pitr-bench-"))
    try:
        sections = list(Bench(base, arguments).run(arguments.only or list(PARTS)))
    finally:
        shutil.rmtree(base, ignore_errors=True)
    text = report.document(sections, RESULTS.read_text() if RESULTS.exists() else "")
    if sys.stdout.isatty():
        report.print_sections(sections)
    else:
        print(text, end="")
    try:
        arguments.output.write_text(text)
    except OSError as error:
        say(f"cannot write {arguments.output}: {error.strerror}; the results are printed only")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
