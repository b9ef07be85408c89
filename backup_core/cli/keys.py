"""List which objects need which key to be decrypted, and whether the keys at hand open them.

Only the beginning of each object is read, and no key is needed. age keys are shown whole where they
are configured here, by an id elsewhere. Exit codes: 0; others in docs/exit-codes.md.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from backup_core.cli.options import add_common, load_settings, open_bare
from backup_core.cli.output import size, table
from backup_core.config import Settings
from backup_core.config.keyring import age_recipients, keyring
from backup_core.keys.survey import PLAIN, UNKNOWN, ObjectKeys, confidential, inspect
from backup_core.postgres.wal import parse_wal_name
from backup_core.repository import layout
from backup_core.stream.encrypt.scheme import AGE, LIBSODIUM, OPENPGP, Keyring


@dataclass(frozen=True, kw_only=True)
class Known:
    """The keys at hand: age's by their ids, and which ids open objects."""

    recipients: Mapping[str, str]
    opens: frozenset[str]
    openpgp: bool

    def opened(self, scheme: str, key_ids: Iterable[str]) -> bool | None:
        """Tell whether objects of these keys can be read here; None if only trying would tell."""
        if scheme == AGE:
            return not self.opens.isdisjoint(key_ids)
        if scheme == OPENPGP:
            return None if self.openpgp else False
        return {LIBSODIUM: True, PLAIN: True}.get(scheme, False)


@dataclass(kw_only=True)
class _Group:
    objects: int = 0
    size: int = 0


_Groups = dict[tuple[str, str, tuple[str, ...]], _Group]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--no-wal", action="store_true", help="look at backups only")
    which.add_argument("--no-backups", action="store_true", help="look at WAL only")
    parser.add_argument("--workers", metavar="N", help="look at this many objects at once")
    parser.add_argument("--json", action="store_true", help="print JSON (docs/json.md)")
    add_common(parser)


def run(args: argparse.Namespace) -> int:
    """Look at every object and print a line for each backup and timeline, scheme and key."""
    settings = load_settings(args, download_concurrency=args.workers).settings
    storage = open_bare(settings)
    keys = keyring(settings)
    infos = confidential(storage, backups=not args.no_backups, wal=not args.no_wal)
    found = inspect(
        storage,
        infos,
        libsodium_key=keys.libsodium_key(),
        workers=settings.download_concurrency,
    )
    groups = _grouped(found)
    known = known_keys(settings, keys)
    if args.json:
        print(json.dumps(_document(groups, known), indent=2))
    else:
        _print(groups, known)
    return 0


def known_keys(settings: Settings, keys: Keyring) -> Known:
    """What this call's settings know of keys."""
    from backup_core.stream.encrypt.age import format_recipient, parse_recipient, recipient_of
    from backup_core.stream.encrypt.age_header import key_id

    mine = [recipient_of(identity) for identity in keys.age_identities()]
    public = [*map(parse_recipient, age_recipients(settings)), *mine]
    return Known(
        recipients={key_id(key): format_recipient(key) for key in public},
        opens=frozenset(map(key_id, mine)),
        openpgp=keys.openpgp is not None or keys.openpgp_key_id is not None,
    )


def _grouped(found: Iterable[ObjectKeys]) -> _Groups:
    groups: _Groups = {}
    for item in found:
        group = groups.setdefault((_place(item.key), item.scheme, item.key_ids), _Group())
        group.objects += 1
        group.size += item.size
    return dict(sorted(groups.items()))


def _place(key: str) -> str:
    """The backup that an object belongs to, or the timeline of its WAL."""
    if key.startswith(layout.BACKUPS):
        return key.removeprefix(layout.BACKUPS).partition("/")[0]
    return f"WAL of timeline {_timeline(key)}"


def _timeline(key: str) -> str:
    from backup_core.errors import UsageError

    name = key.removeprefix(layout.WAL)
    extension = layout.extension_of(name)
    try:
        return str(parse_wal_name(name.removesuffix(f".{extension}")).timeline)
    except UsageError:
        return "?"


def _print(groups: _Groups, known: Known) -> None:
    if not groups:
        print("there is nothing that could be encrypted")
        return
    rows = [
        [
            place,
            scheme,
            "\n".join(known.recipients.get(key, key) for key in key_ids) or "-",
            str(group.objects),
            size(group.size),
            {True: "yes", False: "NO", None: "if gpg has it"}[known.opened(scheme, key_ids)],
        ]
        for (place, scheme, key_ids), group in groups.items()
    ]
    heads = ["objects of", "scheme", "keys", "objects", "stored", "opens here"]
    for line in table(heads, [each for row in rows for each in _lines(row)], right=[3, 4]):
        print(line)


def _lines(row: list[str]) -> list[list[str]]:
    """A row whose third cell has several keys, as a row and one more for each further key."""
    first, *more = row[2].split("\n")
    return [[*row[:2], first, *row[3:]], *(["", "", key, "", "", ""] for key in more)]


def _document(groups: _Groups, known: Known) -> dict[str, object]:
    return {
        "version": 1,
        "keys": [
            {
                "objects_of": place,
                "scheme": None if scheme in (PLAIN, UNKNOWN) else scheme,
                "encrypted": scheme != PLAIN,
                "key_ids": list(key_ids),
                "recipients": [known.recipients.get(key) for key in key_ids],
                "objects": group.objects,
                "stored_size": group.size,
                "opens_here": known.opened(scheme, key_ids),
            }
            for (place, scheme, key_ids), group in groups.items()
        ],
    }
