"""The rig itself: hosts are real enough, and nothing of them is left when their owner is gone."""

import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.cache import cache_dir
from tests.support.rig.client import DEBIAN_MAJOR, OPERATOR, PASSWORD, Host, Rig
from tests.support.rig.protocol import Share

SECONDS_UNTIL_GONE = 10
CHECKOUT = Path(__file__).parents[3]
OWNER = """
import sys, time
from pathlib import Path
from tests.support.rig.client import Rig
rig = Rig(Path(sys.argv[1])).__enter__()
host = rig.start("orphan")
print(host.address, flush=True)
time.sleep(600)
"""


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for a condition; fail when it does not come true."""
    deadline = time.monotonic() + SECONDS_UNTIL_GONE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def answers(address: str) -> bool:
    """Whether an sshd listens at an address."""
    try:
        socket.create_connection((address, 22), timeout=1).close()
    except OSError:
        return False
    return True


def test_a_host_has_its_own_root_processes_and_name(host: Host) -> None:
    """Nothing of this machine is seen in it."""
    assert host.sh("hostname") == "db1"
    assert host.sh("cat /proc/1/cmdline | tr '\\0' ' '").startswith("/bin/sh /.rig/init")
    assert int(host.sh("ps -e --no-headers | wc -l")) < 20
    assert host.sh("ls / | tr '\\n' ' '").split()[0] == "bin"
    assert host.run(f"test -e {Path.cwd()}").returncode == 1


def test_users_have_the_rights_that_tests_rely_on(host: Host) -> None:
    """admin needs no password for sudo, operator has one, guest has no rights."""
    assert host.sh("sudo -n id -un", user="admin") == "root"
    assert host.run("sudo -n true", user="operator").returncode == 1
    assert host.sh(f"echo '{PASSWORD}' | sudo -S -p '' id -un", user=OPERATOR) == "root"
    assert host.run(f"echo '{PASSWORD}' | sudo -S -p '' id -un", user="guest").returncode == 1


def test_pitr_runs_in_a_host(host: Host) -> None:
    """The checkout's code is installed there, and its wheels lie ready for another installation."""
    assert host.sh("/opt/pitr/bin/pitr --version", user="postgres").startswith("pitr ")
    assert "pitr-" in host.sh("ls /opt/wheels")
    again = "--dry-run --ignore-installed --no-index --find-links /opt/wheels pitr"
    assert "Would install" in host.sh(f"/opt/pitr/bin/pip install {again}")


def test_a_host_has_a_postgresql_of_its_own_that_survives_a_power_cut(fresh_rig: Rig) -> None:
    """Debian's version and another one run side by side and start again with the host."""
    host = fresh_rig.start("db1", postgres=(17,))
    host.postgres()
    host.postgres(17, "new")
    host.sh("psql -c 'CREATE TABLE kept AS SELECT 42 AS answer'", user="postgres")
    host.kill()
    host.start()
    wait_until(lambda: host.sh("pg_lsclusters -h").count("online") == 2)
    assert host.sh("psql -Atc 'SELECT answer FROM kept'", user="postgres") == "42"
    version = "psql -h /var/run/postgresql -p 5433 -Atc 'SHOW server_version'"
    assert host.sh(version, user="postgres").startswith("17.")
    assert host.sh("psql -Atc 'SHOW server_version'", user="postgres").startswith(str(DEBIAN_MAJOR))


def test_a_power_cut_ends_everything_at_once(fresh_rig: Rig) -> None:
    """What was written stays, what ran is gone."""
    host = fresh_rig.start("db1")
    host.sh("echo kept >/etc/kept; (trap '' HUP TERM; exec sleep 600) >/dev/null 2>&1 &")
    host.kill()
    assert not answers(host.address)
    host.start()
    assert host.sh("cat /etc/kept") == "kept"
    assert host.run("pgrep -fx 'sleep 600'").returncode == 1


def test_hosts_reach_each_other_and_share_a_directory(fresh_rig: Rig, tmp_path: Path) -> None:
    """A directory of the test is a repository for all of them."""
    tmp_path.chmod(0o777)
    share = Share(source=str(tmp_path), target="/srv/backups")
    one, two = fresh_rig.start_all(["one", "two"], shares=[share])
    one.sh("touch /srv/backups/from-one")
    assert two.sh("ls /srv/backups") == "from-one"
    assert two.sh(f"bash -c 'exec 3<>/dev/tcp/{one.address}/22; head -c 4 <&3'") == "SSH-"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["from-one"]


def test_a_server_of_the_test_is_reached_from_hosts(fresh_rig: Rig) -> None:
    """What listens on loopback here is shown to hosts at the rig's address."""
    host = fresh_rig.start("db1")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address, _, port = fresh_rig.expose(listener.getsockname()[1]).rpartition(":")
        threading.Thread(target=greet, args=(listener,)).start()
        assert host.sh(f"bash -c 'exec 3<>/dev/tcp/{address}/{port}; head -n 1 <&3'") == "hello"


def greet(listener: socket.socket) -> None:
    """Say hello to the first client."""
    with listener.accept()[0] as client:
        client.sendall(b"hello\n")


def test_a_distant_host_answers_late(fresh_rig: Rig) -> None:
    """A round trip takes twice the delay, whatever there is to carry."""
    host = fresh_rig.start("db1")
    with socket.create_connection(fresh_rig.distant(host, delay=0.1)) as wire:
        started = time.monotonic()
        assert wire.recv(4) == b"SSH-"
        assert time.monotonic() - started > 0.09


@pytest.fixture
def owner(rig: Rig, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A test process of its own that has a host, and the host's address."""
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()
        process.kill()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_owner_leaves_no_host(
    owner: tuple[subprocess.Popen[str], str], number: signal.Signals
) -> None:
    """Its host goes with it, without anyone cleaning up."""
    process, address = owner
    assert answers(address)
    process.send_signal(number)
    process.wait()
    wait_until(lambda: not answers(address))


def test_a_killed_rig_leaves_nothing(fresh_rig: Rig) -> None:
    """With its first process go hosts, network and mounts: shown in a host that plays machine."""
    readable = [
        Share(source=str(path), target=str(path), writable=False)
        for path in (CHECKOUT, cache_dir())
    ]
    machine = fresh_rig.start("machine", shares=readable)
    wait_until(lambda: "sleep" in what_there_is(machine))  # its own boot is over
    before = what_there_is(machine)
    machine.sh(f"cd {CHECKOUT} && ({nested_rig(machine)}) >/tmp/said 2>&1 & echo $! >/tmp/rig.pid")
    wait_until(lambda: machine.sh("cat /tmp/said").startswith("10."))
    assert machine.sh("pgrep -fc '[s]shd: .*listener'") == "2"
    machine.sh("kill -KILL $(cat /tmp/rig.pid)")
    wait_until(lambda: "nobody" not in machine.sh("ps -eo user"))
    assert what_there_is(machine) == before


def nested_rig(machine: Host) -> str:
    """The command that runs a rig of its own with one host, made of this host's own layers."""
    options = machine.sh("grep -m 1 ' / overlay ' /proc/mounts").split()[3].split(",")
    lowers = next(option for option in options if option.startswith("lowerdir="))
    inside = ("python3", "-m", "tests.support.rig.inside", lowers.removeprefix("lowerdir="))
    command = ("python3", "-c", OWNER, "/tmp")
    words = ("unshare", "--net", *inside, "nobody", "/usr/sbin:/usr/bin:/sbin:/bin", *command)
    return f"export PYTHONDONTWRITEBYTECODE=1; exec {shlex.join(words)}"


def what_there_is(machine: Host) -> str:
    """Processes, network interfaces and mounts of a host, without those that ask for them."""
    return machine.sh("ps -e -o comm= | grep -vx 'ps\\|sh\\|grep\\|sort' | sort; ip -o link; mount")
