"""Keys as text: a typo is refused, and a secret key shows itself only when asked to."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.errors import InputError, SecretError
from provision.secrets import crypto
from provision.secrets.keys import (
    generate_identity,
    identities_from,
    parse_identity,
    parse_recipient,
)
from tests.unit.provision.secrets.people import ALICE, BOB

LETTERS = "abcdefghijklmnopqrstuvwxyz234567"


def test_an_identity_comes_back_from_its_text() -> None:
    """That is how its owner keeps it."""
    assert parse_identity(ALICE.reveal(), "here") == ALICE


def test_a_recipient_is_the_public_half() -> None:
    """Whoever has the identity can tell its recipient."""
    assert parse_recipient(ALICE.recipient) == crypto.public_key(ALICE.secret)


def test_no_two_identities_are_the_same() -> None:
    """They are random."""
    assert generate_identity() != generate_identity()


@given(place=st.integers(8, len(ALICE.recipient) - 1), letter=st.sampled_from(LETTERS))
def test_a_mistyped_letter_of_a_recipient_is_refused(place: int, letter: str) -> None:
    """A bag would be sealed for nobody."""
    text = ALICE.recipient[:place] + letter + ALICE.recipient[place + 1 :]
    if text == ALICE.recipient:
        assert parse_recipient(text)
        return
    with pytest.raises(InputError):
        parse_recipient(text)


@pytest.mark.parametrize(
    "text",
    ["", "pitrpub1", ALICE.recipient[:-1], ALICE.recipient + "a", ALICE.recipient.upper(), "age1x"],
)
def test_what_is_no_recipient_is_refused(text: str) -> None:
    """Cut, longer, in capitals, or of another tool."""
    with pytest.raises(InputError):
        parse_recipient(text)


def test_a_secret_key_is_not_taken_for_a_recipient_or_repeated() -> None:
    """Somebody pastes the wrong line of the file."""
    with pytest.raises(InputError, match="secret key") as caught:
        parse_recipient(ALICE.reveal())
    assert ALICE.reveal()[20:] not in str(caught.value)


@given(text=st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    """Nothing else ever happens, and the text of what should be secret is not repeated."""
    with pytest.raises(SecretError) as caught:
        parse_identity(f"xyzzy{text}", "the file")
    assert "xyzzy" not in str(caught.value)


def test_neither_repr_nor_str_shows_a_secret_key() -> None:
    """A debugger and a log see them."""
    shown = f"{ALICE!r} {ALICE}"
    assert ALICE.secret.hex() not in shown
    assert ALICE.reveal() not in shown
    assert repr(ALICE.secret) not in shown


class TestEnvironment:
    def identity_file(self, path: Path, mode: int = 0o600) -> Path:
        """A file as keygen writes it, with two identities."""
        path.write_text(f"# of two people\n{ALICE.reveal()}\n\n{BOB.reveal()}\n")
        path.chmod(mode)
        return path

    def test_nobody_is_named(self) -> None:
        """Everything else works without."""
        assert identities_from({}) == ()

    def test_a_file_holds_several(self, tmp_path: Path) -> None:
        """One's old key and one's new one."""
        path = self.identity_file(tmp_path / "identity")
        assert identities_from({"PROVISION_IDENTITY_FILE": str(path)}) == (ALICE, BOB)

    def test_a_variable_holds_one(self) -> None:
        """As CI systems hand them out."""
        assert identities_from({"PROVISION_IDENTITY": BOB.reveal() + "\n"}) == (BOB,)

    @pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o601])
    def test_a_file_that_is_open_to_others_is_refused(self, tmp_path: Path, mode: int) -> None:
        """Whoever could read it may have the key."""
        path = self.identity_file(tmp_path / "identity", mode)
        with pytest.raises(SecretError, match=f"its mode is {mode:04o}"):
            identities_from({"PROVISION_IDENTITY_FILE": str(path)})

    @pytest.mark.parametrize("text", ["", "# nothing\n"])
    def test_a_file_without_one_is_refused(self, tmp_path: Path, text: str) -> None:
        """It was named for the identity in it."""
        path = tmp_path / "identity"
        path.write_text(text)
        path.chmod(0o600)
        with pytest.raises(SecretError, match="no identity"):
            identities_from({"PROVISION_IDENTITY_FILE": str(path)})
