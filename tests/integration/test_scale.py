"""Tens of thousands of WAL segments on a server that counts requests.

`python -m bench.scale --year` does the same with a year of 1.5 TiB a day; what is held here, the
requests and the memory, does not depend on the size.
"""

import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice, pairwise
from pathlib import Path

import pytest

from backup_core.archive.fetch import FetchRequest, fetch_wal
from backup_core.archive.push import push_wal
from backup_core.postgres.lsn import Lsn
from backup_core.postgres.wal import segment_name
from backup_core.repository import layout
from backup_core.repository.catalog import read_catalog, read_index
from backup_core.repository.identity import claim_repository
from backup_core.repository.wal_archive import (
    WalRange,
    find_wal,
    first_objects,
    list_wal,
    read_header,
    some_segment,
)
from backup_core.restore.preflight import read_archive
from backup_core.restore.spans import plan_spans
from backup_core.storage.base import Storage
from backup_core.verify.continuity import missing_wal
from backup_core.verify.wal import timelines
from bench import scaling
from bench.scaling import Requests
from tests.support.backups import BACKUP, store
from tests.support.environment import pitr_program
from tests.support.fixtures import MakeCluster, Pitr
from tests.support.s3_stub import S3Stub, Segments, s3_stub
from tests.support.segments import SYSTEM_IDENTIFIER, segment, wal_file

SIZE = 16 << 20
COUNT = 40_500
BATCH = 1000


@pytest.fixture(scope="module")
def stub() -> Iterator[S3Stub]:
    """A server with segments 1 to COUNT of timeline 1, which tests of the module do not delete."""
    with s3_stub(Segments(count=COUNT, segment_size=SIZE)) as server:
        claim_repository(server.storage(), SYSTEM_IDENTIFIER)
        yield server


@pytest.fixture
def storage(stub: S3Stub) -> Storage:
    """The repository, with the requests counted from here on."""
    opened = stub.storage()
    stub.requests()
    return opened


def asked(stub: S3Stub) -> Requests:
    """The requests since they were last asked for, by what they are priced as."""
    counts = stub.requests()
    return Requests(
        put=counts.get("PUT", 0),
        list=counts.get("LIST", 0),
        get=counts.get("GET", 0) + counts.get("HEAD", 0),
        delete=counts.get("DELETE", 0),
    )


def peak(work: Callable[[], object]) -> int:
    """The bytes that the work held at most, beyond what was there."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("version", [1, 2])
def test_every_key_is_listed_once_and_in_order(stub: S3Stub, version: int) -> None:
    """By as many requests as there are thousands, in either version of the listing."""
    storage = stub.storage(list_version=version)
    stub.requests()
    keys = [info.key for info in storage.list(layout.WAL)]
    assert asked(stub) == Requests(list=scaling.pages(COUNT))
    assert all(one < two for one, two in pairwise(keys))
    assert keys[0] == layout.wal(segment_name(1, 1, SIZE), "zst")
    assert keys[-1] == layout.wal(segment_name(1, COUNT, SIZE), "zst")
    assert len(keys) == COUNT


def test_wal_show_asks_for_each_page_once(stub: S3Stub, storage: Storage) -> None:
    """The ranges come out of one listing, once a segment has told the size of all."""
    some = some_segment(storage, list(first_objects(storage)))
    assert some is not None
    size = read_header(storage, some).segment_size
    (found,) = timelines(list_wal(storage), {}, size)
    assert found.ranges == (WalRange(timeline=1, first=1, last=COUNT),)
    assert asked(stub) == scaling.wal_show(COUNT)


def test_ten_times_the_wal_takes_no_more_memory(stub: S3Stub) -> None:
    """What is listed is not kept, only where it is broken."""

    def describe(count: int) -> Callable[[], object]:
        return lambda: timelines(islice(list_wal(stub.storage()), count), {}, SIZE)

    peak(describe(1000))
    assert peak(describe(30_000)) < peak(describe(3000)) + (1 << 20)


def test_a_segment_is_found_by_one_listing(stub: S3Stub, storage: Storage) -> None:
    """However many there are."""
    assert find_wal(storage, segment_name(1, COUNT - 1, SIZE))
    assert asked(stub) == Requests(list=1)


def test_a_segment_is_fetched_by_three_requests(
    stub: S3Stub, storage: Storage, tmp_path: Path
) -> None:
    """Its name, its content, and the identity that it is held against."""
    name = segment_name(1, COUNT + 1, SIZE)
    storage.put(layout.wal(name, ""), [segment(name, size=SIZE)])
    stub.requests()
    fetch_wal(storage, FetchRequest(name=name, destination=tmp_path / name))
    assert asked(stub) == scaling.wal_fetch()
    storage.delete([layout.wal(name, "")])


def test_the_end_of_the_archive_is_proved_by_four(
    stub: S3Stub, storage: Storage, tmp_path: Path
) -> None:
    """Not by a look at what is before it."""
    name = segment_name(1, COUNT + 5, SIZE)
    assert fetch_wal(storage, FetchRequest(name=name, destination=tmp_path / name)).key is None
    assert asked(stub) == scaling.wal_fetch_absent()


@pytest.mark.parametrize("part_size", [1 << 20, 20 << 20])
def test_a_segment_is_pushed_by_the_requests_that_are_stated(
    stub: S3Stub, tmp_path: Path, part_size: int
) -> None:
    """In one request or in parts."""
    storage = stub.storage(part_size=part_size)
    name = segment_name(1, COUNT + 10, SIZE)
    path = wal_file(tmp_path, name, segment(name, size=SIZE))
    stub.requests()
    result = push_wal(storage, path, method="none", level=1)
    assert asked(stub) == scaling.wal_push(result.stored_size, part_size)
    storage.delete([result.key])


def test_a_restore_looks_at_no_wal_before_the_backup(stub: S3Stub, storage: Storage) -> None:
    """A year of it would take an hour, with the database down."""
    archive = read_archive(storage)
    first = COUNT - 2500
    last = archive.runs_from(SIZE)(1, first)[-1].last
    span = WalRange(timeline=1, first=first, last=last)
    assert last == COUNT
    assert missing_wal([span], archive.numbers(SIZE)) == ()
    assert asked(stub) == Requests(list=2 + scaling.pages(2501))


def test_a_restore_to_a_target_looks_at_no_wal_behind_it(stub: S3Stub, storage: Storage) -> None:
    """But for the rest of the page."""
    archive = read_archive(storage)
    span = WalRange(timeline=1, first=10, last=1500)
    assert missing_wal([span], archive.numbers(SIZE)) == ()
    assert asked(stub) == Requests(list=2 + 2)


def test_each_backup_is_read_by_three_requests(stub: S3Stub, storage: Storage) -> None:
    """After one listing."""
    names = [f"base_{segment_name(1, number, SIZE)}" for number in (3, 5, 7)]
    for number, name in enumerate(names):
        store(storage, replace(BACKUP, name=name, finish_lsn=Lsn(number)))
    stub.requests()
    assert len(read_catalog(storage).backups) == 3
    assert asked(stub) == scaling.backup_list(3)
    storage.delete(
        [key for name in names for key in (layout.metadata(name), layout.sentinel(name))]
    )


class TestDeleting:
    """What retention removes."""

    def test_keys_go_in_batches(self) -> None:
        """Each request deletes a thousand, and nothing else goes."""
        with s3_stub(Segments(count=5500)) as stub:
            storage = stub.storage()
            keys = [info.key for info in storage.list(layout.WAL)][:4200]
            assert storage.delete(keys) == dict.fromkeys(keys)
            assert asked(stub) == Requests(list=scaling.pages(5500), delete=5)
            assert len(list(storage.list(layout.WAL))) == 1300

    def test_a_listing_can_be_deleted_as_it_goes(self) -> None:
        """The pages that follow do not depend on what is there before them."""
        with s3_stub(Segments(count=5500)) as stub:
            storage = stub.storage()
            storage.delete(info.key for info in storage.list(layout.WAL))
            assert asked(stub) == scaling.deletion(5500)
            assert list(storage.list(layout.WAL)) == []

    def test_several_batches_are_on_their_way_at_once(self) -> None:
        """A far store's answers are waited for together."""
        latency, batches = 0.3, 8
        with s3_stub(Segments(count=batches * BATCH), latency=latency) as stub:
            storage = stub.storage()
            keys = [layout.wal(segment_name(1, n, SIZE), "zst") for n in range(batches * BATCH)]
            began = time.monotonic()
            storage.delete(keys)
            assert time.monotonic() - began < latency * batches * 0.75


def test_a_backup_and_its_restore_ask_what_is_stated(
    make_cluster: MakeCluster, pitr: Pitr, tmp_path: Path
) -> None:
    """The archiver's own requests are counted off; how often pitr looks for WAL, it decides."""
    with s3_stub(Segments(count=0)) as stub:
        config = tmp_path / "pitr.toml"
        config.write_text("".join(f'{key} = "{value}"\n' for key, value in stub.settings().items()))
        config.chmod(0o600)
        push = f"{pitr_program()} wal-push %p --config {config}"
        cluster = make_cluster(settings={"archive_mode": "on", "archive_command": push})
        storage = stub.storage()
        for taken in (1, 2):
            before = {info.key for info in storage.list(layout.WAL)}
            stub.requests()
            pitr("backup-push", "--config", config, env=cluster.environ)
            cluster.wait_until(
                "SELECT last_archived_wal LIKE '%.backup' AND archived_count >= 3 * "
                f"{taken} FROM pg_stat_archiver"
            )
            found = asked(stub)
        new = [info for info in storage.list(layout.WAL) if info.key not in before]
        archived = sum((scaling.wal_push(info.size) for info in new), Requests())
        expected = scaling.backup_push([0], backups=1, polls=0) + archived
        assert replace(found, list=0) == replace(expected, list=0)
        assert found.list >= expected.list
        stub.requests()
        pitr("backup-fetch", tmp_path / "restored", "--workers", "1", "--config", config)
        found = asked(stub)
        *_, last = read_catalog(storage).backups
        index = read_index(storage, last.name)
        assert index is not None
        spans = plan_spans(index, {file.path for file in index.files}, workers=1)
        assert found == scaling.backup_fetch(1, spans=len(spans), backups=2), spans
