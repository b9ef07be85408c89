"""`pitr check` and `pitr metrics` on a real server: what is well, what is not, and what stays."""

import json
import os
import socket
import time
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.cluster import Cluster
from tests.support.commands import started
from tests.support.segments import stored_files
from tests.support.site import Site, archive_everything

CALM = {"PITR_MIN_FREE_PERCENT": "0"}
FAILED = 10


@pytest.fixture(scope="module")
def cluster(module_site: Site) -> Cluster:
    """A cluster that archives and was backed up."""
    cluster = module_site.cluster(settings={"archive_timeout": "60s"})
    module_site.backup(cluster)
    archive_everything(cluster)
    return cluster


@pytest.fixture
def site(site: Site, module_site: Site) -> Site:
    """The shared repository."""
    return replace(site, repository=module_site.repository)


def check(site: Site, cluster: Cluster | None, *options: str, code: int = 0, **env: str) -> Any:
    """Check, and return the findings by name; several under one name are joined."""
    where = cluster.environ if cluster is not None else {"PGHOST": str(site.base)}
    done = site.run("check", "--json", *options, env=where | CALM | env, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    found: dict[str, str] = {}
    for each in json.loads(done.stdout)["checks"]:
        found[each["name"]] = found.get(each["name"], "") + f"{each['level']}: {each['text']}\n"
    return found


def test_a_cluster_that_is_well_is_found_well(site: Site, cluster: Cluster) -> None:
    """A segment arrives in the repository, and is all that stays there."""
    before = set(stored_files(site.repository))
    found = check(site, cluster)
    assert all(text.startswith(("ok: ", "note: ")) for text in found.values()), found
    assert "was in the repository after" in found["switch"]
    assert "put, get, conditional put, list, delete work" in found["store"]
    new = set(stored_files(site.repository)) - before
    assert len(new) == 1
    assert new.pop().startswith("wal_005/")


def test_a_look_that_ends_no_segment_leaves_nothing(site: Site, cluster: Cluster) -> None:
    """For a monitoring that looks every minute."""
    before = stored_files(site.repository)
    assert "not asked for" in check(site, cluster, "--no-switch")["switch"]
    assert stored_files(site.repository) == before


def test_a_server_that_is_down_is_told_and_the_rest_is_looked_at(
    site: Site, cluster: Cluster
) -> None:
    """With the files that wait, which the data directory tells."""
    env = {"PGDATA": str(cluster.data_dir)}
    found = check(site, None, code=FAILED, **env)
    assert found["server"].startswith("critical: cannot connect to the server")
    assert found["ready"].startswith("ok: 0 WAL files wait")
    assert found["backup"].startswith("ok: 1 backup,")
    assert found["windows"].startswith("ok: any moment since")


def test_a_segment_that_does_not_arrive_is_told(site: Site, cluster: Cluster) -> None:
    """archive_command reports success and archives nothing."""
    cluster.sql("ALTER SYSTEM SET archive_command = '/bin/true'")
    cluster.sql("SELECT pg_reload_conf()")
    cluster.wait_until("SELECT current_setting('archive_command') = '/bin/true'")
    try:
        found = check(site, cluster, code=FAILED, PITR_ARCHIVE_TIMEOUT="1s")
    finally:
        cluster.sql("ALTER SYSTEM RESET archive_command")
        cluster.stop()
        cluster.start()
    assert "did not arrive" in found["switch"]
    assert "does not push WAL: /bin/true" in found["settings"]


def test_a_repository_that_is_not_there_is_told(site: Site, cluster: Cluster) -> None:
    """Once, and the server is looked at all the same."""
    gone = str(site.base / "gone")
    found = check(site, cluster, "--no-switch", code=FAILED, WALG_FILE_PREFIX=gone)
    assert gone in found["repository"]
    assert found["archiver"].startswith("ok: ")
    assert "store" not in found


def test_a_repository_that_cannot_be_written_to_is_told(site: Site, cluster: Cluster) -> None:
    """It answers, and lists, and takes nothing."""
    directories = [Path(path) for path, _, _ in os.walk(site.repository)]
    for directory in directories:
        directory.chmod(0o500)
    try:
        found = check(site, cluster, "--no-switch", code=FAILED)
    finally:
        for directory in directories:
            directory.chmod(0o700)
    assert found["store"].startswith("critical: put: ")


def test_a_host_that_must_not_delete_leaves_one_object(site: Site, cluster: Cluster) -> None:
    """The same one each time."""
    check(site, cluster, "--no-switch", PITR_MAY_DELETE="false")
    found = check(site, cluster, "--no-switch", PITR_MAY_DELETE="false")
    assert "put, get, conditional put, list work" in found["store"]
    [stays] = [name for name in stored_files(site.repository) if name.startswith("pitr/check/")]
    assert stays == "pitr/check/stays"
    (site.repository / stays).unlink()


def test_a_host_with_public_keys_alone_encrypts_and_cannot_decrypt(
    site: Site, cluster: Cluster
) -> None:
    """Which is as it should be."""
    recipient = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
    found = check(site, cluster, "--no-switch", PITR_AGE_RECIPIENTS=recipient)
    assert found["encryption"] == "ok: age encrypts; this host has no key to decrypt\n"


def test_nagios_gets_one_line_and_its_codes(site: Site, cluster: Cluster) -> None:
    """0, 1, 2, and 3 where the check itself cannot run."""
    fine = site.run("check", "--nagios", "--no-switch", env=cluster.environ | CALM)
    assert fine.stdout.startswith("PITR OK - ")
    assert "ready_files=0;;2000;0" in fine.stdout.splitlines()[0]
    late = cluster.environ | CALM | {"PITR_MAX_BACKUP_AGE": "1ms"}
    done = site.run("check", "--nagios", "--no-switch", env=late, check=False)
    assert (done.returncode, done.stdout.split(" - ")[0]) == (2, "PITR CRITICAL")
    assert "backup: 1 backup, the newest" in done.stdout.splitlines()[0]
    wrong = cluster.environ | {"PITR_MAX_BACKUP_AGE": "often"}
    done = site.run("check", "--nagios", env=wrong, check=False)
    assert (done.returncode, done.stdout.split(" - ")[0]) == (3, "PITR UNKNOWN")


def test_the_findings_are_told_with_what_to_do(site: Site, cluster: Cluster) -> None:
    """For people: a line each, and the hint below what is bad."""
    env = cluster.environ | CALM | {"PITR_MAX_BACKUP_AGE": "1ms"}
    done = site.run("check", "--no-switch", env=env, check=False)
    assert done.returncode == FAILED
    assert "critical  backup " in done.stdout
    assert "hint: Run pitr backup-push" in done.stdout
    assert "looked at: 1 critical, 0 warnings" in done.stdout


def test_metrics_are_written_for_the_textfile_collector(site: Site, cluster: Cluster) -> None:
    """Of the server and of the repository, in a file each if wished."""
    path = site.base / "pitr.prom"
    site.run("metrics", "--textfile", path, env=cluster.environ)
    written = path.read_text()
    assert "pitr_server_answers 1.0\n" in written
    assert "pitr_backups 1.0\n" in written
    site.run("metrics", "--only", "server", "--textfile", path, env=cluster.environ)
    assert "pitr_backups" not in path.read_text()
    down = site.run("metrics", "--only", "server", env={"PGHOST": str(site.base)})
    assert "pitr_server_answers 0.0\n" in down.stdout


def test_metrics_are_served_on_loopback(site: Site, cluster: Cluster) -> None:
    """Each request asks the server anew."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with started(site, "metrics", "--listen", f":{port}", env=cluster.environ) as process:
        for _ in range(300):
            with socket.socket() as attempt:
                if attempt.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        url = f"http://127.0.0.1:{port}/metrics"
        read = [urllib.request.urlopen(url, timeout=60).read().decode() for _ in range(2)]
        assert process.poll() is None
    assert all("pitr_in_recovery 0.0\n" in text and "pitr_backups 1.0\n" in text for text in read)
    moments = [text.split("pitr_monitor_timestamp_seconds ")[-1].split()[0] for text in read]
    assert moments[0] != moments[1]
