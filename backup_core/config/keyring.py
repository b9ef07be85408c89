"""From settings to keys: which are at hand, and what encrypts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from backup_core.config import encryption_values
from backup_core.config.settings import Settings
from backup_core.errors import ConfigError

if TYPE_CHECKING:
    from backup_core.storage.base import Chunk, Storage
    from backup_core.stream.encrypt.keys import KeySource
    from backup_core.stream.encrypt.scheme import Keyring, Sealer


_NAMES = {
    "age": "age_identity",
    "libsodium": "libsodium_key",
    "openpgp": "pgp_key",
    "": "pgp_key_passphrase",
}


def keyring(settings: Settings) -> Keyring:
    """The keys that the settings name; none is read before an object needs it."""
    from backup_core.stream.encrypt.scheme import Keyring

    return Keyring(
        age=_source(settings, "age", settings.age_identity, settings.age_identity_file),
        libsodium=_source(
            settings, "libsodium", settings.libsodium_key, settings.libsodium_key_file
        ),
        libsodium_transform=settings.libsodium_key_transform,
        openpgp=_source(settings, "openpgp", settings.pgp_key, settings.pgp_key_file),
        openpgp_key_id=settings.gpg_key_id,
        openpgp_passphrase=_source(settings, "", settings.pgp_key_passphrase, None),
        gpg_program=settings.gpg_program,
    )


def _source(
    settings: Settings, scheme: str, text: str | None, path: Path | None
) -> KeySource | None:
    """The scheme's own key, else what key_command prints if it is the scheme in use."""
    is_command = settings.key_command is not None and settings.encryption == scheme
    if text is None and path is None and not is_command:
        return None
    from backup_core.stream.encrypt.keys import KeySource

    if text is not None:
        return KeySource(setting=_NAMES[scheme], text=text)
    if path is not None:
        return KeySource(setting=f"{_NAMES[scheme]}_file", path=path)
    return KeySource(setting="key_command", command=settings.key_command)


def age_recipients(settings: Settings) -> tuple[str, ...]:
    """age's public keys, those of the file after the others, each once; raises ConfigError."""
    from backup_core.stream.encrypt.keys import KeySource, read_key

    path = settings.age_recipients_file
    if path is None:
        return tuple(dict.fromkeys(settings.age_recipients))
    text = read_key(KeySource(setting="age_recipients_file", path=path), secret=False)
    found = _recipients_in(text, path)
    return tuple(dict.fromkeys((*settings.age_recipients, *found)))


def _recipients_in(text: str, path: Path) -> Iterator[str]:
    """The keys of a file, a line each; what is none is named by its line and not repeated."""
    for number, line in enumerate(text.splitlines(), 1):
        key = line.strip()
        if not key or key.startswith("#"):
            continue
        try:
            yield from encryption_values.recipients(key)
        except ConfigError as error:
            raise ConfigError(f"{path} line {number}: {error.message}", hint=error.hint) from None


class ConfiguredSealer:
    """Encrypts by the settings; its keys are read when the first object is written.

    So a host that only reads needs nothing of what writing takes. Raises ConfigError then.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = Lock()
        self._made: Sealer | None = None

    @property
    def scheme(self) -> str:
        """The scheme that the settings choose."""
        return self._settings.encryption

    def seal(
        self, chunks: Iterable[Chunk], *, name: str, digest: bytes | None = None
    ) -> Iterator[bytes]:
        """Encrypt a stream; see Sealer."""
        return self._sealer().seal(chunks, name=name, digest=digest)

    def _sealer(self) -> Sealer:
        from backup_core.stream.encrypt.scheme import make_sealer

        settings = self._settings
        with self._lock:
            if self._made is None:
                recipients = age_recipients(settings) if settings.encryption == "age" else ()
                self._made = make_sealer(
                    settings.encryption, keyring(settings), recipients=recipients
                )
            return self._made


def seal_storage(inner: Storage, settings: Settings) -> Storage:
    """The repository as commands see it: encrypted and decrypted on the way, by the settings."""
    from backup_core.repository.sealed import SealedStorage

    return SealedStorage(
        inner,
        write=None if settings.encryption == "none" else ConfiguredSealer(settings),
        keys=keyring(settings),
        require=settings.require_encryption,
        plain_files_metadata=settings.compat == "wal-g",
    )
