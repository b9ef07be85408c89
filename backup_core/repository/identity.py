"""Which cluster a repository belongs to.

Two clusters on one prefix destroy each other's history, since their WAL files bear the same names.
The first push records the cluster's system identifier; every later push and fetch is held against
it. A repository that WAL-G began has no record, so its newest backup speaks for it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from backup_core.errors import AlreadyExistsError, ClusterMismatchError, CorruptError, NotFoundError
from backup_core.repository import layout
from backup_core.storage.base import Storage


@dataclass(frozen=True, kw_only=True)
class Identity:
    """The cluster that may use the repository; its `wal_segment_size` in bytes, where recorded.

    The size spares reading a segment, which a host without the secret key cannot.
    """

    system_identifier: int
    wal_segment_size: int | None = None


def load_identity(storage: Storage) -> Identity | None:
    """Read the record; None where nothing was ever pushed by pitr; CorruptError if unreadable."""
    try:
        data = b"".join(storage.get(layout.IDENTITY))
    except NotFoundError:
        return None
    try:
        document = json.loads(data)
        size = document.get("wal_segment_size")
        return Identity(
            system_identifier=int(document["system_identifier"]),
            wal_segment_size=None if size is None else int(size),
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        raise CorruptError(
            f"{storage.url}/{layout.IDENTITY} is not a readable identity record",
            hint='It should hold {"system_identifier": N}; pg_controldata tells N.',
        ) from None


def check_identity(storage: Storage, identity: Identity, system_identifier: int) -> None:
    """Raise ClusterMismatchError unless the repository belongs to this cluster."""
    if identity.system_identifier != system_identifier:
        raise ClusterMismatchError(
            f"{storage.url} belongs to the cluster with system identifier "
            f"{identity.system_identifier}, this is {system_identifier}",
            hint="Every cluster needs a prefix of its own; after initdb or pg_upgrade, choose a "
            "new one and take a base backup.",
        )


def claim_repository(
    storage: Storage, system_identifier: int, wal_segment_size: int | None = None
) -> Identity:
    """Return the repository's identity, recording it on the first push.

    Raises ClusterMismatchError if it is, or just became, another cluster's.
    """
    mine = Identity(system_identifier=system_identifier, wal_segment_size=wal_segment_size)
    identity = load_identity(storage)
    if identity is None:
        _check_backups(storage, mine)
        identity = _record(storage, mine)
    check_identity(storage, identity, system_identifier)
    return identity


def _record(storage: Storage, identity: Identity) -> Identity:
    document = {"system_identifier": identity.system_identifier}
    if identity.wal_segment_size is not None:
        document["wal_segment_size"] = identity.wal_segment_size
    record = json.dumps(document).encode() + b"\n"
    try:
        storage.put(layout.IDENTITY, [record], if_absent=True, size_hint=len(record))
    except AlreadyExistsError:
        return load_identity(storage) or identity
    return identity


def _check_backups(storage: Storage, identity: Identity) -> None:
    """Hold the claim against the backups that another tool left here."""
    for info in storage.list(layout.BACKUPS, delimiter="/"):
        if not info.key.endswith(layout.SENTINEL_SUFFIX):
            continue
        try:
            found = json.loads(b"".join(storage.get(info.key))).get("SystemIdentifier")
        except (ValueError, AttributeError):
            continue
        if isinstance(found, int):
            check_identity(storage, Identity(system_identifier=found), identity.system_identifier)
