"""The gpg program and its keyrings.

It never asks anybody: a passphrase is given through a pipe, or there is none. Keys that come as
text are imported into a home directory of this process alone, in memory where there is /dev/shm,
which is removed at exit together with gpg's agent. If the process is killed, a shell that waits for
its end removes a home with a secret key, and the next process removes what is left at all. Keys
named by their id are those of the user's own keyring, as with WAL-E.
"""

from __future__ import annotations

import fcntl
import os
import stat
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from backup_core.errors import (
    ConfigError,
    CorruptError,
    EncryptionError,
    MissingKeyError,
    PitrError,
)
from backup_core.stream.encrypt.blocks import Chunk, rejoined, take_some
from backup_core.stream.encrypt.program import Outcome, filtered

_PATIENCE = 60.0
_READ_AHEAD = 64 << 10
_STATUS = "[GNUPG:] "
_FAILED = b"[GNUPG:] DECRYPTION_FAILED"
_COMMON = ("--batch", "--no-tty", "--quiet", "--status-fd", "2", "--no-auto-key-locate")
_ENCRYPT = (
    *("--trust-model", "always", "--compress-algo", "none", "--no-armor", "--no-textmode"),
    *("--set-filename", "", "--encrypt"),
)
_MEMORY = Path("/dev/shm")
_PREFIX, _LOCK = "pitr-gpg-", "pitr.lock"
_PRIVATE = "PGP PRIVATE KEY"
_WATCH = """exec 3<&0
(
    read -r _ <&3
    [ -d "$PWD" ] && gpgconf --homedir "$PWD" --kill all
    rm -rf -- "$PWD"
) >/dev/null 2>&1 &
"""
_homes: list[Path] = []


@dataclass(frozen=True, kw_only=True)
class _Home:
    path: Path
    recipients: tuple[str, ...]


class Gpg:
    """The program with a keyring: the user's own, of which `key_id` is used, or one made of `key`.

    `key` is one or more armoured keys, public for writing, secret for reading; `refuse` makes the
    error for one that is none, ConfigError by default, of a message and a hint. Safe for threads.
    """

    def __init__(
        self,
        *,
        program: str = "gpg",
        key: str | None = None,
        key_id: str | None = None,
        passphrase: str | None = None,
        refuse: Callable[[str, str], PitrError] | None = None,
    ) -> None:
        if key is None and key_id is None:
            raise ConfigError("neither an OpenPGP key nor the id of one is given")
        self._program = program
        self._key = key
        self._key_id = key_id
        self._passphrase = passphrase
        self._refuse = refuse or _refuse
        self._made: _Home | None = None
        self._lock = Lock()
        self._turn = Lock()

    def encrypt(self, chunks: Iterable[Chunk], *, name: str) -> Iterator[bytes]:
        """Encrypt for the key, or all keys if it holds several; raises EncryptionError."""
        home = self._home()
        recipients = home.recipients if home else (self._key_id or "",)
        chosen = [word for one in recipients for word in ("--recipient", one)]
        outcome = Outcome()
        yield from filtered(self._command(home, *chosen, *_ENCRYPT), chunks, outcome)
        if outcome.code != 0:
            raise EncryptionError(
                f"{name} cannot be encrypted by gpg: {_reason(outcome)}",
                hint="The key needs a part that may encrypt and has not expired.",
            )

    def decrypt(self, chunks: Iterable[bytes], *, name: str) -> Iterator[bytes]:
        """Yield the decrypted packets; ends without an error only if all of them are authentic.

        Raises EncryptionError where no key fits, CorruptError for damage.
        """
        outcome = Outcome(verdict=_FAILED)  # gpg would read on to the end of what it cannot decrypt
        mode, secret = "error", None
        if self._passphrase is not None:
            mode, secret = "loopback", ("--passphrase-fd", self._passphrase.encode() + b"\n")
        arguments = ("--pinentry-mode", mode, "--decrypt", "--unwrap")
        _, chunks = take_some(iter(chunks), _READ_AHEAD)
        command = self._command(self._home(), *arguments)
        with closing(filtered(command, chunks, outcome, secret=secret)) as pieces:
            with self._turn:  # until the session key is open: the agent has little secure memory
                first = next(pieces, b"")
            yield from rejoined(first, pieces)
        if outcome.code != 0 or not _statuses(outcome, "DECRYPTION_OKAY"):
            raise _undecryptable(outcome, name)

    def _command(self, home: _Home | None, *arguments: str) -> list[str]:
        where = ("--homedir", str(home.path)) if home else ()
        return [self._program, *where, *_COMMON, *arguments]

    def _home(self) -> _Home | None:
        if self._key is None:
            return None
        with self._lock:
            self._made = self._made or _make_home(self._program, self._key, self._refuse)
            return self._made


def remove_homes() -> None:
    """Remove the keyrings that this process has made, and end their agents.

    For programs that leave by os._exit; others have it done at their exit.
    """
    while _homes:
        _remove_home(_homes.pop())


def _refuse(message: str, hint: str) -> PitrError:
    return ConfigError(message, hint=hint)


def _make_home(program: str, key: str, refuse: Callable[[str, str], PitrError]) -> _Home:
    """Import the key into a directory of its own, which goes with this process."""
    path = _new_directory()
    if _PRIVATE in key:
        _remove_after_death(path)
    outcome = Outcome()
    command = [program, "--homedir", str(path), *_COMMON, "--import"]
    for _ in filtered(command, [key.encode()], outcome):
        pass
    found = tuple(dict.fromkeys(words[1] for words in _statuses(outcome, "IMPORT_OK") if words[1:]))
    if not found:
        raise refuse(
            f"the OpenPGP key cannot be imported: {_reason(outcome)}",
            "Give what gpg --armor --export, or --export-secret-keys, prints.",
        )
    return _Home(path=path, recipients=found)


def _new_directory() -> Path:
    """Make a directory that this process locks, and remove those that nobody locks any more."""
    import atexit
    import tempfile

    is_usable = os.access(_MEMORY, os.W_OK | os.X_OK)
    above = _MEMORY if is_usable else Path(tempfile.gettempdir())
    for old in above.glob(f"{_PREFIX}*"):
        if _is_abandoned(old):
            _remove_home(old)
    if not _homes:
        atexit.register(remove_homes)
    path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=above))
    _homes.append(path)
    new = path / f"{_LOCK}.new"
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)  # until the process ends, however it does
    new.rename(path / _LOCK)
    return path


def _remove_after_death(path: Path) -> None:
    """Have the directory removed when this process ends, SIGKILL included: that closes a pipe."""
    reading, writing = os.pipe()
    try:
        subprocess.run(
            ["sh", "-c", _WATCH],
            stdin=reading,
            cwd=path,
            start_new_session=True,  # not to be killed with this process's group
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        os.close(writing)
    finally:
        os.close(reading)


def _is_abandoned(path: Path) -> bool:
    """Tell whether a process of this user made it and is gone."""
    try:
        status = path.lstat()
        if status.st_uid != os.geteuid() or not stat.S_ISDIR(status.st_mode):
            return False
        if not (path / _LOCK).exists():  # made just now, or by a process that was killed then
            return time.time() - status.st_mtime > _PATIENCE
        descriptor = os.open(path / _LOCK, os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)


def _remove_home(path: Path) -> None:
    """End the agent that guards the keys, then remove them."""
    import shutil

    with suppress(OSError, subprocess.SubprocessError):
        subprocess.run(
            ["gpgconf", "--homedir", str(path), "--kill", "all"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_PATIENCE,
            check=False,
        )
    shutil.rmtree(path, ignore_errors=True)


def _undecryptable(outcome: Outcome, name: str) -> PitrError:
    has_key = _statuses(outcome, "DECRYPTION_KEY") or _statuses(outcome, "DECRYPTION_INFO")
    if has_key or not _statuses(outcome, "ENC_TO"):
        return CorruptError(f"{name} is damaged or cut off: gpg says {_reason(outcome)}")
    wanted = ", ".join(words[0] for words in _statuses(outcome, "ENC_TO") if words)
    if _statuses(outcome, "NO_SECKEY") or not _statuses(outcome, "KEY_CONSIDERED"):
        return MissingKeyError(
            f"{name} is encrypted for the OpenPGP key {wanted}, whose secret key is not at hand",
            hint="Give the secret key by WALG_PGP_KEY_PATH, or import it into gpg's keyring.",
        )
    return EncryptionError(
        f"{name} cannot be decrypted by gpg: {_reason(outcome)}",
        hint="If the key has a passphrase, give it by WALG_PGP_KEY_PASSPHRASE.",
    )


def _statuses(outcome: Outcome, keyword: str) -> list[list[str]]:
    """The arguments of each status line with this keyword (gnupg's doc/DETAILS)."""
    lines = (line.split() for line in outcome.lines() if line.startswith(_STATUS))
    return [words[2:] for words in lines if words[1:2] == [keyword]]


def _reason(outcome: Outcome) -> str:
    """The last message for people, without the program's name."""
    said = [line for line in outcome.lines() if line and not line.startswith(_STATUS)]
    return said[-1].removeprefix("gpg: ") if said else f"nothing, and ended with {outcome.code}"
