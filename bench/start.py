"""What a process costs that PostgreSQL starts a segment: the interpreter, the imports, one PUT."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.measure import Sample, measure
from bench.works import Series
from tests.support.environment import clean_environ
from tests.support.seaweed import REGION, SeaweedFS
from tests.support.segments import segment

RUNS = 20
SEGMENT_SIZE = 16 << 20
PAGE = 8192
BOTO3_PUSH = Path(__file__).with_name("boto3_push.py")
IMPORTED = ("backup_core.storage.s3", "boto3")


@dataclass(frozen=True, kw_only=True)
class Command:
    """A process; `takes_segment` has it told the path of a segment after `words`."""

    words: Sequence[str]
    environ: Mapping[str, str]
    takes_segment: bool = False

    def arguments(self, path: Path) -> list[str]:
        """The command line of one run."""
        return [*self.words, str(path)] if self.takes_segment else [*self.words]


def silent(_: str) -> None:
    """Runs of milliseconds are not worth a line."""


def start_ups(base: Path, pitr: Path, pgbackrest: Path | None, server: SeaweedFS) -> list[Series]:
    """Measure processes that do nothing, that push a segment, and that import."""
    commands = _idle(pitr, pgbackrest) | _pushes(base, pitr, server)
    found = {name: Series(work=name, data="start-up", size=0) for name in commands}
    for number in range(RUNS + 1):
        path = _segment(base, number)
        for name, command in commands.items():
            sample = measure(command.arguments(path), env=command.environ)
            if number:  # the first push also makes the repository's identity
                found[name].add("start-up", sample, silent)
        path.unlink()
    return [*found.values(), *(_import(pitr, module) for module in IMPORTED)]


def _idle(pitr: Path, pgbackrest: Path | None) -> dict[str, Command]:
    commands = {
        "python -c pass": [str(pitr.with_name("python")), "-c", "pass"],
        "pitr wal-push --help": [str(pitr), "wal-push", "--help"],
    }
    if pgbackrest is not None:
        commands["pgbackrest version"] = [str(pgbackrest), "version"]
    return {name: Command(words=words, environ=clean_environ()) for name, words in commands.items()}


def _pushes(base: Path, pitr: Path, server: SeaweedFS) -> dict[str, Command]:
    directory = base / "pushed"
    directory.mkdir()
    bucket = {"WALG_S3_PREFIX": f"s3://{server.bucket}/pushed"}
    sdk = {
        "AWS_ACCESS_KEY_ID": server.access_key,
        "AWS_SECRET_ACCESS_KEY": server.secret_key,
        "AWS_REGION": REGION,
        "AWS_ENDPOINT_URL": server.url,
        "AWS_CA_BUNDLE": server.environ["WALG_S3_CA_CERT_FILE"],
    }
    return {
        "pitr wal-push to a directory": Command(
            words=[str(pitr), "wal-push"],
            takes_segment=True,
            environ=clean_environ() | {"WALG_FILE_PREFIX": str(directory)},
        ),
        "pitr wal-push to S3": Command(
            words=[str(pitr), "wal-push"],
            takes_segment=True,
            environ=clean_environ() | server.environ | bucket,
        ),
        "the same PUT by boto3": Command(
            words=[sys.executable, str(BOTO3_PUSH), server.bucket],
            takes_segment=True,
            environ=clean_environ() | sdk,
        ),
    }


def _segment(base: Path, number: int) -> Path:
    """Write a segment that compresses threefold, as real ones do."""
    path = base / f"{1:08X}{0:08X}{number + 1:08X}"
    pages = (os.urandom(PAGE // 3).ljust(PAGE, b"\0") for _ in range(SEGMENT_SIZE // PAGE - 1))
    path.write_bytes(segment(path.name, size=SEGMENT_SIZE)[:PAGE] + b"".join(pages))
    return path


def _import(pitr: Path, module: str) -> Series:
    """The time that the interpreter itself says it spent on an import, dependencies included."""
    interpreter = sys.executable if module == "boto3" else str(pitr.with_name("python"))
    found = Series(work=f"import {module} (-X importtime)", data="start-up", size=0)
    for _ in range(RUNS):
        said = subprocess.run(
            [interpreter, "-X", "importtime", "-c", f"import {module}"],
            env=clean_environ(),
            capture_output=True,
            text=True,
            check=True,
        ).stderr
        (spent,) = re.findall(rf"\| +(\d+) \| {re.escape(module)}$", said, re.MULTILINE)
        found.add("start-up", Sample(wall=int(spent) / 1e6, cpu=0, largest=0, tree=0), silent)
    return found
