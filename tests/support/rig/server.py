"""Makes hosts for the tests' unprivileged user; the first process of the rig's process namespace.

Not imported. It is killed, never stopped: all that it makes (hosts, their disks in a tmpfs, their
network interfaces) belongs to namespaces, which the kernel removes with it.
"""

import itertools
import os
import pwd
import socket
import subprocess
import sys
import threading
from pathlib import Path

from tests.support.rig.machine import Machine, MachineError
from tests.support.rig.protocol import NETWORK, Answer, Request, receive, send

FIRST_NUMBER = 2
HOSTS_PER_NET = 250


class Server:
    """Listens for the clients of one user; each connection is a host."""

    def __init__(self, scratch: Path, lowers: str, user: str, bridge: str) -> None:
        self._disks = scratch / "disks"
        self._lowers = lowers
        self._user = pwd.getpwnam(user)
        self._bridge = bridge
        self._numbers = itertools.count(FIRST_NUMBER)
        self._socket_path = scratch / "socket"

    def serve(self) -> None:
        """Say that it is ready on standard output, then serve for ever."""
        self._disks.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "rig", str(self._disks)], check=True)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self._socket_path))
        os.chown(self._socket_path, self._user.pw_uid, self._user.pw_gid)
        self._socket_path.chmod(0o600)
        listener.listen(64)
        print("ready", flush=True)
        while True:
            client = listener.accept()[0]
            threading.Thread(target=self._serve_client, args=(client,), daemon=True).start()

    def _serve_client(self, client: socket.socket) -> None:
        number = next(self._numbers)
        machine = Machine(
            disk=self._disks / str(number),
            lowers=self._lowers,
            bridge=self._bridge,
            interface=f"h{number}",
            address=f"{NETWORK}.{number // HOSTS_PER_NET}.{number % HOSTS_PER_NET}",
        )
        stream = client.makefile("rw")
        try:
            while request := receive(stream, Request):
                send(stream, _answer(machine, request))
        except OSError:
            return  # killed in the middle of a request
        finally:
            machine.remove()
            client.close()


def _answer(machine: Machine, request: Request) -> Answer:
    try:
        if request.verb == "boot":
            machine.boot(request.name, request.login_key, request.shares)
            return Answer(address=machine.address, host_keys=machine.host_keys())
        if request.verb == "power_off":
            machine.power_off()
            return Answer()
        done = machine.run(request.script, user=request.user, timeout=request.timeout)
        return Answer(status=done.returncode, stdout=done.stdout, stderr=done.stderr)
    except (MachineError, subprocess.SubprocessError, OSError) as error:
        return Answer(error=f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    directory, layers, account, bridge_name = sys.argv[1:]
    Server(Path(directory), layers, account, bridge_name).serve()
