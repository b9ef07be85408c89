"""Hosts for tests: `with Rig(directory) as rig: host = rig.start("db1")`.

A host is a connection to the rig's server and ends with it. It is reached by its address as from
anywhere, and past sshd by `host.sh`, for what a test wants to prepare and to look at.
"""

import os
import socket
import subprocess
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from tests.support.postgres import find_binaries
from tests.support.rig.forward import Forwarder
from tests.support.rig.protocol import (
    BRIDGE_ADDRESS,
    SOCKET_VARIABLE,
    Answer,
    Request,
    Share,
    receive,
    send,
)

ADMIN = "admin"  # sudo without a password
OPERATOR = "operator"  # sudo with PASSWORD
GUEST = "guest"  # no sudo
PASSWORD = "correct horse battery staple"
DEBIAN_MAJOR = 15
SECONDS_FOR_A_SCRIPT = 120
START_TOGETHER = 4


class RigError(Exception):
    """The rig could not do what it was asked, or a script failed in a host."""


def rig_available() -> bool:
    """Whether this process runs beside a rig: `python -m tests.support.rig -- pytest ...`."""
    return SOCKET_VARIABLE in os.environ


class Host:
    """A host; it lives until the end of its rig, through any number of power cuts."""

    def __init__(self, name: str, identity: Path, shares: tuple[Share, ...]) -> None:
        self.name = name
        self.port = 22
        self.login = ADMIN
        self.identity = identity
        self.address = ""
        self.host_keys: tuple[str, ...] = ()
        login_key = identity.with_suffix(".pub").read_text().strip()
        self._boot = Request(verb="boot", name=name, login_key=login_key, shares=shares)
        self._one_at_a_time = threading.Lock()
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(os.environ[SOCKET_VARIABLE])
        self._stream = self._socket.makefile("rw")

    def start(self) -> None:
        """Boot the host, with the disk that it had; return when sshd answers."""
        answer = self._ask(self._boot)
        self.address, self.host_keys = answer.address, answer.host_keys

    def kill(self) -> None:
        """Cut the power: every process dies at once, what was written stays."""
        self._ask(Request(verb="power_off"))

    def sh(
        self,
        script: str,
        *,
        user: str = "root",
        check: bool = True,
        timeout: float = SECONDS_FOR_A_SCRIPT,
    ) -> str:
        """Run a shell script as `user` and return its output without the last newline.

        With `check`, raise RigError with everything it said when it does not end with 0.
        """
        done = self.run(script, user=user, timeout=timeout)
        if check and done.returncode != 0:
            raise RigError(
                f"on {self.name}, {user}: {script}\nended with {done.returncode}:\n"
                f"{done.stdout}{done.stderr}"
            )
        return done.stdout.removesuffix("\n")

    def run(
        self, script: str, *, user: str = "root", timeout: float = SECONDS_FOR_A_SCRIPT
    ) -> subprocess.CompletedProcess[str]:
        """Run a shell script as `user`, whatever comes of it."""
        answer = self._ask(Request(verb="run", script=script, user=user, timeout=timeout))
        return subprocess.CompletedProcess(script, answer.status, answer.stdout, answer.stderr)

    def write(self, path: str, text: str, *, mode: str = "644", owner: str = "root:root") -> None:
        """Put a file onto the host."""
        self.sh(
            f"mkdir -p \"$(dirname '{path}')\" && cat >'{path}' <<'RIG-END'\n{text}\nRIG-END\n"
            f"truncate -s -1 '{path}' && chmod {mode} '{path}' && chown {owner} '{path}'"
        )

    def restart_sshd(self, *options: str) -> None:
        """Start sshd anew with settings: `host.restart_sshd("MaxStartups=2:100:2")`."""
        settings = " ".join(f"-o '{option}'" for option in options)
        self.sh(
            "kill \"$(cat /run/sshd.pid)\"; while ss -Hltn 'sport = :22' | grep -q .; do :; done;"
            f" /usr/sbin/sshd {settings}; until ss -Hltn 'sport = :22' | grep -q .; do :; done"
        )

    def postgres(self, version: int = DEBIAN_MAJOR, cluster: str = "main") -> None:
        """Make and start a PostgreSQL cluster as Debian does; its port is 5432 or the next one.

        Another version than Debian's has to be named when the host is started.
        """
        self.sh(
            f"pg_createcluster {version} {cluster} --locale C.UTF-8 --"
            f" --data-checksums --no-sync && pg_ctlcluster {version} {cluster} start"
        )

    def close(self) -> None:
        """Remove the host with its disk."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._stream.close()
        self._socket.close()

    def _ask(self, request: Request) -> Answer:
        with self._one_at_a_time:
            send(self._stream, request)
            answer = receive(self._stream, Answer)
        if answer is None:
            raise RigError("the rig's server is gone")
        if answer.error:
            raise RigError(f"{self.name}: {answer.error}")
        return answer


class Rig:
    """Hosts that end together, and a key in `directory` that logs in to their accounts."""

    def __init__(self, directory: Path) -> None:
        self.address = BRIDGE_ADDRESS
        self.directory = directory
        self.identity = directory / "id_ed25519"
        self._hosts = ExitStack()

    def __enter__(self) -> Self:
        if not self.identity.exists():
            make = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "rig", "-f")
            subprocess.run([*make, str(self.identity)], check=True)
        return self

    def part(self) -> "Rig":
        """Return a rig with the same key, for hosts that end earlier."""
        return Rig(self.directory)

    def __exit__(self, *exc_info: object) -> None:
        self._hosts.close()

    def start(
        self,
        name: str,
        *,
        shares: Iterable[Share] = (),
        postgres: Iterable[int] = (),
        boot: bool = True,
    ) -> Host:
        """Start a host, with directories of this machine and further PostgreSQL versions on it."""
        servers = (_server(major) for major in postgres if major != DEBIAN_MAJOR)
        host = Host(name, self.identity, (*shares, *servers))
        self._hosts.callback(host.close)
        if boot:
            host.start()
        return host

    def expose(self, port: int) -> str:
        """Show hosts what listens on loopback here; return `ADDRESS:PORT` as they reach it."""
        forwarder = Forwarder(at=(self.address, 0), to=("127.0.0.1", port))
        self._hosts.enter_context(forwarder)
        return f"{self.address}:{forwarder.address[1]}"

    def distant(self, host: Host, *, delay: float) -> tuple[str, int]:
        """Return an address and port behind which the host's sshd is `delay` seconds away."""
        forwarder = Forwarder(at=(self.address, 0), to=(host.address, 22), delay=delay)
        return self._hosts.enter_context(forwarder).address

    def start_all(self, names: Iterable[str], *, shares: Iterable[Share] = ()) -> list[Host]:
        """Start several hosts, some at a time."""
        hosts = [self.start(name, shares=shares, boot=False) for name in names]
        with ThreadPoolExecutor(START_TOGETHER) as pool:
            list(pool.map(Host.start, hosts))
        return hosts


def _server(major: int) -> Share:
    installed = find_binaries(major).bindir.parent
    return Share(source=str(installed), target=f"/usr/lib/postgresql/{major}", writable=False)
