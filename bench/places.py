"""Where the tools keep their repositories: in a directory, or in a bucket of one S3 server."""

import shutil
from pathlib import Path
from typing import Protocol

from tests.support.seaweed import REGION, SeaweedFS


class Place(Protocol):
    """Where one tool keeps its repository, in the words of each tool."""

    def empty(self) -> None:
        """Begin with nothing there."""

    def pitr_environ(self) -> dict[str, str]:
        """The settings that lead pitr there."""
        ...

    def pgbackrest_lines(self) -> list[str]:
        """The lines of pgBackRest's configuration that lead it there."""
        ...


class Directory:
    """A directory of this machine."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def empty(self) -> None:
        shutil.rmtree(self._path, ignore_errors=True)
        self._path.mkdir()

    def pitr_environ(self) -> dict[str, str]:
        return {"WALG_FILE_PREFIX": str(self._path)}

    def pgbackrest_lines(self) -> list[str]:
        return [f"repo1-path={self._path}"]


class Bucket:
    """A prefix of the server's bucket, another one each time it is emptied.

    What was below the last one stays: deleting would be work for the server while others measure.
    """

    def __init__(self, server: SeaweedFS, ca_file: Path, name: str) -> None:
        self._server = server
        self._ca_file = ca_file
        self._name = name
        self._emptied = 0

    def empty(self) -> None:
        self._emptied += 1

    def pitr_environ(self) -> dict[str, str]:
        return self._server.environ | {
            "WALG_S3_PREFIX": f"s3://{self._server.bucket}/{self._prefix}"
        }

    def pgbackrest_lines(self) -> list[str]:
        server = self._server
        settings = {
            "type": "s3",
            "path": f"/{self._prefix}",
            "s3-bucket": server.bucket,
            "s3-endpoint": "localhost",
            "s3-region": REGION,
            "s3-uri-style": "path",
            "s3-key": server.access_key,
            "s3-key-secret": server.secret_key,
            "storage-host": "localhost",
            "storage-port": str(server.port),
            "storage-ca-file": str(self._ca_file),
        }
        return [f"repo1-{name}={value}" for name, value in settings.items()]

    @property
    def _prefix(self) -> str:
        return f"{self._name}-{self._emptied}"
