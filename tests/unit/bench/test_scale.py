"""The arithmetic of docs/scale.md, and that the page says what it computes."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_core.storage.parts import cut, part_sizes
from bench.scale import tables, updated
from bench.scaling import GCS, GIB, S3, Requests, object_put, pages

PAGE = Path(__file__).parents[3] / "docs" / "scale.md"


def test_the_page_holds_the_tables_that_are_computed() -> None:
    """Who changes a formula or a price runs `python -m bench.scale --update docs/scale.md`."""
    page = PAGE.read_text()
    assert updated(page) == page
    assert [table.heads[0] for table in tables() if str(table) not in page] == []


def test_a_table_is_put_in_place_of_that_with_its_heads() -> None:
    """What stands around it stays."""
    table = tables()[0]
    head, line, *_ = str(table).splitlines()
    old = f"before\n\n{head}\n{line}\n| old | 1 |\n\nafter\n"
    assert updated(old) == f"before\n\n{table}\n\nafter\n"


@given(size=st.integers(0, 5000), part=st.integers(6, 700))
def test_an_object_is_asked_for_as_it_is_cut(size: int, part: int) -> None:
    """One request if it fits, else one a part (they grow after a thousand) and two around them."""
    parts = len(list(cut([bytes(size)], part_sizes(part))))
    expected = Requests(put=1) if parts == 1 else Requests(put=parts + 2, get=2)
    assert object_put(size, part) == expected


@pytest.mark.parametrize(("keys", "expected"), [(0, 1), (1, 1), (1000, 1), (1001, 2), (2001, 3)])
def test_a_listing_is_a_request_a_thousand(keys: int, expected: int) -> None:
    """An empty one too."""
    assert pages(keys) == expected


def test_requests_add_up() -> None:
    """Each kind by itself."""
    once = Requests(put=1, list=2, get=3, delete=4)
    assert once * 2 + Requests(get=1) == Requests(put=2, list=4, get=7, delete=8)


def test_storage_is_priced_by_steps() -> None:
    """60 TiB on S3: fifty at the first price, ten at the second; worked out by hand."""
    assert S3.stored(60 * 1024 * GIB) == pytest.approx(50 * 1024 * 0.023 + 10 * 1024 * 0.022)
    assert GCS.stored(60 * 1024 * GIB) == pytest.approx(60 * 1024 * 0.020)


def test_listing_is_priced_as_writing_and_deleting_is_free() -> None:
    """A million of each."""
    assert S3.asked(Requests(put=1e6)) == S3.asked(Requests(list=1e6)) == pytest.approx(5)
    assert S3.asked(Requests(get=1e6)) == pytest.approx(0.4)
    assert S3.asked(Requests(delete=1e6)) == 0
