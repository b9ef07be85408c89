"""LSNs read and print as PostgreSQL's pg_lsn does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_core.errors import UsageError
from backup_core.postgres.lsn import Lsn

POSITIONS = st.integers(0, 2**64 - 1)


@given(position=POSITIONS)
def test_what_is_printed_reads_back(position: int) -> None:
    """Every 64-bit position survives the way through its notation."""
    assert Lsn.parse(str(Lsn(position))) == position


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("0/0", 0),
        ("0/16B3748", 0x16B3748),
        ("16/B374D848", 0x16B374D848),
        ("16/b374d848", 0x16B374D848),
        ("00000016/0000000A", 0x160000000A),
        (" 1/0\n", 1 << 32),
        ("FFFFFFFF/FFFFFFFF", 2**64 - 1),
    ],
)
def test_both_halves_are_hexadecimal(text: str, position: int) -> None:
    """The part before the slash counts 4 GiB each; case, zeros and outer blanks do not matter."""
    assert Lsn.parse(text) == position


@pytest.mark.parametrize(
    "text", ["", "/", "0", "0/", "/0", "0/0/0", "0 / 0", "G/0", "-1/0", "0x1/0", "123456789/0"]
)
def test_anything_else_is_refused(text: str) -> None:
    """What is not two hexadecimal numbers of at most 32 bits is a usage error that names it."""
    with pytest.raises(UsageError, match="is not an LSN") as refusal:
        Lsn.parse(text)
    assert f'"{text}"' in str(refusal.value)


@given(low=POSITIONS, high=POSITIONS)
def test_order_is_that_of_the_positions(low: int, high: int) -> None:
    """LSNs compare as numbers, not as text."""
    assert (Lsn(low) < Lsn(high)) == (low < high)


def test_repr_shows_the_notation() -> None:
    """A failing assertion shows the LSN as an operator knows it."""
    assert repr(Lsn(0x16B374D848)) == "Lsn('16/B374D848')"
