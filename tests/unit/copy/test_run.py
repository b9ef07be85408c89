"""Objects on their way: proved while they are read, and never overwritten."""

import json
from collections.abc import Iterable
from dataclasses import replace

import pytest

from backup_core.copy.run import CopyOptions, CopyResult, carry_out
from backup_core.copy.survey import CopyRequest, plan_from
from backup_core.errors import (
    ClusterMismatchError,
    CorruptError,
    LockHeldError,
    PitrError,
    RefusedError,
    UsageError,
    WalHeaderError,
)
from backup_core.postgres.wal import segment_name
from backup_core.repository import layout
from backup_core.repository.lock import backup_lock
from backup_core.storage.base import Chunk, ObjectInfo, Storage
from backup_core.storage.memory import MemoryStorage
from backup_core.stream.compress import compress
from tests.support.backups import BACKUP, store
from tests.support.segments import BACKUP_HISTORY, HISTORY, segment

SEGMENT = segment_name(1, 0x20, 1 << 20)
NAME = f"base_{SEGMENT}"
MINE = replace(BACKUP, name=NAME)
PART = layout.partition(NAME, "part_001", "lz4")
LARGE = bytes(range(256)) * (5 << 12)


def stored(data: bytes) -> bytes:
    return compress(data, method="zstd", level=1)


@pytest.fixture
def source() -> MemoryStorage:
    """What wal-g leaves: a backup without an index, and its WAL."""
    storage = MemoryStorage()
    storage.url = "memory://source"
    storage.put(layout.wal(SEGMENT, "zst"), [stored(segment(SEGMENT))])
    storage.put(layout.wal(f"{SEGMENT}.00000028.backup", "zst"), [stored(BACKUP_HISTORY)])
    storage.put(layout.partition(NAME, "pg_control", "lz4"), [b"control"])
    storage.put(PART, [LARGE])
    store(storage, MINE)
    return storage


@pytest.fixture
def target() -> MemoryStorage:
    """An empty repository."""
    storage = MemoryStorage()
    storage.url = "memory://target"
    return storage


def copy(
    source: Storage, target: Storage, *, verify: bool = False, with_history: bool = False
) -> CopyResult:
    plan = plan_from(source, target, CopyRequest(with_history=with_history))
    return carry_out(source, target, plan, CopyOptions(workers=2, verify=verify))


def content(storage: Storage) -> dict[str, bytes]:
    """Everything but what the target has of its own."""
    return {
        info.key: b"".join(storage.get(info.key))
        for info in storage.list()
        if not info.key.startswith("pitr/")
    }


def test_the_target_then_holds_the_same(source: MemoryStorage, target: MemoryStorage) -> None:
    """Byte for byte, in whatever codec the parts are."""
    result = copy(source, target, verify=True)
    assert content(target) == content(source)
    assert (result.copied, result.present) == (6, 0)
    assert result.copied_size == sum(map(len, content(source).values()))


def test_a_second_copy_finds_everything_there(source: MemoryStorage, target: MemoryStorage) -> None:
    """With and without reading all of it."""
    copy(source, target)
    for verify in (False, True):
        result = copy(source, target, verify=verify)
        assert (result.copied, result.copied_size, result.present) == (0, 0, 6)


class Failing(MemoryStorage):
    """A store that fails at one key."""

    def __init__(self, key: str) -> None:
        super().__init__()
        self.key = key
        self.order: list[str] = []

    def put(
        self,
        key: str,
        chunks: Iterable[Chunk],
        *,
        if_absent: bool = False,
        size_hint: int | None = None,
    ) -> ObjectInfo:
        if key == self.key:
            raise PitrError(f"no room for {key}")
        self.order.append(key)
        return super().put(key, chunks, if_absent=if_absent, size_hint=size_hint)


@pytest.mark.parametrize(
    "key", [layout.wal(SEGMENT, "zst"), PART, layout.metadata(NAME), layout.sentinel(NAME)]
)
def test_wherever_it_fails_there_is_no_sentinel(source: MemoryStorage, key: str) -> None:
    """And the same command completes it."""
    target = Failing(key)
    with pytest.raises(PitrError, match="no room"):
        copy(source, target)
    assert layout.sentinel(NAME) not in content(target)
    target.key = ""
    copy(source, target)
    assert content(target) == content(source)
    assert target.order[-1] == layout.sentinel(NAME)


def test_marks_of_an_unfinished_copy_are_replaced(
    source: MemoryStorage, target: MemoryStorage
) -> None:
    """The backup may have been marked between the two runs."""
    copy(source, target)
    target.delete([layout.sentinel(NAME)])
    marked = json.loads(content(source)[layout.metadata(NAME)]) | {"is_permanent": True}
    source.put(layout.metadata(NAME), [json.dumps(marked).encode()])
    copy(source, target)
    assert content(target) == content(source)


class Rival(MemoryStorage):
    """A store in which another writer creates an object just before we do."""

    def __init__(self, key: str, theirs: bytes) -> None:
        super().__init__()
        self.key = key
        self.theirs = theirs

    def put(
        self,
        key: str,
        chunks: Iterable[Chunk],
        *,
        if_absent: bool = False,
        size_hint: int | None = None,
    ) -> ObjectInfo:
        if key == self.key:
            super().put(key, [self.theirs])
        return super().put(key, chunks, if_absent=if_absent, size_hint=size_hint)


def test_of_two_writers_the_same_bytes_are_success(source: MemoryStorage) -> None:
    """An archiver may push the same segment meanwhile."""
    assert copy(source, Rival(PART, LARGE)).present == 1


@pytest.mark.parametrize("theirs", [b"", b"other", LARGE + b"more", LARGE[:-1] + b"x"])
def test_of_two_writers_other_bytes_are_a_refusal(source: MemoryStorage, theirs: bytes) -> None:
    """What they wrote stays."""
    target = Rival(PART, theirs)
    with pytest.raises(RefusedError, match="part_001"):
        copy(source, target)
    assert content(target)[PART] == theirs


class Lossy(MemoryStorage):
    """A store that keeps other bytes than it was given for one key."""

    def __init__(self, key: str, kept: bytes) -> None:
        super().__init__()
        self.key = key
        self.kept = kept

    def put(
        self,
        key: str,
        chunks: Iterable[Chunk],
        *,
        if_absent: bool = False,
        size_hint: int | None = None,
    ) -> ObjectInfo:
        given = b"".join(chunks)
        kept = self.kept if key == self.key else given
        return super().put(key, [kept], if_absent=if_absent, size_hint=size_hint)


def test_what_was_written_is_verified(source: MemoryStorage) -> None:
    """Its size always, its content on request."""
    with pytest.raises(CorruptError, match="3 bytes in"):
        copy(source, Lossy(PART, b"cut"))
    changed = LARGE[:-1] + b"x"
    copy(source, Lossy(PART, changed))
    with pytest.raises(CorruptError, match="other content"):
        copy(source, Lossy(PART, changed), verify=True)


def test_a_lock_that_is_held_stops_a_copy(source: MemoryStorage, target: MemoryStorage) -> None:
    """A backup of the same name may be under way."""
    with backup_lock(target), pytest.raises(LockHeldError):
        copy(source, target)
    assert content(target) == {}


def test_a_repository_cannot_be_copied_to_itself(source: MemoryStorage) -> None:
    """It would lock and find everything there."""
    with pytest.raises(UsageError, match="to itself"):
        copy(source, source)


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (stored(segment(SEGMENT))[:-1], CorruptError),
        (stored(segment(SEGMENT)[:-1]), WalHeaderError),
        (stored(segment(SEGMENT) + b"x"), WalHeaderError),
        (stored(b"short"), WalHeaderError),
        (stored(segment(SEGMENT, address=0)), WalHeaderError),
        (stored(segment(SEGMENT, system_identifier=42)), ClusterMismatchError),
    ],
    ids=["cut", "short", "long", "no-header", "other-wal", "other-cluster"],
)
def test_a_segment_that_is_not_what_its_name_says_is_not_copied(
    source: MemoryStorage, target: MemoryStorage, bad: bytes, error: type[PitrError]
) -> None:
    """It is decoded in passing, and nothing of it becomes visible."""
    key = layout.wal(SEGMENT, "zst")
    later = segment_name(1, 0x21, 1 << 20)
    source.put(layout.wal(later, "zst"), [stored(segment(later))])  # tells the segment size
    source.put(key, [bad])
    with pytest.raises(error):
        copy(source, target)
    assert key not in content(target)


@pytest.mark.parametrize("name", [f"{SEGMENT}.00000028.backup", "00000002.history"])
def test_a_text_file_of_the_archive_is_checked(
    source: MemoryStorage, target: MemoryStorage, name: str
) -> None:
    """Histories lead recoveries."""
    source.put(layout.wal("00000002.history", "zst"), [stored(HISTORY)])
    copy(source, target, with_history=True)
    target.delete([layout.wal(name, "zst")])
    source.put(layout.wal(name, "zst"), [stored(b"nonsense")])
    with pytest.raises(CorruptError):
        copy(source, target, with_history=True)
    assert layout.wal(name, "zst") not in content(target)


@pytest.mark.parametrize("seed", [0, 1])
def test_wal_stored_by_another_codec_is_compared_by_its_content(
    source: MemoryStorage, target: MemoryStorage, seed: int
) -> None:
    """The same is there already, and other WAL of that name is a refusal."""
    target.put(layout.wal(SEGMENT, ""), [segment(SEGMENT, seed=seed)])
    if seed:
        with pytest.raises(RefusedError, match=SEGMENT):
            copy(source, target)
    else:
        copy(source, target)
        assert layout.wal(SEGMENT, "zst") not in content(target)


@pytest.mark.parametrize(
    ("key", "extension"),
    [
        ("wal_005/000000010000000000000001.zst", "zst"),
        ("wal_005/000000010000000000000001", ""),
        ("wal_005/000000010000000000000001.00000028.backup", ""),
        ("a.lz4/b", ""),
        ("metadata.json", ""),
        ("zst", ""),
    ],
)
def test_the_codec_is_told_by_the_end_of_the_key(key: str, extension: str) -> None:
    """A folder's name tells nothing."""
    assert layout.extension_of(key) == extension
