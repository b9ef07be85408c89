"""The records of drills: read back as written, named by time, and never believed unproved."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_core.errors import CorruptError, NotFoundError
from backup_core.repository import drills, layout
from backup_core.repository.drills import CheckOutcome, DrillRecord, Phase
from backup_core.storage.memory import MemoryStorage
from backup_core.stream.encrypt.primitives import is_signed, public_pem, sign
from tests.support.backups import NOON
from tests.support.drills import FAILED, PROVED, SECRET_KEY

MOMENTS = st.datetimes(timezones=st.just(UTC))
RECORDS = st.builds(
    DrillRecord,
    drill=st.sampled_from(["fresh", "chain"]),
    host=st.text(max_size=9),
    pitr_version=st.just("1"),
    started=MOMENTS,
    finished=MOMENTS,
    until=st.just("start"),
    succeeded=st.booleans(),
    system_identifier=st.none() | st.integers(0, (1 << 64) - 1),
    backup_finished=st.none() | MOMENTS,
    recovery_seconds=st.none() | st.floats(0, 1e6),
    error=st.none() | st.text(max_size=9),
    phases=st.lists(
        st.builds(Phase, name=st.text(max_size=5), state=st.just("passed"), seconds=st.just(1.5))
    ).map(tuple),
    checks=st.lists(
        st.builds(
            CheckOutcome, name=st.text(max_size=5), passed=st.booleans(), seconds=st.just(0.5)
        )
    ).map(tuple),
)


@given(record=RECORDS)
def test_a_record_is_read_back_as_it_was(record: DrillRecord) -> None:
    """Whatever its texts hold, with integers of 64 bits and times to the microsecond."""
    assert drills.parse("name", drills.render(record)) == record


@given(data=st.binary(max_size=60) | st.sampled_from([b"{}", b"[]", b'{"phases": 1}', b"null"]))
def test_anything_else_is_refused_in_one_sentence(data: bytes) -> None:
    """It does not end in a traceback."""
    with pytest.raises(CorruptError, match="is not the record of a drill"):
        drills.parse("name", data)


def test_what_a_later_version_adds_is_passed_over() -> None:
    """In the record and in its parts."""
    later = drills.render(PROVED).replace(b'"version": 1,', b'"version": 2, "new": [],')
    later = later.replace(b'"passed": true', b'"passed": true, "new": 1')
    assert drills.parse("name", later) == PROVED


def test_names_sort_by_time() -> None:
    """They are in lower case, since wal-g deletes by what looks like a segment."""
    storage = MemoryStorage()
    later = replace(FAILED, started=NOON + timedelta(days=9))
    second, first = drills.store(storage, later, None), drills.store(storage, PROVED, None)
    assert drills.names(storage) == [first, second]
    assert first.startswith("20261122t120000z-fresh-")
    assert [item.record for item in drills.load_newest(storage, 1)] == [later]


def test_a_record_that_is_damaged_hides_no_other() -> None:
    """Nor does one that vanishes while the list is read."""
    storage = MemoryStorage()
    drills.store(storage, PROVED, None)
    storage.put(layout.drill_record("20991122t120000-x-1"), [b"no"])
    assert [item.record for item in drills.load_newest(storage, 9)] == [PROVED]
    with pytest.raises(NotFoundError):
        drills.load(storage, "absent", None)


def test_a_signature_vouches_for_every_byte() -> None:
    """Without a key to check it by nothing is claimed."""
    storage = MemoryStorage()
    public = public_pem(SECRET_KEY) or ""

    def check(data: bytes, signature: bytes) -> bool:
        return is_signed(public, data, signature) is True

    name = drills.store(storage, PROVED, lambda data: sign(SECRET_KEY, data) or b"")
    assert drills.load(storage, name, check).signature == "good"
    assert drills.load(storage, name, None).signature == "unchecked"
    storage.put(layout.drill_record(name), [drills.render(PROVED) + b" "])
    assert drills.load(storage, name, check).signature == "wrong"
    unsigned = drills.store(storage, FAILED, None)
    assert drills.load(storage, unsigned, check).signature == "unsigned"


@pytest.mark.parametrize("text", ["", "no key", SECRET_KEY.replace("M", "N", 1)])
def test_what_is_no_key_signs_and_proves_nothing(text: str) -> None:
    """The caller tells the operator which setting it came from."""
    assert sign(text, b"") is None
    assert public_pem(text) is None
    assert is_signed(text, b"", bytes(64)) is None


def test_moments_are_kept_in_utc() -> None:
    """Whatever zone the host of the drill has."""
    record = replace(PROVED, started=datetime.fromisoformat("2026-11-22T14:00:00+02:00"))
    assert drills.store(MemoryStorage(), record, None).startswith("20261122t120000z-")
