"""`provision hosts` on a real host: holds that others see, and keys that are shown, not trusted."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.environment import clean_environ
from tests.support.rig.client import Host

ROOT = Path(__file__).parents[3]
HOLD = "/var/lib/provision/hold.json"
INVENTORY = """
defaults: {{user: admin}}
hosts:
  db1:
    address: "{address}"
    {key}
    cluster: main
    run_list: ["role[tiny]"]
"""
ROLE = """
name: tiny
run_list: ["recipe[pitr::recovery]"]
default_attributes:
  postgresql:
    version: 15
"""


@pytest.fixture
def project(host: Host, tmp_path: Path) -> Path:
    """A project with one host, whose key is pinned."""
    (tmp_path / "roles").mkdir()
    (tmp_path / "roles/tiny.yml").write_text(ROLE)
    describe(tmp_path, host, f"host_key: {host.host_keys[0]}")
    return tmp_path


def describe(project: Path, host: Host, key: str) -> None:
    """Write the inventory, with this line for the key."""
    text = INVENTORY.format(address=host.address, key=key)
    (project / "roles/inventory.yml").write_text(text)


def hosts(
    project: Path, host: Host, *words: str, code: int = 0, connect: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run `provision hosts ...`, which ends with `code`."""
    identity = ("--identity", str(host.identity)) if connect else ()
    done = subprocess.run(
        [
            *(sys.executable, "-c", "from provision.cli.main import main; exit(main())"),
            *("hosts", *words, "--project", str(project), *identity),
        ],
        env=clean_environ() | {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done


def test_hosts_are_listed_without_being_reached(project: Path, host: Host) -> None:
    """With roles, environment, cluster and address, also for programs."""
    done = hosts(project, host, "list", connect=False)
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["host", "roles", "environment", "cluster", "address"],
        ["db1", "tiny", "_default", "main", f"admin@{host.address}"],
    ]
    document = json.loads(hosts(project, host, "list", "--format", "json", connect=False).stdout)
    assert document["hosts"][0]["roles"] == ["tiny"]


def test_a_hold_is_put_on_the_host_and_taken_off(project: Path, host: Host) -> None:
    """It is the host's own, readable by root alone."""
    hosts(project, host, "hold", "db1", "--why", "a  disk\nis changed", "--until", "2h")
    written = json.loads(host.sh(f"cat {HOLD}"))
    assert written["why"] == "a disk is changed"
    assert written["until"].endswith("+00:00")
    assert host.sh(f"stat -c '%U %a' {HOLD}") == "root 600"
    assert "a disk is changed" in hosts(project, host, "show", "db1").stdout
    assert "was held by" in hosts(project, host, "release", "db1").stdout
    assert host.run(f"test -e {HOLD}").returncode == 1
    assert "nobody holds it" in hosts(project, host, "release", "db1").stdout


def test_ones_own_hold_is_replaced_and_anothers_is_not(project: Path, host: Host) -> None:
    """Who comes second learns of the first."""
    hosts(project, host, "hold", "db1", "--why", "first")
    hosts(project, host, "hold", "db1", "--why", "second")
    host.sh(f'sed -i \'s/"who": "[^"]*"/"who": "alice"/\' {HOLD}')
    before = host.sh(f"cat {HOLD}")
    refused = hosts(project, host, "hold", "db1", "--why", "third", code=3)
    assert "db1 is on hold, by alice: second" in refused.stderr
    assert host.sh(f"cat {HOLD}") == before
    hosts(project, host, "release", "db1")


def test_a_hold_waits_for_no_apply(project: Path, host: Host) -> None:
    """While an apply runs, a hold would come too late and says so."""
    host.sh("mkdir -p /var/lib/provision")
    host.sh("(exec 9>/var/lib/provision/lock; flock 9; exec sleep 600 9<&9) >/dev/null 2>&1 &")
    try:
        refused = hosts(project, host, "hold", "db1", "--why", "late", code=1)
    finally:
        host.sh("pkill -fx 'sleep 600'")
    assert "an apply is running" in refused.stderr
    assert host.run(f"test -e {HOLD}").returncode == 1


def test_an_unknown_host_shows_its_keys_and_is_not_reached(project: Path, host: Host) -> None:
    """Every line can be compared with the console, and stands ready for the inventory."""
    describe(project, host, "")
    assert hosts(project, host, "show", "db1", code=4).stderr
    printed = hosts(project, host, "pin", "db1", connect=False).stdout
    console = host.sh("for key in /etc/ssh/ssh_host_*_key.pub; do ssh-keygen -lf $key; done")
    fingerprints = [word for word in console.split() if word.startswith("SHA256:")]
    assert len(fingerprints) >= 2
    for fingerprint in fingerprints:
        assert fingerprint in printed
    assert "unproved" in printed
    block = printed[printed.index("    host_key:") :]
    describe(project, host, block.strip().replace("\n  ", "\n  "))
    assert "server" in hosts(project, host, "show", "db1").stdout


def test_a_fingerprint_from_the_console_chooses_the_key(project: Path, host: Host) -> None:
    """And a wrong one is refused."""
    describe(project, host, "")
    wanted = host.sh("ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub").split()[1]
    pin = ("pin", "db1", "--fingerprint")
    printed = hosts(project, host, *pin, wanted, connect=False).stdout
    assert "ssh-ed25519 AAAA" in printed
    assert "ecdsa" not in printed
    hosts(project, host, *pin, "SHA256:" + "A" * 43, connect=False, code=4)


def test_a_key_that_is_not_the_pinned_one_is_an_error(project: Path, host: Host) -> None:
    """It is shown, so that it can be compared, and the exit code says that it is another."""
    assert "pinned already" in hosts(project, host, "pin", "db1", connect=False).stdout
    other = host.host_keys[0][:-4] + ("AAAA" if host.host_keys[0][-4:] != "AAAA" else "BBBB")
    describe(project, host, f"host_key: {other}")
    done = hosts(project, host, "pin", "db1", connect=False, code=4)
    assert host.host_keys[0] in done.stdout
    assert "shows none of the keys that are pinned" in done.stderr
