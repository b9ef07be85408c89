"""Runs in the rig's network: starts the server, then the command, and ends as the command does.

Not imported. Two children, because they need different things: the server is root and the first
process of a process namespace, so that the kernel kills every host with it; the command is the
tests' own user and sees the machine's processes and files as ever. Both are told to end when this
process does, also by SIGKILL.
"""

import os
import pwd
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.rig.protocol import BRIDGE_ADDRESS, SOCKET_VARIABLE

BRIDGE = "rig0"
# without one of its own it takes a host's, and another when that host goes: peers would not know
BRIDGE_HARDWARE_ADDRESS = "02:00:00:00:00:01"


def main(lowers: str, user: str, path: str, command: list[str]) -> int:
    """Run `command` as `user` with the server at hand; return its exit code."""
    make_network()
    with tempfile.TemporaryDirectory(prefix="rig-") as scratch:
        server = start_server(Path(scratch), lowers, user)
        try:
            return run(command, user, {SOCKET_VARIABLE: f"{scratch}/socket", "PATH": path})
        finally:
            server.kill()
            server.communicate()


def make_network() -> None:
    """Make a bridge; the command lives at its address and on loopback."""
    for line in (
        "link set lo up",
        f"link add {BRIDGE} address {BRIDGE_HARDWARE_ADDRESS} type bridge",
        f"addr add {BRIDGE_ADDRESS}/16 dev {BRIDGE}",
        f"link set {BRIDGE} up",
    ):
        subprocess.run(["ip", *line.split()], check=True)


def start_server(scratch: Path, lowers: str, user: str) -> subprocess.Popen[bytes]:
    """Start the server and wait until it listens."""
    scratch.chmod(0o755)
    server = subprocess.Popen(
        [
            *("setpriv", "--pdeathsig", "KILL"),
            *("unshare", "--mount", "--propagation", "private", "--pid", "--uts", "--ipc"),
            *("--fork", "--kill-child", "--mount-proc"),
            *(sys.executable, "-m", "tests.support.rig.server", str(scratch), lowers, user, BRIDGE),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert server.stdout is not None
    if not server.stdout.readline():
        raise RuntimeError("the rig's server did not start")
    return server


def run(command: list[str], user: str, variables: dict[str, str]) -> int:
    """Run the command; signals that ask this process to end go to it."""
    account = pwd.getpwnam(user)
    drop = (f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--init-groups")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's reaches the command itself
    child = subprocess.Popen(
        ["setpriv", *drop, "--pdeathsig=TERM", "env", "--default-signal=INT,QUIT", *command],
        env={**os.environ, **variables},
    )
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _frame: child.send_signal(received))
    code = child.wait()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]))
