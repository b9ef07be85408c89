"""What hosts are made of: layers of a Debian root, each cached under what it is made from.

    base   debootstrap with sshd, sudo, cron, PostgreSQL and friends               a minute
    users  who may log in, and the settings of sshd                                a second
    needs  /opt/wheels and a virtual environment with what pitr depends on         half a minute
    pitr   the checkout's own code, installed into that environment as a wheel     some seconds

So a changed line of code rebuilds the last one only. Wheels are fetched by the interpreter that
runs the tests, with its settings, for Debian's: a host needs neither network nor certificates.
"""

import configparser
import hashlib
import os
import platform
import shutil
import time
from collections.abc import Iterable
from pathlib import Path

from tests.support.cache import Build, cached, pip, run

CHECKOUT = Path(__file__).parents[3]
HERE = Path(__file__).parent
SUITE = "bookworm"
PYTHON_VERSION = "3.11"
PACKAGES = (
    *("openssh-server", "sudo", "cron", "daemontools", "logrotate", "procps", "iproute2"),
    *("postgresql", "python3", "python3-venv", "ca-certificates", "gnupg", "age", "lzop"),
)
BUILD_TOOLS = ("setuptools>=70.1", "wheel")
SOURCES = ("setup.cfg", "pyproject.toml", "README.md", "LICENSE", "backup_core")
SECONDS_TO_KEEP = 24 * 3600


def layers() -> tuple[Path, ...]:
    """Return the layers, uppermost first; missing ones are built, which needs root and a network.

    Raise RuntimeError with the last words of the program that failed.
    """
    base = _entry("base", [*PACKAGES, SUITE], _build_base)
    users = _entry(
        "users",
        [base.name, _text("users.sh")],
        lambda directory: _enter(directory, "users.sh", (base,)),
    )
    needs = _entry(
        "needs",
        [users.name, *_requirements(), _text("needs.sh")],
        lambda directory: _build_needs(directory, (users, base)),
    )
    code = _entry(
        "pitr",
        [needs.name, _text("pitr.sh"), *_source_texts()],
        lambda directory: _build_code(directory, (needs, users, base)),
    )
    used = (code, needs, users, base)
    _remove_older(used)
    return used


def _entry(kind: str, ingredients: Iterable[str], build: Build) -> Path:
    digest = hashlib.sha256("\0".join(ingredients).encode()).hexdigest()[:16]
    return cached(f"rig-{kind}-{digest}", build)


def _build_base(directory: Path) -> None:
    mirror = os.environ.get("PITR_TEST_MIRROR")
    run(
        [
            *("debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}"),
            *(SUITE, str(directory), *([mirror] if mirror else [])),
        ]
    )


def _build_needs(directory: Path, lowers: tuple[Path, ...]) -> None:
    wheels = directory / "opt" / "wheels"
    wheels.mkdir(parents=True)
    machine = platform.machine()
    platforms = [f"--platform=manylinux_2_{minor}_{machine}" for minor in range(17, 37)]
    pip(
        *("download", "--quiet", "--only-binary=:all:", "--dest", str(wheels)),
        *(f"--python-version={PYTHON_VERSION}", f"--platform=manylinux2014_{machine}"),
        *platforms,
        *_requirements(),
        *BUILD_TOOLS,
    )
    _enter(directory, "needs.sh", lowers)


def _build_code(directory: Path, lowers: tuple[Path, ...]) -> None:
    source = directory / "src"
    source.mkdir()
    for name in SOURCES:
        if (CHECKOUT / name).is_dir():
            shutil.copytree(CHECKOUT / name, source / name, ignore=_caches)
        else:
            shutil.copy(CHECKOUT / name, source / name)
    _enter(directory, "pitr.sh", lowers)
    shutil.rmtree(source)


def _enter(directory: Path, script: str, lowers: tuple[Path, ...]) -> None:
    """Run a script in the root that `lowers` and `directory` make; its files go to `directory`."""
    run(
        [
            *("unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"),
            *("sh", str(HERE / "layer.sh"), str(HERE / script), str(directory)),
            *map(str, lowers),
        ]
    )


def _requirements() -> list[str]:
    setup = configparser.ConfigParser()
    setup.read(CHECKOUT / "setup.cfg")
    return [line for line in setup["options"]["install_requires"].splitlines() if line]


def _text(name: str) -> str:
    return (HERE / name).read_text()


def _source_texts() -> Iterable[str]:
    for name in SOURCES:
        path = CHECKOUT / name
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and "__pycache__" not in file.parts:
                digest = hashlib.sha256(file.read_bytes()).hexdigest()
                yield f"{file.relative_to(CHECKOUT)} {digest}"


_caches = shutil.ignore_patterns("__pycache__")


def _remove_older(used: tuple[Path, ...]) -> None:
    """Forget what other states of the code left a day ago; a running rig may stand on younger."""
    for entry in used:
        os.utime(entry)
    for entry in used[0].parent.glob("rig-*"):
        if entry.is_dir() and time.time() - entry.stat().st_mtime > SECONDS_TO_KEEP:
            shutil.rmtree(entry, ignore_errors=True)
            entry.with_name(f"{entry.name}.lock").unlink(missing_ok=True)
