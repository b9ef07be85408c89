"""Twenty hosts in one run: in order, some at a time, and no further than the first failure."""

import re
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from socket import inet_aton

import pytest

from tests.support.provisioning import Project, host_lines
from tests.support.rig.client import Host, Rig

PRIMARIES = ("db01", "db02")
NAMES = (*PRIMARIES, *(f"db{number:02}" for number in range(3, 21)))
ESTABLISHED = "01"
PARALLEL = 4
ROLE = """
name: many
run_list:
  - recipe[pitr::tooling]
  - recipe[pitr::archiving]
  - recipe[pitr::base_backup]
  - recipe[pitr::recovery]
  - recipe[pitr::logrotate]
default_attributes:
  postgresql:
    version: 15
    settings: {work_mem: %(edition)sMB}
  pitr:
    repository: file:///srv/backup/many
    package: {probe: false}
    base_backup:
      schedule: "0 %(edition)s * * *"
"""


class Fleet:
    """Twenty hosts, two of them with a running primary."""

    def __init__(self, rig: Rig, directory: Path) -> None:
        self.hosts = dict(zip(NAMES, rig.start_all(NAMES), strict=True))
        self.project = Project(directory, rig.identity)
        lines = "".join(host_lines(host, role="many") for host in self.hosts.values())
        self.project.write("inventory.yml", f"defaults: {{user: admin}}\nhosts:\n{lines}")
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(configure, self.hosts.values()))

    def edition(self, edition: int) -> None:
        """Write the role in an edition."""
        self.project.write("many.yml", ROLE % {"edition": edition})

    def editions(self) -> dict[str, str]:
        """The edition of each host that runs; its settings' and its schedule's."""
        script = (
            "cd /etc; sed -n 's/^work_mem = .\\([0-9]*\\)MB./\\1/p'"
            " postgresql/15/main/conf.d/50-pitr.conf;"
            " sed -n 's/^0 \\([0-9]*\\) .*/\\1/p' cron.d/pitr-base-backup"
        )
        with ThreadPoolExecutor(4) as pool:
            found = pool.map(lambda host: host.run(script).stdout.split(), self.hosts.values())
            return {name: "-".join(each) for name, each in zip(self.hosts, found, strict=True)}


def configure(host: Host) -> None:
    """Give a host a cluster; the primaries' run."""
    if host.name in PRIMARIES:
        host.postgres()
    else:
        host.sh("install -d -o postgres -g postgres /etc/postgresql/15/main/conf.d")


@pytest.fixture(scope="module")
def fleet(rig: Rig, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """The hosts as they are installed."""
    with rig.part() as part:
        yield Fleet(part, tmp_path_factory.mktemp("scale"))


def endpoint(host: Host) -> str:
    """A host's sshd as /proc/net/tcp writes it."""
    return f"{int.from_bytes(inet_aton(host.address), sys.byteorder):08X}:{host.port:04X}"


@contextmanager
def counted_connections(hosts: Iterable[Host]) -> Iterator[list[int]]:
    """Count the connections to these hosts' sshds, again and again while the block runs."""
    sshds = {endpoint(host) for host in hosts}
    counts: list[int] = []
    done = threading.Event()

    def count() -> None:
        while not done.is_set():
            rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
            counts.append(sum(row[2] in sshds and row[3] == ESTABLISHED for row in rows))
            time.sleep(0.02)

    thread = threading.Thread(target=count)
    thread.start()
    try:
        yield counts
    finally:
        done.set()
        thread.join()


@contextmanager
def irreplaceable(host: Host, path: str) -> Iterator[None]:
    """Let the switch of a file fail on a host."""
    host.sh(f"mount --bind {path} {path}")
    try:
        yield
    finally:
        host.sh(f"umount {path}")


def test_twenty_hosts_from_nothing_in_one_run(fleet: Fleet) -> None:
    """Replicas before primaries, of each one alone first, and no more at a time than was said."""
    fleet.edition(1)
    with counted_connections(fleet.hosts.values()) as counts:
        said = fleet.project.run("apply", "--yes", "--parallel", str(PARALLEL))
    order = re.findall(r"^(db\d\d): applied, ", said, re.MULTILINE)
    assert sorted(order) == sorted(NAMES)
    assert order[0] == "db03"
    assert order[-2:] == ["db01", "db02"]
    # the kernel's list is no snapshot: one that ends and the one after it may both be in it
    assert 1 < max(counts) < 2 * PARALLEL
    assert set(fleet.editions().values()) == {"1-1"}
    assert "20 applied" in said
    assert "no changes on 20 hosts" in fleet.project.run("apply", "--yes")


def test_a_canary_that_fails_stops_everything(fleet: Fleet) -> None:
    """It is taken back, and no other host was begun."""
    fleet.edition(2)
    with irreplaceable(fleet.hosts["db03"], "/etc/cron.d/pitr-base-backup"):
        said = fleet.project.run("apply", "--yes", code=5)
    assert "1 rolled back" in said
    assert "19 not started" in said
    assert set(fleet.editions().values()) == {"1-1"}


def test_the_first_failure_is_the_last_host_that_is_begun(fleet: Fleet) -> None:
    """Of the hosts that are done together too: those that run end, those that wait do not begin."""
    fleet.edition(2)
    with irreplaceable(fleet.hosts["db04"], "/etc/cron.d/pitr-base-backup"):
        said = fleet.project.run("apply", "--yes", "--parallel", "2", code=5)
    editions = fleet.editions()
    assert (editions["db03"], editions["db04"]) == ("2-2", "1-1")
    assert sum(edition == "2-2" for edition in editions.values()) <= 4
    assert {editions[name] for name in PRIMARIES} == {"1-1"}
    assert "not started" in said


def test_a_host_that_cannot_be_reached_is_counted(fleet: Fleet) -> None:
    """The others are applied, and the exit code says that not all are; alone it is 4."""
    fleet.edition(3)
    away = fleet.hosts["db20"]
    away.kill()
    try:
        said = fleet.project.run("apply", "--yes", code=5)
        assert "1 unreachable" in said
        assert "19 applied" in said
        said = fleet.project.run("apply", "--yes", code=4)
        assert "db20" in said
    finally:
        away.start()
    said = fleet.project.run("apply", "--yes")
    assert "db20: applied" in said
    assert "19 unchanged" in said
    assert set(fleet.editions().values()) == {"3-3"}
