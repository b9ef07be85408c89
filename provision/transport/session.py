"""A session on a host: run a command, or a script as another user."""

from __future__ import annotations

import secrets
import shlex
import time
from collections.abc import Callable, Sequence
from typing import Self

from paramiko import Channel, ChannelException, SSHException, Transport

from provision.errors import UnreachableError
from provision.transport import sudo
from provision.transport.connection import Link, connect
from provision.transport.errors import CommandTimeoutError
from provision.transport.remote import Remote
from provision.transport.target import Result, Target

AskPassword = Callable[[Target], str]

TIMEOUT = 60.0
SECONDS_TO_FREE_A_CHANNEL = 1.0
_GRACE = sudo.SECONDS_TO_END + 5
_KILLED_BY_TIMEOUT = (124, 137)


class Session:
    """A connection to a host, opened by `with`; for one thread, but anyone may close it.

    `password` is asked for sudo's password when a host wants one, and only then; without it such
    hosts are errors. A gateway that others use as well comes as an open session.
    """

    def __init__(
        self,
        target: Target,
        *,
        password: AskPassword | None = None,
        gateway: Session | None = None,
    ) -> None:
        self.target = target
        self._password = password
        self._gateway = gateway
        self._own_gateway: Session | None = None
        self._link: Link | None = None
        self._deadline = float("inf")

    def __enter__(self) -> Self:
        self._deadline = time.monotonic() + self.target.timeouts.whole
        if self.target.gateway is not None and self._gateway is None:
            self._own_gateway = Session(self.target.gateway).__enter__()
        through = self._gateway or self._own_gateway
        try:
            self._link = connect(
                self.target, through.transport if through else None, deadline=self._deadline
            )
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection; whoever reads from it in another thread gets an error at once."""
        if self._link is not None:
            self._link.close()
        if self._own_gateway is not None:
            self._own_gateway.close()

    @property
    def transport(self) -> Transport:
        """The open connection; raise UnreachableError when it is not open."""
        transport = self._link.transport if self._link is not None else None
        if transport is None or not transport.is_active():
            raise UnreachableError(f"{self.target.name}: the connection is closed")
        return transport

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float = TIMEOUT) -> Result:
        """Run a command as the user who logged in; whatever its exit status, it is returned.

        Raise CommandTimeoutError after `timeout` seconds, when it is killed on the host, and
        ConnectionLostError when the connection ends first.
        """
        seconds = self._seconds(timeout)
        started = time.monotonic()
        remote = self._start(sudo.bounded(argv, seconds), seconds)
        remote.send(stdin, last=True)
        return self._in_time(remote.finish(), started, seconds)

    def run_as_root(self, script: bytes, *, timeout: float = TIMEOUT) -> Result:
        """Run a shell script as root: `run_as("root", script)`."""
        return self.run_as("root", script, timeout=timeout)

    def run_as(self, user: str, script: bytes, *, timeout: float = TIMEOUT) -> Result:
        """Run a shell script as `user` by sudo, in one round trip where no password is needed.

        The script travels on standard input, so it may hold secrets; a connection that is cut
        delivers its first part, so it should be a function which its last line calls. Raise
        SudoError when sudo does not allow it, else what `run` raises.
        """
        seconds = self._seconds(timeout)
        started = time.monotonic()
        ready, prompt = f"ready-{secrets.token_hex(8)}", f"password-{secrets.token_hex(8)}:"
        argv = sudo.shell_as(
            user,
            login=self.target.user,
            seconds=seconds,
            ready=ready,
            prompt=prompt if self._password else None,
        )
        remote = self._start(argv, seconds)
        if self._password is not None and user != self.target.user:
            self._satisfy(remote, ready.encode(), prompt.encode(), self._password)
        remote.send(script, last=True)
        done = remote.finish()
        first, newline, output = done.stdout.partition(b"\n")
        if first != ready.encode() or not newline:
            raise sudo.refusal(self.target, done.stderr)
        done = Result(exit_status=done.exit_status, stdout=output, stderr=done.stderr)
        return self._in_time(done, started, seconds)

    # --- inside ---

    def _satisfy(self, remote: Remote, ready: bytes, prompt: bytes, ask: AskPassword) -> None:
        """Give sudo the password if it asks, once; raise SudoError when it asks again."""
        remote.read_until(lambda: ready in remote.stdout or prompt in remote.stderr)
        if prompt in remote.stderr:
            remote.stderr.clear()
            remote.send(ask(self.target).encode() + b"\n", last=False)
            remote.read_until(lambda: ready in remote.stdout or prompt in remote.stderr)
        if ready not in remote.stdout:
            remote.send(b"", last=True)
            raise sudo.refusal(self.target, remote.finish().stderr)

    def _start(self, argv: Sequence[str], seconds: float) -> Remote:
        """Start a command with a deadline that leaves the host the time to keep its own."""
        return Remote(
            self._open_channel(),
            shlex.join(sudo.reporting(argv)),
            host=self.target.name,
            deadline=time.monotonic() + seconds + _GRACE,
        )

    def _open_channel(self) -> Channel:
        """Open a channel; sshd frees the last one a moment after it has said that it did."""
        give_up = time.monotonic() + SECONDS_TO_FREE_A_CHANNEL
        while True:
            try:
                return self.transport.open_session(timeout=self.target.timeouts.channel)
            except (SSHException, OSError, EOFError) as error:
                refused = isinstance(error, ChannelException)
                if not refused or time.monotonic() > give_up:
                    raise UnreachableError(
                        f"{self.target.name}: no further command on this connection: {error}",
                        hint="Look at MaxSessions in its sshd_config.",
                    ) from error
            time.sleep(0.02)

    def _seconds(self, timeout: float) -> float:
        remaining = self._deadline - time.monotonic()
        if remaining <= 0:
            raise CommandTimeoutError(
                f"{self.target.name}: the time for this host, "
                f"{self.target.timeouts.whole:g} s, is over"
            )
        return min(timeout, remaining)

    def _in_time(self, done: Result, started: float, seconds: float) -> Result:
        late = time.monotonic() - started >= seconds
        if late and done.exit_status in _KILLED_BY_TIMEOUT:
            raise CommandTimeoutError(
                f"{self.target.name}: the command did not end within {seconds:g} s; "
                "it was killed there",
                hint="Look whether the host is overloaded or waits for something.",
            )
        return done
