"""A site whose repository is a prefix of a bucket on a real S3 server."""

from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

from backup_core.repository.catalog import read_catalog
from backup_core.repository.wal_archive import find_wal, read_wal
from backup_core.storage.base import Storage
from backup_core.storage.options import S3Options, StoreOptions
from backup_core.storage.registry import open_storage
from tests.support.environment import pitr_program
from tests.support.fixtures import MakeCluster, Pitr
from tests.support.seaweed import REGION, SeaweedFS
from tests.support.site import Site

PART_SIZE = 5 << 20


@dataclass(frozen=True)
class BucketSite(Site):
    """Like a site of a directory; the settings are in a file, which every command is given."""

    server: SeaweedFS
    url: str
    config: Path

    @property
    def environ(self) -> dict[str, str]:
        """The variable that names the file of settings."""
        return {"PITR_CONFIG": str(self.config)}

    def archive_settings(self) -> dict[str, Any]:
        """Settings of a server that archives into the bucket."""
        push = f"{quote(str(pitr_program()))} wal-push %p --config {quote(str(self.config))}"
        return {"archive_mode": "on", "archive_command": push}

    def backups(self) -> list[str]:
        """The names of the backups that exist, the oldest first."""
        return [backup.name for backup in read_catalog(self.storage()).backups]

    def archived(self, name: str) -> bytes | None:
        """The content that the store holds under a WAL file's name."""
        storage = self.storage()
        found = find_wal(storage, name)
        return None if found is None else b"".join(read_wal(storage, found))

    def storage(self) -> Storage:
        """The repository, by the shortest way to the server."""
        s3 = S3Options(
            endpoint=self.server.url,
            region=REGION,
            access_key_id=self.server.access_key,
            secret_access_key=self.server.secret_key,
        )
        return open_storage(self.url, StoreOptions(s3=s3))


def bucket_site(
    base: Path,
    pitr: Pitr,
    make_cluster: MakeCluster,
    server: SeaweedFS,
    *,
    endpoint: str | None = None,
    retry_timeout: str = "60s",
) -> BucketSite:
    """Make a site below `base`; `endpoint` leads its commands through a proxy."""
    base.mkdir(exist_ok=True)
    url = f"s3://{server.bucket}/{base.name}"
    config = base / "pitr.toml"
    settings = {
        "repository": url,
        "s3_endpoint": endpoint or server.url,
        "s3_region": REGION,
        "s3_access_key_id": server.access_key,
        "s3_secret_access_key": server.secret_key,
        "s3_max_part_size": str(PART_SIZE),
        "retry_timeout": retry_timeout,
    }
    config.write_text("".join(f'{name} = "{value}"\n' for name, value in settings.items()))
    config.chmod(0o600)
    return BucketSite(
        base=base,
        repository=base / "none",
        pitr=pitr,
        make_cluster=make_cluster,
        server=server,
        url=url,
        config=config,
    )
