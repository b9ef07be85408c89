"""An sshd of this user's own on loopback, where nobody may make hosts.

It lets in only the user who runs it and knows neither sudo nor other accounts, so it stands in for
a host where a test asks for commands, bytes and host keys and nothing else.
"""

import os
import pwd
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.programs import Program, free_ports

SSHD = Path("/usr/sbin/sshd")
NO_SHELLS = ("nologin", "false")


@dataclass(frozen=True, kw_only=True)
class Loopback:
    """What a test needs of a host to log in to it."""

    name: str
    address: str
    port: int
    login: str
    host_keys: tuple[str, ...]
    identity: Path


def loopback_available() -> bool:
    """Whether there is an sshd, and a shell that it can give this user."""
    try:
        shell = pwd.getpwuid(os.getuid()).pw_shell
    except KeyError:
        return False
    return SSHD.exists() and Path(shell).name not in NO_SHELLS


@contextmanager
def loopback(directory: Path) -> Iterator[Loopback]:
    """Run an sshd that keeps everything in `directory`."""
    for name, kind in (("identity", "ed25519"), ("host", "ed25519"), ("host_ecdsa", "ecdsa")):
        make = ("ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "", "-f")
        subprocess.run([*make, str(directory / name)], check=True)
    (port,) = free_ports(1)
    sshd = Program(_command(directory, port), directory / "sshd.log", {})
    try:
        sshd.wait_for(lambda: _listens(port))
        yield Loopback(
            name="loopback",
            address="127.0.0.1",
            port=port,
            login=pwd.getpwuid(os.getuid()).pw_name,
            host_keys=tuple(
                " ".join((directory / f"{name}.pub").read_text().split()[:2])
                for name in ("host", "host_ecdsa")
            ),
            identity=directory / "identity",
        )
    finally:
        sshd.kill()


def _command(directory: Path, port: int) -> list[str]:
    settings = {
        "ListenAddress": "127.0.0.1",
        "Port": port,
        "HostKey": directory / "host",
        "AuthorizedKeysFile": directory / "identity.pub",
        "PidFile": "none",
        "UsePAM": "no",
        "StrictModes": "no",
        "PasswordAuthentication": "no",
    }
    options = [part for name, value in settings.items() for part in ("-o", f"{name}={value}")]
    second = ("-o", f"HostKey={directory / 'host_ecdsa'}")
    return [str(SSHD), "-D", "-e", "-f", "/dev/null", *options, *second]


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
