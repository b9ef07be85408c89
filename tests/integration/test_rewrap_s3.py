"""Rewrapping on a real S3 server: large objects stay where they are, and a cut is gone on with."""

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from backup_core.keys.survey import confidential, inspect
from backup_core.repository.sealed import SealedStorage
from backup_core.stream.encrypt.age import format_identity, format_recipient
from backup_core.stream.encrypt.age_header import key_id
from backup_core.stream.encrypt.keys import KeySource
from backup_core.stream.encrypt.scheme import Keyring
from tests.support.bucket import BucketSite, bucket_site
from tests.support.faults import Drop, Fault, Schedule, SeenRequest, never
from tests.support.fixtures import MakeCluster, Pitr
from tests.support.proxy import FaultProxy
from tests.support.seaweed import SeaweedFS
from tests.support.segments import FIRST, HISTORY, MEBIBYTE, SECOND, segment, wal_file
from tests.unit.stream.encrypt.keys import IDENTITY, OTHER_IDENTITY, OTHER_RECIPIENT, RECIPIENT

HISTORY_NAME = "00000002.history"
ONE, OTHER = format_recipient(RECIPIENT), format_recipient(OTHER_RECIPIENT)
LARGE = 32 * MEBIBYTE
LEAST_PART = 5 * MEBIBYTE


@pytest.fixture
def bucket(
    tmp_path: Path, pitr: Pitr, make_cluster: MakeCluster, server: SeaweedFS, proxy: FaultProxy
) -> BucketSite:
    """A prefix behind the network with one large segment and small ones, for `ONE`."""
    site = bucket_site(
        tmp_path, pitr, make_cluster, server, endpoint=proxy.url, retry_timeout="300ms"
    )
    env = {"PITR_AGE_RECIPIENTS": ONE, "PITR_COMPRESSION_METHOD": "none"}
    for name, content in contents().items():
        site.run("wal-push", wal_file(site.base / name[-1], name, content), env=env)
    return site


def contents() -> dict[str, bytes]:
    """The segments, all of a cluster whose segments are large; the history is small."""
    large = {name: segment(name, size=LARGE, seed=int(name, 16)) for name in (FIRST, SECOND)}
    return large | {HISTORY_NAME: HISTORY, "00000003.history": HISTORY + b"2\t0/4000000\tno\n"}


def rewrap(bucket: BucketSite, *, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Give everything to `OTHER`."""
    identity = bucket.base / "identity"
    identity.write_text(format_identity(IDENTITY))
    identity.chmod(0o600)
    env = {"PITR_AGE_IDENTITY_FILE": str(identity), "PITR_AGE_RECIPIENTS": OTHER}
    return bucket.run("rewrap", env=env, check=check)


def check_readable(bucket: BucketSite) -> set[tuple[str, ...]]:
    """Every object has its content and opens with the old key or the new; return whose they are."""
    inner = bucket.storage()
    both = "\n".join(map(format_identity, (IDENTITY, OTHER_IDENTITY)))
    keys = Keyring(age=KeySource(setting="age", text=both))
    storage = SealedStorage(inner, write=None, keys=keys, require=True)
    for name, content in contents().items():
        assert b"".join(storage.get(f"wal_005/{name}")) == content
    found = inspect(inner, confidential(inner), libsodium_key=None, workers=1)
    return {item.key_ids for item in found}


def moved(requests: Sequence[SeenRequest]) -> int:
    """Bytes that were sent, and those that were asked for: always by a range."""
    total = 0
    for request in requests:
        total += int(request.headers.get("content-length", "0"))
        if request.method == "GET" and "?" not in request.path:
            match = re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers.get("range", ""))
            assert match or not request.path.endswith((FIRST, SECOND)), request
            total += int(match[2]) + 1 - int(match[1]) if match else 0
    return total


def from_request(number: int, fault: Fault) -> Schedule:
    """A network that fails for good."""
    return lambda request: fault if request.number >= number else None


def test_a_large_object_does_not_move(bucket: BucketSite, proxy: FaultProxy) -> None:
    """What fills the first part comes and goes; the rest is copied by the server."""
    before = len(proxy.requests)
    assert "rewrapped     4 objects" in rewrap(bucket).stdout
    assert moved(proxy.requests[before:]) < 2 * 2 * (LEAST_PART + MEBIBYTE)
    assert check_readable(bucket) == {(key_id(OTHER_RECIPIENT),)}


@pytest.mark.parametrize("fault", [Drop(after_request_bytes=0), Drop()], ids=["cut", "unheard"])
def test_a_cut_rewrapping_is_gone_on_with(
    bucket: BucketSite, proxy: FaultProxy, fault: Fault
) -> None:
    """The network ends after ever more requests: nothing is lost, and the same command finishes."""
    ended: list[int] = []
    for lasts in range(3, 80, 4):
        end = len(proxy.requests) + lasts
        proxy.schedule = from_request(end, fault)
        ended.append(rewrap(bucket, check=False).returncode)
        assert check_readable(bucket) <= {(key_id(RECIPIENT),), (key_id(OTHER_RECIPIENT),)}
        if ended[-1] == 0:
            break
    assert set(ended[:-1]) == {7}
    assert len(ended) > 5
    proxy.schedule = never
    rewrap(bucket)
    assert check_readable(bucket) == {(key_id(OTHER_RECIPIENT),)}
    assert "rewrapped     0 objects" in rewrap(bucket).stdout
