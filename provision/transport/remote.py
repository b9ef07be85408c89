"""One command on a host: fed, read and waited for, within a deadline.

A raw channel, not fabric's `run`: that one decodes output, reads this process's terminal, polls,
and cannot end the remote side's input. One thread reads; input that may fill the network is
written by a second, or both sides could wait for each other.
"""

import select
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from paramiko import Channel, SSHException

from provision.transport.errors import CommandTimeoutError, ConnectionLostError
from provision.transport.target import Result

_CHUNK = 1 << 15
_NO_STATUS = -1


class Remote:
    """A command that runs on a host; `stdout` and `stderr` are what it has said so far."""

    def __init__(self, channel: Channel, line: str, *, host: str, deadline: float) -> None:
        """Start `line` by the login shell; `deadline` is a time of time.monotonic()."""
        self.stdout = bytearray()
        self.stderr = bytearray()
        self._channel = channel
        self._host = host
        self._deadline = deadline
        self._writer: threading.Thread | None = None
        channel.settimeout(self._remaining())
        try:
            channel.exec_command(line)
        except (SSHException, OSError) as error:
            raise self._lost(f"the command could not be started: {error}") from error

    def send(self, data: bytes, *, last: bool) -> None:
        """Give the command input, in the background when it is long; `last` ends the input."""
        if len(data) <= _CHUNK:
            self._write(data, last)
            return
        self._writer = threading.Thread(target=self._write, args=(data, last), daemon=True)
        self._writer.start()

    def read_until(self, enough: Callable[[], bool]) -> bool:
        """Read until `enough()`, and return True, or to the end of the output: False.

        Raise CommandTimeoutError at the deadline; the command is left to the host's timeout.
        """
        poll = select.poll()
        poll.register(self._channel.fileno(), select.POLLIN)
        while True:
            self._read_what_is_there()
            if enough():
                return True
            if self._channel.eof_received or self._channel.closed:
                self._read_what_is_there()
                return enough()
            if not poll.poll(self._remaining() * 1000):
                self.close()
                raise CommandTimeoutError(
                    f"{self._host}: the command did not end in its time",
                    hint="Look whether the host is overloaded or waits for something.",
                )

    def finish(self) -> Result:
        """Read all output and return how the command ended.

        Raise ConnectionLostError when nobody will ever know.
        """
        self.read_until(lambda: False)
        self._channel.status_event.wait(self._remaining())
        if self._writer is not None:
            self._writer.join(self._remaining())
        self.close()
        if self._channel.exit_status == _NO_STATUS:
            raise self._lost("the connection ended before the command did")
        return Result(
            exit_status=self._channel.exit_status,
            stdout=bytes(self.stdout),
            stderr=bytes(self.stderr),
        )

    def close(self) -> None:
        """Give the channel back; a command that still runs is left to the host's timeout."""
        self._channel.close()

    # --- inside ---

    def _write(self, data: bytes, last: bool) -> None:
        # a command that ends without reading all its input is no error: its exit status tells
        with suppress(OSError, SSHException):
            view = memoryview(data)
            while view:
                view = view[self._channel.send(bytes(view[:_CHUNK])) :]
            if last:
                self._channel.shutdown_write()

    def _read_what_is_there(self) -> None:
        while self._channel.recv_ready():
            self.stdout += self._channel.recv(_CHUNK)
        while self._channel.recv_stderr_ready():
            self.stderr += self._channel.recv_stderr(_CHUNK)

    def _lost(self, message: str) -> ConnectionLostError:
        return ConnectionLostError(
            f"{self._host}: {message}",
            hint="Whether the command ran to its end is not known: look at the host again.",
        )

    def _remaining(self) -> float:
        return max(0.0, self._deadline - time.monotonic())
