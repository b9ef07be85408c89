"""One host as the server holds it: namespaces around a first process, and a disk that stays."""

import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from tests.support.rig.protocol import BRIDGE_ADDRESS, Share

HERE = Path(__file__).parent
LOGINS = ("admin", "operator", "guest", "root")
KEY_TYPES = ("ed25519", "ecdsa")
SECONDS_TO_BOOT = 30
POLL_SECONDS = 0.005
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class MachineError(Exception):
    """A host did not come up, or does not run."""


class Machine:
    """A host: booted, entered, deprived of power, booted again with the same disk, removed."""

    def __init__(
        self, *, disk: Path, lowers: str, bridge: str, interface: str, address: str
    ) -> None:
        self.address = address
        self._disk = disk
        self._lowers = lowers
        self._bridge = bridge
        self._interface = interface
        self._process: subprocess.Popen[bytes] | None = None

    def boot(self, name: str, login_key: str, shares: tuple[Share, ...]) -> None:
        """Start the host and wait until its sshd answers; raise MachineError when it does not."""
        if not self._disk.exists():
            self._furnish(name, login_key)
        targets = [
            part
            for share in shares
            for part in (share.source, share.target, "rw" if share.writable else "ro")
        ]
        with (self._disk / "console").open("ab") as console:
            self._process = subprocess.Popen(
                [
                    *("unshare", "--mount", "--propagation", "private", "--pid", "--uts"),
                    *("--ipc", "--net", "--fork", "--kill-child"),
                    *("sh", str(HERE / "host.sh"), str(self._disk), self._lowers, name, *targets),
                ],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
            )
        self._connect_network()
        self._wait_for_sshd()

    def power_off(self) -> None:
        """Kill everything in the host at once, as a power cut would; its disk stays."""
        if self._process is None:
            return
        with suppress(MachineError, ProcessLookupError):
            # its end is reported to `unshare` only when no other process of the host is left
            os.kill(self._first_process(), signal.SIGKILL)
        self._process.wait()
        self._process = None
        # the kernel would remove it with the namespace, but some time later
        subprocess.run(["ip", "link", "del", self._interface], capture_output=True, check=False)

    def remove(self) -> None:
        """Power off and remove the disk."""
        self.power_off()
        shutil.rmtree(self._disk, ignore_errors=True)

    def run(self, script: str, *, user: str, timeout: float) -> subprocess.CompletedProcess[str]:
        """Run a shell script in the host as a user, past sshd."""
        command = ["env", "-i", f"PATH={PATH}", "LC_ALL=C.UTF-8", "HOME=/", "sh", "-c", script]
        if user != "root":
            command = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", *command]
        return subprocess.run(
            ["nsenter", "--all", "--target", str(self._first_process()), *command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=timeout,
            check=False,
        )

    def host_keys(self) -> tuple[str, ...]:
        """The public keys by which the host proves who it is, as known_hosts files hold them."""
        paths = (self._key_path(kind).with_suffix(".pub") for kind in KEY_TYPES)
        return tuple(" ".join(path.read_text().split()[:2]) for path in paths)

    # --- inside ---

    def _furnish(self, name: str, login_key: str) -> None:
        """Write onto the new disk what makes this host different from every other."""
        upper = self._disk / "upper"
        self._write(upper / ".rig/init", (HERE / "init.sh").read_text())
        self._write(upper / "etc/hostname", f"{name}\n")
        self._write(upper / "etc/hosts", f"127.0.0.1 localhost\n{self.address} {name}\n")
        (upper / "etc/ssh").mkdir()
        for kind in KEY_TYPES:
            subprocess.run(
                ["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "", "-f", self._key_path(kind)],
                check=True,
            )
        for user in LOGINS:
            self._write(upper / f"etc/ssh/authorized_keys.d/{user}", f"{login_key}\n")
        self._write(
            upper / "etc/ssh/sshd_config.d/keys.conf",
            "AuthorizedKeysFile /etc/ssh/authorized_keys.d/%u .ssh/authorized_keys\n",
        )

    def _write(self, path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def _key_path(self, kind: str) -> Path:
        return self._disk / f"upper/etc/ssh/ssh_host_{kind}_key"

    def _connect_network(self) -> None:
        first = str(self._first_process())
        # the same after a power cut: neighbours remember it
        peer = ("peer", "name", "eth0", "address", self._hardware_address(), "netns", first)
        self._ip("link", "add", self._interface, "type", "veth", *peer)
        self._ip("link", "set", self._interface, "master", self._bridge, "up")
        lines = (
            "link set lo up",
            f"addr add {self.address}/16 dev eth0",
            "link set eth0 up",
            f"route add default via {BRIDGE_ADDRESS}",
        )
        subprocess.run(
            ["nsenter", "--net", "--target", first, "ip", "-batch", "-"],
            input="\n".join(lines),
            text=True,
            check=True,
        )

    def _hardware_address(self) -> str:
        """A locally administered one that holds the IP address."""
        return ":".join(["02", "01", *(f"{int(part):02x}" for part in self.address.split("."))])

    def _ip(self, *args: str) -> None:
        subprocess.run(["ip", *args], check=True)

    def _first_process(self) -> int:
        """The first process of the host as this namespace numbers it."""
        process = self._process
        if process is None:
            raise MachineError("the host does not run")
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        deadline = time.monotonic() + SECONDS_TO_BOOT
        while process.poll() is None and time.monotonic() < deadline:
            if found := children.read_text().split():
                return int(found[0])
            time.sleep(POLL_SECONDS)
        raise MachineError(f"the host ended: {self._console()}")

    def _wait_for_sshd(self) -> None:
        deadline = time.monotonic() + SECONDS_TO_BOOT
        while time.monotonic() < deadline:
            self._first_process()
            try:
                with socket.create_connection((self.address, 22), timeout=1) as probe:
                    if probe.recv(4) == b"SSH-":
                        return
            except OSError:
                time.sleep(POLL_SECONDS)
        raise MachineError(f"sshd does not answer: {self._console()}")

    def _console(self) -> str:
        return (self._disk / "console").read_text(errors="replace")[-2000:]
