"""An emulator of Google Cloud Storage on loopback: fake-gcs-server, objects in memory.

Its file system backend cannot hold both `a` and `a/b`. What it does not do as GCS does:
if_generation_match is ignored by resumable uploads, compose and delete; wrong checksums are taken;
batch delete answers what clients cannot read.
"""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.programs import Program, fake_gcs_server, free_ports

BUCKET = "backups"
PROJECT = "test"


@dataclass(frozen=True, kw_only=True)
class FakeGCS:
    """One running emulator and its bucket, which is empty."""

    url: str
    bucket: str
    program: Program

    @property
    def environ(self) -> dict[str, str]:
        """The settings that lead clients to this server."""
        return {"STORAGE_EMULATOR_HOST": self.url}

    def kill(self) -> None:
        """SIGKILL the server; with it everything that was stored is gone."""
        self.program.kill()


@contextmanager
def fake_gcs(
    directory: Path, *, port: int | None = None, external_url: str | None = None
) -> Iterator[FakeGCS]:
    """Run an emulator whose log is in `directory`; kill it at the end.

    `external_url` is where clients reach it when a proxy stands in front: the addresses of
    resumable uploads, and downloads by them, then lead through the proxy. `url` stays its own.
    """
    chosen = port or free_ports(1)[0]
    url = f"http://127.0.0.1:{chosen}"
    directory.mkdir(parents=True, exist_ok=True)
    program = Program(_command(chosen, external_url or url), directory / "fake-gcs.log", {})
    try:
        program.wait_for(lambda: _create_bucket(url))
        yield FakeGCS(url=url, bucket=BUCKET, program=program)
    finally:
        program.kill()


def _command(port: int, external_url: str) -> list[str]:
    return [
        str(fake_gcs_server()),
        *("-backend", "memory", "-scheme", "http", "-host", "127.0.0.1", "-port", str(port)),
        *("-external-url", external_url, "-public-host", external_url.partition("://")[2]),
        *("-log-level", "warn"),
    ]


def _create_bucket(url: str) -> bool:
    """Create the bucket; False while the server does not listen yet."""
    request = urllib.request.Request(
        f"{url}/storage/v1/b?project={PROJECT}",
        data=json.dumps({"name": BUCKET}).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=5):
            return True
    except urllib.error.HTTPError:
        raise
    except OSError:
        return False
