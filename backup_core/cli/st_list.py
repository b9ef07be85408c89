"""`pitr st ls` and `pitr st stat`: what is in the repository."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from itertools import chain

from backup_core.cli.output import moment, size
from backup_core.config import Settings
from backup_core.errors import NotFoundError
from backup_core.storage.base import ObjectInfo, Storage


def list_objects(storage: Storage, settings: Settings, args: argparse.Namespace) -> int:
    """Print a line for each object; without --recursive, folders stand for what is in them."""
    del settings
    found = _found(storage, args.prefix, recursive=args.recursive)
    if args.json:
        _print_json(found)
        return 0
    empty = True
    for info in found:
        empty = False
        print(_line(info))
    if empty:
        print(f"{storage.url} is empty", file=sys.stderr)
    return 0


def _found(storage: Storage, prefix: str, *, recursive: bool) -> Iterator[ObjectInfo]:
    """List as asked; a folder named without its slash is looked into. Raises NotFoundError."""
    delimiter = None if recursive else "/"
    found = storage.list(prefix, delimiter=delimiter)
    first, second = next(found, None), next(found, None)
    if first is not None and second is None and first.key == f"{prefix}/":
        yield from storage.list(first.key, delimiter=delimiter)
        return
    if first is None and prefix:
        raise NotFoundError(
            f'no key in {storage.url} begins with "{prefix}"',
            hint="pitr st ls without a prefix shows the folders there are.",
        )
    yield from (info for info in (first, second) if info is not None)
    yield from found


def shown(key: str) -> str:
    """The key, or what is safe to print on a terminal if it has other than printable characters."""
    return key if key.isprintable() else ascii(key)


def _line(info: ObjectInfo) -> str:
    if info.modified is None:
        return f"{'folder':>10}  {'':24}  {shown(info.key)}"
    return f"{size(info.size):>10}  {moment(info.modified)}  {shown(info.key)}"


def _print_json(found: Iterator[ObjectInfo]) -> None:
    """Print one line an object, so that no more than one is held."""
    print('{"version": 1, "objects": [', end="")
    for separator, info in zip(chain(["\n"], _commas()), found, strict=False):
        modified = info.modified.isoformat() if info.modified else None
        row = {"key": info.key, "size": info.size, "modified": modified}
        print(separator + json.dumps(row), end="")
    print("\n]}")


def _commas() -> Iterator[str]:
    while True:
        yield ",\n"


def stat_object(storage: Storage, settings: Settings, args: argparse.Namespace) -> int:
    """Print an object's key, its size in bytes, and its time."""
    del settings
    info = storage.stat(args.key)
    print(f"key       {shown(info.key)}")
    print(f"size      {info.size} ({size(info.size)})")
    print(f"modified  {moment(info.modified) if info.modified else '-'}")
    return 0
