"""A directory of unpacked downloads that outlives a run and that many processes share.

An entry is either absent or whole: it is built beside its place and renamed into it, and a lock
makes the second process wait for the first one's download instead of repeating it.
"""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

Build = Callable[[Path], None]


def cache_dir() -> Path:
    """Where entries live: PITR_TEST_CACHE, else ~/.cache/pitr, else a directory in /var/tmp."""
    chosen = os.environ.get("PITR_TEST_CACHE")
    if chosen:
        return Path(chosen)
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 - Path.home() raises without a home
    if os.access(home, os.W_OK):
        return home / ".cache" / "pitr"
    return Path(f"/var/tmp/pitr-cache-{os.getuid()}")


def cached(name: str, build: Build, *, root: Path | None = None) -> Path:
    """Return the directory of the entry `name`; `build` fills an empty directory when absent.

    A build that raises leaves no entry, and its exception passes through.
    """
    cache = root or cache_dir()
    entry = cache / name
    if entry.is_dir():
        return entry
    cache.mkdir(parents=True, exist_ok=True)
    with _lock(cache / f"{name}.lock"):
        if not entry.is_dir():
            _build_beside(entry, build)
    return entry


def _build_beside(entry: Path, build: Build) -> None:
    for abandoned in entry.parent.glob(f".{entry.name}.*"):
        shutil.rmtree(abandoned, ignore_errors=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{entry.name}.", dir=entry.parent))
    try:
        build(unfinished)
        unfinished.chmod(0o755)
        unfinished.rename(entry)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def pip(*args: str) -> None:
    """Run this interpreter's pip; raise RuntimeError with what it said when it fails."""
    run([sys.executable, "-m", "pip", "--disable-pip-version-check", *args])


def run(command: list[str], *, cwd: Path | None = None) -> str:
    """Run a command without standard input and return its output.

    Raise RuntimeError naming the command and its last words when it fails.
    """
    done = subprocess.run(
        command, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        last_words = "\n".join((done.stdout + done.stderr).splitlines()[-20:])
        raise RuntimeError(f"{' '.join(command)} failed:\n{last_words}")
    return done.stdout
