"""The programs that are compared, each as an operator would have it installed.

pitr goes into an environment of its own: an editable checkout starts more slowly and may lack
compiled bytecode. pgBackRest is Debian's package, unpacked and not installed, so that the machine
stays as it was and no root is needed. Ansible and pyinfra have an environment in the cache.
`python -m bench.programs` fetches all ahead of time: beside hosts there is no network.
"""

import configparser
import hashlib
import shutil
import sys
from pathlib import Path

from tests.support.cache import cached, pip, run
from tests.support.postgres import Binaries, find_binaries

CHECKOUT = Path(__file__).resolve().parents[1]
NEWEST_MAJOR = 15  # that Debian's pgBackRest 2.45 knows
SOURCES = (
    *("backup_core", "provision", "templates"),
    *("setup.cfg", "setup.py", "pyproject.toml", "README.md", "LICENSE"),
)
BUILD_TOOLS = ("setuptools>=70.1", "wheel")
PROVISIONERS = ("ansible-core==2.19.*", "pyinfra==3.10.*")


class UnavailableError(Exception):
    """A program cannot be had on this machine."""


def install_pitr(base: Path) -> Path:
    """Install this checkout with what it needs below `base`; return the path of its `pitr`."""
    source, environment = base / "source", base / "environment"
    source.mkdir()
    for name in SOURCES:
        _copy(CHECKOUT / name, source / name)
    run([sys.executable, "-m", "venv", str(environment)])
    install = [str(environment / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
    install += ["install", "--quiet", "--compile", "--no-index", f"--find-links={find_wheels()}"]
    run([*install, f"{source}[provision]"])
    return environment / "bin" / "pitr"


def find_wheels() -> Path:
    """Return the directory with wheels of everything that pitr needs."""
    setup = configparser.ConfigParser()
    setup.read(CHECKOUT / "setup.cfg")
    wanted = [
        *setup["options"]["install_requires"].splitlines(),
        *setup["options.extras_require"]["provision"].splitlines(),
        *BUILD_TOOLS,
    ]
    digest = hashlib.sha256("\0".join([sys.version, *wanted]).encode()).hexdigest()[:16]
    return cached(
        f"bench-wheels-{digest}",
        lambda directory: pip(
            "wheel", "--quiet", f"--wheel-dir={directory}", *filter(None, wanted)
        ),
    )


def find_provisioners() -> Path:
    """Return the interpreter whose environment has Ansible and pyinfra; they are its modules.

    Raise UnavailableError where they are not to be had.
    """
    digest = hashlib.sha256("\0".join([sys.version, *PROVISIONERS]).encode()).hexdigest()[:16]
    try:
        return cached(f"bench-provisioners-{digest}", _install_provisioners) / "bin" / "python"
    except (RuntimeError, OSError) as error:
        raise UnavailableError(str(error)) from None


def _install_provisioners(directory: Path) -> None:
    run([sys.executable, "-m", "venv", str(directory)])
    install = ["-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--compile"]
    run([str(directory / "bin" / "python"), *install, *PROVISIONERS])


def _copy(source: Path, destination: Path) -> None:
    if source.is_dir():
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(source, destination, symlinks=True, ignore=ignored)
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


def fetch() -> None:
    """Fetch everything; say what cannot be had, and go on."""
    find_wheels()
    try:
        find_pgbackrest(find_binaries(NEWEST_MAJOR))
        find_provisioners()
    except UnavailableError as error:
        print(f"to be measured without: {error}", file=sys.stderr)


if __name__ == "__main__":
    fetch()
