"""WAL-G's command line: a command with its flags, and every setting as a flag besides.

Flags may stand anywhere, so the global ones are picked out first. WAL-G's configuration file counts
here and only here, below the environment as WAL-G has it: pitr's own is pitr.toml.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from backup_core import __version__
from backup_core.cli.foreign_call import Call, changed, refuse_command, tablespace_arguments
from backup_core.cli.options import Parser
from backup_core.errors import UsageError

_SETTINGS = ("WALG_", "WALE_", "AWS_", "PG", "GOOGLE_APPLICATION_CREDENTIALS")
_USAGE = """usage: wal-g [--config FILE] [--SETTING VALUE] COMMAND ARGUMENTS

pitr in the place of WAL-G (docs/migrating.md), for backup-push, backup-fetch, backup-list,
backup-mark, delete, wal-push and wal-fetch; wal-g COMMAND --help lists the arguments of each."""
_OTHERS = {
    "wal-prefetch": "Only wal-fetch of WAL-G calls it; PITR_SPOOL_DIR lets pitr prefetch.",
    "wal-receive": "Archive with wal-push in archive_command.",
    "wal-restore": "pitr wal-fetch brings single files.",
    "wal-show": "Use pitr wal-show, which has another output.",
    "wal-verify": "Use pitr wal-verify --server, which has another output and fails by its code.",
    "wal-purge": "Use delete garbage ARCHIVES.",
    "copy": "Use pitr copy FROM TO, which names two repositories and no files.",
    "st": "Use pitr st.",
    "catchup-push": "pitr takes full backups only.",
    "catchup-fetch": "pitr takes full backups only.",
    "catchup-list": "pitr takes full backups only.",
    "daemon": "Use pitr wal-push and pitr wal-fetch, which need no daemon.",
    "pgbackrest": "pitr does not read repositories of pgBackRest.",
    "flags": "docs/settings.md lists pitr's settings.",
    "completion": "pitr has no shell completion.",
}
_BACKUP_PUSH_SWITCHES = {
    "full": "f",
    "verify": "v",
    "store-all-corrupt": "s",
    "rating-composer": "r",
    "copy-composer": "c",
    "database-composer": "b",
    "without-files-metadata": "",
}
_WITHOUT_EFFECT = {
    "rating_composer": "pitr distributes files over partitions by itself",
    "copy_composer": "pitr distributes files over partitions by itself",
    "database_composer": "pitr distributes files over partitions by itself",
    "without_files_metadata": "the files metadata is always written",
    "delta_from_name": "every backup is a full one",
    "delta_from_user_data": "every backup is a full one",
    "without_backup_check": "the oldest backup that stays need not be a full one",
}
_REFUSED = {
    "mask": ("restores some of the files, which is no server that starts", "Restore all of it."),
    "restore_only": ("restores some of the databases, which pitr does not do", "Restore all."),
    "target_user_data": ("chooses by user data, which pitr does not do", "Name the backup."),
}


@dataclass(frozen=True, kw_only=True)
class _Words:
    """A command line taken apart: the settings among its flags, and all other words."""

    settings: Mapping[str, str]
    others: tuple[str, ...]
    config: str | None = None


def translate(arguments: Sequence[str], environ: Mapping[str, str]) -> Call:
    """Turn a call of wal-g into one of ours; raises UsageError for what is refused."""
    words = _take_apart(arguments)
    command, *rest = words.others or ("",)
    if command in ("--version", "-v"):
        return Call(says=f"pitr {__version__}")
    if command in ("--help", "-h", "help"):
        return Call(says=_USAGE)
    if command not in _PARSERS:
        raise refuse_command("wal-g", command, _OTHERS)
    parser = Parser(prog=f"wal-g {command}")
    _PARSERS[command](parser)
    parser.add_argument("--target-storage", default="default")
    args = parser.parse(rest)
    _refuse(args)
    verify = {"PITR_VERIFY_PAGE_CHECKSUMS": "true"} if getattr(args, "verify", False) else {}
    return Call(
        command=command,
        arguments=_own_arguments(command, args),
        environment=changed(_environment(words, environ), verify),
        warnings=tuple(
            f"--{name.replace('_', '-')} has no effect: {why}"
            for name, why in _WITHOUT_EFFECT.items()
            if getattr(args, name, None)
        ),
    )


def _environment(words: _Words, environ: Mapping[str, str]) -> dict[str, str]:
    """The settings as WAL-G ranks them: flags over environment over its file."""
    from backup_core.cli import wal_g_file

    file = wal_g_file.find(words.config, environ)
    in_file = wal_g_file.read(file) if file else {}
    known = {name: value for name, value in environ.items() if name != wal_g_file.NAMED_BY}
    return {**in_file, **known, **words.settings}


def _take_apart(arguments: Sequence[str]) -> _Words:
    settings: dict[str, str] = {}
    others: list[str] = []
    config = None
    words = iter(arguments)
    for word in words:
        name, equals, value = word.partition("=")
        if name == "--config" or _is_setting(name):
            text = value if equals else next(words, None)
            if text is None:
                raise UsageError(f"{name} needs a value", hint=f"Write {name}=VALUE.")
            if name == "--config":
                config = text
            else:
                settings[_variable(name)] = text
        elif name != "--turbo":
            others.extend(_switch(word))
    return _Words(settings=settings, others=tuple(others), config=config)


def _is_setting(flag: str) -> bool:
    """Tell whether a flag is a setting's: its name in lower case with hyphens."""
    return flag.startswith("--") and _variable(flag).startswith(_SETTINGS)


def _variable(flag: str) -> str:
    return flag.removeprefix("--").replace("-", "_").upper()


def _switch(word: str) -> tuple[str, ...]:
    """A switch with its value, such as --full=true, as a switch that is there or is not."""
    if word.startswith("-") and word.endswith("=true"):
        return (word.removesuffix("=true"),)
    return () if word.startswith("-") and word.endswith("=false") else (word,)


def _backup_push(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pgdata", nargs="?")
    parser.add_argument("-p", "--permanent", action="store_true")
    for name, short in _BACKUP_PUSH_SWITCHES.items():
        parser.add_argument(*([f"-{short}"] if short else []), f"--{name}", action="store_true")
    for name in ("delta-from-name", "delta-from-user-data", "add-user-data"):
        parser.add_argument(f"--{name}")


def _backup_fetch(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pgdata")
    parser.add_argument("name", nargs="?")
    for name in ("mask", "restore-spec", "target-user-data", "restore-only"):
        parser.add_argument(f"--{name}")
    parser.add_argument("--reverse-unpack", action="store_true")
    parser.add_argument("--skip-redundant-tars", action="store_true")


def _backup_list(parser: argparse.ArgumentParser) -> None:
    for name in ("pretty", "json", "detail"):
        parser.add_argument(f"--{name}", action="store_true")


def _backup_mark(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name")
    parser.add_argument("-i", "--impermanent", action="store_true")


def _delete(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("form")
    parser.add_argument("words", nargs="*")
    parser.add_argument("-a", "--after")
    for name in ("confirm", "use-sentinel-time", "without-backup-check"):
        parser.add_argument(f"--{name}", action="store_true")
    parser.add_argument("--target-user-data")


def _wal_push(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path")


def _wal_fetch(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name")
    parser.add_argument("destination")


_PARSERS = {
    "backup-push": _backup_push,
    "backup-fetch": _backup_fetch,
    "backup-list": _backup_list,
    "backup-mark": _backup_mark,
    "delete": _delete,
    "wal-push": _wal_push,
    "wal-fetch": _wal_fetch,
}


def _refuse(args: argparse.Namespace) -> None:
    if args.target_storage not in ("", "default"):
        raise UsageError(
            f'--target-storage names "{args.target_storage}", but there is one store only',
            hint="Leave --target-storage out, or name the repository with PITR_REPOSITORY.",
        )
    for name, (reason, hint) in _REFUSED.items():
        if getattr(args, name, None):
            raise UsageError(f"--{name.replace('_', '-')} {reason}", hint=hint)


def _own_arguments(command: str, args: argparse.Namespace) -> tuple[str, ...]:
    if command == "wal-push":
        return (args.path,)
    if command == "wal-fetch":
        return (args.name, args.destination)
    if command == "backup-list":
        return tuple(f"--{name}" for name in ("pretty", "json", "detail") if getattr(args, name))
    if command == "backup-fetch":
        return _fetch_arguments(args)
    if command == "backup-mark":
        return (args.name, *(("--impermanent",) if args.impermanent else ()))
    if command == "delete":
        return _delete_arguments(args)
    return (
        *(() if args.pgdata is None else (args.pgdata,)),
        *(("--permanent",) if args.permanent else ()),
        *(() if args.add_user_data is None else ("--add-user-data", args.add_user_data)),
    )


def _delete_arguments(args: argparse.Namespace) -> tuple[str, ...]:
    """The words are wal-g's; a sentinel's time is what we always go by."""
    return (
        args.form,
        *args.words,
        *(() if args.after is None else ("--after", args.after)),
        *(("--confirm",) if args.confirm else ()),
    )


def _fetch_arguments(args: argparse.Namespace) -> tuple[str, ...]:
    if args.name is None:
        raise UsageError("backup-fetch needs a backup's name", hint="Name a backup, or LATEST.")
    spec = args.restore_spec
    mapping = tablespace_arguments(spec, args.pgdata) if spec else ()
    return (args.pgdata, args.name, "--no-recovery-config", *mapping)
