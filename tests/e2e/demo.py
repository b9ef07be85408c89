"""The main job on real input: lose a PostgreSQL cluster and bring back the second before.

`make demo` runs it. On a terminal it reads as a story with progress bars; in a pipe it is plain
lines. It ends with 0 only if what came back is what was lost. STORE=s3 archives to an S3 server of
its own instead of a directory, KEEP=1 keeps what it made.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from tests.e2e.demo_stores import STORES, Store
from tests.support.cluster import Cluster
from tests.support.environment import clean_environ, pitr_program
from tests.support.postgres import Binaries, find_binaries

TABLES = ("pgbench_accounts", "pgbench_branches", "pgbench_history", "pgbench_tellers")
SCALE = int(os.environ.get("SCALE", "10"))
LOAD_SECONDS = int(os.environ.get("LOAD_SECONDS", "8"))


@dataclass(frozen=True, kw_only=True)
class Content:
    """A table's rows and a checksum over all of them."""

    rows: int
    checksum: str


class Story:
    """Tells what happens: rules and spinners on a terminal, a line a step elsewhere."""

    def __init__(self) -> None:
        width = None if sys.stdout.isatty() else 120
        self.console = Console(highlight=False, width=width)
        self._began = time.monotonic()
        self._number = 0

    def chapter(self, title: str) -> None:
        """Begin a numbered step."""
        self._number += 1
        seconds = time.monotonic() - self._began
        self.console.print(f"\n[bold cyan]{self._number}. {title}[/] [dim]({seconds:.1f} s)[/]")

    def say(self, text: str) -> None:
        """Tell one fact."""
        self.console.print(f"   {text}", soft_wrap=True)

    def wait(self, text: str, seconds: float) -> None:
        """Let time pass, visibly."""
        if not self.console.is_terminal:
            self.say(text)
            time.sleep(seconds)
            return
        columns = (TextColumn("  "), SpinnerColumn(), TextColumn("{task.description}"))
        with Progress(*columns, TimeElapsedColumn(), console=self.console, transient=True) as bar:
            bar.add_task(text, total=None)
            time.sleep(seconds)
        self.say(text)


class Demo:
    """One run; everything it makes is below `base`."""

    def __init__(self, base: Path, binaries: Binaries, store: Store) -> None:
        self.story = Story()
        self.base = base
        self.binaries = binaries
        self.store = store
        self.restored = base / "restored"

    def run(self) -> bool:
        """Tell the story; return whether everything came back."""
        self.story.console.rule("[bold]pitr: lose a database, and bring it back[/]")
        cluster = self._make_cluster()
        with cluster:
            self._fill(cluster)
            self._back_up_under_load(cluster)
            before = self._note_content(cluster)
            moment = str(cluster.scalar("SELECT now()::timestamptz(0) + '1 second'"))
            time.sleep(2)
            self._disaster(cluster)
        shutil.rmtree(cluster.data_dir)
        self.story.say("the server is killed and its data directory destroyed")
        self._restore(moment)
        verified = self._run("pg_verifybackup", "-n", str(self.restored))
        with Cluster.adopt(self.restored, self.binaries) as server:
            after, checked = self._recover(server)
        return self._prove(before, after, verified=verified, checked=checked)

    def _make_cluster(self) -> Cluster:
        story = self.story
        story.chapter("A fresh cluster, archiving from the start")
        for fact in self.store.facts:
            story.say(fact)
        push = f"{quote(str(pitr_program()))} wal-push %p {self.store.push_options}"
        cluster = Cluster.create(
            self.base / "data",
            self.binaries,
            settings={"archive_mode": "on", "archive_command": push, "max_wal_size": "256MB"},
        )
        story.say(f"PostgreSQL {self.binaries.major} with data checksums in {cluster.data_dir}")
        story.say(f"archive_command = {push}")
        return cluster

    def _fill(self, cluster: Cluster) -> None:
        cluster.pgbench("-i", "-q", "-s", str(SCALE))
        size = cluster.scalar("SELECT pg_size_pretty(sum(pg_database_size(oid))) FROM pg_database")
        self.story.say(f"pgbench fills it at scale {SCALE}: {size}")

    def _back_up_under_load(self, cluster: Cluster) -> None:
        self.story.chapter("A base backup, while the load goes on")
        load = subprocess.Popen(
            [str(self.binaries.program("pgbench")), "-n", "-c", "4", "-T", str(LOAD_SECONDS)],
            env=clean_environ() | cluster.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        with load:
            self._pitr("backup-push", env=cluster.environ)
            self.story.wait("the load goes on after the backup, into the WAL", 1)
            output = load.communicate()[0]
        for line in output.splitlines():
            if line.startswith(("number of transactions actually", "tps")):
                self.story.say(f"pgbench: {line}")
        self._pitr("backup-list")

    def _note_content(self, cluster: Cluster) -> dict[str, Content]:
        self.story.chapter("The state that must come back")
        content = read_content(cluster)
        for name, table in content.items():
            self.story.say(f"{name}: {table.rows} rows, checksum {table.checksum[:16]}")
        return content

    def _disaster(self, cluster: Cluster) -> None:
        self.story.chapter("Disaster")
        lost = cluster.scalar(
            "WITH gone AS (DELETE FROM pgbench_accounts WHERE aid % 3 = 0 RETURNING 1)"
            " SELECT count(*) FROM gone"
        )
        cluster.sql("TRUNCATE pgbench_history")
        at = cluster.scalar("SELECT now()::timestamptz(0)")
        self.story.say(f"{at}: {lost} accounts are deleted, the history is truncated")
        last = cluster.scalar("SELECT pg_walfile_name(pg_switch_wal())")
        cluster.wait_until(f"SELECT last_archived_wal >= '{last}' FROM pg_stat_archiver")
        cluster.kill()

    def _restore(self, moment: str) -> None:
        self.story.chapter(f"Back to {moment}")
        arguments = ["backup-fetch", str(self.restored), "--target-time", moment]
        self._pitr(*arguments, "--target-action", "promote", "--archive-mode-off")

    def _recover(self, server: Cluster) -> tuple[dict[str, Content], bool]:
        server.wait_until("SELECT NOT pg_is_in_recovery()", timeout=90)
        reason = next(line for line in server.log.splitlines() if "recovery stopping" in line)
        self.story.say(f"the server: {reason.partition('LOG:')[2].strip()}")
        server.sql("CREATE EXTENSION IF NOT EXISTS amcheck")
        return read_content(server), self._run("pg_amcheck", "--heapallindexed", server=server)

    def _prove(
        self,
        before: dict[str, Content],
        after: dict[str, Content],
        *,
        verified: bool,
        checked: bool,
    ) -> bool:
        self.story.chapter("Proof")
        table = Table("table", "rows before", "rows after", "checksum before", "checksum after", "")
        for name in TABLES:
            one, two = before[name], after[name]
            mark = "[green]same[/]" if one == two else "[bold red]DIFFERENT[/]"
            sums = (one.checksum[:16], two.checksum[:16])
            table.add_row(name, str(one.rows), str(two.rows), *sums, mark)
        self.story.console.print(table)
        for program, clean in (("pg_verifybackup", verified), ("pg_amcheck", checked)):
            self.story.say(f"{program}: {'[green]clean[/]' if clean else '[bold red]FAILED[/]'}")
        self.story.say(self._held())
        good = before == after and verified and checked
        verdict = "everything came back" if good else "NOT everything came back"
        self.story.console.rule(f"[bold {'green' if good else 'red'}]{verdict}[/]")
        return good

    def _pitr(self, *arguments: str, env: dict[str, str] | None = None) -> None:
        arguments = (*arguments, *self.store.options)
        self.story.say(f"[bold]$ pitr {' '.join(map(quote, arguments))}[/]")
        environ = clean_environ() | dict(self.store.environ) | (env or {})
        sys.stdout.flush()
        subprocess.run([str(pitr_program()), *arguments], env=environ, check=True)

    def _held(self) -> str:
        command = [str(pitr_program()), "st", "ls", "-r", "--json", *self.store.options]
        listing = subprocess.check_output(command, env=clean_environ() | dict(self.store.environ))
        sizes = [each["size"] for each in json.loads(listing)["objects"]]
        return f"{self.store.url} holds {len(sizes)} objects, {sum(sizes) / 1e6:.1f} MB"

    def _run(self, program: str, *arguments: str, server: Cluster | None = None) -> bool:
        environ = clean_environ() | (server.environ if server else {})
        command = [str(self.binaries.program(program)), *arguments]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
        for line in (done.stdout + done.stderr).splitlines() if done.returncode else ():
            self.story.say(f"[red]{line}[/]")
        return done.returncode == 0


def read_content(cluster: Cluster) -> dict[str, Content]:
    """Count and digest every row of the pgbench tables, whatever their order on disk."""
    content = {}
    for name in TABLES:
        rows, checksum = cluster.sql(
            f"SELECT count(*), coalesce(md5(sum(hashtextextended(t::text, 0))::text), '-')"
            f" FROM {name} t"
        )[0]
        content[name] = Content(rows=rows, checksum=checksum)
    return content


def main() -> int:
    """Run the demo in a directory of its own."""
    kind = os.environ.get("STORE", "file")
    if kind not in STORES:
        print(f"there is no STORE={kind}; the stores are {', '.join(STORES)}", file=sys.stderr)
        return 2
    base = Path(tempfile.mkdtemp(prefix="pitr-demo-"))
    try:
        with STORES[kind](base) as store:
            return 0 if Demo(base, find_binaries(), store).run() else 1
    finally:
        if os.environ.get("KEEP"):
            print(f"kept: {base}")
        else:
            shutil.rmtree(base, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
