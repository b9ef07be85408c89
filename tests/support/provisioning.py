"""A project of provisioning in a directory, and `provision` run on it as an engineer runs it."""

import os
import pty
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from tests.support.environment import clean_environ
from tests.support.rig.client import Host

ROOT = Path(__file__).parents[2]
SECONDS = 120
PATIENCE = 60
_PROGRAM = (sys.executable, "-c", "from provision.cli.main import main; exit(main())")


class Project:
    """A directory with roles/; `variables` are the secrets of its `env:` references."""

    def __init__(
        self, directory: Path, identity: Path, variables: Mapping[str, str] | None = None
    ) -> None:
        self.directory = directory
        self.identity = identity
        self.variables = dict(variables or {})
        (directory / "roles").mkdir(parents=True, exist_ok=True)

    def write(self, name: str, text: str) -> None:
        """Write a file below roles/."""
        path = self.directory / "roles" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start `provision` with its standard error in its output."""
        return subprocess.Popen(
            self._command(words),
            cwd=self.directory,
            env=self._environ(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *words: str, code: int = 0) -> str:
        """Run `provision`, which ends with `code`; return what it said on both streams."""
        said, _ = (process := self.start(*words)).communicate(timeout=SECONDS)
        assert process.returncode == code, f"{words}: {process.returncode}\n{said}"
        assert "Traceback" not in said
        return said

    def talk(self, *words: str, question: str, answer: Callable[[], str], code: int = 0) -> str:
        """Run `provision` on a terminal; return what it said there."""
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            ["setsid", "--ctty", "--wait", *self._command(words)],
            cwd=self.directory,
            env=self._environ() | {"TERM": "dumb"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        said, asked = "", False
        with suppress(OSError):  # a terminal whose last process has ended
            while data := os.read(ours, 4096):
                said += data.decode("utf-8", "replace")
                if question in said and not asked:
                    asked = True
                    os.write(ours, f"{answer()}\n".encode())
        os.close(ours)
        assert process.wait(SECONDS) == code, f"{words}: {process.returncode}\n{said}"
        assert asked, said
        return said

    # --- inside ---

    def _command(self, words: tuple[str, ...]) -> list[str]:
        reaching = words[0] in ("plan", "apply", "drift") or words[:2] in (
            ("hosts", "hold"),
            ("hosts", "release"),
        )
        return [*_PROGRAM, *words, *(("--identity", str(self.identity)) if reaching else ())]

    def _environ(self) -> dict[str, str]:
        own = {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"], "HOME": str(self.directory)}
        return clean_environ() | own | self.variables


def host_lines(
    host: Host,
    *,
    role: str,
    address: str | None = None,
    port: int = 22,
    key: str | None = None,
    more: tuple[str, ...] = (),
) -> str:
    """Return a host's lines of the inventory: reached as it is, by its own key, unless told."""
    lines = (
        f"address: {address or host.address}",
        f"port: {port}",
        *(() if key == "" else (f"host_key: {key or host.host_keys[0]}",)),
        f'run_list: ["role[{role}]"]',
        *more,
    )
    return "\n".join([f"  {host.name}:", *(f"    {line}" for line in lines), ""])


def wait_for(host: Host, script: str, *, user: str = "root", seconds: float = PATIENCE) -> None:
    """Wait until a script succeeds on a host."""
    deadline = time.monotonic() + seconds
    while (done := host.run(script, user=user)).returncode != 0:
        said = f"{script}\n{done.stdout}{done.stderr}"
        assert time.monotonic() < deadline, f"{host.name}: still not after {seconds} s: {said}"
        time.sleep(0.1)
