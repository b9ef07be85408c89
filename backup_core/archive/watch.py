"""Waiting until names come or go in a directory, or until another thread says so.

By inotify, because the server calls archive_command the moment it has made a `.ready` file: a
worker that looked at intervals would always be late. Without inotify (another system, or no
watches left) it looks at intervals all the same.
"""

from __future__ import annotations

import ctypes
import os
import select
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

_EVENTS = 0x100 | 0x200 | 0x80 | 0x40  # IN_CREATE, IN_DELETE, IN_MOVED_TO, IN_MOVED_FROM
_WITHOUT_INOTIFY = 0.05


class Watch:
    """Watches directories while `with` lasts: for names that come and go, not for writes."""

    def __init__(self, *directories: str) -> None:
        self._bell, self._rope = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._inotify = _inotify(directories)
        self._poll = select.poll()
        self._poll.register(self._bell, select.POLLIN)
        if self._inotify is not None:
            self._poll.register(self._inotify, select.POLLIN)

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


def _inotify(directories: Sequence[str]) -> int | None:
    try:
        libc = ctypes.CDLL(None)
        descriptor = int(libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK))
    except (OSError, AttributeError):
        return None
    if descriptor < 0:
        return None
    for directory in directories:
        if libc.inotify_add_watch(descriptor, os.fsencode(directory), _EVENTS) < 0:
            os.close(descriptor)
            return None
    return descriptor
