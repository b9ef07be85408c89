"""The command that prints a key, so that any vault or key service can serve.

It runs without a shell, so that nothing in a setting is expanded twice; who wants a pipeline writes
`sh -c '...'`. What it prints is a secret and stands in no message; what it complains about does. It
has a session of its own, of which nothing is left when it has ended or its time is up.
"""

from __future__ import annotations

import os
import selectors
import shlex
import signal
import subprocess
import time

from backup_core.errors import ConfigError, EncryptionError

_SHOWN = 500
_READ_SIZE = 64 << 10


def output_of(command: str, setting: str, *, longest: int, timeout: float) -> bytes:
    """Run the command and return what it prints, or somewhat more than `longest` bytes of it.

    Raises ConfigError if it cannot be run, EncryptionError if it fails or takes longer than
    `timeout` seconds.
    """
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise ConfigError(f"cannot parse {setting}: {str(error).lower()}") from None
    if not words:
        raise ConfigError(f"{setting} is empty")
    return _run(words, setting, longest, timeout)


def _run(words: list[str], setting: str, longest: int, timeout: float) -> bytes:
    """Run the command in a session of its own, which is ended as a whole when time is up."""
    try:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise ConfigError(f"cannot run {words[0]} of {setting}: {error.strerror}") from None
    with process:
        try:
            output, complaints = _collect(process, longest, time.monotonic() + timeout)
        except (TimeoutError, subprocess.TimeoutExpired):
            raise EncryptionError(
                f"{words[0]} of {setting} gave no key within {timeout:.0f} s",
                hint="It must print the key and end, without asking anything.",
            ) from None
        finally:
            _end(process.pid)
    if process.returncode != 0 and len(output) <= longest:
        shown = " ".join(complaints.decode("utf-8", "replace").split())[-_SHOWN:]
        raise EncryptionError(
            f"{words[0]} of {setting} failed with code {process.returncode}"
            + (f": {shown}" if shown else ""),
            hint="Run it by hand, as the user that runs pitr and without that user's shell.",
        )
    return output


def _collect(
    process: subprocess.Popen[bytes], longest: int, deadline: float
) -> tuple[bytes, bytes]:
    """Read what the command prints until it ends, or prints more than the longest key."""
    output, complaints = bytearray(), bytearray()
    assert process.stdout is not None
    assert process.stderr is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ, output)
        selector.register(process.stderr, selectors.EVENT_READ, complaints)
        while selector.get_map():
            ready = selector.select(max(0.0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError
            for key, _ in ready:
                data = os.read(key.fd, _READ_SIZE)
                key.data.extend(data)
                if not data:
                    selector.unregister(key.fileobj)
            del complaints[:-_READ_SIZE]
            if len(output) > longest:
                return bytes(output), b""
    process.wait(max(0.0, deadline - time.monotonic()))
    return bytes(output), bytes(complaints)


def _end(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return
