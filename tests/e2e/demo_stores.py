"""Where the demo archives: a directory, or a bucket on an S3 server of its own.

Each is set up as an operator would: a directory needs no more than its URL, a bucket has keys that
must not stand in archive_command, so it gets a pitr.toml that only its owner reads.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote

from tests.support.certificates import make_certificate
from tests.support.seaweed import REGION, SeaweedFS, seaweed

PREFIX = "demo"


@dataclass(frozen=True, kw_only=True)
class Store:
    """A repository that is empty, and what leads the server and an operator's commands there."""

    url: str
    facts: tuple[str, ...] = ()
    push_options: str
    options: tuple[str, ...] = ()
    environ: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def directory(base: Path) -> Iterator[Store]:
    """Make a directory below `base`."""
    path = base / "repository"
    path.mkdir()
    url = f"file://{path}"
    yield Store(
        url=url,
        push_options=f"--repository {quote(url)}",
        environ={"WALG_FILE_PREFIX": str(path)},
    )


@contextmanager
def bucket(base: Path) -> Iterator[Store]:
    """Start SeaweedFS with everything it keeps below `base`; it ends with the context."""
    certificate = make_certificate(base / "certificates")
    with seaweed(base / "store", tls=certificate) as server:
        url = f"s3://{server.bucket}/{PREFIX}"
        config = base / "pitr.toml"
        _write_config(config, url, server, certificate.ca_file)
        yield Store(
            url=url,
            facts=(
                f"SeaweedFS serves {url} at {server.url}",
                f"the address, the keys and the authority to trust are in {config}, mode 600",
            ),
            push_options=f"--config {quote(str(config))}",
            options=("--config", str(config)),
        )


def _write_config(path: Path, url: str, server: SeaweedFS, ca_file: Path) -> None:
    settings = {
        "repository": url,
        "s3_endpoint": server.url,
        "s3_region": REGION,
        "s3_access_key_id": server.access_key,
        "s3_secret_access_key": server.secret_key,
        "s3_ca_cert_file": str(ca_file),
    }
    text = "".join(f'{name} = "{value}"\n' for name, value in settings.items())
    path.touch(mode=0o600)
    path.write_text(text)


STORES = {"file": directory, "s3": bucket}
