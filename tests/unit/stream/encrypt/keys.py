"""Keys for tests, made once a run: two of age, one of libsodium, one of OpenPGP."""

import atexit
import os
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from backup_core.stream.encrypt.age import recipient_of

NAME = "wal_005/000000010000000000000001.zst"
IDENTITY = bytes(range(32))
OTHER_IDENTITY = bytes(range(100, 132))
RECIPIENT = recipient_of(IDENTITY)
OTHER_RECIPIENT = recipient_of(OTHER_IDENTITY)
SODIUM_KEY = bytes(range(32, 64))
OTHER_SODIUM_KEY = bytes(range(64, 96))
PASSPHRASE = "correct horse"


@dataclass(frozen=True, kw_only=True)
class PgpKey:
    """An OpenPGP key in armour, and a keyring with it."""

    public: str
    secret: str
    home: Path

    def gpg(self, data: bytes, *arguments: str) -> bytes:
        """What the stock program makes of the data."""
        return run_gpg(self.home, data, *arguments)


def run_gpg(home: Path, data: bytes, *arguments: str) -> bytes:
    """Run gpg with a keyring of its own."""
    command = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--trust-model", "always"]
    return subprocess.run(
        [*command, *arguments], input=data, capture_output=True, check=True
    ).stdout


@cache
def pgp_key(passphrase: str = "") -> PgpKey:
    """Make a key that signs and one below it that encrypts, as gpg does by default."""
    directory = tempfile.TemporaryDirectory(prefix="gpg-")
    home = Path(directory.name)
    loopback = ("--pinentry-mode", "loopback", "--passphrase", passphrase)
    owner = "pitr <pitr@example.org>"
    run_gpg(home, b"", *loopback, "--quick-generate-key", owner, "default", "default", "never")
    key = PgpKey(
        public=run_gpg(home, b"", "--armor", "--export").decode(),
        secret=run_gpg(home, b"", *loopback, "--armor", "--export-secret-keys").decode(),
        home=home,
    )
    atexit.register(_end, directory)
    return key


def _end(directory: tempfile.TemporaryDirectory[str]) -> None:
    end = ["gpgconf", "--homedir", directory.name, "--kill", "all"]
    subprocess.run(end, capture_output=True, check=False)
    directory.cleanup()


def written_by_age(data: bytes, *recipients: str) -> bytes:
    """What the stock age program encrypts."""
    wanted = [word for one in recipients for word in ("-r", one)]
    return subprocess.run(["age", *wanted], input=data, capture_output=True, check=True).stdout


def read_by_age(data: bytes, identity: str) -> bytes:
    """What the stock age program decrypts."""
    reading, writing = os.pipe()
    os.write(writing, identity.encode())
    os.close(writing)
    try:
        return subprocess.run(
            ["age", "-d", "-i", f"/dev/fd/{reading}"],
            input=data,
            capture_output=True,
            check=True,
            pass_fds=(reading,),
        ).stdout
    finally:
        os.close(reading)
