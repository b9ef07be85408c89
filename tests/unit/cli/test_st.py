"""What `pitr st` decides by itself: names, texts, and what a removal means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_core.cli.st_files import is_text
from backup_core.cli.st_list import shown
from backup_core.cli.st_remove import consequences
from backup_core.repository import layout

NAME = "base_000000010000000000000002"
OTHER = "base_000000010000000000000002_D_000000010000000000000001"
SEGMENT = layout.wal("000000010000000000000002", "zst")


class TestText:
    """What a terminal may get."""

    @given(text=st.text(st.characters(exclude_categories=["C", "Z"]), max_size=50))
    def test_printable_characters_are_text(self, text: str) -> None:
        """In whatever script, and however the first chunk was cut."""
        data = f"{text}\n\té".encode()
        assert is_text(data)
        assert is_text(data[:-1])

    @pytest.mark.parametrize("data", [b"\x28\xb5\x2f\xfd", b"a\0b", b"\x1b[2J", b"\xff", b"a\x07"])
    def test_bytes_and_escape_sequences_are_not(self, data: bytes) -> None:
        """They would garble it, or worse."""
        assert not is_text(data)

    @given(key=st.text(min_size=1))
    def test_a_key_is_printed_on_one_line_without_control_characters(self, key: str) -> None:
        """Whoever named the object."""
        assert shown(key).isprintable()


class TestConsequences:
    """What the repository loses."""

    def test_a_backup_that_ends_with_its_sentinel(self) -> None:
        """It is named, whatever else goes."""
        [said] = consequences([layout.sentinel(NAME), layout.metadata(NAME)], [NAME, OTHER])
        assert said.startswith(f"backup {NAME} will not exist")

    def test_a_backup_that_is_only_a_name_afterwards(self) -> None:
        """Worse than none, for backup-list shows it."""
        [said] = consequences([layout.index(NAME)], [NAME, OTHER])
        assert said.startswith(f"backup {NAME} stays listed, but cannot be restored")

    def test_what_an_interrupted_backup_left_is_no_loss(self) -> None:
        """Nothing is said of it."""
        assert not list(consequences([layout.index(NAME)], [OTHER]))

    def test_a_delta_is_told_from_its_base(self) -> None:
        """Although its name begins with the other's."""
        said = list(consequences([layout.sentinel(OTHER)], [NAME, OTHER]))
        assert len(said) == 1
        assert OTHER in said[0]

    @pytest.mark.parametrize(
        ("key", "words"),
        [
            (SEGMENT, "1 of these hold WAL"),
            (layout.IDENTITY, "identity"),
            (f"{layout.LOCKS}backup-000000000001", "lock"),
        ],
    )
    def test_what_is_shared_by_all_backups(self, key: str, words: str) -> None:
        """WAL, identity and lock each have their own sentence."""
        [said] = consequences([key], [NAME])
        assert words in said

    def test_a_check_leaves_nothing_of_value(self) -> None:
        """What it wrote may go."""
        assert not list(consequences([f"{layout.CHECKS}0123"], [NAME]))
