"""The Vagrantfile: valid, and what it runs makes a fleet on the rig's hosts as on its machines."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.environment import clean_environ
from tests.support.rig.client import Host, Rig
from tests.support.sample_fleet.project import Place, write_project
from tests.support.seaweed import seaweed

ROOT = Path(__file__).parents[3]
SCRIPTS = ROOT / "tests/support/sample_fleet"
ROLES = {"db1": "primary", "db2": "replica", "db3": "replica", "db4": "replica", "drill1": "drill"}
NETWORK = "10.77.0.0/16"
PASSWORD = "replicator-secret"


def run(*words: str | Path, **variables: str) -> str:
    """Run a program in the checkout; return what it said."""
    done = subprocess.run(
        words,
        cwd=ROOT,
        env=clean_environ() | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def test_the_vagrantfile_is_ruby() -> None:
    """By Ruby's own parser."""
    assert run("ruby", "-c", "Vagrantfile") == "Syntax OK\n"


def test_vagrant_takes_it(tmp_path: Path) -> None:
    """Every machine and every provisioner, whichever hypervisor there is."""
    said = run(
        *("vagrant", "validate", "--ignore-provider"),
        HOME=str(tmp_path),
        VAGRANT_HOME=str(tmp_path / "home"),
        VAGRANT_DOTFILE_PATH=str(tmp_path / "state"),
        VAGRANT_CHECKPOINT_DISABLE="1",
    )
    assert "validated successfully" in said
    assert all(f"==> {name}:" in said for name in (*ROLES, "store"))


@pytest.mark.parametrize("script", sorted(SCRIPTS.glob("*.sh")), ids=lambda path: path.name)
def test_its_scripts_are_clean(script: Path) -> None:
    """By shellcheck."""
    run("shellcheck", script)


@pytest.fixture(scope="module")
def fleet(rig: Rig, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Host]]:
    """The hosts after what the Vagrantfile runs on them and on the store."""
    directory = tmp_path_factory.mktemp("vagrant")
    public_key = rig.identity.with_suffix(".pub").read_text()
    with seaweed(directory / "store") as store, rig.part() as part:
        endpoint = f"http://{part.expose(store.port)}"
        hosts = dict(zip(ROLES, part.start_all(ROLES), strict=True))
        for name, host in hosts.items():
            host.write("/root/host.sh", (SCRIPTS / "host.sh").read_text(), mode="755")
            host.write("/root/key.pub", public_key)
            words = f"/root/host.sh {ROLES[name]} /root/key.pub {NETWORK}"
            host.sh(f"REPLICATION_PASSWORD={PASSWORD} {words}")
        places = {
            name: Place(address=host.address, host_key=host.host_keys[0])
            for name, host in hosts.items()
        }
        project = directory / "project"
        write_project(project, places, name="rig", bucket=store.bucket, endpoint=endpoint)
        apply(project, part.identity, store.access_key, store.secret_key)
        yield hosts


def apply(project: Path, identity: Path, access_key: str, secret_key: str) -> None:
    """Run fleet.sh in the project."""
    secrets = {
        "AWS_ACCESS_KEY_ID": access_key,
        "AWS_SECRET_ACCESS_KEY": secret_key,
        "REPLICATION_PASSWORD": PASSWORD,
    }
    done = subprocess.run(
        ["sh", str(SCRIPTS / "fleet.sh"), str(identity)],
        cwd=project,
        env=clean_environ() | secrets | {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.returncode}\n{done.stdout}{done.stderr}"


def test_the_primary_archives_to_the_store(fleet: dict[str, Host]) -> None:
    """By the rendered archive_command."""
    query = "select archived_count > 0 from pg_stat_archiver"
    assert sql(fleet["db1"], query) == "t"
    assert sql(fleet["db1"], "show archive_command").startswith("[ ")


@pytest.mark.parametrize(("name", "streams"), [("db2", "t"), ("db3", "f"), ("db4", "f")])
def test_each_replica_follows_as_its_role_says(
    fleet: dict[str, Host], name: str, streams: str
) -> None:
    """One over the network, two from the store alone."""
    assert sql(fleet[name], "select pg_is_in_recovery()") == "t"
    assert sql(fleet[name], "select count(*) > 0 from pg_stat_wal_receiver") == streams


def test_the_delayed_replica_is_delayed(fleet: dict[str, Host]) -> None:
    """By eight hours."""
    assert sql(fleet["db4"], "show recovery_min_apply_delay") == "8h"


def test_the_drill_host_restores_from_the_store(fleet: dict[str, Host]) -> None:
    """By the script that cron runs."""
    work = (
        "for n in $(seq 90); do psql -Xqc 'select pg_switch_wal(), txid_current()'; sleep 1; done"
    )
    fleet["db1"].sh(f"({work}) >/dev/null 2>&1 &", user="postgres")
    log = "/var/log/pitr/drill-fresh.log"
    fleet["drill1"].sh(f"/opt/pitr/jobs/drill-fresh || {{ cat {log}; exit 1; }}", user="postgres")


def sql(host: Host, query: str) -> str:
    """Ask a host's server."""
    return host.sh(f'psql -XAtqc "{query}"', user="postgres")
