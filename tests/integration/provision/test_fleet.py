"""The sample fleet of roles/, from six bare hosts to backups, replicas and a drill.

Addresses, host keys and repositories are those of the rig; so are the delay, which is seconds here,
and the time of the base backup, which comes every minute until it has been seen. The order of the
tests is the order in which an engineer builds the fleet.
"""

import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.provisioning import ROOT, Project, wait_for
from tests.support.rig.client import Host, Rig
from tests.support.rig.protocol import Share
from tests.support.seaweed import SeaweedFS, seaweed

DATA = "/var/lib/postgresql/15/main"
HOSTS = ("db1", "db2", "db3", "db4", "drill1", "staging1")
WITH_SERVER = ("db1", "staging1")
REPLICAS = ("db2", "db3", "db4")
HOME = "export HOME=/var/lib/postgresql"  # where gpg's keyring is
DELAY = 15
PASSWORD = "rig replication password"
KEY = """
%no-protection
Key-Type: RSA
Key-Length: 2048
Subkey-Type: RSA
Subkey-Length: 2048
Name-Real: Backup
Name-Email: backup@example.com
Expire-Date: 0
%commit
"""
REPLICATION = f"""
runuser -u postgres -- psql -XAtqc "create role replicator login replication password '{PASSWORD}'"
cd /etc/postgresql/15/main
echo 'hostssl replication replicator 10.77.0.0/16 scram-sha-256' >>pg_hba.conf
printf '%s\\n' "listen_addresses = '*'" 'ssl = on' "ssl_cert_file = '$PWD/server.crt'" \\
    "ssl_key_file = '$PWD/server.key'" >conf.d/10-network.conf
openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=db1 -addext subjectAltName=IP:$ADDRESS \\
    -keyout server.key -out server.crt 2>/dev/null
chown postgres server.key server.crt
"""
ENVDIR = "/etc/pitr.d/env"
FETCH = f"/opt/pitr/bin/pitr backup-fetch {DATA} LATEST --no-recovery-config --envdir {ENVDIR}"


class Fleet:
    """The six hosts, their store, and the project that describes them."""

    def __init__(self, rig: Rig, directory: Path, store: SeaweedFS, shared: Path) -> None:
        self.store = store
        share = Share(source=str(shared), target="/srv/backup/staging")
        started = rig.start_all(HOSTS, shares=[share])
        self.hosts = dict(zip(HOSTS, started, strict=True))
        self.project = Project(
            directory,
            rig.identity,
            {
                "REPLICATION_PASSWORD": PASSWORD,
                "AWS_ACCESS_KEY_ID": store.access_key,
                "AWS_SECRET_ACCESS_KEY": store.secret_key,
            },
        )
        shutil.copytree(ROOT / "roles", directory / "roles", dirs_exist_ok=True)
        self._overlay(rig.expose(store.port))

    def sql(self, host: str, query: str) -> str:
        """Ask a host's server."""
        return self.hosts[host].sh(f'psql -XAtqc "{query}"', user="postgres")

    def until(self, host: str, query: str) -> None:
        """Wait until a host's server answers t."""
        wait_for(self.hosts[host], f'[ "$(psql -XAtqc "{query}")" = t ]', user="postgres")

    def archived(self, host: str = "db1") -> str:
        """Switch the segment, wait until the server says that it is archived; return its name."""
        name = self.sql(host, "select pg_walfile_name(pg_current_wal_lsn())")
        self.sql(host, "select pg_switch_wal()")
        self.until(host, f"select last_archived_wal >= '{name}' from pg_stat_archiver")
        return name

    def keys(self, prefix: str) -> list[str]:
        """What the production store has below a prefix."""
        client = self.store.client()
        listed = client.list_objects_v2(Bucket=self.store.bucket, Prefix=prefix)
        client.close()
        return [each["Key"] for each in listed.get("Contents", [])]

    def edit(self, name: str, *changes: tuple[str, str]) -> None:
        """Change a file below roles/, each text once."""
        path = self.project.directory / "roles" / name
        text = path.read_text()
        for old, new in changes:
            assert text.count(old) == 1, (name, old)
            text = text.replace(old, new)
        path.write_text(text)

    def _overlay(self, endpoint: str) -> None:
        path = self.project.directory / "roles/inventory.yml"
        text, number = re.subn(
            r"^  (\w+):\n    address: \S+\n",
            lambda found: self._reached(found[1]),
            path.read_text(),
            flags=re.MULTILINE,
        )
        assert number == len(HOSTS)
        path.write_text(text)
        self.edit(
            "inventory.yml",
            ("host: db1\n", f"host: {self.hosts['db1'].address}\n"),
            ("file:///srv/backup/main", f"s3://{self.store.bucket}/main"),
        )
        key = self.project.directory / "gcs.json"
        key.write_text('{"type": "service_account"}\n')
        key.chmod(0o600)
        where = f"      AWS_ENDPOINT: http://{endpoint}\n      AWS_S3_FORCE_PATH_STYLE: 'true'\n"
        before = "      AWS_ACCESS_KEY_ID:"
        self.edit(
            "environments/production.yml",
            ("s3://example-production-backup/main", f"s3://{self.store.bucket}/main"),
            ("AWS_REGION: eu-central-1", "AWS_REGION: us-east-1"),
            (before, where + before),
        )
        self.edit(
            "environments/staging.yml",
            ("gs://example-staging-backup/main", "file:///srv/backup/staging"),
            ("/run/secrets/gcs.json", str(key)),
        )
        self.edit("delayed_replica.yml", ("delay: 8h", f"delay: {DELAY}s"))
        self.edit("primary.yml", ('"0 4 * * *"', '"* * * * *"'), ("spread: 30min", "spread: 0s"))

    def _reached(self, name: str) -> str:
        host = self.hosts[name]
        return f"  {name}:\n    address: {host.address}\n    host_key: {host.host_keys[0]}\n"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    """The production cluster's store."""
    with seaweed(tmp_path_factory.mktemp("store")) as store:
        yield store


@pytest.fixture(scope="module")
def fleet(rig: Rig, tmp_path_factory: pytest.TempPathFactory, store: SeaweedFS) -> Iterator[Fleet]:
    """The hosts as they are installed: servers where there is data, keyrings, nothing of ours."""
    shared = tmp_path_factory.mktemp("shared")
    shared.chmod(0o777)
    with rig.part() as part:
        fleet = Fleet(part, tmp_path_factory.mktemp("fleet"), store, shared)
        prepare(fleet)
        yield fleet


def prepare(fleet: Fleet) -> None:
    """Do what an installation does: servers, the key of the backups, the right to replicate."""
    for name in WITH_SERVER:
        fleet.hosts[name].postgres()
    for name in REPLICAS:
        fleet.hosts[name].sh(f"pg_createcluster 15 main && rm -rf {DATA}")
    db1, db2 = fleet.hosts["db1"], fleet.hosts["db2"]
    db1.sh(f"ADDRESS={db1.address}\n{REPLICATION}")
    certificate = db1.sh("cat /etc/postgresql/15/main/server.crt")
    db2.write("/var/lib/postgresql/.postgresql/root.crt", certificate)
    made = f"{HOME}; gpg --batch --quiet --generate-key <<'END' 2>&1\n{KEY}END\n"
    safe = fleet.hosts["staging1"]
    safe.sh(made, user="postgres")
    public, secret, trust = (
        safe.sh(f"{HOME}; gpg --armor {words}", user="postgres")
        for words in ("--export", "--export-secret-keys", "--export-ownertrust")
    )
    fleet.project.variables["BACKUP_PGP_KEY"] = secret
    for name in ("db1", "db2"):
        fleet.hosts[name].sh(
            f"{HOME}; gpg --batch --quiet --import <<'END'\n{public}\nEND\n"
            f"gpg --batch --quiet --import-ownertrust <<'END'\n{trust}\nEND\n",
            user="postgres",
        )


def test_the_fleet_is_applied_from_nothing(fleet: Fleet) -> None:
    """All six hosts in one run; nothing is left to change, and nothing is shown that is secret."""
    said = fleet.project.run(
        "apply", "--yes", "--allow-restart", "db1", "--allow-restart", "staging1"
    )
    assert "6 applied" in said
    assert PASSWORD not in said
    assert fleet.store.secret_key not in said
    assert fleet.project.variables["BACKUP_PGP_KEY"].splitlines()[5] not in said
    assert "no changes on 6 hosts" in fleet.project.run("plan")
    assert "0 of 6 hosts have drifted" in fleet.project.run("drift")


@pytest.mark.parametrize("host", WITH_SERVER)
def test_the_primary_archives_by_the_rendered_command(fleet: Fleet, host: str) -> None:
    """A segment that is switched is in the repository, encrypted where the environment says so."""
    segment = fleet.archived(host)
    if host == "staging1":
        assert segment in fleet.hosts[host].sh("ls /srv/backup/staging/wal_005")
        return
    found = [key for key in fleet.keys("main/wal_005/") if re.fullmatch(rf".*/{segment}\.\w+", key)]
    assert len(found) == 1
    client = fleet.store.client()
    body = client.get_object(Bucket=fleet.store.bucket, Key=found[0])["Body"].read()
    client.close()
    # an OpenPGP message begins with a session key that is encrypted to a public key (tag 1)
    assert body[0] in (0x84, 0x85, 0xC1)


def test_cron_takes_a_base_backup(fleet: Fleet) -> None:
    """By the rendered line, on the host, without anybody; the job says so, and its metrics do."""
    done = "grep -q 'base-backup: done' /var/log/pitr/base-backup.log"
    wait_for(fleet.hosts["db1"], done, seconds=180)
    assert any(key.endswith("_backup_stop_sentinel.json") for key in fleet.keys("main/"))
    metric = "/var/lib/prometheus/node-exporter/pitr_job_failed_base_backup.prom"
    assert re.fullmatch(r"pitr_job_failed\{.*\} 0", fleet.hosts["db1"].sh(f"cat {metric}"))
    wait_for(fleet.hosts["staging1"], done, seconds=180)


def test_the_schedule_goes_back_to_the_nights(fleet: Fleet) -> None:
    """A changed schedule is applied like everything else; the server is not even reloaded."""
    loaded = fleet.sql("db1", "select pg_conf_load_time()")
    fleet.edit("primary.yml", ('"* * * * *"', '"0 4 * * *"'))
    said = fleet.project.run("apply", "--yes")
    assert "-* * * * * postgres /opt/pitr/jobs/base-backup" in said
    assert "3 applied" in said
    assert fleet.sql("db1", "select pg_conf_load_time()") == loaded


def test_the_streaming_replica_streams(fleet: Fleet) -> None:
    """It logs in with the rendered password file, and is called by its name."""
    db1, db2 = fleet.hosts["db1"], fleet.hosts["db2"]
    copy = f"pg_basebackup -h {db1.address} -U replicator -D {DATA} -c fast --no-sync"
    db2.sh(f"PGPASSFILE=/etc/pitr.d/pgpass {copy}", user="postgres")
    start_replica(fleet, "db2")
    fleet.until("db1", "select bool_or(application_name = 'db2') from pg_stat_replication")
    fleet.sql("db1", "create table streamed as select 1 as n")
    fleet.until("db2", "select to_regclass('streamed') is not null")


def start_replica(fleet: Fleet, name: str) -> None:
    """Let apply make a standby of what was copied, and start it."""
    host = fleet.hosts[name]
    assert host.run(f"test -e {DATA}/standby.signal").returncode == 1
    fleet.project.run("apply", "--yes", "--host", name)
    assert host.sh(f"stat -c '%U %a' {DATA}/standby.signal") == "postgres 600"
    host.sh("pg_ctlcluster 15 main start")
    fleet.until(name, "select pg_is_in_recovery()")
    assert "no changes on 1 host" in fleet.project.run("plan", "--host", name)


def test_the_archive_replica_recovers_from_the_archive_alone(fleet: Fleet) -> None:
    """By the rendered restore_command; it has no connection to the primary."""
    fleet.hosts["db3"].sh(FETCH, user="postgres")
    start_replica(fleet, "db3")
    fleet.sql("db1", "create table archived as select 1 as n")
    fleet.archived()
    fleet.until("db3", "select to_regclass('archived') is not null")
    assert fleet.sql("db3", "show primary_conninfo") == ""
    assert fleet.sql("db3", "show archive_mode") == "off"


def test_the_delayed_replica_is_behind_by_its_delay(fleet: Fleet) -> None:
    """A row is not seen before its time, though its segment is there; then it is."""
    fleet.hosts["db4"].sh(FETCH, user="postgres")
    start_replica(fleet, "db4")
    assert fleet.sql("db4", "show recovery_min_apply_delay") == f"{DELAY}s"
    fleet.sql("db1", "create table late (at timestamptz)")
    fleet.sql("db1", "insert into late select clock_timestamp()")
    fleet.archived()
    fleet.until("db3", "select exists (select from late)")
    seen = f"select extract(epoch from clock_timestamp() - at) >= {DELAY} from late"
    deadline = time.monotonic() + DELAY + 120
    while (answer := ask(fleet.hosts["db4"], seen)) == "":
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert answer == "t"


def ask(host: Host, query: str) -> str:
    """Return a server's answer; "" if it has none, as for a table that is not there yet."""
    return host.run(f'psql -XAtqc "{query}"', user="postgres").stdout.strip()


def test_a_drill_restores_what_the_primary_archived(fleet: Fleet) -> None:
    """The script that cron runs twice a day proves that a restore works, and leaves nothing."""
    drill = fleet.hosts["drill1"]
    fleet.archived()
    work = (
        "for n in $(seq 90); do psql -Xqc 'select pg_switch_wal(), txid_current()'; sleep 1; done"
    )
    fleet.hosts["db1"].sh(f"({work}) >/dev/null 2>&1 &", user="postgres")
    log = "/var/log/pitr/drill-fresh.log"
    drill.sh(f"/opt/pitr/jobs/drill-fresh || {{ cat {log}; exit 1; }}", user="postgres")
    assert "done" in drill.sh(f"tail -n 1 {log}")
    assert drill.sh("ls /var/lib/pitr/drill") in ("", "server.log")


def test_nothing_is_left_to_change(fleet: Fleet) -> None:
    """At the end as after the first apply."""
    assert "no changes on 6 hosts" in fleet.project.run("apply", "--yes")
    assert "0 of 6 hosts have drifted" in fleet.project.run("drift")
