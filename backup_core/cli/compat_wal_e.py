"""WAL-E's command line: global options, then a command with its own.

An option that asks for what we do not do is refused by name; one that only tunes WAL-E is taken and
has no effect, for the commands stand in settings of servers and in crontabs. WAL-E's objects in
gs://bucket/path have names that begin with a slash; a call under its name goes on with those.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from backup_core import __version__
from backup_core.cli.foreign_call import Call, changed, refuse_command, tablespace_arguments
from backup_core.cli.options import Parser
from backup_core.errors import UsageError

ABSENT, NOT_FOUND = 74, 1
_OTHERS = {
    "wal-prefetch": "Only wal-fetch of WAL-E calls it; PITR_SPOOL_DIR lets pitr prefetch.",
}
_REFUSED = {
    "wabs_account_name": "--wabs-account-name is for Azure, which this build does not have",
    "wabs_prefix": "--wabs-prefix is for Azure, which this build does not have",
    "gs_access_key_id": "--gs-access-key-id never had an effect, and pitr reads no such key",
    "while_offline": "--while-offline copies a stopped server, and its name tells no WAL position",
}
_HINTS = {
    "wabs_account_name": "Use s3://, gs:// or file://.",
    "wabs_prefix": "Use --s3-prefix, --gs-prefix or --file-prefix.",
    "gs_access_key_id": "Set GOOGLE_APPLICATION_CREDENTIALS.",
    "while_offline": "Start the server, or take the backup from a standby that runs.",
}
_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SECURITY_TOKEN", "AWS_SESSION_TOKEN")
_STRONGER = ("PITR_REPOSITORY", "WALG_GS_PREFIX")
_NORMALIZE = ("GCS_NORMALIZE_PREFIX", "WALG_GCS_NORMALIZE_PREFIX", "PITR_GCS_NORMALIZE_PREFIX")

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[Parser]


def translate(arguments: Sequence[str], environ: Mapping[str, str]) -> Call:
    """Turn a call of wal-e into one of ours; raises UsageError for what is refused."""
    parser = _parser()
    args, unknown = parser.parse_known_args(arguments)
    command = args.subcommand or ""
    if command == "version":
        return Call(says=f"pitr {__version__}")
    if command in _OTHERS or not command:
        raise refuse_command("wal-e", command, _OTHERS)
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    for name, message in _REFUSED.items():
        if getattr(args, name, None):
            raise UsageError(message, hint=_HINTS[name])
    repository, variables = _place(args, environ)
    settings = ("--log-level", "warning") if args.terse else ()
    return Call(
        command=command,
        arguments=(*_own_arguments(command, args), *repository, *settings),
        environment=changed(environ, variables | _credentials(args)),
        codes={ABSENT: NOT_FOUND} if command == "wal-fetch" else {},
        warnings=_warnings(args),
    )


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="wal-e", description="pitr in the place of WAL-E (docs/migrating.md).")
    parser.add_argument("-k", "--aws-access-key-id")
    parser.add_argument("--aws-instance-profile", action="store_true")
    parser.add_argument("--gs-access-key-id")
    parser.add_argument("-a", "--wabs-account-name")
    for store in ("s3", "wabs", "gs", "file"):
        parser.add_argument(f"--{store}-prefix")
    parser.add_argument("--gpg-key-id")
    parser.add_argument("--terse", action="store_true")
    commands = parser.add_subparsers(dest="subcommand", metavar="COMMAND")
    commands.add_parser("version")
    _add_backup_commands(commands)
    _add_wal_commands(commands)
    _add_delete(commands)
    for name in _OTHERS:
        commands.add_parser(name).add_argument("rest", nargs="*")
    return parser


def _add_backup_commands(commands: Commands) -> None:
    push = commands.add_parser("backup-push")
    push.add_argument("pgdata")
    push.add_argument("-p", "--pool-size", type=int)
    push.add_argument("--cluster-read-rate-limit", type=int)
    push.add_argument("--while-offline", action="store_true")
    fetch = commands.add_parser("backup-fetch")
    fetch.add_argument("pgdata")
    fetch.add_argument("name")
    fetch.add_argument("-p", "--pool-size", type=int)
    fetch.add_argument("--blind-restore", action="store_true")
    fetch.add_argument("--restore-spec")
    listing = commands.add_parser("backup-list")
    listing.add_argument("query", nargs="?")
    listing.add_argument("--detail", action="store_true")


def _add_wal_commands(commands: Commands) -> None:
    push = commands.add_parser("wal-push")
    push.add_argument("segment")
    push.add_argument("-p", "--pool-size", type=int)
    fetch = commands.add_parser("wal-fetch")
    fetch.add_argument("segment")
    fetch.add_argument("destination")
    fetch.add_argument("-p", "--prefetch", type=int)


def _add_delete(commands: Commands) -> None:
    delete = commands.add_parser("delete")
    delete.add_argument("--confirm", action="store_true")
    forms = delete.add_subparsers(dest="form", metavar="FORM", required=True)
    forms.add_parser("before").add_argument("word")
    forms.add_parser("retain").add_argument("word")
    forms.add_parser("everything")


def _delete_arguments(args: argparse.Namespace) -> tuple[str, ...]:
    word = getattr(args, "word", None)
    confirm = ("--confirm",) if args.confirm else ()
    return (args.form, *(() if word is None else (word,)), *confirm)


def _own_arguments(command: str, args: argparse.Namespace) -> tuple[str, ...]:
    """Our arguments; the pool of wal-push and the prefetch of wal-fetch have no counterpart."""
    if command == "wal-push":
        return (args.segment,)
    if command == "wal-fetch":
        return (args.segment, args.destination)
    if command == "backup-list":
        detail = ("--detail",) if args.detail else ()
        return detail if args.query is None else (*detail, args.query)
    if command == "delete":
        return _delete_arguments(args)
    workers = () if args.pool_size is None else ("--workers", str(args.pool_size))
    if command == "backup-push":
        return (args.pgdata, *workers)
    return (args.pgdata, args.name, *workers, "--no-recovery-config", *_tablespaces(args))


def _tablespaces(args: argparse.Namespace) -> tuple[str, ...]:
    """SOURCE means the locations of the backup, which is what we take without a mapping."""
    if args.restore_spec in (None, "SOURCE"):
        return ()
    return tablespace_arguments(args.restore_spec, args.pgdata)


def _place(
    args: argparse.Namespace, environ: Mapping[str, str]
) -> tuple[tuple[str, ...], dict[str, str | None]]:
    """Our --repository and the variables that say where the repository is."""
    given = {store: getattr(args, f"{store}_prefix") for store in ("file", "gs", "s3")}
    named = {store: prefix for store, prefix in given.items() if prefix is not None}
    if len(named) > 1:
        raise UsageError(
            f"{' and '.join(f'--{store}-prefix' for store in named)} exclude each other",
            hint="WAL-E would silently take the first of file, gs and s3; leave the others out.",
        )
    for prefix in named.values():
        slashed, variables = _with_slash(prefix, environ)
        return ("--repository", slashed), variables
    prefix = environ.get("WALE_GS_PREFIX", "").rstrip()
    if not prefix or any(environ.get(name) for name in _STRONGER):
        return (), {}
    slashed, variables = _with_slash(prefix, environ)
    return (), {**variables, "WALE_GS_PREFIX": slashed}


def _with_slash(prefix: str, environ: Mapping[str, str]) -> tuple[str, dict[str, str | None]]:
    """A gs:// prefix as WAL-E means it, unless the environment says how slashes count."""
    scheme, separator, rest = prefix.partition("://")
    bucket, _, path = rest.partition("/")
    if scheme != "gs" or path.startswith("/") or any(environ.get(name) for name in _NORMALIZE):
        return prefix, {}
    return f"{scheme}{separator}{bucket}//{path}", {"PITR_GCS_NORMALIZE_PREFIX": "false"}


def _credentials(args: argparse.Namespace) -> dict[str, str | None]:
    """The variables that the options for keys stand for; they outrank those that are set."""
    if args.aws_instance_profile and args.aws_access_key_id is not None:
        raise UsageError(
            "--aws-instance-profile and --aws-access-key-id exclude each other",
            hint="Leave one of them out.",
        )
    changes: dict[str, str | None] = {}
    if args.aws_access_key_id is not None:
        changes["PITR_S3_ACCESS_KEY_ID"] = args.aws_access_key_id
    if args.aws_instance_profile:
        changes |= dict.fromkeys(_KEYS)
    if args.gpg_key_id is not None:
        changes["PITR_GPG_KEY_ID"] = args.gpg_key_id
    return changes


def _warnings(args: argparse.Namespace) -> tuple[str, ...]:
    if getattr(args, "cluster_read_rate_limit", None) is None:
        return ()
    return ("--cluster-read-rate-limit has no effect: pitr does not limit rates yet",)
