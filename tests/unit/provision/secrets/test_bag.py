"""Data bags: opened by recipients only, and exactly as these left them."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.errors import InputError, SecretError
from provision.secrets import bag, crypto
from provision.secrets.bag import Bag, OpenBag
from provision.secrets.keys import Identity, generate_identity
from tests.unit.provision.secrets.people import ALICE, BOB, NAMES, TEXTS


def filled(*people: Identity, name: str = "prod", **items: str) -> OpenBag:
    """A bag with some items."""
    opened = bag.create(name, [person.recipient for person in people])
    for item, value in items.items():
        opened = bag.set_item(opened, item, value)
    return opened


def opened_by(person: Identity, opened: OpenBag) -> dict[str, str]:
    """What a person reads in a bag."""
    return bag.read_all(bag.unlock(opened.bag, [person]))


@given(name=NAMES, item=NAMES, value=TEXTS)
def test_every_recipient_reads_what_was_set(name: str, item: str, value: str) -> None:
    """Byte for byte, whatever it is."""
    opened = bag.set_item(bag.create(name, [ALICE.recipient, BOB.recipient]), item, value)
    assert opened_by(ALICE, opened) == opened_by(BOB, opened) == {item: value}


def test_nobody_else_opens_it() -> None:
    """Nor does nobody."""
    opened = filled(ALICE, key="value")
    for identities in ([], [BOB], [BOB, generate_identity()]):
        with pytest.raises(SecretError, match="no identity opens the data bag prod"):
            bag.unlock(opened.bag, identities)


def test_one_fitting_identity_among_several_is_enough() -> None:
    """People keep their old ones."""
    assert bag.read_all(bag.unlock(filled(BOB, key="value").bag, [ALICE, BOB])) == {"key": "value"}


class TestChanges:
    def test_an_item_that_does_not_change_keeps_its_bytes(self) -> None:
        """Git shows what changed and nothing else."""
        before = filled(ALICE, key="value", other="more")
        after = bag.set_item(before, "key", "changed")
        assert after.bag.items["other"] == before.bag.items["other"]
        assert after.bag.items["key"] != before.bag.items["key"]
        assert after.bag.recipients == before.bag.recipients

    def test_setting_the_same_value_changes_nothing(self) -> None:
        """A second run leaves no difference."""
        before = filled(ALICE, key="value")
        assert bag.set_item(before, "key", "value") == before

    def test_the_same_value_is_never_sealed_the_same_way(self) -> None:
        """Equal passwords cannot be told."""
        opened = filled(ALICE, key="value", other="value")
        assert opened.bag.items["key"] != opened.bag.items["other"]

    def test_a_removed_item_is_gone(self) -> None:
        """And the rest is there."""
        opened = bag.remove_item(filled(ALICE, key="value", other="more"), "key")
        assert opened_by(ALICE, opened) == {"other": "more"}

    def test_what_is_not_there_is_named(self) -> None:
        """With the bag."""
        opened = filled(ALICE)
        for action in (bag.read, bag.remove_item):
            with pytest.raises(SecretError, match="the data bag prod has no item key"):
                action(opened, "key")

    @pytest.mark.parametrize("name", ["", ".key", "a/b", "a b", "a\n", "é", "a" * 129])
    def test_wrong_names_are_refused(self, name: str) -> None:
        """They are file names and parts of references."""
        with pytest.raises(InputError):
            bag.set_item(filled(ALICE), name, "value")
        with pytest.raises(InputError):
            bag.create(name, [ALICE.recipient])

    @pytest.mark.parametrize("value", ["", "\ud800", "x" * (1 << 20) + "x"])
    def test_values_that_cannot_be_kept_are_refused(self, value: str) -> None:
        """Empty, no text, or too long."""
        with pytest.raises(SecretError):
            bag.set_item(filled(ALICE), "key", value)


class TestRecipients:
    def test_an_added_recipient_reads_everything(self) -> None:
        """Only the data key is wrapped once more: no item and no other wrapping changes."""
        before = filled(ALICE, key="value")
        after = bag.add_recipient(before, BOB.recipient)
        assert opened_by(BOB, after) == {"key": "value"}
        assert after.bag.items == before.bag.items
        assert after.bag.recipients[ALICE.recipient] == before.bag.recipients[ALICE.recipient]

    def test_adding_one_twice_changes_nothing(self) -> None:
        """Neither the first nor the second wrapping is needed twice."""
        before = filled(ALICE, BOB)
        assert bag.add_recipient(before, BOB.recipient) == before

    def test_a_removed_recipient_cannot_open_the_bag_with_what_is_left_to_it(self) -> None:
        """It had the data key, so there is a new one and everything is sealed anew."""
        before = filled(ALICE, BOB, key="value")
        after = bag.remove_recipient(before, BOB.recipient)
        assert opened_by(ALICE, after) == {"key": "value"}
        with pytest.raises(SecretError, match="no identity"):
            bag.unlock(after.bag, [BOB])
        with pytest.raises(SecretError):
            bag.read(OpenBag(bag=after.bag, key=before.key), "key")

    def test_rotation_seals_everything_anew_for_the_same_people(self) -> None:
        """Names stay, bytes do not."""
        before = filled(ALICE, BOB, key="value", other="more")
        after = bag.rotate(before)
        assert opened_by(BOB, after) == {"key": "value", "other": "more"}
        assert after.key != before.key
        assert not set(after.bag.items.values()) & set(before.bag.items.values())
        assert not set(after.bag.recipients.values()) & set(before.bag.recipients.values())

    def test_the_last_recipient_stays(self) -> None:
        """A bag that nobody opens is a loss."""
        with pytest.raises(SecretError, match="no other recipient"):
            bag.remove_recipient(filled(ALICE), ALICE.recipient)
        with pytest.raises(InputError, match="no recipient"):
            bag.create("prod", [])

    def test_who_is_no_recipient_cannot_be_removed(self) -> None:
        """Rather than believing that somebody was shut out."""
        with pytest.raises(SecretError, match="is no recipient"):
            bag.remove_recipient(filled(ALICE), BOB.recipient)

    def test_a_key_that_would_share_its_secret_with_everyone_is_refused(self) -> None:
        """The points of small order in X25519: all secrets agreed with them are zero."""
        assert crypto.wrap(crypto.new_key(), bytes(32), b"") is None


class TestTampering:
    """What somebody with write access to git and without a key can do: be found out."""

    def test_values_cannot_be_swapped_within_a_bag(self) -> None:
        """Even past the MAC, each item is bound to its name."""
        opened = filled(ALICE, key="value", other="more")
        swapped = {"key": opened.bag.items["other"], "other": opened.bag.items["key"]}
        tampered = replace(opened.bag, items=swapped)
        with pytest.raises(SecretError, match="not as its owners left it"):
            bag.unlock(tampered, [ALICE])
        with pytest.raises(SecretError, match="not as its owners left it"):
            bag.read(OpenBag(bag=tampered, key=opened.key), "key")

    def test_a_bag_cannot_take_the_place_of_another(self) -> None:
        """Staging's secrets do not become production's by renaming a file."""
        staging = filled(ALICE, name="staging", key="value")
        with pytest.raises(SecretError):
            bag.unlock(replace(staging.bag, name="prod"), [ALICE])

    def test_an_item_cannot_be_removed_put_back_or_renamed(self) -> None:
        """The MAC covers all items."""
        old = filled(ALICE, key="value", other="more")
        new = bag.set_item(old, "key", "changed")
        for items in (
            {"key": new.bag.items["key"]},
            {**new.bag.items, "key": old.bag.items["key"]},
            {"kez": new.bag.items["key"], "other": new.bag.items["other"]},
            {},
        ):
            with pytest.raises(SecretError, match="not as its owners left it"):
                bag.unlock(replace(new.bag, items=items), [ALICE])

    def test_a_recipient_cannot_be_slipped_in(self) -> None:
        """The next rotation would seal everything for it."""
        opened = filled(ALICE, key="value")
        forged = filled(BOB).bag.recipients
        with pytest.raises(SecretError, match="not as its owners left it"):
            bag.unlock(replace(opened.bag, recipients={**opened.bag.recipients, **forged}), [ALICE])

    @given(place=st.integers(0, 200), flip=st.integers(1, 255), data=st.data())
    def test_no_byte_can_be_changed(self, place: int, flip: int, data: st.DataObject) -> None:
        """Wherever it is."""
        sealed = filled(ALICE, key="value").bag
        part = data.draw(st.sampled_from(["mac", "item", "wrapped"]))
        with pytest.raises(SecretError):
            bag.unlock(damaged(sealed, part, place, flip), [ALICE])

    @pytest.mark.parametrize("part", ["mac", "item", "wrapped"])
    def test_nothing_can_be_cut(self, part: str) -> None:
        """Down to no byte at all."""
        sealed = filled(ALICE, key="value").bag
        with pytest.raises(SecretError):
            bag.unlock(with_part(sealed, part, b""), [ALICE])


def part_of(sealed: Bag, part: str) -> bytes:
    """One of the three kinds of bytes that a bag holds."""
    parts = {
        "mac": sealed.mac,
        "item": sealed.items["key"],
        "wrapped": sealed.recipients[ALICE.recipient],
    }
    return parts[part]


def with_part(sealed: Bag, part: str, data: bytes) -> Bag:
    """The bag with other bytes in one place."""
    if part == "mac":
        return replace(sealed, mac=data)
    if part == "item":
        return replace(sealed, items={"key": data})
    return replace(sealed, recipients={ALICE.recipient: data})


def damaged(sealed: Bag, part: str, place: int, flip: int) -> Bag:
    """The bag with one byte changed."""
    data = bytearray(part_of(sealed, part))
    data[place % len(data)] ^= flip
    return with_part(sealed, part, bytes(data))
