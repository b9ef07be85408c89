"""Differences of files with secrets: what changed is shown, no secret of today or yesterday is."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.content import Content, SecretPart, SecretRef
from provision.errors import InputError
from provision.redaction import Fingerprints, labels_of_both, redacted_diff
from provision.scrubbing import spellings
from provision.secrets.vault import Secrets
from provision.template_lines import cut
from tests.unit.provision.secrets.people import CANARIES

FINGERPRINTS = Fingerprints(b"a key of some bytes")
REF = SecretRef(scheme="env", name="KEY")
KEY = SecretPart(ref=REF)


def known(value: str = "today-5521") -> Secrets:
    return Secrets({"KEY": value}, Path())


UNKNOWN = Secrets({}, Path())


def diff(
    before: str | None,
    *after: str | SecretPart,
    secrets: Secrets | None = None,
    sensitive: bool = False,
) -> list[str]:
    """The difference without its hunk lines."""
    found = redacted_diff(
        before, Content.of(*after), secrets or known(), FINGERPRINTS, sensitive=sensitive
    )
    return [line for line in found if not line.startswith("@@")]


def mark(value: str) -> str:
    return FINGERPRINTS.of(value)


class TestFingerprints:
    def test_equal_values_have_the_same_and_others_do_not(self) -> None:
        """That is all they tell."""
        assert mark("one") == mark("one") != mark("two")
        assert len(mark("one")) == 8

    def test_another_key_makes_others(self) -> None:
        """So that nobody can search for a password from its fingerprint."""
        assert Fingerprints(b"another key").of("one") != mark("one")
        assert Fingerprints.from_environ({}) != Fingerprints.from_environ({})

    def test_a_project_can_have_its_key(self) -> None:
        """To compare over runs."""
        environ = {"PROVISION_FINGERPRINT_KEY": "0123456789abcdef"}
        assert Fingerprints.from_environ(environ) == Fingerprints.from_environ(environ)
        assert "0123456789" not in repr(Fingerprints.from_environ(environ))

    def test_a_short_key_is_refused(self) -> None:
        """It could be searched for too; and it is not repeated."""
        with pytest.raises(InputError) as caught:
            Fingerprints.from_environ({"PROVISION_FINGERPRINT_KEY": "hunter2"})
        assert "hunter2" not in str(caught.value)


class TestSecretThatIsKnown:
    def test_the_same_bytes_are_no_difference(self) -> None:
        """With the secret in them."""
        assert diff("a\nkey=today-5521\n", "a\nkey=", KEY, "\n") == []

    def test_a_changed_secret_is_two_fingerprints(self) -> None:
        """In its line, between lines that are shown as they are."""
        assert diff("a\nkey=yesterday\nb\n", "a\nkey=", KEY, "\nb\n") == [
            " a",
            f"-key=<secret {mark('yesterday')}>",
            f"+key=<secret env:KEY {mark('today-5521')}>",
            " b",
        ]

    def test_a_secret_that_stays_is_shown_as_one(self) -> None:
        """In the lines around a change."""
        assert diff("a\nkey=today-5521\n", "b\nkey=", KEY, "\n") == [
            f"-<redacted line {mark('a')}>",
            "+b",
            f" key=<secret env:KEY {mark('today-5521')}>",
        ]

    def test_a_new_file_shows_all_but_the_secret(self) -> None:
        """There was none."""
        assert diff(None, "key=", KEY, "\nb") == [
            f"+key=<secret env:KEY {mark('today-5521')}>",
            "+b",
            "\\ No newline at end of file",
        ]

    def test_the_value_is_compared_as_it_is_written(self) -> None:
        """With its place's quotes."""
        doubled = SecretPart(ref=REF, quote=lambda value: value.replace("'", "''"))
        secrets = known("it's me")
        assert diff("k='it''s me'\n", "k='", doubled, "'\n", secrets=secrets) == []
        assert len(diff("k='it's me'\n", "k='", doubled, "'\n", secrets=secrets)) == 2

    def test_a_hunk_tells_its_lines(self) -> None:
        """As diff -u does, with three lines around."""
        before = "".join(f"{number}\n" for number in range(20))
        after = before.replace("10\n", "ten\n")
        found = redacted_diff(before, Content.of(after), known(), FINGERPRINTS, sensitive=False)
        assert found[0] == "@@ -8,7 +8,7 @@"
        assert found[1:] == (" 7", " 8", " 9", "-10", "+ten", " 11", " 12", " 13")


class TestSecretThatIsNotAvailable:
    def test_whatever_stands_in_its_place_fits(self) -> None:
        """The rest is compared."""
        assert diff("key=whatever\nb\n", "key=", KEY, "\nb\n", secrets=UNKNOWN) == []

    def test_it_is_said_that_it_was_not_compared(self) -> None:
        """Where its line is shown at all."""
        assert diff("key=whatever\nb\n", "key=", KEY, "\nc\n", secrets=UNKNOWN) == [
            " key=<secret env:KEY not available: not compared>",
            f"-<redacted line {mark('b')}>",
            "+c",
        ]

    def test_a_whole_file_may_have_any_lines(self) -> None:
        """A private key is one secret."""
        assert diff("-----BEGIN\nx\n-----END\n", KEY, "\n", secrets=UNKNOWN) == []

    def test_a_line_that_was_added_beside_it_is_found(self) -> None:
        """A secret within a line does not take in others."""
        assert diff("key=x\nadded\nb\n", "key=", KEY, "\nb\n", secrets=UNKNOWN) == [
            " key=<secret env:KEY not available: not compared>",
            f"-<redacted line {mark('added')}>",
            " b",
        ]


class TestRemovedLines:
    """Nobody knows what in them was secret."""

    def test_a_line_that_fits_no_template_is_a_fingerprint(self) -> None:
        """The password stood elsewhere before."""
        assert diff("url=a://b:yesterday@c\n", "key=", KEY, "\n")[0] == (
            f"-<redacted line {mark('url=a://b:yesterday@c')}>"
        )

    def test_only_literals_of_the_new_line_are_shown(self) -> None:
        """Whatever else stood between them."""
        shown = diff("key=yesterday more=too end\n", "key=", KEY, " end\n")[0]
        assert shown == f"-key=<secret {mark('yesterday more=too')}> end"

    def test_a_line_that_moved_is_shown(self) -> None:
        """The new file shows it as well."""
        shown = diff("b\nc\na\nkey=today-5521\n", "a\nkey=", KEY, "\nb\n")
        assert shown[:2] == ["-b", f"-<redacted line {mark('c')}>"]

    def test_a_number_or_switch_is_shown_for_a_name_that_still_has_one(self) -> None:
        """That is what most changes are."""
        old = "archive_timeout = 60\nport = '5432'\npin = 1234\n"
        new = "archive_timeout = 30s\nport = '5433'\n"
        assert [line for line in diff(old, new, KEY, "\n") if line[0] == "-"] == [
            "-archive_timeout = 60",
            "-port = '5432'",
            f"-<secret {mark('pin = 1234')}>",
        ]

    def test_in_a_file_without_secrets_they_are_shown(self) -> None:
        """Unless they look like one."""
        line = "password = 'hunter2'"
        assert diff(f"a = 'b'\n{line}\n", "c\n") == [
            "-a = 'b'",
            f"-<redacted line {mark(line)}>",
            "+c",
        ]

    def test_they_are_not_where_the_file_was_sensitive(self) -> None:
        """It used to hold a secret, or others may not read it."""
        assert diff("hunter2\n\n", "c\n", sensitive=True) == [
            f"-<redacted line {mark('hunter2')}>",
            "-",
            "+c",
        ]

    def test_nor_where_the_file_goes_away(self) -> None:
        """A deletion shows what is deleted."""
        found = redacted_diff("hunter2\n", None, known(), FINGERPRINTS, sensitive=True)
        assert found == ("@@ -1 +0,0 @@", f"-<redacted line {mark('hunter2')}>")


def test_control_characters_are_shown_as_escapes() -> None:
    """A file on a host is not to drive the engineer's terminal."""
    assert diff("\x1b[2Ja\u202eb\tc\r\n", "x\n")[0] == "-\\x1b[2Ja\\u202eb\tc\\r"


class TestTwoRevisions:
    """Each with its data bags."""

    def test_a_secret_has_the_fingerprint_of_its_side(self) -> None:
        """So that its change shows, and what is the same does not."""
        old, new = labels_of_both(known("yesterday"), known("today-5521"), FINGERPRINTS)
        assert (old(REF), new(REF)) == (mark("yesterday"), mark("today-5521"))
        same = labels_of_both(known(), known(), FINGERPRINTS)
        assert same[0](REF) == same[1](REF)

    @pytest.mark.parametrize("pair", [(known(), UNKNOWN), (UNKNOWN, known()), (UNKNOWN, UNKNOWN)])
    def test_one_that_a_side_cannot_have_is_not_compared(
        self, pair: tuple[Secrets, Secrets]
    ) -> None:
        """CI may lack the key of the newer bag."""
        old, new = labels_of_both(*pair, FINGERPRINTS)
        content = Content.of("key=", KEY, "\n")
        assert content.redacted(old) == content.redacted(new) == "key=<secret env:KEY>\n"


WORDS = st.sampled_from(["a", "port = 1\n", "key=", "\n", " x ", "'", "on\n", "# c\n", ""])


@given(
    new=CANARIES,
    old=CANARIES,
    before=st.lists(WORDS | st.none(), max_size=8),
    after=st.lists(WORDS | st.none(), min_size=1, max_size=8),
    available=st.booleans(),
)
def test_no_difference_shows_a_secret_of_either_side(
    new: str, old: str, before: list[str | None], after: list[str | None], available: bool
) -> None:
    """Canaries stand anywhere in the old bytes and in the template; no spelling comes out."""
    content = Content.of(KEY, *(KEY if word is None else word for word in after))
    bytes_before = "".join(old if word is None else word for word in before)
    found = redacted_diff(
        bytes_before, content, known(new) if available else UNKNOWN, FINGERPRINTS, sensitive=False
    )
    text = "\n".join(found)
    for canary in (new, old):
        assert canary[:16] not in text
        assert not any(form in text for form in spellings(canary) if len(form) > 6)


@given(value=CANARIES, words=st.lists(WORDS | st.none(), max_size=8))
def test_what_a_template_makes_is_no_difference_from_it(
    value: str, words: list[str | None]
) -> None:
    """With the secret or without."""
    content = Content.of(*(KEY if word is None else word for word in words))
    made = content.reveal(lambda _: value).decode()
    for secrets in (known(value), UNKNOWN):
        assert redacted_diff(made, content, secrets, FINGERPRINTS, sensitive=False) == ()


@given(before=st.text("ab\n", max_size=12), after=st.text("ab\n", max_size=12))
def test_a_difference_leads_from_one_text_to_the_other(before: str, after: str) -> None:
    """Without secrets it is a plain unified one."""
    found = redacted_diff(before, Content.of(after), known(), FINGERPRINTS, sensitive=False)
    assert bool(found) == (before != after)
    kept = [line for line in found if line[0] not in "@\\"]
    removed = sum(line[0] == "-" for line in kept) - sum(line[0] == "+" for line in kept)
    assert removed == len(cut(before)) - len(cut(after))
