"""A pass over backups: which partitions are read, for how long, and from where it goes on.

What was proved is written down in a local file, a line each, as soon as it is: not in the
repository, which may be read-only to whoever verifies, and whose word on itself proves little. A
line counts as long as the object has the size and the age that it had. A pass that reached its end
begins anew.
"""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from backup_core.errors import PitrError
from backup_core.repository.sentinel import Backup
from backup_core.storage.base import Storage
from backup_core.verify.backup import Advance, BadObject, StoredPart, check_part, list_parts


@dataclass(frozen=True, kw_only=True)
class PassRequest:
    """How much to read: a share of the partitions, 0 to 1, and for how many seconds at most.

    `state` is the file that says what was proved before.
    """

    sample: float = 1.0
    seconds: float | None = None
    state: Path | None = None
    workers: int = 4


@dataclass(frozen=True, kw_only=True)
class BackupVerdict:
    """What is known of a backup now: `proved` of `parts` partitions, by this pass or earlier.

    `read` bytes were read by this one.
    """

    backup: Backup
    parts: int
    proved: int
    read: int
    bad: tuple[BadObject, ...]

    @property
    def status(self) -> Literal["damaged", "verified", "incomplete"]:
        """`incomplete` is neither: some partitions were not read."""
        if self.bad:
            return "damaged"
        return "verified" if self.proved == self.parts else "incomplete"


def verify_backups(
    storage: Storage,
    backups: Sequence[Backup],
    request: PassRequest,
    *,
    advance: Advance = lambda _: None,
    total: Callable[[int], None] = lambda _: None,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[BackupVerdict, ...]:
    """Read what the request asks for; raises StorageError and MissingKeyError.

    The lists of every backup are read, whatever the share.
    """
    state = _State(request.state)
    listed = [(backup, *list_parts(storage, backup)) for backup in backups]
    waiting = [part for _, parts, _ in listed for part in parts if not state.knows(part)]
    chosen = _chosen(waiting, request)
    total(sum(part.size for part in chosen))
    deadline = None if request.seconds is None else clock() + request.seconds
    results: dict[str, BadObject | None] = {}

    def work(part: StoredPart) -> None:
        if deadline is not None and clock() >= deadline:
            return
        results[part.key] = check_part(storage, part, advance)
        if results[part.key] is None:
            state.add(part)

    with ThreadPoolExecutor(request.workers, thread_name_prefix="verify") as pool:
        for _ in pool.map(work, chosen):
            pass
    verdicts = tuple(_verdict(*each, results, state) for each in listed)
    if all(verdict.status == "verified" for verdict in verdicts):
        state.clear()
    return verdicts


def _chosen(waiting: Sequence[StoredPart], request: PassRequest) -> list[StoredPart]:
    """A random share, or all; in random order where time may end before them."""
    count = math.ceil(len(waiting) * request.sample)
    if count == len(waiting) and request.seconds is None:
        return list(waiting)
    return random.sample(list(waiting), count)


def _verdict(
    backup: Backup,
    parts: Sequence[StoredPart],
    bad_lists: Sequence[BadObject],
    results: dict[str, BadObject | None],
    state: _State,
) -> BackupVerdict:
    bad = [results[part.key] for part in parts if part.key in results]
    return BackupVerdict(
        backup=backup,
        parts=len(parts),
        proved=sum(
            state.knows(part) or (part.key in results and results[part.key] is None)
            for part in parts
        ),
        read=sum(part.size for part in parts if part.key in results),
        bad=(*bad_lists, *(item for item in bad if item is not None)),
    )


class _State:
    """What was proved: key, size and age of each object, a line each."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._known: set[str] = set()
        if path is None:
            return
        try:
            self._known = set(path.read_text().splitlines())
        except FileNotFoundError:
            return
        except (OSError, UnicodeDecodeError) as error:
            raise PitrError(
                f"cannot read {path}: {error}", hint="Name another file by --state."
            ) from None

    def knows(self, part: StoredPart) -> bool:
        """Tell whether this very object was proved before."""
        return _line(part) in self._known

    def add(self, part: StoredPart) -> None:
        """Note that an object was proved."""
        if self._path is None:
            return
        with self._lock:
            self._known.add(_line(part))
            try:
                with self._path.open("a") as file:
                    file.write(_line(part) + "\n")
            except OSError as error:
                raise PitrError(f"cannot write {self._path}: {error.strerror}") from None

    def clear(self) -> None:
        """Begin anew."""
        if self._path is not None:
            self._path.write_text("")


def _line(part: StoredPart) -> str:
    age = part.modified.isoformat() if part.modified else ""
    return f"{part.key}\t{part.size}\t{age}\t{part.sha256 or ''}"
