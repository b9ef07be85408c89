"""The programs that are compared, each as an operator would have it installed.

pitr goes into an environment of its own: an editable checkout starts more slowly and may lack
compiled bytecode. pgBackRest is Debian's package, unpacked and not installed, so that the machine
stays as it was and no root is needed. `python -m bench.programs` fetches it ahead of time.
"""

import shutil
import sys
from pathlib import Path

from tests.support.cache import cached, run
from tests.support.postgres import Binaries, find_binaries

CHECKOUT = Path(__file__).resolve().parents[1]
NEWEST_MAJOR = 15  # that Debian's pgBackRest 2.45 knows
SOURCES = ("backup_core", "setup.cfg", "setup.py", "pyproject.toml", "README.md", "LICENSE")


class UnavailableError(Exception):
    """pgBackRest cannot be had on this machine."""


def install_pitr(base: Path) -> Path:
    """Install this checkout below `base`; return the path of its `pitr`."""
    source, environment = base / "source", base / "environment"
    source.mkdir()
    for name in SOURCES:
        _copy(CHECKOUT / name, source / name)
    run([sys.executable, "-m", "venv", str(environment)])
    pip = [str(environment / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
    run([*pip, "install", "--quiet", "--compile", str(source)])
    return environment / "bin" / "pitr"


def _copy(source: Path, destination: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, destination, ignore=shutil.ignore_patterns("__pycache__"))
    elif source.exists():
        shutil.copy(source, destination)


def find_pgbackrest(binaries: Binaries) -> Path:
    """Return the installed pgbackrest, or Debian's, unpacked into the cache.

    Raise UnavailableError where neither is to be had, or where it does not know this PostgreSQL.
    """
    installed = shutil.which("pgbackrest")
    if installed:
        return Path(installed)
    try:
        path = cached("pgbackrest", _unpack) / "usr" / "bin" / "pgbackrest"
        run(["env", f"LD_LIBRARY_PATH={library_path(binaries)}", str(path), "version"])
    except (RuntimeError, OSError) as error:
        raise UnavailableError(str(error)) from None
    return path


def library_path(binaries: Binaries) -> str:
    """Where pgBackRest finds libpq on a machine without Debian's."""
    return str(binaries.bindir.parent / "lib")


def _unpack(directory: Path) -> None:
    """Download the package with lists of our own, which needs no root."""
    apt = ["apt-get", "-qq", f"-oDir::State::lists={directory / 'lists'}"]
    apt += [f"-oDir::Cache={directory / 'cache'}"]
    for folder in ("lists/partial", "cache/archives/partial"):
        (directory / folder).mkdir(parents=True)
    run([*apt, "update"])
    run([*apt, "download", "pgbackrest"], cwd=directory)
    for package in directory.glob("*.deb"):
        run(["dpkg-deb", "-x", str(package), str(directory)])
        package.unlink()
    for folder in ("lists", "cache"):
        shutil.rmtree(directory / folder)


if __name__ == "__main__":
    try:
        print(find_pgbackrest(find_binaries(NEWEST_MAJOR)))
    except UnavailableError as error:
        print(f"pgBackRest cannot be had: {error}", file=sys.stderr)
