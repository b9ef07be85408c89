"""Let other age keys open what is stored: headers are written anew, contents stay as they are.

The wanted state is given, all recipients of it; what has it already is passed over. So an
interrupted run is continued by the same command, and a second one finds nothing to do. Where a
store can copy within itself a large object does not move; elsewhere it is read and put anew.

Objects are otherwise never rewritten. This is the exception: the old header gives the content away
to a key that is to lose it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice

from backup_core.errors import CorruptError, EncryptionError, NotFoundError, PitrError
from backup_core.keys.survey import ObjectKeys, confidential, inspect
from backup_core.repository.lock import backup_lock
from backup_core.storage.base import Splicer, Storage
from backup_core.stream.encrypt.age import rewrap_header
from backup_core.stream.encrypt.age_header import key_id
from backup_core.stream.encrypt.scheme import AGE
from backup_core.stream.parallel import Advance, run_all

_BATCH = 1000
_MOST_FAILURES = 20


@dataclass(frozen=True, kw_only=True)
class RewrapRequest:
    """Public keys that shall open everything, secret ones that open it now; 32 bytes each."""

    recipients: tuple[bytes, ...]
    identities: tuple[bytes, ...]
    backups: bool = True
    wal: bool = True
    workers: int = 4


@dataclass(kw_only=True)
class RewrapCounts:
    """What became of the objects; `failures` has the first few that could not be rewrapped."""

    changed: int = 0
    unchanged: int = 0
    other: dict[str, int] = field(default_factory=dict)
    failed: int = 0
    failures: list[PitrError] = field(default_factory=list)


def is_wanted(item: ObjectKeys, recipients: Iterable[bytes]) -> bool:
    """Tell whether an age object is encrypted for these recipients and nobody else."""
    return item.key_ids == tuple(sorted(map(key_id, recipients)))


def survey(storage: Storage, request: RewrapRequest) -> Iterator[ObjectKeys]:
    """Look at every object that the request is about."""
    infos = confidential(storage, backups=request.backups, wal=request.wal)
    return inspect(storage, infos, libsodium_key=None, workers=request.workers)


def rewrap(
    storage: Storage,
    request: RewrapRequest,
    *,
    dry_run: bool = False,
    advance: Advance = lambda _: None,
) -> RewrapCounts:
    """Give every age object the wanted recipients, under the backup lock; or only count.

    `storage` is the bare one, which does not decrypt. An object that cannot be rewrapped, for want
    of its key, for damage, or because it was deleted meanwhile, is counted and the others go on.
    Raises LockHeldError, StorageError.
    """
    counts = RewrapCounts()
    if dry_run:
        counts.changed = sum(1 for _ in _todo(survey(storage, request), request, counts))
        return counts
    with backup_lock(storage) as check_lock:
        found = survey(storage, request)
        while batch := list(islice(found, _BATCH)):
            errors = run_all(
                lambda item, report: _attempt(storage, item, request, report),
                list(_todo(batch, request, counts)),
                workers=request.workers,
                advance=advance,
                watch=check_lock,
            )
            failed = [error for error in errors if error is not None]
            counts.changed += len(errors) - len(failed)
            counts.failed += len(failed)
            counts.failures = [*counts.failures, *failed][:_MOST_FAILURES]
    return counts


def _todo(
    items: Iterable[ObjectKeys], request: RewrapRequest, counts: RewrapCounts
) -> Iterator[ObjectKeys]:
    """Yield the items whose recipients have to change; the others are counted."""
    for item in items:
        if item.scheme != AGE:
            counts.other[item.scheme] = counts.other.get(item.scheme, 0) + 1
        elif is_wanted(item, request.recipients):
            counts.unchanged += 1
        else:
            yield item


def _attempt(
    storage: Storage, item: ObjectKeys, request: RewrapRequest, report: Advance
) -> PitrError | None:
    try:
        _rewrap_one(storage, item, request)
    except (EncryptionError, CorruptError, NotFoundError) as error:
        return error
    report(item.size)
    return None


def _rewrap_one(storage: Storage, item: ObjectKeys, request: RewrapRequest) -> None:
    assert item.header is not None
    old = item.header.size
    header = rewrap_header(
        b"".join(storage.get(item.key, stop=old)),
        request.identities,
        request.recipients,
        name=item.key,
    )
    if not (isinstance(storage, Splicer) and storage.replace_head(item.key, header, old)):
        content = chain([header], storage.get(item.key, start=old))
        storage.put(item.key, content, size_hint=len(header) + item.size - old)
    if b"".join(storage.get(item.key, stop=len(header))) != header:
        raise CorruptError(
            f"{item.key} does not begin with its new header after its rewrapping",
            hint="Something else wrote it at the same time; look at it before you trust it.",
        )
    size = storage.stat(item.key).size
    if size != len(header) + item.size - old:
        raise CorruptError(
            f"{item.key} has {size} bytes after its rewrapping, not the "
            f"{len(header) + item.size - old} that were written",
            hint="Something else wrote it at the same time; look at it before you trust it.",
        )
