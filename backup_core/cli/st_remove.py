"""`pitr st rm`: removing objects, with what that means said before."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection, Iterator, Sequence

from backup_core import log
from backup_core.cli.output import size
from backup_core.cli.st_list import shown
from backup_core.config import Settings
from backup_core.errors import NotFoundError, RefusedError, UsageError
from backup_core.repository import layout
from backup_core.storage.base import ObjectInfo, Storage

SOME_FAILED = 1
_SHOWN = 10


def remove(storage: Storage, settings: Settings, args: argparse.Namespace) -> int:
    """Remove objects once the operator agrees; exit with 1 if any could not be removed."""
    del settings
    found = _found(storage, args.keys, recursive=args.recursive)
    keys = [info.key for info in found]
    print("\n".join(_summary(found)), file=sys.stderr)
    for meaning in consequences(keys, _backups(storage, keys)):
        print(f"warning: {meaning}", file=sys.stderr)
    if not args.yes:
        _ask(len(keys))
    failed = {key: why for key, why in storage.delete(keys).items() if why is not None}
    logger = log.get("st")
    for key, why in failed.items():
        log.event(logger, log.ERROR, "not removed", action="rm", key=key, why=why)
    log.event(
        logger,
        log.INFO,
        "removed",
        action="rm",
        prefix=storage.url,
        objects=len(keys) - len(failed),
        failed=len(failed) or None,
    )
    return SOME_FAILED if failed else 0


def _found(storage: Storage, names: Sequence[str], *, recursive: bool) -> list[ObjectInfo]:
    """Everything that is meant, each once; raises before anything goes if a name means nothing."""
    found: dict[str, ObjectInfo] = {}
    for name in names:
        if not recursive:
            found[name] = storage.stat(name)
            continue
        if not name:
            raise UsageError(
                "an empty prefix means the whole repository",
                hint="Name its folders one by one if they are really to go.",
            )
        below = {info.key: info for info in storage.list(name)}
        if not below:
            raise NotFoundError(f'no key in {storage.url} begins with "{name}"')
        found |= below
    return list(found.values())


def _summary(found: Sequence[ObjectInfo]) -> Iterator[str]:
    for info in found[:_SHOWN]:
        yield f"{size(info.size):>10}  {shown(info.key)}"
    if len(found) > _SHOWN:
        yield f"{'':>10}  and {len(found) - _SHOWN} more"
    yield f"{size(sum(info.size for info in found)):>10}  in {_count(len(found))} will be removed"


def _count(number: int) -> str:
    return "1 object" if number == 1 else f"{number} objects"


def _backups(storage: Storage, keys: Sequence[str]) -> set[str]:
    """The names of the backups that exist, if any of the keys belongs to one."""
    if not any(key.startswith(layout.BACKUPS) for key in keys):
        return set()
    listed = (info.key for info in storage.list(layout.BACKUPS, delimiter="/"))
    return {_name(key) for key in listed if key.endswith(layout.SENTINEL_SUFFIX)}


def _name(key: str) -> str:
    """The backup that an object belongs to."""
    base = key.removeprefix(layout.BACKUPS).partition("/")[0]
    return base.removesuffix(layout.SENTINEL_SUFFIX)


def consequences(keys: Collection[str], backups: Collection[str]) -> Iterator[str]:
    """Say what the repository loses with these keys; `backups` are those that exist."""
    going = set(keys)
    touched = {_name(key) for key in going if key.startswith(layout.BACKUPS)}
    for name in sorted(touched & set(backups)):
        if layout.sentinel(name) in going:
            yield f"backup {name} will not exist any more: its sentinel goes"
        else:
            yield f"backup {name} stays listed, but cannot be restored without these objects"
    wal = sum(key.startswith(layout.WAL) for key in going)
    if wal:
        yield f"{wal} of these hold WAL: backups that need it end before it, or cannot be restored"
    if layout.IDENTITY in going:
        yield "without its identity the repository takes the WAL of whichever cluster comes first"
    if any(key.startswith(layout.LOCKS) for key in going):
        yield "a backup or a copy may be running: its lock goes"


def _ask(count: int) -> None:
    if not sys.stdin.isatty():
        raise RefusedError(
            "there is no terminal to ask on; nothing was removed", hint="--yes removes unasked."
        )
    print(f"remove {_count(count)}? Type yes to go on: ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip() != "yes":
        raise RefusedError("nothing was removed")
