"""A real S3 server on loopback: SeaweedFS, started, killed and started again on the same data.

`weed mini` runs master, volume server, filer and S3 gateway in one process, ready in 0.8 s.
`weed server` is the same with a master election, which takes three seconds and more.

What it does not do as S3 does: keys below `a/` come before `a-b` in a listing, and start-after
`a-b` passes over them; `//` in a key collapses; x-amz-content-sha256 is not held against the body.
Signatures are accepted for any Host, so a proxy may stand in front.
"""

import errno
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from botocore.client import BaseClient
from botocore.config import Config
from botocore.session import get_session

from tests.support.certificates import Certificate
from tests.support.programs import Program, ProgramEndedError, free_ports, weed
from tests.support.seaweed_identities import ADMIN, Identity, configuration

REGION = "us-east-1"
BUCKET = "backups"
PROBE_KEY = "probe"
KEY_ENCRYPTION_KEY = "5a" * 32
START_ATTEMPTS = 3
SECONDS_TO_LISTEN = 0.5
# every port and every grpc port is named: derived ones (port + 10000) can pass 65535
PORTS = (
    *("s3.port", "s3.port.grpc", "master.port", "master.port.grpc", "volume.port"),
    *("volume.port.grpc", "filer.port", "filer.port.grpc", "admin.port", "admin.port.grpc"),
)
FIXED_OPTIONS = (
    *("-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-master.telemetry=false"),
    "-master.resumeState=false",
    *("-s3.autoCreateBucket=false", "-s3.allowDeleteBucketNotEmpty=false", "-s3.iam=false"),
    *("-webdav=false", "-admin.ui=false", "-s3.port.iceberg=0", "-s3.port.lance=0"),
    *("-filer.localSocket=filer.sock", "-s3.localSocket=s3.sock"),
)


class SeaweedFS:
    """One server and its bucket; READER may only read, KEEPER may do everything but delete."""

    def __init__(
        self, directory: Path, *, tls: Certificate | None, ports: list[int], capacity_mb: int | None
    ) -> None:
        self.directory = directory
        self.bucket = BUCKET
        self.access_key = ADMIN.access_key
        self.secret_key = ADMIN.secret_key
        self.log_path = directory / "weed.log"
        self._tls = tls
        self._ports = dict(zip(PORTS, ports, strict=True))
        self._capacity_mb = capacity_mb
        self._program: Program | None = None

    @property
    def port(self) -> int:
        """The port of the S3 gateway."""
        return self._ports["s3.port"]

    @property
    def url(self) -> str:
        """The endpoint: http, or https with a certificate."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def environ(self) -> dict[str, str]:
        """The settings that lead pitr to this server as the one who may do everything."""
        return self.environ_of(ADMIN)

    def environ_of(self, identity: Identity) -> dict[str, str]:
        """The settings that lead pitr to this server with an identity's keys."""
        trust = {"WALG_S3_CA_CERT_FILE": str(self._tls.ca_file)} if self._tls else {}
        return {
            "AWS_ACCESS_KEY_ID": identity.access_key,
            "AWS_SECRET_ACCESS_KEY": identity.secret_key,
            "AWS_REGION": REGION,
            "AWS_ENDPOINT": self.url,
            "AWS_S3_FORCE_PATH_STYLE": "true",
            **trust,
        }

    def client(self, identity: Identity = ADMIN, *, url: str | None = None) -> BaseClient:
        """Return another implementation's client, which asks once and never retries.

        `url` leads it through a proxy.
        """
        return get_session().create_client(
            "s3",
            region_name=REGION,
            endpoint_url=url or self.url,
            verify=str(self._tls.ca_file) if self._tls else None,
            aws_access_key_id=identity.access_key,
            aws_secret_access_key=identity.secret_key,
            config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
        )

    @property
    def running(self) -> bool:
        """True while the server's process lives."""
        return self._program is not None and self._program.running

    def create(self) -> None:
        """Start the server for the first time and make its bucket."""
        (self.directory / "data").mkdir(parents=True)
        (self.directory / "s3.json").write_text(configuration())
        self._start(self._answers)
        client = self.client()
        client.create_bucket(Bucket=self.bucket)
        # the first object creates a volume, whose reappearance restart() waits for
        client.put_object(Bucket=self.bucket, Key=PROBE_KEY, Body=b"probe")
        client.delete_object(Bucket=self.bucket, Key=PROBE_KEY)
        client.close()

    def kill(self) -> None:
        """SIGKILL the server, as a power cut would; nothing happens when it does not run.

        There is no gentler way to stop it: on SIGTERM it takes half a minute.
        """
        if self._program is not None:
            self._program.kill()
            self._program = None
        _remove_abandoned_sockets()

    def restart(self) -> None:
        """Start the server again, killing it when it runs: the same ports, the same data."""
        self.kill()
        self._start(lambda: self._answers() and self._has_volumes())

    # --- inside ---

    def _start(self, ready: Callable[[], bool]) -> None:
        self._program = Program(
            [str(weed()), "-logtostderr", "mini", *FIXED_OPTIONS, *self._options()],
            self.log_path,
            {"WEED_S3_SSE_KEK": KEY_ENCRYPTION_KEY},
        )
        self._program.wait_for(ready)

    def _options(self) -> list[str]:
        options = {name: str(port) for name, port in self._ports.items()}
        options["dir"] = str(self.directory / "data")
        options["s3.config"] = str(self.directory / "s3.json")
        if self._tls:
            options["s3.cert.file"] = str(self._tls.cert_file)
            options["s3.key.file"] = str(self._tls.key_file)
        if self._capacity_mb is not None:
            options["volume.max"] = "1"
            options["master.volumeSizeLimitMB"] = str(self._capacity_mb)
        return [f"-{name}={value}" for name, value in options.items()]

    def _answers(self) -> bool:
        context = ssl.create_default_context(cafile=self._tls.ca_file) if self._tls else None
        return _succeeds(f"{self.url}/healthz", context)

    def _has_volumes(self) -> bool:
        master = self._ports["master.port"]
        return _succeeds(f"http://127.0.0.1:{master}/dir/lookup?volumeId=1", None)


@contextmanager
def seaweed(
    directory: Path,
    *,
    tls: Certificate | None = None,
    port: int | None = None,
    capacity_mb: int | None = None,
) -> Iterator[SeaweedFS]:
    """Run a server that keeps everything in `directory`, with an empty bucket; kill it at the end.

    With `capacity_mb` the store is full after so many MiB: puts then fail with InternalError and
    what is stored stays readable. Raise ProgramEndedError when the server does not start.
    """
    server = _created(directory, tls, port, capacity_mb)
    try:
        yield server
    finally:
        server.kill()


def _created(
    directory: Path, tls: Certificate | None, port: int | None, capacity_mb: int | None
) -> SeaweedFS:
    """Create a server; another process may have taken a free port meanwhile, so try again."""
    for attempt in range(START_ATTEMPTS):
        ports = free_ports(len(PORTS))
        ports[0] = port or ports[0]
        place = directory / f"seaweed-{attempt}"
        server = SeaweedFS(place, tls=tls, ports=ports, capacity_mb=capacity_mb)
        try:
            server.create()
            return server
        except ProgramEndedError:
            server.kill()
            if attempt == START_ATTEMPTS - 1:
                raise
        except BaseException:
            server.kill()
            raise
    raise AssertionError


def _remove_abandoned_sockets() -> None:
    """Remove what killed servers of this user left in /tmp, where the program insists on them."""
    for path in Path("/tmp").glob("seaweedfs-*-grpc-*.sock"):
        with suppress(FileNotFoundError), socket.socket(socket.AF_UNIX) as probe:
            old = time.time() - path.stat().st_mtime > SECONDS_TO_LISTEN
            if old and probe.connect_ex(str(path)) == errno.ECONNREFUSED:
                with suppress(PermissionError):
                    path.unlink()


def _succeeds(url: str, context: ssl.SSLContext | None) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5, context=context):
            return True
    except (urllib.error.URLError, OSError):
        return False
