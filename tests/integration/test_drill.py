"""A drill proves a recovery on a real server, or says in which phase it could not."""

import json
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.cluster import Cluster
from tests.support.commands import complaint, finished, read_until, started
from tests.support.segments import stored_files
from tests.support.site import Site, archive_everything

PREPARE, PLAN, RESTORE, ARCHIVE, START, REPLAY, CHECKS = 20, 21, 22, 24, 25, 26, 28
LEFT = ["data", "pg_hba.conf", "pg_ident.conf", "postgresql.conf", "sockets", "tablespaces"]
PHASES = ["prepare", "plan", "restore", "verify", "archive", "start", "replay", "amcheck", "checks"]


@dataclass(frozen=True, kw_only=True)
class Story:
    """A cluster that archives and stands still, and what its repository holds."""

    cluster: Cluster
    repository: Path
    oldest: str
    first_segment: str
    last_segment: str
    day: str


@pytest.fixture(scope="module")
def story(module_site: Site) -> Story:
    """Two backups with WAL between and after them; the table grows, and settings would do harm."""
    space = module_site.base / "space"
    space.mkdir()
    cluster = module_site.cluster(settings={"max_connections": 37})
    cluster.sql(f"CREATE TABLESPACE space LOCATION '{space}'")
    cluster.sql("CREATE TABLE t AS SELECT n, clock_timestamp() AS at FROM generate_series(1, 9) n")
    cluster.sql("CREATE TABLE far TABLESPACE space AS SELECT n FROM generate_series(1, 5) n")
    cluster.sql(f"ALTER SYSTEM SET archive_cleanup_command = 'touch {module_site.base}/harm'")
    cluster.sql(f"ALTER SYSTEM SET recovery_end_command = 'touch {module_site.base}/harm'")
    cluster.sql("ALTER SYSTEM SET primary_conninfo = 'host=127.0.0.1'")
    cluster.sql("ALTER SYSTEM SET listen_addresses = '127.0.0.1'")
    oldest = module_site.backup(cluster)
    cluster.sql("INSERT INTO t VALUES (10, clock_timestamp())")
    first = archive_everything(cluster)
    day = str(cluster.scalar("SELECT clock_timestamp()"))
    module_site.backup(cluster)
    # more than the server reads ahead, so that it is consistent before it comes to the last segment
    cluster.sql("CREATE TABLE u AS SELECT repeat(md5(n::text), 20) FROM generate_series(1, 5000) n")
    cluster.sql("INSERT INTO t VALUES (11, clock_timestamp())")
    archive_everything(cluster)
    cluster.sql("INSERT INTO t VALUES (12, clock_timestamp())")
    last = archive_everything(cluster)
    return Story(
        cluster=cluster,
        repository=module_site.repository,
        oldest=oldest,
        first_segment=first,
        last_segment=last,
        day=day,
    )


@pytest.fixture
def own(site: Site, story: Story) -> Site:
    """A copy of the repository, to be damaged and written to."""
    shutil.rmtree(site.repository)
    shutil.copytree(story.repository, site.repository)
    return site


def words(site: Site, story: Story, *options: str) -> list[str]:
    """The command line of a drill as the tests run it: to the end of what is archived."""
    bin_directory = str(story.cluster.binaries.bindir)
    common = ["drill", "run", str(site.base / "scratch"), "--bin-directory", bin_directory]
    until = [] if "--until" in options else ["--until", "end"]
    return [*common, *until, *options]


def drill(
    site: Site, story: Story, *options: str, code: int = 0, env: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Drill; return the record that it prints, which is the one that it stored."""
    done = site.run(*words(site, story, *options, "--json"), check=False, env=env)
    assert done.returncode == code, done.stdout + done.stderr
    record: dict[str, Any] = json.loads(done.stdout)
    shown = json.loads(site.run("drill", "show", "latest", "--json").stdout)
    assert {**record, "signature": ""} == {**shown, "signature": ""}
    assert record["succeeded"] == (code == 0)
    assert left(site) == []
    return record


def left(site: Site) -> list[str]:
    """What a drill left in its directory, besides its mark, its lock and its log."""
    scratch = site.base / "scratch"
    if not scratch.exists():
        return []
    kept = {".pitr-drill", ".lock", "server.log"}
    return sorted({path.name for path in scratch.iterdir()} - kept)


def states(record: dict[str, Any]) -> dict[str, str]:
    """The phases and how each ended."""
    return {phase["name"]: phase["state"] for phase in record["phases"]}


def asking(site: Site, **checks: tuple[str, str]) -> str:
    """A file with these checks: name=(query, rest of the table)."""
    path = site.base / "checks.toml"
    path.write_text(
        "".join(
            f'[[check]]\nname = "{name}"\nquery = "{query}"\n{rest}\n'
            for name, (query, rest) in checks.items()
        )
    )
    return str(path)


def test_a_recovery_is_proved_and_measured(own: Site, story: Story) -> None:
    """Restored, verified, replayed, checked and asked; nothing but the record is left."""
    before = stored_files(own.repository)
    checks = asking(
        own,
        rows=("select count(*) from t", "at_least = 12"),
        fresh=("select max(at) from t", "max_age = 3600"),
        far=("select sum(n) = 15 from far", ""),
    )
    record = drill(own, story, "--checks", checks)
    assert states(record) == {
        **dict.fromkeys(PHASES, "passed"), "archive": "skipped", "cleanup": "passed"
    }  # fmt: skip
    took = {phase["name"]: phase["seconds"] for phase in record["phases"]}
    parts = sum(took[name] for name in ("plan", "restore", "start", "replay"))
    assert record["recovery_seconds"] == pytest.approx(parts, abs=0.01)
    assert 0 <= record["data_lost_seconds"] < 3600
    assert record["backup"] == own.backups()[-1]
    assert record["last_transaction"] > story.day.replace(" ", "T")
    assert [check["passed"] for check in record["checks"]] == [True, True, True]
    names = [name for name in stored_files(own.repository) if name not in before]
    assert names == [f"pitr/drills/{record['name']}.json"]


def test_the_server_of_a_drill_keeps_to_itself(own: Site, story: Story) -> None:
    """Whatever ALTER SYSTEM set on the primary, and whatever libpq's environment says."""
    wanted = {
        "archive_mode": "off",
        "listen_addresses": "",
        "primary_conninfo": "",
        "archive_cleanup_command": "",
        "recovery_end_command": "",
        "shared_preload_libraries": "",
        "max_logical_replication_workers": "0",
        "unix_socket_permissions": "0700",
        "max_connections": "37",
    }
    checks = {
        name: (f"select setting from pg_settings where name = '{name}'", f'expect = "{value}"')
        for name, value in wanted.items()
    }
    fetches = "select setting like '% wal-fetch %' from pg_settings where name = 'restore_command'"
    env = story.cluster.environ | {"PGHOSTADDR": "127.0.0.1", "PGOPTIONS": "-c search_path=no"}
    questions = asking(own, **checks, fetches=(fetches, ""))
    record = drill(own, story, "--no-amcheck", "--checks", questions, env=env)
    assert len(record["checks"]) == len(wanted) + 1
    assert not (story.repository.parent / "harm").exists()


@pytest.mark.parametrize(
    "option", ["archive_mode=on", "restore_command=x", "Primary_Conninfo=x", "include=x"]
)
def test_the_isolation_is_not_to_be_undone(own: Site, story: Story, option: str) -> None:
    """A setting that would is refused before anything happens."""
    assert drill(own, story, "--setting", option, code=PREPARE)["failed_phase"] == "prepare"


def test_wal_from_after_the_drills_start_is_waited_for(own: Site, story: Story) -> None:
    """So the drill proves that archiving works now; the wait is not a part of the recovery."""
    site = replace(own, repository=story.repository)
    arguments = words(
        site, story, "--until", "start", "--backup", "latest", "--no-record", "--json"
    )
    with started(site, *arguments) as process:
        read_until(process, "drill: archive")
        story.cluster.sql("CREATE TABLE later AS SELECT clock_timestamp() AS at")
        archive_everything(story.cluster)
        done = finished(process)
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["last_transaction"] > record["started"]
    assert states(record)["archive"] == "passed"
    assert not list((story.repository / "pitr").glob("drills/*"))


def test_an_archive_that_stands_still_fails_the_drill(own: Site, story: Story) -> None:
    """It may be broken; after --wait it counts as that."""
    record = drill(own, story, "--until", "start", "--wait", "1s", code=ARCHIVE)
    assert record["failed_phase"] == "archive"
    assert "no WAL was archived in the 1 s" in record["error"]


def test_missing_wal_is_found_by_the_plan(own: Site, story: Story) -> None:
    """The oldest backup needs a segment that the newest does not."""
    for segment in (own.repository / "wal_005").glob(f"{story.first_segment}*"):
        segment.unlink()
    record = drill(own, story, "--backup", "oldest", "--until", "end", code=PLAN)
    assert story.first_segment in record["error"]
    assert (record["failed_phase"], record["recovery_seconds"]) == ("plan", None)


def test_damaged_wal_ends_the_replay(own: Site, story: Story) -> None:
    """The server stops there and does not promote; the drill says why."""
    [segment] = (own.repository / "wal_005").glob(f"{story.last_segment}*")
    segment.write_bytes(segment.read_bytes()[:-50])
    record = drill(own, story, code=REPLAY)
    assert story.last_segment in record["error"]


def test_a_damaged_backup_is_not_restored(own: Site, story: Story) -> None:
    """A byte of one partition is enough."""
    part = own.repository / f"basebackups_005/{own.backups()[-1]}/tar_partitions/part_001.tar.zst"
    data = bytearray(part.read_bytes())
    data[len(data) // 2] ^= 0x10
    part.write_bytes(data)
    record = drill(own, story, code=RESTORE)
    assert record["failed_phase"] == "restore"


def test_a_check_that_does_not_hold_fails_the_drill(own: Site, story: Story) -> None:
    """Each that fails is named with the answer, which the record leaves out."""
    checks = asking(
        own,
        rows=("select count(*) + 1000 from t", "at_least = 9999"),
        good=("select true", ""),
        gone=("select 1 from nowhere", ""),
        old=("select '2001-02-03 04:05:06+00'::timestamptz", "max_age = 60"),
    )
    arguments = words(own, story, "--no-amcheck", "--checks", checks)
    done = own.run(*arguments, check=False)
    assert done.returncode == CHECKS
    said = complaint(done)
    assert "3 of 4 checks do not hold: rows: the answer is 1012, and is to be 9999" in said
    assert 'gone: the server refuses: relation "nowhere" does not exist' in said
    record = json.loads(own.run("drill", "show", "latest", "--json").stdout)
    assert record["error"] == "these checks do not hold: rows, gone, old"
    assert [check["passed"] for check in record["checks"]] == [False, True, False, False]


def test_a_server_that_does_not_start_fails_the_drill(own: Site, story: Story) -> None:
    """With its own words, and its log stays."""
    options = ("--setting", "shared_preload_libraries=absent")
    record = drill(own, story, *options, code=START)
    assert "absent" in record["error"]
    assert "absent" in (own.base / "scratch" / "server.log").read_text()


def test_a_full_disk_fails_the_drill(own: Site, story: Story) -> None:
    """The limit on file sizes strikes in mid-restore, as a full disk does; all is removed."""
    limited = ("sh", "-c", 'ulimit -f 64; exec "$@"', "sh")
    with started(own, *words(own, story), under=limited) as process:
        done = finished(process)
    assert done.returncode == RESTORE
    assert "file too large" in complaint(done).lower()
    assert left(own) == []


def test_a_span_after_the_oldest_backup_is_replayed(own: Site, story: Story) -> None:
    """Up to the next backup's start, as that began after it; not to the end."""
    options = ("--backup", "oldest", "--until", "+1ms", "--no-amcheck")
    record = drill(
        own, story, *options, "--checks", asking(own, rows=("select count(*) = 10 from t", ""))
    )
    assert record["backup"] == story.oldest
    assert record["until"] == "+0.001s"


def test_a_span_beyond_the_archive_ends_with_it(own: Site, story: Story) -> None:
    """The oldest backup's default is a day, and the story is seconds old."""
    options = ("--backup", "oldest", "--until", "+1d", "--no-amcheck")
    drill(own, story, *options, "--checks", asking(own, rows=("select count(*) = 12 from t", "")))


def test_a_moment_is_recovered_to(own: Site, story: Story) -> None:
    """From the newest backup that ended before it."""
    options = ("--until", story.day, "--no-amcheck")
    record = drill(
        own, story, *options, "--checks", asking(own, rows=("select count(*) = 10 from t", ""))
    )
    assert record["backup"] == story.oldest
    assert record["data_lost_seconds"] is None


def test_an_interrupted_drill_removes_everything_and_is_on_record(own: Site, story: Story) -> None:
    """Ctrl-C while it waits for WAL."""
    with started(own, *words(own, story, "--until", "start")) as process:
        read_until(process, "drill: archive")
        process.terminate()
        done = finished(process)
    assert done.returncode == 143
    assert left(own) == []
    record = json.loads(own.run("drill", "show", "latest", "--json").stdout)
    assert (record["failed_phase"], record["error"]) == ("archive", "interrupted")


def test_a_killed_drill_takes_its_server_with_it(own: Site, story: Story) -> None:
    """And the next one removes what it left."""
    checks = asking(own, slow=("select pg_sleep(600) is null", ""))
    with started(own, *words(own, story, "--no-amcheck", "--checks", checks)) as process:
        read_until(process, "drill: checks")
        pid = (own.base / "scratch/data/postmaster.pid").read_text().split()[0]
        process.kill()
        finished(process)
    deadline = time.monotonic() + 60
    while Path(f"/proc/{pid}/cwd").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert left(own) == LEFT
    done = own.run(*words(own, story, "--no-amcheck"))
    assert "an earlier drill left its files here" in done.stderr
    assert left(own) == []


def test_only_one_drill_uses_a_directory(own: Site, story: Story) -> None:
    """The second one touches nothing of the first."""
    with started(own, *words(own, story, "--until", "start")) as process:
        read_until(process, "drill: archive")
        done = own.run(*words(own, story), check=False)
        assert done.returncode == PREPARE
        assert "a drill runs in" in complaint(done)
        assert (own.base / "scratch" / "data" / "global" / "pg_control").exists()
        process.terminate()
        finished(process)


def test_a_directory_of_somebody_else_is_left_alone(own: Site, story: Story) -> None:
    """A mistyped path costs nobody a data directory."""
    scratch = own.base / "scratch"
    scratch.mkdir()
    (scratch / "precious").write_text("kept")
    done = own.run(*words(own, story), check=False)
    assert done.returncode == PREPARE
    assert "holds something that is no drill's: precious" in complaint(done)
    assert [path.name for path in scratch.iterdir()] == ["precious"]


def test_a_kept_drill_can_be_looked_at(own: Site, story: Story) -> None:
    """The server is stopped, and the command that starts it again is told."""
    done = own.run(*words(own, story, "--no-amcheck", "--keep"))
    assert "start the server with: " in done.stderr
    assert left(own) == LEFT
    assert "-c archive_mode=off" in done.stderr


def test_a_signed_record_is_proved_by_its_public_key(own: Site, story: Story) -> None:
    """By pitr and by openssl; a changed record is told."""
    secret, public = own.base / "secret.pem", own.base / "public.pem"
    openssl("genpkey", "-algorithm", "ed25519", "-out", secret)
    openssl("pkey", "-in", secret, "-pubout", "-out", public)
    secret.chmod(0o600)
    env = {"PITR_DRILL_SIGNING_KEY_FILE": str(secret)}
    record = drill(own, story, "--no-amcheck", env=env)
    file = own.repository / f"pitr/drills/{record['name']}.json"
    verify = ("pkeyutl", "-verify", "-pubin", "-inkey", public, "-rawin", "-in", file)
    openssl(*verify, "-sigfile", file.with_suffix(".sig"))
    reader = {"PITR_DRILL_PUBLIC_KEY_FILE": str(public)}

    def signature(env: Mapping[str, str]) -> str:
        listed = json.loads(own.run("drill", "list", "--json", env=env).stdout)["drills"]
        return str(listed[-1]["signature"])

    assert (signature({}), signature(reader), signature(env)) == ("unchecked", "good", "good")
    file.write_text(file.read_text().replace('"succeeded": true', '"succeeded": false'))
    assert signature(reader) == "wrong"


def openssl(*arguments: str | Path) -> None:
    """Run openssl."""
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
