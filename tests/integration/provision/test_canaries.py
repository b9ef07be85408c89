"""No secret is seen while hosts are looked at and changed: on no stream, and in no process list.

The lists are read over and over while the commands run, on this machine and on the host.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.support.canaries import Canary, mark, seen
from tests.support.environment import clean_environ
from tests.support.rig.client import Host

ROOT = Path(__file__).parents[3]
LIST = "/tmp/process-list"  # on the host of a test
PASSWORD = Canary(f"{mark('live')}'\"\\% é{mark('end')}", (mark("live"), mark("end")))
KEY = Canary(f"-----BEGIN KEY-----\n{mark('lines') * 4}\n-----END KEY-----", (mark("lines"),))
NEXT = Canary(f"{mark('next')}$(id)", (mark("next"),))
CANARIES = (PASSWORD, KEY, NEXT)
INVENTORY = """
defaults: {{user: admin}}
hosts:
  db1:
    address: "{address}"
    host_key: {key}
    run_list: ["recipe[pitr::tooling]"]
    default_attributes:
      postgresql: {{version: 15}}
      pitr:
        repository: file:///srv/backup
        package: {{manage: false, probe: false}}
        environment:
          PASSWORD: {{secret: "env:PASSWORD"}}
        files:
          a.key: {{secret: "file:key"}}
"""


@pytest.fixture
def project(host: Host, tmp_path: Path) -> Path:
    """A project with one host and secrets of two kinds."""
    (tmp_path / "roles").mkdir()
    text = INVENTORY.format(address=host.address, key=host.host_keys[0])
    (tmp_path / "roles/inventory.yml").write_text(text)
    (tmp_path / "key").touch(mode=0o600)
    (tmp_path / "key").write_text(KEY.value)
    return tmp_path


def said(project: Path, host: Host, *words: str, password: Canary, code: int) -> str:
    """What a command says on both streams; it ends with `code`."""
    place = ("--project", str(project), "--identity", str(host.identity))
    program = (sys.executable, "-c", "from provision.cli.main import main; exit(main())")
    environ = {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"], "PASSWORD": password.value}
    done = subprocess.run(
        [*program, *words, *place],
        env=clean_environ() | environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    output = done.stdout.decode()
    assert done.returncode == code, output
    return output


@contextmanager
def watched(host: Host) -> Iterator[list[bytes]]:
    """Collect the process lists of both machines; filled when the block ends."""
    found: list[bytes] = []
    ended = threading.Event()
    loop = f"while :; do cat /proc/[0-9]*/cmdline; done >>{LIST} 2>/dev/null"
    pid = host.sh(f"setsid sh -c '{loop}' </dev/null >/dev/null 2>&1 & echo $!")
    watcher = threading.Thread(target=collect, args=(found, ended))
    watcher.start()
    try:
        yield found
    finally:
        ended.set()
        watcher.join()
        host.sh(f"kill -- -{pid} 2>/dev/null || kill {pid}")
        found.append(host.sh(f"tr '\\000' '\\n' <{LIST} | sort -u").encode())


def collect(found: list[bytes], ended: threading.Event) -> None:
    """Read this machine's process list until the end."""
    lines: set[bytes] = set()
    while not ended.wait(0.01):
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                lines.add(path.read_bytes())
    found.extend(lines)


def test_no_secret_is_seen_while_a_host_is_changed(project: Path, host: Host) -> None:
    """First with one password, then with the next; what is on the host is the secret itself."""
    outputs = []
    with watched(host) as lists:
        for password in (PASSWORD, NEXT):
            for form in ("text", "json", "markdown", "junit"):
                words = ("plan", "--format", form)
                outputs.append(said(project, host, *words, password=password, code=2))
            outputs.append(said(project, host, "apply", "--yes", password=password, code=0))
        outputs.append(said(project, host, "plan", password=NEXT, code=0))
        outputs.append(said(project, host, "drift", "--json", password=NEXT, code=0))
        host.sh("echo changed >>/etc/pitr.d/a.key")
        outputs.append(said(project, host, "drift", password=NEXT, code=2))
        outputs.append(said(project, host, "plan", password=NEXT, code=2))
    assert host.sh("cat /etc/pitr.d/env/PASSWORD") == NEXT.value
    assert b"sudo" in b"".join(lists)
    assert not seen(CANARIES, *outputs, *lists)
    assert not seen(CANARIES, host.sh("cat /var/lib/provision/journal.json"))


def test_a_canary_in_a_process_list_would_be_found(host: Host) -> None:
    """So that the test before can fail."""
    with watched(host) as lists:
        host.sh(f"sh -c 'sleep 0.5; : {PASSWORD.marks[0]}'")
    assert seen([PASSWORD], *lists)
