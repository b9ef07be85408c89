"""What all commands share: common options, settings, and the way to the repository."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from backup_core import log
from backup_core.config import Loaded, Settings, load, store_options
from backup_core.errors import UsageError

if TYPE_CHECKING:
    from backup_core.storage.base import Storage


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are ours, so that each command keeps its exit codes."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, hint=f"{self.prog} --help lists the arguments.")

    def parse(self, arguments: Sequence[str]) -> argparse.Namespace:
        """Parse; raise UsageError. An argument that may be left out may also follow an option."""
        try:
            return self.parse_args(arguments)
        except UsageError:
            if "--" in arguments:  # which argparse would forget
                raise
            with suppress(UsageError, TypeError):  # TypeError: not where there are subcommands
                return self.parse_intermixed_args(arguments)
            raise


def add_common(parser: argparse.ArgumentParser) -> None:
    """Add the options that every command understands."""
    group = parser.add_argument_group("settings (docs/settings.md has them all)")
    group.add_argument(
        "--repository", metavar="URL", help="s3://bucket/prefix, gs://bucket/prefix or file:///path"
    )
    group.add_argument("--config", metavar="FILE", type=Path, help="a pitr.toml to read")
    group.add_argument(
        "--envdir", metavar="DIR", type=Path, help="a directory of variables to read"
    )
    group.add_argument("--log-level", metavar="LEVEL", help="debug, info, warning or error")
    group.add_argument("--log-format", metavar="FORMAT", help="text or json")


def add_spool(parser: argparse.ArgumentParser) -> None:
    """Add the option that names the spool."""
    parser.add_argument(
        "--spool-dir",
        metavar="DIR",
        help="where pushing ahead and prefetching leave word",
    )


def common_arguments(args: argparse.Namespace) -> list[str]:
    """The common options that this call was given, for a process that it starts."""
    given = {
        "--repository": args.repository,
        "--config": args.config and args.config.absolute(),
        "--envdir": args.envdir and args.envdir.absolute(),
        "--log-level": args.log_level,
        "--log-format": args.log_format,
    }
    return [part for name, value in given.items() if value for part in (name, str(value))]


def load_settings(args: argparse.Namespace, **flags: str | None) -> Loaded:
    """Settle the settings for this call, start logging by them and log what looks wrong.

    `flags` are the command's own options, by setting; None where not given.
    """
    exposed: list[str] = []
    if args.envdir is not None:
        from backup_core.config import envdir, exposure

        replace_environment(envdir.read(args.envdir, os.environ))
        exposed = exposure.of_envdir(args.envdir, os.environ)
    common = {name: getattr(args, name) for name in ("repository", "log_level", "log_format")}
    loaded = load(flags=common | flags, environ=os.environ, config_file=args.config)
    log.configure(loaded.settings.log_level, loaded.settings.log_format, sys.stderr)
    logger = log.get(args.command)
    for warning in (*loaded.warnings, *exposed):
        log.event(logger, log.WARNING, warning)
    return loaded


def environment() -> Mapping[str, str]:
    """The variables of this process, as they are now."""
    return dict(os.environ)


def replace_environment(variables: Mapping[str, str]) -> None:
    """Run on with these variables; libpq and the stores' chains of credentials see them too."""
    os.environ.clear()
    os.environ.update(variables)


def open_repository(settings: Settings) -> Storage:
    """Open the repository that the settings name; the caller sees what is encrypted as plain."""
    from backup_core.config.keyring import seal_storage

    return seal_storage(open_bare(settings), settings)


def open_throttled(settings: Settings) -> Storage:
    """Open the repository as `open_repository` does, at the rate that is set for backups."""
    from backup_core.config.keyring import seal_storage

    bare = open_bare(settings)
    if settings.network_rate_limit is None:
        return seal_storage(bare, settings)
    from backup_core.storage.throttled import ThrottledStorage
    from backup_core.stream.throttle import Throttle

    throttle = Throttle(settings.network_rate_limit)
    return seal_storage(ThrottledStorage(bare, throttle.take), settings)


def open_bare(settings: Settings) -> Storage:
    """Open the repository as it is stored: for looking at it and for moving it."""
    from backup_core.storage.registry import open_storage

    if settings.repository.startswith("file:"):
        return open_storage(settings.repository)
    return open_storage(settings.repository, store_options(settings))
