"""The stock wal-g program, as the peer of tests that run both tools on one archive.

There is no package of it to install, so these tests run where `WALG_BIN` names one. Its home is a
scratch directory, because it remembers codecs and keys of other archives there, and it is kept from
trying a failed object again for an hour.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import pytest

from tests.support.environment import clean_environ

VARIABLE = "WALG_BIN"
FIXTURES = Path(__file__).parents[1] / "fixtures" / "wal-g"
LIBSODIUM_KEY = "throwaway key of the fixtures 32"
_PATIENCE = {
    "WALG_DOWNLOAD_FILE_RETRIES": "1",
    "WALG_UPLOAD_CONCURRENCY": "1",
    "WALG_DOWNLOAD_CONCURRENCY": "4",
}
MISSING = (
    f"no stock wal-g to run against: set {VARIABLE}=/path/to/wal-g (3.0.9 or later, for "
    "PostgreSQL, with brotli and libsodium)"
)


def is_there() -> bool:
    """Tell whether the environment names a wal-g."""
    return bool(os.environ.get(VARIABLE))


@dataclass(frozen=True, kw_only=True)
class WalG:
    """wal-g on the repository in a directory; `env` is added to its settings."""

    repository: Path
    home: Path
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def program(self) -> Path:
        """The program that the environment names; a name that leads nowhere is an error."""
        path = Path(os.environ[VARIABLE])
        if not os.access(path, os.X_OK):
            raise FileNotFoundError(f"{VARIABLE}={path} is no program")
        return path

    @property
    def settings(self) -> dict[str, str]:
        """The variables that make wal-g use the repository."""
        own = {"WALG_FILE_PREFIX": str(self.repository), "HOME": str(self.home)}
        return _PATIENCE | own | dict(self.env)

    def run(
        self,
        *args: str | Path,
        env: Mapping[str, str] | None = None,
        check: bool = True,
        timeout: float = 300,
    ) -> subprocess.CompletedProcess[str]:
        """Run wal-g; with `check`, fail the test when it does not exit with 0."""
        done = subprocess.run(
            [str(self.program), *map(str, args)],
            env=clean_environ() | self.settings | dict(env or {}),
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check and done.returncode != 0:
            pytest.fail(
                f"wal-g {' '.join(map(str, args))} ended with {done.returncode}:\n"
                f"{done.stdout}{done.stderr}"
            )
        return done

    def command(self, *words: str) -> str:
        """A shell command for archive_command or restore_command."""
        settings = " ".join(f"{name}='{value}'" for name, value in self.settings.items())
        return f"{settings} {self.program} {' '.join(words)}"


def digests(directory: Path) -> dict[str, tuple[int, str]]:
    """Size and SHA-256 of every file of a data directory but WAL; tablespaces are followed."""
    tops = [directory, *(directory / "pg_tblspc").glob("*")]
    paths = {path for top in tops for path in top.rglob("*") if path.is_file()}
    return {
        path.relative_to(directory).as_posix(): (
            path.stat().st_size,
            sha256(path.read_bytes()).hexdigest(),
        )
        for path in paths
        if path.relative_to(directory).parts[0] != "pg_wal"
    }


def pgp_key(directory: Path) -> Path:
    """A throwaway secret key without a passphrase, armoured, in a file of its owner alone."""
    path = directory / "pgp-secret.asc"
    path.touch(mode=0o600)
    path.write_bytes((FIXTURES / path.name).read_bytes())
    return path


def encryption(scheme: str, directory: Path) -> dict[str, str]:
    """The settings of both tools that encrypt by `libsodium` or `pgp`, with keys of no worth."""
    if scheme == "libsodium":
        return {"WALG_LIBSODIUM_KEY": LIBSODIUM_KEY}
    return {"WALG_PGP_KEY_PATH": str(pgp_key(directory))}
