"""Drills of the roles on a real host, through `fab`: proved, failed, and never two at once."""

import json
import re
from collections.abc import Iterator

import pytest

from tests.integration.provision.test_tasks import Fleet
from tests.support.rig.client import Rig

ROLES = {"db1": "primary", "drill1": "restore_drill"}
LOG = "/var/log/pitr"
METRICS = "/var/lib/prometheus/node-exporter"


@pytest.fixture(scope="module")
def fleet(rig: Rig, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A primary with a base backup, which goes on archiving, and a host that drills."""
    with rig.part() as part:
        fleet = Fleet(part, tmp_path_factory.mktemp("fleet"), ROLES)
        fleet.hosts["db1"].postgres()
        fleet.provision("apply", "--yes", "--allow-restart", "db1")
        fleet.fab("backup", "db1")
        work = "while psql -Xqc 'select pg_switch_wal(), txid_current()'; do sleep 1; done"
        fleet.hosts["db1"].sh(f"({work}) >/dev/null 2>&1 &", user="postgres")
        yield fleet


def records(fleet: Fleet) -> list[dict[str, object]]:
    """The records of drills, as the drill host lists them."""
    listing = "/opt/pitr/bin/pitr drill list --json --envdir /etc/pitr.d/env"
    found = json.loads(fleet.hosts["drill1"].sh(listing, user="postgres"))["drills"]
    return list(found)


def test_a_drill_is_run_as_its_schedule_would(fleet: Fleet) -> None:
    """With its log, its metrics and its record; nothing of the cluster stays on the host."""
    said = fleet.fab("drill", "--host", "drill1", "--name", "fresh")
    assert "run /opt/pitr/jobs/drill-fresh as postgres" in said
    assert "result     proved" in said
    assert "passed: catalogue" in said
    assert records(fleet)[-1]["drill"] == "fresh"
    host = fleet.hosts["drill1"]
    assert "catalogue" in host.sh(f"cat {LOG}/drill-fresh.log")
    assert host.run("test -e /var/lib/pitr/drill/data").returncode == 1
    metric = f"cat {METRICS}/pitr_job_failed_drill_fresh.prom"
    assert host.sh(metric).endswith(',resource="drill-fresh"} 0')


def test_all_drills_of_the_fleet_are_run(fleet: Fleet) -> None:
    """Hosts that do not drill are passed over."""
    said = fleet.fab("drill-all")
    assert "drill1 (base, restore_drill)" in said
    assert "proved      fresh: recovery" in said
    assert "proved      chain: recovery" in said
    assert "2 drills, all proved" in said


def test_the_metrics_of_the_roles_tell_of_it(fleet: Fleet) -> None:
    """By the job that the drill host has: when a restore was last proved."""
    fleet.hosts["drill1"].sh("/opt/pitr/jobs/monitor-repository", user="postgres")
    written = fleet.hosts["drill1"].sh(f"cat {METRICS}/pitr_repository.prom")
    assert 'host="drill1"' in written
    assert re.search(r'pitr_drill_success\{.*drill="chain".*\} 1.0', written)
    assert not re.search(r"pitr_drill_proved_timestamp_seconds\{.*\} 0.0", written)


def test_the_primary_is_well_by_its_own_environment(fleet: Fleet) -> None:
    """The limits of the roles are those of `pitr check`, which finds nothing wrong."""
    check = "/opt/pitr/bin/pitr check --no-switch --envdir /etc/pitr.d/env"
    said = fleet.hosts["db1"].sh(f"PITR_MIN_FREE_PERCENT=0 {check}", user="postgres")
    assert "0 critical" in said
    assert "a restore was proved" in said


def test_a_drill_that_fails_says_in_which_phase(fleet: Fleet) -> None:
    """And the others are run all the same."""
    hidden = "/srv/backup/pitr/hidden"
    oldest = "$(ls /srv/backup/pitr/basebackups_005 | grep sentinel | head -n 1 | cut -c 6-29)"
    host = fleet.hosts["db1"]
    host.sh(f"mkdir -p {hidden} && mv /srv/backup/pitr/wal_005/{oldest}.zst {hidden}/")
    try:
        said = fleet.fab("drill-all", code=1)
    finally:
        host.sh(f"mv {hidden}/* /srv/backup/pitr/wal_005/ && rmdir {hidden}")
    assert "FAILED      chain: " in said
    assert "exit code 21" in said
    assert records(fleet)[-1]["failed_phase"] == "plan"


def test_a_drill_that_runs_is_not_joined_by_another(fleet: Fleet) -> None:
    """The schedule's lock is the task's."""
    lock = "/var/lib/pitr/drill-fresh.lock"
    fleet.hosts["drill1"].sh(f"(exec 9>{lock}; flock 9; exec sleep 601 9<&9) >/dev/null 2>&1 &")
    try:
        said = fleet.fab("drill", "drill1", "--name", "fresh", code=1)
    finally:
        fleet.hosts["drill1"].sh("pkill -fx 'sleep 601'")
    assert "the drill fresh runs already" in said


def test_only_a_drill_host_drills(fleet: Fleet) -> None:
    """And only what it is scheduled for."""
    assert "db1 (base, primary) has no drills" in fleet.fab("drill", "db1", code=3)
    said = fleet.fab("drill", "drill1", "--name", "fres", code=1)
    assert "has no drill fres" in said
    assert "fresh" in said
