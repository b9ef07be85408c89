"""Which scheme encrypts, and which settings of encryption cannot stand together.

One set of keys chooses its scheme, as an envdir of WAL-G or WAL-E has it. WAL-G chooses silently
among several; here that is an error, for the other keys' owner would believe in them. Any key of a
scheme counts, secret ones too: a host that can only decrypt must not begin to write plaintext when
its server is promoted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import chain

from backup_core.config.row import Row
from backup_core.config.settings import Settings
from backup_core.errors import ConfigError

_KEYS = {
    "age": ("age_recipients", "age_recipients_file", "age_identity", "age_identity_file"),
    "libsodium": ("libsodium_key", "libsodium_key_file"),
    "openpgp": ("pgp_key", "pgp_key_file", "gpg_key_id"),
}
_ONE_COUNTS = (_KEYS["libsodium"], _KEYS["openpgp"])  # the first, as in WAL-G


def refuse_empty(rows: Mapping[str, Row], environ: Mapping[str, str]) -> None:
    """Raise ConfigError for a variable of a key that is set and holds nothing.

    A template that rendered empty, or `${UNSET}`: whoever sets it wants encryption, and must not
    get plaintext. PITR_ENCRYPTION=none says that plaintext is meant.
    """
    if environ.get("PITR_ENCRYPTION", "").strip() == "none":
        return
    names = (*chain.from_iterable(_KEYS.values()), "encryption", "key_command")
    for variable in chain.from_iterable(rows[name].environment_names(name) for name in names):
        if variable in environ and not environ[variable].strip():
            raise ConfigError(
                f"environment {variable} is empty",
                hint="Unset it, or give it its key; nothing is stored in plain text because a "
                "setting of encryption holds nothing.",
            )


def settle(settings: Settings, origins: Mapping[str, str]) -> Settings:
    """Put in the scheme that the keys choose, if none was named; refuse what cannot work.

    `origins` says where each setting came from, by field name. Raises ConfigError.
    """
    if origins["encryption"] == "default":
        settings = replace(settings, encryption=_chosen(settings, origins))
    _check(settings, origins)
    return settings


def decided_by(settings: Settings, origins: Mapping[str, str]) -> str:
    """Tell where the scheme comes from: its own setting, or else the first of its keys."""
    own = origins["encryption"]
    key = None if settings.encryption == "none" else _given(settings, settings.encryption)
    return own if own != "default" or key is None else origins[key]


def warnings(settings: Settings, origins: Mapping[str, str]) -> list[str]:
    """Write a sentence for each key that another key of its scheme outranks."""
    return [
        f"{origins[name]} has no effect: {origins[given[0]]} is used."
        for names in _ONE_COUNTS
        if (given := [name for name in names if getattr(settings, name)])
        for name in given[1:]
    ]


def _given(settings: Settings, scheme: str) -> str | None:
    """Name the first setting that holds a key of this scheme."""
    return next((name for name in _KEYS[scheme] if getattr(settings, name)), None)


def _chosen(settings: Settings, origins: Mapping[str, str]) -> str:
    given = {scheme: name for scheme in _KEYS if (name := _given(settings, scheme)) is not None}
    if len(given) > 1:
        one, two, *_ = (origins[name] for name in given.values())
        raise ConfigError(
            f"{one} and {two} ask for different encryption",
            hint=f"Choose with PITR_ENCRYPTION what is written: {', '.join(given)}; "
            "the other keys then serve to read.",
        )
    if not given and settings.key_command is not None:
        raise ConfigError(
            f"{origins['key_command']} is set, but not what its key is for",
            hint=f"Choose with PITR_ENCRYPTION: {', '.join(_KEYS)}.",
        )
    return next(iter(given), "none")


def _check(settings: Settings, origins: Mapping[str, str]) -> None:
    scheme = settings.encryption
    if scheme == "none" and settings.require_encryption:
        raise ConfigError(
            f"{origins['require_encryption']} is set, but nothing would be encrypted",
            hint="Set the key of a scheme, see docs/settings.md.",
        )
    if scheme != "none" and _given(settings, scheme) is None and settings.key_command is None:
        raise ConfigError(
            f"{origins['encryption']} asks for {scheme}, but none of its keys is set",
            hint=f"Set one of {', '.join(_KEYS[scheme])} or key_command.",
        )
    if scheme == "age" and settings.compat == "wal-g":
        raise ConfigError(
            f"{origins['compat']} is set, but wal-g cannot read age",
            hint="Encrypt with libsodium or openpgp if stock wal-g is to read it.",
        )
    if settings.libsodium_key is not None:
        _check_libsodium_key(settings.libsodium_key, settings, origins)


def _check_libsodium_key(key: str, settings: Settings, origins: Mapping[str, str]) -> None:
    from backup_core.stream.encrypt.libsodium_key import make_key

    try:
        make_key(key, settings.libsodium_key_transform)
    except ConfigError as error:
        raise ConfigError(f"{origins['libsodium_key']}: {error.message}", hint=error.hint) from None
