"""A program as a filter between two pipes.

One thread feeds and drains it, by select: the stream that goes in is drawn where the consumer of
what comes out stands, as with any other stage, and neither pipe can block the other. No data
touches a disk. Whoever leaves early takes the program along, and one that neither reads nor writes
for a minute is given up.
"""

from __future__ import annotations

import os
import selectors
import subprocess
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import IO

from backup_core.errors import EncryptionError
from backup_core.stream.encrypt.blocks import Chunk

_READ_SIZE = 256 << 10
_LONGEST_LOG = 64 << 10
_PATIENCE = 60.0
_LEAST_PIPE = 4096


class Outcome:
    """How a program ended, and what it wrote on its standard error; of a flood, the end.

    Once it has written the words `verdict` there, it is fed no more.
    """

    def __init__(self, *, verdict: bytes = b"") -> None:
        self.code = -1
        self.is_decided = False
        self._verdict = verdict
        self._log = bytearray()

    def add(self, data: bytes) -> None:
        """Take a piece of standard error."""
        self._log += data
        del self._log[:-_LONGEST_LOG]
        if self._verdict and self._verdict in self._log:
            self.is_decided = True

    def lines(self) -> list[str]:
        """Standard error by lines."""
        return self._log.decode("utf-8", "replace").splitlines()


def filtered(
    command: Sequence[str],
    chunks: Iterable[Chunk],
    outcome: Outcome,
    *,
    secret: tuple[str, bytes] | None = None,
) -> Generator[bytes, None, None]:
    """Yield what the program makes of the chunks; `outcome` is complete when that has ended.

    `secret` is an option and what is to be read from the descriptor that is put after it.
    Raises EncryptionError where the program cannot be run.
    """
    process = _start(list(command), secret)
    try:
        yield from _Pump(command[0], process, iter(chunks), outcome).run()
        outcome.code = _ended(process)
    finally:
        process.kill()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        process.wait()


def _ended(process: subprocess.Popen[bytes]) -> int:
    """Wait for a program that has closed its pipes."""
    try:
        return process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def _start(command: list[str], secret: tuple[str, bytes] | None) -> subprocess.Popen[bytes]:
    descriptors: tuple[int, ...] = ()
    if secret is not None:
        option, data = secret
        descriptor = _readable(data)
        descriptors = (descriptor,)
        command[1:1] = [option, str(descriptor)]
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            pass_fds=descriptors,
        )
    except OSError as error:
        raise EncryptionError(
            f"cannot run {command[0]}: {error.strerror}",
            hint="Install GnuPG, or set GPG_BIN to the program's path.",
        ) from None
    finally:
        for each in descriptors:
            os.close(each)


def _readable(data: bytes) -> int:
    """Open a pipe that has `data` in it; a pipe holds a page without a reader."""
    if len(data) > _LEAST_PIPE:
        raise EncryptionError(f"a passphrase of {len(data)} bytes is too long")
    reading, writing = os.pipe()
    os.write(writing, data)
    os.close(writing)
    return reading


class _Pump:
    """Moves bytes while a program's pipes are open."""

    def __init__(
        self,
        name: str,
        process: subprocess.Popen[bytes],
        chunks: Iterator[Chunk],
        outcome: Outcome,
    ) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self._stdin: IO[bytes] = process.stdin
        self._stdout: IO[bytes] = process.stdout
        self._stderr: IO[bytes] = process.stderr
        self._name = name
        self._chunks = chunks
        self._outcome = outcome
        self._pending = memoryview(b"")
        os.set_blocking(self._stdin.fileno(), False)

    def run(self) -> Iterator[bytes]:
        """Yield standard output until it and standard error are closed."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._stdin, selectors.EVENT_WRITE)
            selector.register(self._stdout, selectors.EVENT_READ)
            selector.register(self._stderr, selectors.EVENT_READ)
            while selector.get_map():
                ready = selector.select(_PATIENCE)
                if not ready:
                    raise EncryptionError(
                        f"{self._name} has neither read nor written for {_PATIENCE:.0f} s",
                        hint="It may wait for a lock on its keyring, or for a card.",
                    )
                for key, _ in ready:
                    yield from self._serve(key.fileobj, selector)

    def _serve(self, pipe: object, selector: selectors.BaseSelector) -> Iterator[bytes]:
        if pipe is self._stdin:
            if self._outcome.is_decided or not self._feed():
                selector.unregister(self._stdin)
                self._stdin.close()
            return
        source = self._stdout if pipe is self._stdout else self._stderr
        data = os.read(source.fileno(), _READ_SIZE)
        if not data:
            selector.unregister(source)
        elif source is self._stdout:
            yield data
        else:
            self._outcome.add(data)

    def _feed(self) -> bool:
        """Write what fits; False once nothing is left, or the program listens no more."""
        while not self._pending:
            chunk = next(self._chunks, None)
            if chunk is None:
                return False
            self._pending = memoryview(chunk)
        try:
            count = os.write(self._stdin.fileno(), self._pending)
        except BlockingIOError:
            return True
        except BrokenPipeError:
            return False
        self._pending = self._pending[count:]
        return True
