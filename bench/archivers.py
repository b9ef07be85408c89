"""How each tool archives: the command that the server calls, and what is set up for it."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from shlex import join, quote

from backup_core.postgres.archiving import archive_command
from bench.measure import memory_of
from bench.places import Place
from bench.tools import PgBackRest, Site
from tests.support.spooled import end_workers, workers

PUSH_AHEAD, SYNCHRONOUS = "pitr, push-ahead", "pitr, synchronous"
PEER_ASYNC, PEER_SYNC, WALG = "pgBackRest, asynchronous", "pgBackRest, synchronous", "wal-g"


@dataclass(frozen=True, kw_only=True)
class Archiver:
    """One way to archive: `prepare` begins with an empty repository, `end` ends what works on.

    `worker` is the peak resident size of what works on, in bytes; 0 where that is not known.
    """

    name: str
    command: str
    prepare: Callable[[], None]
    end: Callable[[], None] = lambda: None
    worker: Callable[[], int] = lambda: 0


def pitr_archiver(site: Site, program: Path, place: Place, *, ahead: bool) -> Archiver:
    """This project, with and without a spool."""
    name = PUSH_AHEAD if ahead else SYNCHRONOUS
    directory = site.base / name.replace(", ", "-")
    config, spool = directory / "pitr.toml", directory / "spool"
    directory.mkdir()

    def prepare() -> None:
        end_workers(spool)
        shutil.rmtree(spool, ignore_errors=True)
        place.empty()
        config.write_text("".join(_toml(place.pitr_environ(), site.level)))
        config.chmod(0o600)

    words = ["--config", str(config)]
    return Archiver(
        name=name,
        command=archive_command(
            [str(program)], spool=str(spool) if ahead else None, extra_arguments=words
        ),
        prepare=prepare,
        end=lambda: end_workers(spool),
        worker=lambda: peak_of_workers(spool),
    )


def peak_of_workers(spool: Path, command: str = "push-ahead") -> int:
    """The peak resident size of a spool's worker, in bytes; 0 if there is none."""
    return max((memory_of(pid)[1] for pid in workers(spool, command)), default=0)


_SETTINGS = {
    "WALG_FILE_PREFIX": "repository",
    "WALG_S3_PREFIX": "repository",
    "WALG_S3_CA_CERT_FILE": "s3_ca_cert_file",
    "AWS_ACCESS_KEY_ID": "s3_access_key_id",
    "AWS_SECRET_ACCESS_KEY": "s3_secret_access_key",
    "AWS_REGION": "s3_region",
    "AWS_ENDPOINT": "s3_endpoint",
    "AWS_S3_FORCE_PATH_STYLE": "s3_path_style",
}


def _toml(environ: dict[str, str], level: int) -> list[str]:
    lines = [f'{_SETTINGS[name]} = "{value}"\n' for name, value in environ.items()]
    return [*lines, f"zstd_level = {level}\n"]


def pgbackrest_archiver(site: Site, program: Path, place: Place, *, asynchronous: bool) -> Archiver:
    """pgBackRest, with two processes when it is asynchronous."""
    name = PEER_ASYNC if asynchronous else PEER_SYNC
    base = site.base / name.replace(", ", "-")
    base.mkdir()
    here = Site(cluster=site.cluster, base=base, level=site.level)
    tool = PgBackRest(here, program, place, asynchronous=asynchronous)

    def prepare() -> None:
        shutil.rmtree(base / "pgbackrest-spool", ignore_errors=True)
        tool.reset()

    return Archiver(name=name, command=tool.archive_command, prepare=prepare)


def walg_archiver(site: Site, program: str, place: Place) -> Archiver:
    """wal-g, which uploads others in the background of each call."""
    settings = place.pitr_environ

    def command() -> str:
        environ = settings() | {
            "WALG_COMPRESSION_METHOD": "zstd",
            "PGDATA": str(site.cluster.data_dir),
        }
        script = site.base / "wal-g.sh"
        words = [f"{name}={value}" for name, value in environ.items()]
        script.write_text(f'#!/bin/sh\nexec env {join(words)} {quote(program)} wal-push "$1"\n')
        script.chmod(0o755)
        return f"{quote(str(script))} %p"

    def prepare() -> None:
        place.empty()
        command()

    return Archiver(name=WALG, command=command(), prepare=prepare)
