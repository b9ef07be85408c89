"""One value for each setting, from the strongest source that has it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from backup_core.config import file, foreign
from backup_core.config.settings import TABLE, Row, Settings
from backup_core.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """Settings, where each came from (by field name), and sentences the operator should see.

    An origin reads `flag --repository`, `environment WALG_FILE_PREFIX`,
    `/etc/pitr/pitr.toml:3` or `default`.
    """

    settings: Settings
    origins: Mapping[str, str]
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


def load(
    *, flags: Mapping[str, str | None], environ: Mapping[str, str], config_file: Path | None
) -> Loaded:
    """Settle every setting: flags over environment over pitr.toml over defaults.

    `flags` are named by field; None is a flag that was not given. Raises ConfigError for a value
    that cannot be used, for no repository, and for whatever asks for encryption or another store.
    """
    environment = _as_envdir(environ)
    found = file.find(config_file, environment)
    in_file = file.read(found) if found else {}
    foreign.refuse_encryption(environment)
    foreign.refuse_misplacing(environment)
    given = {
        name: _candidates(name, row, flags, environment, in_file) for name, row in TABLE.items()
    }
    _check_repository(given["repository"], environment)
    chosen = {name: TABLE[name].read(*options[0]) for name, options in given.items() if options}
    return Loaded(
        settings=Settings(**chosen),  # type: ignore[arg-type]  # the rows' parsers know the types
        origins={name: given[name][0][1] if given[name] else "default" for name in TABLE},
        warnings=(*_disagreements(given), *foreign.warnings(environment)),
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
    if not options:
        raise ConfigError(
            "no repository is set",
            hint="Use --repository file:///path or set WALG_FILE_PREFIX or PITR_REPOSITORY.",
        )


def _disagreements(given: Mapping[str, list[_Given]]) -> list[str]:
    """Write a sentence for each variable that loses to another one with a different value."""
    return [
        f"{loser} differs from {options[0][1]}, which is used."
        for name, options in given.items()
        for text, loser in options[1:]
        if loser.startswith("environment ")
        and options[0][1].startswith("environment ")
        and not _same(TABLE[name], options[0][0], text)
    ]


def _same(row: Row, winner: str, loser: str) -> bool:
    try:
        return winner == loser or row.parse(winner) == row.parse(loser)
    except ConfigError:
        return False
