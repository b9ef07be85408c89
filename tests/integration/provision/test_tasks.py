"""The runbook's tasks on real hosts, through `fab`: they do what they say, and refuse the rest."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.support.environment import clean_environ
from tests.support.rig.client import Host, Rig
from tests.support.rig.protocol import Share

ROOT = Path(__file__).parents[3]
DATA = "/var/lib/postgresql/15/main"
ROLES = {"db1": "primary", "db3": "archive_replica", "db4": "delayed_replica"}
SECONDS = 30


class Fleet:
    """Hosts with these roles by name, and the project that describes them."""

    def __init__(self, rig: Rig, directory: Path, roles: Mapping[str, str]) -> None:
        self.roles = roles
        self.directory = directory / "project"
        self.repository = directory / "repository"
        self.repository.mkdir()
        self.repository.chmod(0o777)
        shutil.copytree(ROOT / "roles", self.directory / "roles")
        shutil.copy(ROOT / "fabfile.py", self.directory)
        share = Share(source=str(self.repository), target="/srv/backup/pitr", writable=True)
        self.hosts = dict(zip(roles, rig.start_all(roles, shares=[share]), strict=True))
        self._identity = str(rig.identity)
        self.describe({})

    def describe(self, host_keys: dict[str, str]) -> None:
        """Write the inventory, with other host keys than the real ones where they are given."""
        lines = ["defaults: {user: admin}", "hosts:"]
        for name, host in self.hosts.items():
            key = host_keys.get(name, host.host_keys[0])
            lines += [f"  {name}:", f'    address: "{host.address}"', f"    host_key: {key}"]
            lines += ["    cluster: main", f'    run_list: ["role[{self.roles[name]}]"]']
        (self.directory / "roles/inventory.yml").write_text("\n".join([*lines, ""]))

    def run(self, *words: str, typed: str = "") -> subprocess.CompletedProcess[str]:
        """Run a program of ours in the project."""
        return subprocess.run(
            words,
            input=typed,
            cwd=self.directory,
            env=clean_environ() | {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=False,
        )

    def fab(self, *words: str, typed: str = "", code: int = 0) -> str:
        """Run `fab`, which ends with `code`; return what it said."""
        done = self.run(sys.executable, "-m", "fabric", "-i", self._identity, *words, typed=typed)
        assert done.returncode == code, (
            f"fab {words}: {done.returncode}\n{done.stdout}{done.stderr}"
        )
        return done.stdout + done.stderr

    def provision(self, *words: str, code: int = 0) -> str:
        """Run `provision`, which ends with `code`; return what it printed."""
        program = (sys.executable, "-c", "from provision.cli.main import main; exit(main())")
        done = self.run(*program, *words, "--identity", self._identity)
        assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def sql(self, host: str, query: str) -> str:
        """Ask a host's server."""
        return self.hosts[host].sh(f'psql -XAtqc "{query}"', user="postgres")

    def until(self, host: str, query: str) -> None:
        """Wait until a host's server answers t."""
        deadline = time.monotonic() + SECONDS
        command = f'psql -XAtqc "{query}"'
        while self.hosts[host].run(command, user="postgres").stdout.strip() != "t":
            assert time.monotonic() < deadline, query
            time.sleep(0.1)

    def archived(self) -> str:
        """Archive all that the primary has written; return the name of the segment."""
        name = self.sql("db1", "select pg_walfile_name(pg_current_wal_lsn())")
        self.sql("db1", "select pg_switch_wal()")
        self.until("db1", f"select last_archived_wal >= '{name}' from pg_stat_archiver")
        return name


@pytest.fixture(scope="module")
def fleet(rig: Rig, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """The sample roles, applied; a base backup; both replicas restored and started by tasks."""
    with rig.part() as part:
        fleet = Fleet(part, tmp_path_factory.mktemp("fleet"), ROLES)
        fleet.hosts["db1"].postgres()
        for name in ("db3", "db4"):
            fleet.hosts[name].sh(f"pg_createcluster 15 main && rm -rf {DATA}")
        fleet.provision("apply", "--yes", "--allow-restart", "db1")
        fleet.fab("backup", "db1")
        for name in ("db3", "db4"):
            fleet.fab("restore", name, "--start", typed=f"{name}\n")
            fleet.until(name, "select pg_is_in_recovery()")
        yield fleet


def test_the_list_of_tasks_is_the_runbook(fleet: Fleet) -> None:
    """Each with what it is for."""
    listed = fleet.fab("--list").splitlines()
    names = [line.split()[0] for line in listed if line.startswith("  ")]
    assert names == [
        "backup",
        "backup-list",
        "check",
        "drill",
        "drill-all",
        "pause-replay",
        "promote-delayed",
        "restore",
        "resume-replay",
    ]


def test_a_restored_replica_is_what_the_roles_describe(fleet: Fleet) -> None:
    """Nothing is left to apply, and it follows the archive."""
    assert "no changes on 3 hosts" in fleet.provision("plan")
    fleet.sql("db1", "create table followed as select 1 as n")
    fleet.archived()
    fleet.until("db3", "select to_regclass('followed') is not null")


def test_check_says_of_each_host_whether_it_is_well(fleet: Fleet) -> None:
    """A server that is stopped is found, and makes the exit code."""
    assert "3 hosts, all well" in fleet.fab("check")
    fleet.hosts["db3"].sh("pg_ctlcluster 15 main stop")
    try:
        said = fleet.fab("check", code=1)
    finally:
        fleet.hosts["db3"].sh("pg_ctlcluster 15 main start")
    assert "problem  the server is not running" in said
    assert "3 hosts, 1 with problems" in said


def test_a_host_key_that_is_not_the_pinned_one_is_refused(fleet: Fleet) -> None:
    """The tasks do not use fab's own connections, which take any key."""
    fleet.describe({"db1": fleet.hosts["db3"].host_keys[0]})
    try:
        assert "but its known key is" in fleet.fab("backup-list", "db1", code=4)
        assert "but its known key is" in fleet.fab("check", "--host", "db1", code=4)
    finally:
        fleet.describe({})
    address = fleet.hosts["db1"].address
    assert "not named by -H" in fleet.fab("-H", address, "backup-list", "db1", code=1)


def test_a_backup_is_taken_where_the_roles_take_them(fleet: Fleet) -> None:
    """It is in the list at once; on another host it is refused."""
    before = fleet.fab("backup-list", "db1").count("base_")
    assert "backup complete" in fleet.fab("backup", "db1")
    assert fleet.fab("backup-list", "db3").count("base_") == before + 1
    assert "takes no base backups" in fleet.fab("backup", "db3", code=3)
    assert "there is no host db9" in fleet.fab("backup", "db9", code=1)


def test_a_backup_that_runs_is_not_joined_by_another(fleet: Fleet) -> None:
    """The schedule's lock is the task's."""
    lock = "/var/lib/pitr/base-backup.lock"
    fleet.hosts["db1"].sh(f"(exec 9>{lock}; flock 9; exec sleep 600 9<&9) >/dev/null 2>&1 &")
    try:
        assert "a base backup runs already" in fleet.fab("backup", "db1", code=1)
    finally:
        fleet.hosts["db1"].sh("pkill -fx 'sleep 600'")


def test_a_running_primary_is_not_restored_over(fleet: Fleet) -> None:
    """Whatever is typed."""
    said = fleet.fab("restore", "db1", typed="db1\n", code=3)
    assert "db1 (base, primary) runs a primary: nothing is restored over it" in said


@pytest.mark.parametrize("typed", ["", "yes\n", "db4\n"])
def test_a_restore_wants_the_hosts_own_name(fleet: Fleet, typed: str) -> None:
    """The plan is shown, and nothing has changed."""
    before = fleet.hosts["db3"].sh(f"stat -c %i {DATA} && cat {DATA}/postmaster.pid")
    said = fleet.fab("restore", "db3", typed=typed, code=3)
    assert "stop the server: pg_ctlcluster 15 main stop" in said
    assert "MiB needed" in said
    assert "not confirmed; nothing was changed" in said
    assert fleet.hosts["db3"].sh(f"stat -c %i {DATA} && cat {DATA}/postmaster.pid") == before


def test_a_restore_that_fails_leaves_the_server_running(fleet: Fleet) -> None:
    """A damaged backup is found while it is restored beside the data directory that is used."""
    host = fleet.hosts["db3"]
    part = host.sh(
        "ls /srv/backup/pitr/basebackups_005/base_*/tar_partitions/part_001.* | tail -n 1"
    )
    before = host.sh(f"cat {DATA}/postmaster.pid")
    host.sh(f"cp -p {part} /root/whole")
    place = f"$(($(stat -c %s {part}) - 50000))"
    host.sh(f"printf damaged | dd of={part} conv=notrunc bs=1 seek={place} status=none")
    try:
        said = fleet.fab("restore", "db3", typed="db3\n", code=1)
    finally:
        host.sh(f"cp -p /root/whole {part}")
    assert "nothing was changed" in said
    assert host.sh(f"cat {DATA}/postmaster.pid") == before
    assert host.sh(f"ls -d {DATA}*") == DATA


def test_a_restore_keeps_the_old_data_directory(fleet: Fleet) -> None:
    """It stands beside the new one, for whatever is missed."""
    fleet.hosts["db3"].sh(f"touch {DATA}/kept")
    said = fleet.fab("restore", "db3", "--start", typed="db3\n")
    assert "stopped the server" in said
    assert fleet.hosts["db3"].sh(f"ls {DATA}.before-*/kept")
    assert fleet.hosts["db3"].run(f"test -e {DATA}/kept").returncode == 1
    fleet.until("db3", "select pg_is_in_recovery()")
    assert "no changes on 1 host" in fleet.provision("plan", "--host", "db3")
    fleet.hosts["db3"].sh(f"rm -rf {DATA}.before-*")


def test_a_restore_of_a_backup_that_is_not_there_is_refused(fleet: Fleet) -> None:
    """By the engine's plan, before anything is asked."""
    said = fleet.fab("restore", "db3", "--backup", "base_0000000100000000000000FF", code=3)
    assert "db3 cannot be restored: " in said
    assert "Type the host's name" not in said


def test_replay_is_paused_and_resumed(fleet: Fleet) -> None:
    """On a replica; a primary has none."""
    assert "replays nothing" in fleet.fab("pause-replay", "db1", code=3)
    assert "replay is paused at" in fleet.fab("pause-replay", "db3")
    assert fleet.sql("db3", "select pg_is_wal_replay_paused()") == "t"
    assert "replay is paused at" in fleet.fab("check", "--host", "db3")
    assert "nothing to do" in fleet.fab("pause-replay", "db3")
    assert "replay is going on at" in fleet.fab("resume-replay", "db3")
    assert fleet.sql("db3", "select pg_is_wal_replay_paused()") == "f"


def test_a_hold_of_somebody_else_is_honoured(fleet: Fleet) -> None:
    """With who, why, and how to end it."""
    hold = '{"format": 1, "who": "alice", "why": "looks at a page", "until": ""}'
    fleet.hosts["db3"].write("/var/lib/provision/hold.json", hold, mode="600")
    try:
        said = fleet.fab("pause-replay", "db3", code=3)
        assert "db3 is on hold, by alice: looks at a page" in said
        assert "by alice" in fleet.fab("restore", "db3", typed="db3\n", code=3)
        assert "by alice" in fleet.fab("check", "--host", "db3")
    finally:
        fleet.provision("hosts", "release", "db3")
    assert fleet.sql("db3", "select pg_is_wal_replay_paused()") == "f"


def test_a_host_that_is_no_delayed_replica_is_not_promoted(fleet: Fleet) -> None:
    """Nor one whose position still moves."""
    assert "its recovery is none" in fleet.fab("promote-delayed", "db1", typed="db1\n", code=3)
    assert "its recovery is archive" in fleet.fab("promote-delayed", "db3", typed="db3\n", code=3)
    assert "goes on replaying" in fleet.fab("promote-delayed", "db4", typed="db4\n", code=3)


def test_a_delayed_replica_is_restored_to_a_moment_without_its_delay(fleet: Fleet) -> None:
    """The delay stands in its own settings, and the target is not eight hours old."""
    fleet.sql("db1", "create table moments as select 1 as n")
    moment = fleet.sql("db1", "select clock_timestamp()")
    fleet.sql("db1", "insert into moments values (2)")
    fleet.archived()
    said = fleet.fab("restore", "db4", "--start", "--target-time", moment, typed="db4\n")
    assert "by its roles the host is a replica: hold it" in said
    fleet.until("db4", "select pg_is_wal_replay_paused()")
    assert fleet.sql("db4", "select array_agg(n) from moments") == "{1}"
    assert "resuming opens it for writes" in fleet.fab("resume-replay", "db4", code=3)
    assert fleet.sql("db4", "select pg_is_in_recovery()") == "t"


def test_promoting_replays_up_to_the_moment_and_no_further(fleet: Fleet) -> None:
    """The rows of before the mistake are there, and the mistake is not."""
    again(fleet.hosts["db4"], fleet)
    fleet.sql("db1", "create table precious as select generate_series(1, 100) as n")
    moment = fleet.sql("db1", "select clock_timestamp()")
    fleet.sql("db1", "drop table precious")
    fleet.archived()
    fleet.fab("pause-replay", "db4")
    said = fleet.fab("promote-delayed", "db4", "--until", moment, typed="db4\n")
    assert "it is a primary, on timeline" in said
    assert fleet.sql("db4", "select count(*) from precious") == "100"
    assert fleet.sql("db4", "select pg_is_in_recovery()") == "f"
    assert "runs a primary" in fleet.fab("restore", "db4", typed="db4\n", code=3)
    assert "is not in recovery" in fleet.fab("promote-delayed", "db4", typed="db4\n", code=3)


def test_promoting_where_it_stands_replays_nothing_more(fleet: Fleet) -> None:
    """Though the archive has more, and pg_promote would have fetched all of it."""
    again(fleet.hosts["db4"], fleet)
    fleet.fab("pause-replay", "db4")
    at = fleet.sql("db4", "select pg_last_wal_replay_lsn()")
    fleet.sql("db1", "create table later as select 1 as n")
    fleet.archived()
    fleet.fab("promote-delayed", "db4", typed="db4\n")
    assert fleet.sql("db4", "select to_regclass('later') is null") == "t"
    path = "pg_ls_waldir() where name like '%.history' order by name desc limit 1"
    history = fleet.sql("db4", f"select pg_read_file('pg_wal/' || name) from {path}")
    assert f"\t{at}\t" in history
    assert fleet.sql("db4", "show recovery_min_apply_delay") in ("8h", "0")
    assert "no changes on 1 host" in fleet.provision("plan", "--host", "db4")


def again(host: Host, fleet: Fleet) -> None:
    """Make the delayed replica anew from a backup of now: what comes later is delayed."""
    fleet.fab("backup", "db1")
    host.sh("pg_ctlcluster 15 main stop -m fast", check=False)
    host.sh(f"rm -rf {DATA} {DATA}.before-*")
    fleet.fab("restore", host.name, "--start", typed=f"{host.name}\n")
    fleet.until(host.name, "select pg_is_in_recovery()")
