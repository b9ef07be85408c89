"""A repository in Google Cloud Storage: commands on an emulator, crosswise with Google's client.

What the emulator does otherwise than Google (conditions of resumable uploads, checksums, and it
ends an upload when it is asked how far it came) is proved against a server of ours.
"""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage as sdk

from backup_core.errors import AlreadyExistsError, NotFoundError
from backup_core.storage.base import Storage
from backup_core.storage.options import GcsOptions, StoreOptions
from backup_core.storage.registry import open_storage
from tests.support.fakegcs import PROJECT, FakeGCS, fake_gcs
from tests.support.faults import Answer, Delay, Drop, Schedule, Truncate, never, often
from tests.support.fixtures import Pitr
from tests.support.gcs_stub import BUCKET, gcs_stub
from tests.support.programs import free_ports
from tests.support.proxy import FaultProxy
from tests.support.segments import FIRST, MEBIBYTE, segment, wal_file

CHUNK = 256 << 10
CONTENT = bytes(range(256)) * 4096 * 3
FAULTS: dict[str, Schedule] = {
    "429": often(0.3, Answer(status=429, headers={"Retry-After": "0"})),
    "503": often(0.3, Answer(status=503)),
    "503-at-once": often(0.3, Answer(status=503, read_body=False)),
    "cut-requests": often(0.3, Drop(after_request_bytes=1000)),
    "lost-answers": often(0.3, Drop()),
    "cut-answers": often(0.3, Drop(after_response_bytes=1000)),
    "short-answers": often(0.3, Truncate(after_response_bytes=10)),
    "delays": often(0.3, Delay(seconds=0.1)),
}
_numbers = count()


@pytest.fixture(scope="session")
def harmed(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[FakeGCS, FaultProxy]]:
    """An emulator, and the network that leads to it, uploads included."""
    here, there = free_ports(2)
    network = FaultProxy(f"http://127.0.0.1:{there}", port=here)
    directory = tmp_path_factory.mktemp("gcs")
    with network, fake_gcs(directory, port=there, external_url=network.url) as running:
        yield running, network


@pytest.fixture
def server(harmed: tuple[FakeGCS, FaultProxy]) -> FakeGCS:
    """The emulator."""
    return harmed[0]


@pytest.fixture
def network(harmed: tuple[FakeGCS, FaultProxy]) -> Iterator[FaultProxy]:
    """The network, good until the test gives it a schedule and after it."""
    yield harmed[1]
    harmed[1].schedule = never


@pytest.fixture
def store(server: FakeGCS) -> Storage:
    """A prefix of the emulator's bucket."""
    return store_at(server.url, f"gs://{server.bucket}/test-{next(_numbers)}")


@pytest.fixture
def bucket(server: FakeGCS) -> sdk.Bucket:
    """The bucket as Google's own client sees it."""
    client = sdk.Client(
        project=PROJECT,
        credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call]
        client_options={"api_endpoint": server.url},
    )
    return client.bucket(server.bucket)


def store_at(
    emulator: str, url: str, *, normalize_prefix: bool = True, chunk_size: int = CHUNK
) -> Storage:
    """A repository in an emulator."""
    gcs = GcsOptions(emulator=emulator, chunk_size=chunk_size, normalize_prefix=normalize_prefix)
    return open_storage(url, StoreOptions(gcs=gcs, retry_timeout=60.0))


def contents(store: Storage, key: str) -> bytes:
    """The whole object."""
    return b"".join(store.get(key))


@pytest.mark.parametrize("fault", FAULTS)
def test_every_verb_keeps_its_promise(server: FakeGCS, network: FaultProxy, fault: str) -> None:
    """Three of ten requests to the emulator are harmed, and all is as it would be without."""
    network.schedule = FAULTS[fault]
    url = f"gs://{server.bucket}/test-{next(_numbers)}"
    check_every_verb(store_at(network.url, url, chunk_size=4 * MEBIBYTE))


@pytest.mark.parametrize("fault", FAULTS)
def test_uploads_in_chunks_keep_their_promise(fault: str) -> None:
    """The same where large objects are uploaded in chunks, some of which arrive in part."""
    with gcs_stub() as stub, FaultProxy(stub.url, FAULTS[fault]) as network:
        check_every_verb(store_at(network.url, f"gs://{BUCKET}/main"))


def check_every_verb(store: Storage) -> None:
    """Write, read, list and delete a small object and a large one."""
    store.put("small", [b"small"], if_absent=True)
    store.put("large", [CONTENT], if_absent=True)
    assert contents(store, "small") == b"small"
    assert contents(store, "large") == CONTENT
    assert b"".join(store.get("large", start=1000, stop=2_000_000)) == CONTENT[1000:2_000_000]
    assert [(info.key, info.size) for info in store.list()] == [
        ("large", len(CONTENT)),
        ("small", 5),
    ]
    for key in ("small", "large"):
        with pytest.raises(AlreadyExistsError):
            store.put(key, [CONTENT], if_absent=True)
    assert store.delete(["small", "large", "none"]) == dict.fromkeys(["small", "large", "none"])
    with pytest.raises(NotFoundError):
        store.get("large")


@pytest.mark.parametrize("size", [5, len(CONTENT)])
def test_googles_client_reads_what_was_written(
    store: Storage, bucket: sdk.Bucket, size: int
) -> None:
    """It verifies the checksum too; the object's name is the prefix and the key."""
    store.put("dir/a b?#%.zst", [CONTENT[:size]])
    name = f"{store.url.rpartition('/')[2]}/dir/a b?#%.zst"
    assert bucket.blob(name).download_as_bytes(checksum="crc32c") == CONTENT[:size]


@pytest.mark.parametrize("chunk_size", [None, CHUNK])
def test_what_googles_client_wrote_is_read(
    store: Storage, bucket: sdk.Bucket, chunk_size: int | None
) -> None:
    """Uploaded in one request or in chunks, as WAL-G and gcloud do."""
    name = f"{store.url.rpartition('/')[2]}/dir/key"
    bucket.blob(name, chunk_size=chunk_size).upload_from_string(CONTENT)
    assert contents(store, "dir/key") == CONTENT
    assert [info.key for info in store.list()] == ["dir/key"]


def test_names_that_begin_with_a_slash(server: FakeGCS, bucket: sdk.Bucket) -> None:
    """WAL-E put a slash before the prefix; such a repository is read and written where it is."""
    name = f"/wal-e-{next(_numbers)}"
    bucket.blob(f"{name}/wal_005/{FIRST}.lzo").upload_from_string(b"lzo")
    url = f"gs://{server.bucket}/{name}"
    store = store_at(server.url, url, normalize_prefix=False)
    assert [info.key for info in store.list("wal_005/")] == [f"wal_005/{FIRST}.lzo"]
    assert contents(store, f"wal_005/{FIRST}.lzo") == b"lzo"
    store.put("key", [b"x"])
    assert bucket.blob(f"{name}/key").exists()
    assert list(store_at(server.url, url).list()) == []


@pytest.mark.parametrize("fault", FAULTS)
def test_a_segment_goes_there_and_back(
    tmp_path: Path, pitr: Pitr, server: FakeGCS, network: FaultProxy, fault: str
) -> None:
    """wal-push says yes to what is whole in the store, twice, and wal-fetch brings it back."""
    content = segment(FIRST, size=16 * MEBIBYTE)
    path = wal_file(tmp_path / "pg_wal", FIRST, content)
    env = {
        "PITR_REPOSITORY": f"gs://{server.bucket}/segment-{next(_numbers)}",
        "STORAGE_EMULATOR_HOST": network.url,
        "PITR_GCS_MAX_CHUNK_SIZE": "1MiB",
    }
    network.schedule = FAULTS[fault]
    pitr("wal-push", path, env=env)
    pitr("wal-push", path, env=env)
    pitr("wal-fetch", FIRST, tmp_path / "fetched", env=env)
    assert (tmp_path / "fetched").read_bytes() == content


@pytest.mark.parametrize("repository", ["gs://no-such-bucket/main", "gs://backups/main"])
def test_only_a_segment_that_is_missing_is_missing(
    tmp_path: Path, pitr: Pitr, server: FakeGCS, repository: str
) -> None:
    """A bucket that is not there must not look like the end of the archive: that would promote."""
    env = {"PITR_REPOSITORY": repository, "STORAGE_EMULATOR_HOST": server.url}
    path = wal_file(tmp_path / "pg_wal", FIRST, segment(FIRST, size=16 * MEBIBYTE))
    pushed = pitr("wal-push", path, env=env, check=False)
    fetched = pitr("wal-fetch", f"{FIRST[:-1]}2", tmp_path / "fetched", env=env, check=False)
    exists = repository == f"gs://{server.bucket}/main"
    assert (pushed.returncode == 0, fetched.returncode) == (exists, 74 if exists else 200)
