"""The server that a drill starts on what it restored: a child that does not outlive the drill."""

from __future__ import annotations

import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from backup_core.drill import isolation
from backup_core.drill.programs import Programs
from backup_core.drill.scratch import Scratch
from backup_core.errors import PitrError, RefusedError, ServerError
from backup_core.postgres.server import Address, Server, connect

_POLL = 0.2
_SECONDS_TO_CONNECT = 10
_SECONDS_TO_STOP = 60
_LINES = 5
_CONSISTENT = "consistent recovery state reached"
_NOT_YET = "FATAL:  the database system is "  # what it answers us while we wait
_TROUBLE = ("FATAL", "PANIC", "pitr wal-fetch: error", "could not")


class DrillServer:
    """One PostgreSQL server on a drill's data directory."""

    def __init__(
        self, programs: Programs, scratch: Scratch, settings: Mapping[str, str], user: str
    ) -> None:
        self._programs = programs
        self._scratch = scratch
        self._settings = settings
        self._user = user
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def command(self) -> list[str]:
        """The words that start it, isolation included."""
        postgres = str(self._programs.directory / "postgres")
        return [postgres, "-D", str(self._scratch.data), *isolation.words(self._settings)]

    def start(self) -> None:
        """Start it; it ends by itself when this process does, however that ends."""
        setpriv = shutil.which("setpriv", path=self._programs.environment.get("PATH"))
        tied: Sequence[str] = (setpriv, "--pdeathsig", "QUIT") if setpriv else ()
        with self._scratch.log.open("wb") as log:
            try:
                self._process = subprocess.Popen(
                    [*tied, *self.command],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=dict(self._programs.environment),
                    start_new_session=True,
                )
            except OSError as error:
                raise PitrError(f"cannot start {self.command[0]}: {error.strerror}") from None

    @contextmanager
    def connect(self, database: str = "postgres") -> Iterator[Server]:
        """Connect to it; raises ServerError, and RefusedError should it be another server."""
        address = Address(
            sockets=self._scratch.sockets,
            port=isolation.PORT,
            user=self._user,
            database=database,
        )
        with connect(address, timeout=_SECONDS_TO_CONNECT) as server:
            found = server.data_directory()
            if not found.samefile(self._scratch.data):
                raise RefusedError(f"the server on {address.sockets} serves {found}")
            yield server

    def wait_until(self, holds: Callable[[], bool], deadline: float, what: str) -> None:
        """Wait until something holds; `deadline` by the monotonic clock.

        Raises PitrError with the server's last words when it ends first, or when it takes longer.
        """
        while True:
            ended = self._process is None or self._process.poll() is not None
            if holds():
                return
            if ended:
                raise PitrError(
                    f"the server ended before it {what}: {self.last_words()}",
                    hint=f"{self._scratch.log} has all that it said.",
                )
            if time.monotonic() > deadline:
                raise PitrError(
                    f"it took too long until the server {what}: {self.last_words()}",
                    hint="Give it longer with --timeout.",
                )
            time.sleep(_POLL)

    def is_consistent(self) -> bool:
        """Whether it has reached the end of the backup, by its log: it may have ended since."""
        return any(_CONSISTENT in line for line in self._said())

    def is_promoted(self) -> bool:
        """Whether it answers and recovers no more."""
        try:
            with self.connect() as server:
                return not server.in_recovery()
        except ServerError:
            return False

    def stop(self, *, clean: bool = False) -> None:
        """End it and wait for its end; without a checkpoint unless `clean`."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        for number in (signal.SIGINT if clean else signal.SIGQUIT, signal.SIGKILL):
            process.send_signal(number)
            try:
                process.wait(_SECONDS_TO_STOP)
                return
            except subprocess.TimeoutExpired:
                continue

    def how_to_start(self) -> str:
        """The command that starts it again, as isolated as it was."""
        return f"start the server with: {shlex.join(self.command)}"

    def last_words(self) -> str:
        """The end of what the server said about its trouble, or of all that it said."""
        lines = [line for line in self._said() if _NOT_YET not in line]
        telling = [line for line in lines if any(word in line for word in _TROUBLE)]
        return "; ".join((telling or lines)[-_LINES:]) or "nothing"

    def _said(self) -> list[str]:
        try:
            return self._scratch.log.read_text(errors="replace").strip().splitlines()
        except OSError:
            return []
