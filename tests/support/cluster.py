"""One real PostgreSQL server: created, started, asked, killed, and never left running.

The server listens on a unix socket in a private directory only, so any number of them run side by
side without choosing ports, and the directory is short because a socket's path is limited to 107
bytes. A guard process ends the server when the process that started it dies (see guard.py).
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, Literal, Self

import psycopg

from tests.support.environment import clean_environ
from tests.support.postgres import Binaries, find_binaries
from tests.support.processes import kill_tree, remove_shared_memory

GUARD = Path(__file__).with_name("guard.py")
SOCKET_PATH_ROOM = 70
POLL_SECONDS = 0.02
STOP_SIGNALS = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}

StopMode = Literal["smart", "fast", "immediate"]
Setting = str | int | bool


class ServerDiedError(RuntimeError):
    """The server ended when it was expected to run; the message holds the end of its log."""


class Cluster:
    """A data directory and the server that runs on it; `with` starts it and always stops it."""

    def __init__(self, data_dir: Path, binaries: Binaries) -> None:
        self.data_dir = data_dir
        self.binaries = binaries
        self.log_path = data_dir.with_name(f"{data_dir.name}.log")
        self._socket_dir: Path | None = None
        self._guard: subprocess.Popen[str] | None = None
        self._postmaster = 0

    @classmethod
    def create(
        cls,
        directory: Path,
        binaries: Binaries,
        *,
        checksums: bool = True,
        wal_segment_mb: int | None = None,
        settings: Mapping[str, Setting] | None = None,
        pg_wal: Path | None = None,
        encoding: str = "UTF8",
    ) -> Self:
        """Make a new cluster in `directory` (its data directory); it is not started.

        `pg_wal` puts the WAL elsewhere, behind a symbolic link. The superuser is `postgres`.
        """
        command = [
            *(str(binaries.program("initdb")), "-D", str(directory), "-U", "postgres"),
            *("--auth=trust", "--no-sync", f"--encoding={encoding}", "--locale=C"),
        ]
        if checksums:
            command.append("--data-checksums")
        elif binaries.major >= 18:
            command.append("--no-data-checksums")
        if wal_segment_mb is not None:
            command.append(f"--wal-segsize={wal_segment_mb}")
        if pg_wal is not None:
            command.append(f"--waldir={pg_wal}")
        directory.parent.mkdir(parents=True, exist_ok=True)
        _run(command, clean_environ())
        cluster = cls(directory, binaries)
        cluster.settings(**(settings or {}))
        return cluster

    @classmethod
    def adopt(cls, data_dir: Path, binaries: Binaries) -> Self:
        """Take an existing data directory, such as a restored one; it is not started."""
        return cls(data_dir, binaries)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    # --- the server's life ---

    def start(self, timeout: float = 60, *, env: Mapping[str, str] | None = None) -> None:
        """Start the server, unless it runs, and wait until it accepts connections.

        `env` is added to the server's environment, which its archive_command inherits. Raise
        ServerDiedError when it ends first, TimeoutError when it takes longer (it runs on).
        """
        if not self.running:
            self.launch(env=env)
        self._wait(self._accepts_connections, timeout, "the server does not accept connections")

    def launch(self, *, env: Mapping[str, str] | None = None) -> None:
        """Start the server without waiting for anything."""
        if self.running:
            raise RuntimeError(f"the server on {self.data_dir} runs already")
        self._end_guard()
        command = [str(self.binaries.program("postgres")), "-D", str(self.data_dir)]
        with self.log_path.open("a") as log:
            self._guard = _start_guard(
                self._socket(),
                [*command, *self._fixed_options()],
                log,
                {**clean_environ(), **(env or {})},
            )
        assert self._guard.stdout is not None
        self._postmaster = int(self._guard.stdout.readline())

    def stop(self, mode: StopMode = "fast", timeout: float = 60) -> None:
        """Shut the server down and wait for its end; nothing happens when it does not run.

        Raise TimeoutError, after killing it, when the shutdown takes longer.
        """
        if not self.running:
            return
        os.kill(self._postmaster, STOP_SIGNALS[mode])
        try:
            self.wait_exit(timeout)
        except TimeoutError:
            self.kill()
            raise

    def kill(self) -> None:
        """SIGKILL the postmaster and every process below it, as a power cut would end them."""
        if self.running:
            memory = _shared_memory_id(self.data_dir / "postmaster.pid")
            kill_tree(self._postmaster)
            self.wait_exit(10)
            remove_shared_memory(memory)

    def close(self) -> None:
        """End the server without a checkpoint and remove its socket directory."""
        try:
            self.stop("immediate", timeout=30)
        finally:
            self._end_guard()
            if self._socket_dir is not None:
                shutil.rmtree(self._socket_dir, ignore_errors=True)
                self._socket_dir = None

    def reload(self) -> None:
        """Make the server read its configuration files again."""
        os.kill(self._postmaster, signal.SIGHUP)

    def wait_exit(self, timeout: float = 60) -> int:
        """Wait until the server ends by itself and return its exit code (128 + n after signal n).

        Raise TimeoutError when it still runs after `timeout` seconds.
        """
        if self._guard is None:
            raise RuntimeError(f"the server on {self.data_dir} was not started")
        try:
            code = self._guard.wait(timeout)
        except subprocess.TimeoutExpired:
            raise TimeoutError(self._with_log("the server still runs")) from None
        self._end_guard()
        return code

    @property
    def running(self) -> bool:
        """True while the postmaster lives, whether it accepts connections or not."""
        return self._guard is not None and self._guard.poll() is None

    @property
    def postmaster_pid(self) -> int:
        """The process id of the postmaster that was started last."""
        return self._postmaster

    # --- what it is asked ---

    @property
    def environ(self) -> dict[str, str]:
        """The libpq variables that lead a client to this server."""
        return {
            "PGHOST": str(self._socket()),
            "PGPORT": "5432",
            "PGUSER": "postgres",
            "PGDATABASE": "postgres",
        }

    def connect(self, *, dbname: str = "postgres") -> psycopg.Connection[tuple[Any, ...]]:
        """Open a connection in autocommit mode; the caller closes it."""
        return psycopg.connect(
            host=str(self._socket()),
            port=5432,
            user="postgres",
            dbname=dbname,
            autocommit=True,
            options="-c statement_timeout=300s",  # a statement that hangs fails its test
        )

    def sql(self, query: str, *params: object) -> list[tuple[Any, ...]]:
        """Run a statement on its own connection and return its rows, if it has any."""
        with self.connect() as connection:
            cursor = connection.execute(query.encode(), params or None)
            return cursor.fetchall() if cursor.description else []

    def scalar(self, query: str, *params: object) -> Any:
        """Run a query and return the first column of its first row."""
        return self.sql(query, *params)[0][0]

    def wait_until(self, predicate_sql: str, timeout: float = 30) -> None:
        """Wait until a query's first column is true; a server that starts up says not yet.

        Raise TimeoutError, or ServerDiedError when the server ends meanwhile.
        """
        self._wait(lambda: self._holds(predicate_sql), timeout, f"never true: {predicate_sql}")

    def settings(self, **settings: Setting) -> None:
        """Append settings to postgresql.conf; a running server takes them after reload()."""
        with (self.data_dir / "postgresql.conf").open("a") as conf:
            conf.writelines(f"{name} = {_quoted(value)}\n" for name, value in settings.items())

    def run(self, program: str, *args: str) -> subprocess.CompletedProcess[str]:
        """Run a client program against this server; raise RuntimeError when it fails."""
        return _run([str(_client(self.binaries, program)), *args], clean_environ() | self.environ)

    def pgbench(self, *args: str) -> subprocess.CompletedProcess[str]:
        """Run pgbench against this server."""
        return self.run("pgbench", *args)

    @property
    def log(self) -> str:
        """Everything the server has written to its log since the cluster was made."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    # --- inside ---

    def _fixed_options(self) -> list[str]:
        """Options that win over a restored postgresql.conf, which names another socket.

        Dynamic shared memory is in the data directory: a killed server leaves nothing in /dev/shm.
        """
        fixed = {
            "listen_addresses": "",
            "port": "5432",
            "unix_socket_directories": str(self._socket()),
            "dynamic_shared_memory_type": "mmap",
            "logging_collector": "off",
            "log_destination": "stderr",
        }
        return [part for name, value in fixed.items() for part in ("-c", f"{name}={value}")]

    def _socket(self) -> Path:
        if self._socket_dir is None:
            base = tempfile.gettempdir()
            short = base if len(base) <= SOCKET_PATH_ROOM else "/tmp"
            self._socket_dir = Path(tempfile.mkdtemp(prefix="pg-", dir=short))
        return self._socket_dir

    def _accepts_connections(self) -> bool:
        return self._holds("SELECT true")

    def _holds(self, predicate_sql: str) -> bool:
        try:
            return bool(self.scalar(predicate_sql))
        except psycopg.OperationalError:
            return False

    def _wait(self, condition: Callable[[], bool], timeout: float, complaint: str) -> None:
        deadline = time.monotonic() + timeout
        while not condition():
            if not self.running:
                raise ServerDiedError(self._with_log("the server ended"))
            if time.monotonic() > deadline:
                raise TimeoutError(self._with_log(f"{complaint} after {timeout:g} s"))
            time.sleep(POLL_SECONDS)

    def _with_log(self, message: str) -> str:
        return "\n".join([f"{message}; its log ends:", *self.log.splitlines()[-20:]])

    def _end_guard(self) -> None:
        """Let go of the guard, which ends the server if it still runs."""
        if self._guard is None:
            return
        for pipe in (self._guard.stdin, self._guard.stdout):
            if pipe is not None:
                pipe.close()
        self._guard.wait()


def _start_guard(
    scratch: Path, command: list[str], log: IO[str], env: dict[str, str]
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-I", "-S", str(GUARD), str(scratch), *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        env=env,
        text=True,
        start_new_session=True,
    )


def _client(binaries: Binaries, program: str) -> Path:
    """Return a client program, another version's when this build has the server only."""
    try:
        return binaries.program(program)
    except FileNotFoundError:
        return find_binaries().program(program)


def _run(command: list[str], env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=env, check=False
    )
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip()
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{said}")
    return done


def _shared_memory_id(pid_file: Path) -> int | None:
    """Return the System V segment a killed server leaves: line 7 of postmaster.pid, `key id`."""
    lines = pid_file.read_text().splitlines() if pid_file.exists() else []
    fields = lines[6].split() if len(lines) > 6 else []
    return int(fields[1]) if len(fields) == 2 else None


def _quoted(value: Setting) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    text = str(value).replace("\\", "\\\\").replace("'", "''")
    return f"'{text}'"
