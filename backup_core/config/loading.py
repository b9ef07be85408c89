"""One value for each setting, from the strongest source that has it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from backup_core.config import encryption, file, foreign, locations, stores
from backup_core.config.row import Row
from backup_core.config.settings import Settings
from backup_core.config.table import TABLE
from backup_core.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """Settings, where each came from (by field name), and sentences the operator should see.

    An origin reads `flag --repository`, `environment WALG_FILE_PREFIX`,
    `/etc/pitr/pitr.toml:3` or `default`; `file` is the pitr.toml that was read, if one was.
    """

    settings: Settings
    origins: Mapping[str, str]
    file: Path | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ShownSetting:
    """One setting as `pitr config` prints it; a secret's value is masked."""

    name: str
    value: str
    origin: str
    description: str


_Given = tuple[str, str]
"""A value as text, and its origin."""

_SDK = "environment AWS_"
_WALE_GS_PREFIX = "environment WALE_GS_PREFIX"


def load(
    *, flags: Mapping[str, str | None], environ: Mapping[str, str], config_file: Path | None
) -> Loaded:
    """Settle every setting: flags over environment over pitr.toml over defaults.

    `flags` are named by field; None is a flag that was not given. Raises ConfigError for a value
    that cannot be used, for no repository, for settings that contradict each other, and for
    whatever asks for a kind of encryption or a store that we do not have.
    """
    environment = _as_envdir(environ)
    found = file.find(config_file, environment)
    in_file = file.read(found) if found else {}
    encryption.refuse_empty(TABLE, environ)
    foreign.refuse_encryption(environment)
    foreign.refuse_misplacing(environment)
    given = {
        name: _candidates(name, row, flags, environment, in_file) for name, row in TABLE.items()
    }
    _check_repository(given["repository"], environment)
    chosen = {name: TABLE[name].read(*options[0]) for name, options in given.items() if options}
    origins = {name: given[name][0][1] if given[name] else "default" for name in TABLE}
    settings = _with_repository_settled(
        Settings(**chosen),  # type: ignore[arg-type]  # the rows' parsers know the types
        origins,
    )
    settings = encryption.settle(settings, origins)
    origins["encryption"] = encryption.decided_by(settings, origins)
    _check_kind(settings.repository, origins["repository"])
    stores.refuse_contradictions(settings, origins)
    if stores.scheme(settings.repository) == "s3":
        foreign.refuse_moved_endpoint(environment)
    return Loaded(
        settings=settings,
        origins=origins,
        file=found,
        warnings=(
            *_disagreements(given, stores.scheme(settings.repository)),
            *encryption.warnings(settings, origins),
            *stores.warnings(settings, origins),
            *foreign.warnings(environment),
            *(_exposed(found, in_file) if found and in_file else ()),
        ),
    )


def describe(loaded: Loaded) -> list[ShownSetting]:
    """List every setting in the order of the table, as text."""
    return [
        ShownSetting(
            name=name,
            value=row.show(getattr(loaded.settings, name)),
            origin=loaded.origins[name],
            description=row.about.replace("`", ""),
        )
        for name, row in TABLE.items()
    ]


def _exposed(found: Path, in_file: Mapping[str, _Given]) -> list[str]:
    from backup_core.config import exposure

    return exposure.of_file(found, in_file)


def _as_envdir(environ: Mapping[str, str]) -> dict[str, str]:
    """Strip trailing blanks and newlines; what is then empty counts as not set."""
    stripped = ((name, value.rstrip(" \t\r\n")) for name, value in environ.items())
    return {name: value for name, value in stripped if value}


def _candidates(
    name: str,
    row: Row,
    flags: Mapping[str, str | None],
    environ: Mapping[str, str],
    in_file: Mapping[str, tuple[str, str]],
) -> list[_Given]:
    """List what was given for a setting, the strongest first."""
    options: list[_Given] = []
    flag = flags.get(name)
    if flag is not None:
        options.append((flag, f"flag --{row.flag or name.replace('_', '-')}"))
    for variable in row.environment_names(name):
        if variable in environ:
            options.append((environ[variable], f"environment {variable}"))
    if name in in_file:
        options.append(in_file[name])
    return options


def _check_repository(options: list[_Given], environ: Mapping[str, str]) -> None:
    """Refuse to choose between stores, unless a flag or PITR_REPOSITORY has chosen."""
    explicit = ("flag --repository", "environment PITR_REPOSITORY")
    if not options or options[0][1] not in explicit:
        foreign.refuse_other_stores(environ)
        _refuse_two_kinds([origin for _, origin in options if _kind(origin)])
    if not options:
        raise ConfigError(
            "no repository is set",
            hint="Use --repository with s3://bucket/prefix, gs://bucket/prefix or file:///path, "
            "or set WALG_S3_PREFIX, WALG_GS_PREFIX, WALG_FILE_PREFIX or PITR_REPOSITORY.",
        )


def _refuse_two_kinds(prefixes: list[str]) -> None:
    """Refuse variables that name repositories in different kinds of store."""
    other = next((origin for origin in prefixes if _kind(origin) != _kind(prefixes[0])), None)
    if other is not None:
        raise ConfigError(
            f"{prefixes[0]} and {other} name repositories in different stores",
            hint="Unset one of them, or choose with --repository or PITR_REPOSITORY.",
        )


def _check_kind(repository: str, origin: str) -> None:
    """Refuse a URL under a name that speaks of another store: wal-g would read it otherwise."""
    if _kind(origin) not in ("", stores.scheme(repository)):
        raise ConfigError(
            f'{origin} names a repository of another kind, "{repository}"',
            hint="Set WALG_S3_PREFIX, WALG_GS_PREFIX or WALG_FILE_PREFIX, whichever fits the URL.",
        )


def _kind(origin: str) -> str:
    """Tell the scheme that WAL-G's or WAL-E's variable stands for; empty for other origins."""
    if not origin.startswith(("environment WALG_", "environment WALE_")):
        return ""
    return origin.split("_")[1].lower()


def _with_repository_settled(settings: Settings, origins: Mapping[str, str]) -> Settings:
    """Drop doubled slashes from a gs:// prefix, unless they are to stay.

    WAL-E's variable leaves it to what is found: WAL-E kept a slash that wal-g, which reads the
    same variable, does not.
    """
    if settings.gcs_normalize_prefix is False or stores.scheme(settings.repository) != "gs":
        return settings
    settings = replace(settings, repository=locations.without_extra_slashes(settings.repository))
    if (origins["repository"], origins["gcs_normalize_prefix"]) == (_WALE_GS_PREFIX, "default"):
        return replace(settings, gcs_normalize_prefix=None)
    return settings


def _disagreements(given: Mapping[str, list[_Given]], store: str) -> list[str]:
    """Write a sentence for each variable that loses to another one with a different value.

    Settings of a store that is not used do not matter, and the SDKs rank their own names.
    """
    return [
        f"{loser} differs from {options[0][1]}, which is used."
        for name, options in given.items()
        if stores.concerns(name, store)
        for text, loser in options[1:]
        if loser.startswith("environment ")
        and options[0][1].startswith("environment ")
        and not (options[0][1].startswith(_SDK) and loser.startswith(_SDK))
        and not _same(TABLE[name], options[0][0], text)
    ]


def _same(row: Row, winner: str, loser: str) -> bool:
    try:
        return winner == loser or row.parse(winner) == row.parse(loser)
    except ConfigError:
        return False
