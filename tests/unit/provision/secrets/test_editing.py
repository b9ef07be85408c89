"""Editing a bag: what is typed is what is kept, and the plain text never stays."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.errors import InputError, SecretError
from provision.secrets import bag
from provision.secrets.bag import OpenBag
from provision.secrets.editing import edit, from_text, merge, to_text
from tests.unit.provision.secrets.people import ALICE, NAMES, TEXTS

CLUMSY = st.text("ab \n\t\r\"|'#:\\é\u2028", min_size=1, max_size=20)


def filled(**items: str) -> OpenBag:
    """A bag of Alice's."""
    return merge(bag.create("prod", [ALICE.recipient]), items)


def never(error: InputError) -> bool:
    """Nobody is there to try again."""
    return False


@given(values=st.dictionaries(NAMES, TEXTS | CLUMSY, max_size=4))
def test_what_an_editor_leaves_alone_does_not_change(values: dict[str, str]) -> None:
    """Whatever the values look like."""
    assert from_text(to_text("prod", values)) == values


def test_values_are_taken_as_they_are_typed() -> None:
    """None of YAML's surprises."""
    text = "mode: 0640\nswitch: on\nhash: a # b\ntime:12:30\nquoted: 'a'\n# comment\n\nurl: a://b:c@d\n"
    assert from_text(text) == {
        "mode": "0640",
        "switch": "on",
        "hash": "a # b",
        "time": "12:30",
        "quoted": "'a'",
        "url": "a://b:c@d",
    }


def test_several_lines_are_a_block() -> None:
    """With the newline at its end or without; blank lines after it are not part of it."""
    text = "a: |\n    -----BEGIN\n      x\n\n    y\n\nb: |-\n    one\n    two\n"
    assert from_text(text) == {"a": "-----BEGIN\n  x\n\ny\n", "b": "one\ntwo"}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("hunter2", 1),
        ("a: 1234\nhunter2 x\n", 2),
        ("a: hunter2\na: hunter2\n", 2),
        ("\na:\n", 2),
        ("a: |\nb: hunter2\n", 1),
        ('a: "hunter2\n', 1),
        ('a: ""\n', 1),
        ("/a: hunter2\n", 1),
        ("  a: hunter2\n", 1),
    ],
)
def test_a_mistake_is_found_by_its_line_and_not_repeated(text: str, line: int) -> None:
    """The message may be printed where others see it."""
    with pytest.raises(InputError, match=f"line {line}:") as caught:
        from_text(text)
    assert "hunter2" not in str(caught.value)


def test_only_what_was_edited_changes_its_bytes() -> None:
    """One item is changed, one removed, one added, one left."""
    before = filled(left="same", changed="old", removed="gone")
    after = merge(before, {"left": "same", "changed": "new", "added": "more"})
    assert bag.read_all(after) == {"left": "same", "changed": "new", "added": "more"}
    assert after.bag.items["left"] == before.bag.items["left"]


class TestEditor:
    def test_it_sees_the_plain_text_alone(self, tmp_path: Path) -> None:
        """In a directory of its own that nobody else may enter."""
        seen = list[tuple[int, int, str]]()

        def editor(path: Path) -> None:
            modes = path.parent.stat().st_mode & 0o777, path.stat().st_mode & 0o777
            seen.append((*modes, path.read_text()))
            path.write_text("key: changed\n")

        after = edit(filled(key="value"), editor, again=never, places=[tmp_path])
        assert bag.read_all(after) == {"key": "changed"}
        assert seen[0][:2] == (0o700, 0o600)
        assert seen[0][2].endswith("key: value\n")
        assert list(tmp_path.iterdir()) == []

    def test_an_editor_may_replace_the_file_with_an_open_one(self, tmp_path: Path) -> None:
        """The directory is closed all the same."""

        def editor(path: Path) -> None:
            path.unlink()
            path.write_text("key: changed\n")
            path.chmod(0o644)

        after = edit(filled(key="value"), editor, again=never, places=[tmp_path])
        assert bag.read_all(after) == {"key": "changed"}

    @pytest.mark.parametrize("failure", [OSError, KeyboardInterrupt, SecretError("no editor")])
    def test_nothing_stays_when_it_fails(
        self, tmp_path: Path, failure: type[BaseException] | BaseException
    ) -> None:
        """Nor do the copies that editors make."""

        def editor(path: Path) -> None:
            path.with_suffix(".swp").write_text("value")
            raise failure

        with pytest.raises((OSError, KeyboardInterrupt, SecretError)):
            edit(filled(key="value"), editor, again=never, places=[tmp_path])
        assert list(tmp_path.iterdir()) == []

    def test_a_mistake_can_be_mended(self, tmp_path: Path) -> None:
        """The editor opens again with what was typed."""
        typed = iter(["key value\n", "key: value\n"])
        asked = list[str]()
        before = list[str]()

        def editor(path: Path) -> None:
            before.append(path.read_text())
            path.write_text(next(typed))

        def again(error: InputError) -> bool:
            asked.append(str(error))
            return True

        after = edit(filled(), editor, again=again, places=[tmp_path])
        assert bag.read_all(after) == {"key": "value"}
        assert asked == ['line 1: this is not "name: value"']
        assert before[1] == "key value\n"

    def test_a_mistake_that_is_not_mended_changes_nothing(self, tmp_path: Path) -> None:
        """And leaves nothing."""
        with pytest.raises(InputError):
            edit(filled(), writes("key value"), again=never, places=[tmp_path])
        assert list(tmp_path.iterdir()) == []

    def test_the_first_place_that_will_do_is_taken(self, tmp_path: Path) -> None:
        """Not every machine has a file system in memory."""
        places = [tmp_path / "absent", tmp_path]
        after = edit(filled(), writes("key: value"), again=never, places=places)
        assert bag.read_all(after) == {"key": "value"}
        with pytest.raises(SecretError, match="no place"):
            edit(filled(), writes("key: value"), again=never, places=[tmp_path / "absent"])


def writes(text: str) -> Callable[[Path], None]:
    """An editor that types this."""

    def editor(path: Path) -> None:
        path.write_text(text)

    return editor
