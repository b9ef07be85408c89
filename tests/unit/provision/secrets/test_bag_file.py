"""Files of data bags: a line an item, replaced as a whole, and never over somebody's change."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.errors import InputError, ProvisionError, RefusedError, SecretError
from provision.secrets import bag, bag_file
from tests.unit.provision.secrets.people import ALICE, BOB, NAMES, TEXTS


def saved(project: Path) -> Path:
    """A project with one bag of two items."""
    opened = bag.create("prod", [ALICE.recipient])
    opened = bag.set_item(bag.set_item(opened, "aws_key", "value"), "other", "more")
    path = bag_file.path_of(project, "prod")
    bag_file.save(path, opened.bag, replacing=None)
    return path


@given(items=st.dictionaries(NAMES, TEXTS, max_size=4))
def test_a_bag_comes_back_from_its_text(items: dict[str, str]) -> None:
    """And is the same bytes again."""
    opened = bag.create("prod", [ALICE.recipient, BOB.recipient])
    for item, value in items.items():
        opened = bag.set_item(opened, item, value)
    text = bag_file.render(opened.bag)
    parsed = bag_file.parse(text.encode(), Path("prod.json"))
    assert parsed == opened.bag
    assert bag_file.render(parsed) == text
    assert bag.read_all(bag.unlock(parsed, [BOB])) == items


def test_a_changed_item_is_a_changed_line(tmp_path: Path) -> None:
    """Beside the MAC, which covers all of them."""
    path = saved(tmp_path)
    before = path.read_text().splitlines()
    opened = bag.unlock(bag_file.load(path), [ALICE])
    after = bag_file.render(bag.set_item(opened, "aws_key", "changed").bag).splitlines()
    changed = [new.split('"')[1] for old, new in zip(before, after, strict=True) if old != new]
    assert changed == ["aws_key", "mac"]


def test_ciphertext_is_readable_by_everyone_and_nothing_else_is_left(tmp_path: Path) -> None:
    """No temporary file stays."""
    path = saved(tmp_path)
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(path.parent.iterdir()) == [path]
    assert bag_file.names(tmp_path) == ("prod",)


def test_somebody_elses_change_is_not_overwritten(tmp_path: Path) -> None:
    """Two people edit the same checkout."""
    path = saved(tmp_path)
    mine = bag.unlock(bag_file.load(path), [ALICE])
    theirs = bag.set_item(mine, "other", "theirs")
    bag_file.save(path, theirs.bag, replacing=mine.bag)
    with pytest.raises(RefusedError, match="has changed in the meantime"):
        bag_file.save(path, bag.remove_item(mine, "other").bag, replacing=mine.bag)
    assert bag_file.load(path) == theirs.bag


def test_a_bag_that_is_not_there_is_named(tmp_path: Path) -> None:
    """With the way to make one."""
    with pytest.raises(SecretError, match="there is no data bag"):
        bag_file.load(bag_file.path_of(tmp_path, "prod"))
    assert bag_file.names(tmp_path) == ()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("{", "<<<<<<< HEAD\n{"),
        ("pitr-data-bag/1", "pitr-data-bag/2"),
        ('"name": "prod"', '"name": "staging"'),
        ('"name"', '"nam"'),
        ('"other"', '"aws_key"'),
        ('"other"', '"../other"'),
        ('"mac": "', '"mac": "!'),
        ('"items": {', '"items": [], "more": {'),
        ('"aws_key": "', '"aws_key": 5, "x": "'),
    ],
)
def test_a_file_that_is_no_bag_is_refused(tmp_path: Path, old: str, new: str) -> None:
    """Conflict marks, another format, another name, a name that stands twice."""
    path = saved(tmp_path)
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(InputError, match=str(path)):
        bag_file.load(path)


@given(
    data=st.one_of(
        st.binary(max_size=50),
        st.recursive(
            st.none() | st.booleans() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["format", "name", "items", "recipients", "mac"]), inner
                )
            ),
        ).map(lambda document: json.dumps(document).encode()),
    )
)
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """Nothing else happens."""
    with pytest.raises(ProvisionError):
        bag_file.parse(data, Path("prod.json"))
