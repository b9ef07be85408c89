"""One class a tool: how it is set up, and the commands by which it does each piece of work.

Both have two workers, the same codec and level, page checksums, a repository in the same place and
durable writes, and both prove archiving when they take a backup.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from shlex import join, quote
from typing import Protocol

from bench.places import Place
from bench.programs import library_path
from tests.support.cache import run
from tests.support.cluster import Cluster
from tests.support.environment import clean_environ

WORKERS = 2
Command = list[str]


@dataclass(frozen=True, kw_only=True)
class Site:
    """What a tool works on: a running cluster, and a directory for everything it makes."""

    cluster: Cluster
    base: Path
    level: int


class Tool(Protocol):
    """A tool set up for one cluster."""

    name: str

    @property
    def environ(self) -> Mapping[str, str]:
        """The environment that its commands run in."""
        ...

    @property
    def archive_command(self) -> str:
        """The setting by which the server archives into its repository."""
        ...

    def reset(self) -> None:
        """Begin with an empty repository that knows the cluster."""

    def backup(self) -> Command:
        """Take a full backup."""
        ...

    def restore(self, target: Path) -> Command:
        """Restore the newest backup into an empty directory."""
        ...

    def wal_push(self, path: str) -> str:
        """A shell command that archives the file; `path` is already quoted."""
        ...

    def wal_fetch(self, name: str, path: str) -> str:
        """A shell command that fetches a segment; the arguments are already quoted."""
        ...


class Pitr:
    """This project."""

    name = "pitr"

    def __init__(self, site: Site, program: Path, place: Place) -> None:
        self._site = site
        self._program = str(program)
        self._place = place

    @property
    def environ(self) -> Mapping[str, str]:
        return (
            clean_environ()
            | self._site.cluster.environ
            | self._place.pitr_environ()
            | {
                "WALG_COMPRESSION_METHOD": "zstd",
                "WALG_ZSTD_LEVEL": str(self._site.level),
                "WALG_UPLOAD_DISK_CONCURRENCY": str(WORKERS),
                "WALG_DOWNLOAD_CONCURRENCY": str(WORKERS),
            }
        )

    @property
    def archive_command(self) -> str:
        settings = (item for item in self.environ.items() if item[0].startswith(("WALG_", "AWS_")))
        assignments = " ".join(f"{name}={quote(value)}" for name, value in settings)
        return f"{assignments} {self.wal_push('%p')}"

    def reset(self) -> None:
        self._place.empty()

    def backup(self) -> Command:
        return [self._program, "backup-push"]

    def restore(self, target: Path) -> Command:
        return [self._program, "backup-fetch", str(target), "LATEST"]

    def wal_push(self, path: str) -> str:
        return f"{quote(self._program)} wal-push {path}"

    def wal_fetch(self, name: str, path: str) -> str:
        return f"{quote(self._program)} wal-fetch {name} {path}"


class PgBackRest:
    """pgBackRest, as an unprivileged user with all its paths in a directory of its own."""

    name = "pgBackRest"

    def __init__(
        self, site: Site, program: Path, place: Place, *, asynchronous: bool = False
    ) -> None:
        self._site = site
        self._place = place
        self._asynchronous = asynchronous
        self._config = site.base / "pgbackrest.conf"
        self._call = [str(program), f"--config={self._config}", "--stanza=bench"]

    @property
    def environ(self) -> Mapping[str, str]:
        return clean_environ() | {"LD_LIBRARY_PATH": library_path(self._site.cluster.binaries)}

    @property
    def archive_command(self) -> str:
        library = quote(self.environ["LD_LIBRARY_PATH"])
        return f"LD_LIBRARY_PATH={library} {self.wal_push('%p')}"

    def reset(self) -> None:
        self._place.empty()
        self._config.write_text(self._settings())
        assignments = (f"{name}={value}" for name, value in self.environ.items())
        run(["env", "-i", *assignments, *self._call, "stanza-create"])

    def backup(self) -> Command:
        return [*self._call, "--type=full", "--start-fast", "backup"]

    def restore(self, target: Path) -> Command:
        return [*self._call, f"--pg1-path={target}", "restore"]

    def wal_push(self, path: str) -> str:
        return f"{join(self._call)} archive-push {path}"

    def wal_fetch(self, name: str, path: str) -> str:
        return f"{join(self._call)} archive-get {name} {path}"

    def _settings(self) -> str:
        site, libpq = self._site, self._site.cluster.environ
        paths = {name: site.base / f"pgbackrest-{name}" for name in ("lock", "log", "spool")}
        return "\n".join(
            [
                "[global]",
                *self._place.pgbackrest_lines(),
                *(f"{name}-path={path}" for name, path in paths.items()),
                "compress-type=zst",
                f"compress-level={site.level}",
                f"process-max={WORKERS}",
                f"archive-async={'y' if self._asynchronous else 'n'}",
                "expire-auto=n",
                "log-level-console=warn",
                "log-level-file=off",
                "[bench]",
                f"pg1-path={site.cluster.data_dir}",
                f"pg1-socket-path={libpq['PGHOST']}",
                f"pg1-port={libpq['PGPORT']}",
                f"pg1-user={libpq['PGUSER']}",
                "",
            ]
        )
