"""Waiting until something changes in a directory, or until another thread says so.

By inotify, because the server calls archive_command the moment it has made a `.ready` file: a
worker that looked at intervals would always be late. Without inotify (another system, or no
watches left) it looks at intervals all the same.
"""

from __future__ import annotations

import ctypes
import os
import select
from contextlib import suppress
from types import TracebackType
from typing import Self

_CREATED, _DELETED, _MOVED_TO, _MOVED_FROM = 0x100, 0x200, 0x80, 0x40
_WITHOUT_INOTIFY = 0.05


class Watch:
    """Watches one directory while `with` lasts."""

    def __init__(self, directory: str, *, events: int = _CREATED | _MOVED_TO | _MOVED_FROM) -> None:
        self._bell, self._rope = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._inotify = _inotify(directory, events)
        self._poll = select.poll()
        self._poll.register(self._bell, select.POLLIN)
        if self._inotify is not None:
            self._poll.register(self._inotify, select.POLLIN)

    @classmethod
    def of_removals(cls, directory: str) -> Self:
        """A watch that wakes when something leaves the directory."""
        return cls(directory, events=_DELETED | _MOVED_FROM)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for descriptor in (self._bell, self._rope, self._inotify):
            if descriptor is not None:
                os.close(descriptor)

    def ring(self) -> None:
        """Wake the waiting thread, from any other."""
        with suppress(BlockingIOError):
            os.write(self._rope, b"!")

    def wait(self, seconds: float) -> bool:
        """Wait for a change, the bell, or so many seconds; tell whether there may be a change."""
        if self._inotify is None:
            seconds = min(seconds, _WITHOUT_INOTIFY)
        awake = [descriptor for descriptor, _ in self._poll.poll(max(0, seconds) * 1000)]
        for descriptor in awake:
            with suppress(BlockingIOError):
                os.read(descriptor, 1 << 16)
        return self._inotify is None or self._inotify in awake


def _inotify(directory: str, events: int) -> int | None:
    try:
        libc = ctypes.CDLL(None)
        descriptor = int(libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK))
    except (OSError, AttributeError):
        return None
    if descriptor < 0:
        return None
    if libc.inotify_add_watch(descriptor, os.fsencode(directory), events) < 0:
        os.close(descriptor)
        return None
    return descriptor
