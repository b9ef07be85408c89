"""Look at, move, remove and check single objects of the repository.

A key is an object's path below the repository, such as wal_005/000000010000000000000005.zst.
Exit codes: 0; 1 some objects could not be removed, or a local file could not be read or written; 2
the command line makes no sense; 3 refused, nothing was changed; 5 no such object; 6 an object is
damaged; 7 the repository cannot be reached or refuses, in its own words.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from backup_core.cli import st_check, st_files, st_list, st_remove
from backup_core.cli.options import add_common, load_settings, open_bare, open_repository
from backup_core.config import Settings
from backup_core.storage.base import Storage

Action = Callable[[Storage, Settings, argparse.Namespace], int]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the actions and their arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    def add(name: str, work: Action, summary: str) -> argparse.ArgumentParser:
        action = actions.add_parser(name, help=summary, description=f"{summary.capitalize()}.")
        action.set_defaults(work=work)
        return action

    _add_looking(add)
    _add_moving(add)
    remove = add("rm", st_remove.remove, "remove objects, after showing what will go")
    remove.add_argument("keys", metavar="KEY", nargs="+", help="an object, or with -r a prefix")
    remove.add_argument(
        "-r", "--recursive", action="store_true", help="everything whose key begins with KEY"
    )
    remove.add_argument("--yes", action="store_true", help="do not ask")
    check = add("check", st_check.check, "try what the repository allows, timing each verb")
    check.add_argument("what", choices=["read", "write"], help="write leaves nothing behind")
    for action in actions.choices.values():
        add_common(action)


def _add_looking(add: Callable[[str, Action, str], argparse.ArgumentParser]) -> None:
    listing = add("ls", st_list.list_objects, "list objects with their sizes and times")
    listing.add_argument("prefix", metavar="PREFIX", nargs="?", default="", help="what keys begin")
    listing.add_argument("-r", "--recursive", action="store_true", help="look into folders")
    listing.add_argument("--json", action="store_true", help="print JSON (docs/st.md)")
    stat = add("stat", st_list.stat_object, "tell an object's size and time")
    stat.add_argument("key", metavar="KEY")
    cat = add("cat", st_files.cat, "write an object to standard output")
    cat.add_argument("key", metavar="KEY")
    cat.add_argument("--decrypt", action="store_true", help="decrypt it")
    cat.add_argument(
        "--decompress", action="store_true", help="decrypt it and decode it by its extension"
    )


def _add_moving(add: Callable[[str, Action, str], argparse.ArgumentParser]) -> None:
    get = add("get", st_files.get, "fetch an object into a file, decrypted and decoded")
    get.add_argument("key", metavar="KEY")
    get.add_argument("destination", metavar="DEST", type=Path, help="a new file, or a directory")
    get.add_argument("--no-decompress", action="store_true", help="only decrypt it")
    get.add_argument("--no-decrypt", action="store_true", help="fetch the bytes as stored")
    put = add("put", st_files.put, "store a file, compressed and encrypted as is in force")
    put.add_argument("file", metavar="FILE", help="the file; - is standard input")
    put.add_argument("key", metavar="KEY", help="without the codec's extension, which is added")
    put.add_argument("-f", "--force", action="store_true", help="replace an object that is there")
    put.add_argument("--no-compress", action="store_true", help="do not compress it")
    put.add_argument("--no-encrypt", action="store_true", help="do not encrypt it")


def run(args: argparse.Namespace) -> int:
    """Do one action."""
    settings = load_settings(args).settings
    work: Action = args.work
    opened = open_repository if _sees_content(args) else open_bare
    return work(opened(settings), settings, args)


def _sees_content(args: argparse.Namespace) -> bool:
    """Whether the action is about what objects hold, and not about what is stored."""
    match args.action:
        case "cat":
            return bool(args.decrypt or args.decompress)
        case "get":
            return not args.no_decrypt
        case "put":
            return not args.no_encrypt
    return False
