"""Encrypted data bags: a set of named secrets that stands in git and is opened by its recipients.

A bag has a random data key. The key is wrapped for each recipient (X25519, HKDF-SHA-256,
ChaCha20-Poly1305), each item is sealed under it on its own with the bag's and its own name as
associated data. So git shows which item changed, an unchanged one keeps its bytes, and no value can
be moved to another item or bag. Names and the lengths of values are not secret.

A MAC under the data key covers the recipients and all items: nobody without a key can take an item
away, put an older one back, or add a recipient for whom the next rotation would seal everything.
The price is that git cannot merge two changes of one bag. What nothing in one file can tell is that
the whole of it is an older one, or one made anew: that is for git's history and its reviewers.

Every function is pure; `bag_file` reads and writes.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from provision.errors import InputError, SecretError
from provision.secrets import crypto
from provision.secrets.keys import Identity, parse_recipient
from provision.secrets.private_file import LONGEST, decode
from provision.secrets.references import is_name

FORMAT = "pitr-data-bag/1"


@dataclass(frozen=True, kw_only=True)
class Bag:
    """What the file of a data bag holds: nothing of it is secret.

    `recipients` maps a recipient to the data key wrapped for it, `items` a name to what is sealed.
    """

    name: str
    recipients: Mapping[str, bytes]
    items: Mapping[str, bytes]
    mac: bytes = b""


@dataclass(frozen=True, kw_only=True)
class OpenBag:
    """A bag and its data key, which neither repr nor str shows."""

    bag: Bag
    key: bytes = field(repr=False)


def create(name: str, recipients: Iterable[str]) -> OpenBag:
    """Make an empty bag; raises InputError for a wrong name, a wrong recipient or none at all."""
    check_name(name)
    return _seal_all(name, tuple(recipients), {})


def unlock(bag: Bag, identities: Sequence[Identity]) -> OpenBag:
    """Open a bag by the first identity that is a recipient of it.

    Raises SecretError where none is, and for a bag that was changed by somebody without a key.
    """
    for identity in identities:
        wrapped = bag.recipients.get(identity.recipient)
        if wrapped is None:
            continue
        key = crypto.unwrap(wrapped, identity.secret, _info(bag.name, "wrap"))
        if key is None or not hmac.compare_digest(_mac(bag, key), bag.mac):
            raise _tampered(f"the data bag {bag.name}")
        return OpenBag(bag=bag, key=key)
    raise SecretError(
        f"no identity opens the data bag {bag.name}: "
        + (f"none of {len(identities)} is a recipient" if identities else "there is none"),
        hint="Name yours in PROVISION_IDENTITY_FILE; a recipient can add you with "
        "`provision secrets add-recipient`.",
    )


def read(opened: OpenBag, item: str) -> str:
    """Return an item's value; raises SecretError for one that is not there or not authentic."""
    bag = opened.bag
    _require(bag, item)
    what = f"the item {bag.name}/{item}"
    data = crypto.unseal(_item_key(opened), bag.items[item], _associated(bag.name, item))
    if data is None:
        raise _tampered(what)
    return decode(data, what)


def read_all(opened: OpenBag) -> dict[str, str]:
    """Return the values of all items by name; raises what `read` raises."""
    return {item: read(opened, item) for item in sorted(opened.bag.items)}


def set_item(opened: OpenBag, item: str, value: str) -> OpenBag:
    """Return the bag with an item set; a value that it already has changes no byte.

    Raises InputError for a wrong name and SecretError for a value that is empty or too long.
    """
    check_name(item)
    bag = opened.bag
    if item in bag.items and hmac.compare_digest(read(opened, item).encode(), _encode(value, item)):
        return opened
    return _with_items(opened, {**bag.items, item: _sealed(opened, item, value)})


def remove_item(opened: OpenBag, item: str) -> OpenBag:
    """Return the bag without an item; raises SecretError where it is not there."""
    _require(opened.bag, item)
    rest = {name: sealed for name, sealed in opened.bag.items.items() if name != item}
    return _with_items(opened, rest)


def add_recipient(opened: OpenBag, recipient: str) -> OpenBag:
    """Return the bag with its data key wrapped for one more; no item changes."""
    recipient = recipient.strip()
    if recipient in opened.bag.recipients:
        return opened
    wrapped = _wrapped(opened.bag.name, opened.key, recipient)
    recipients = {**opened.bag.recipients, recipient: wrapped}
    return _authenticated(replace(opened.bag, recipients=recipients), opened.key)


def remove_recipient(opened: OpenBag, recipient: str) -> OpenBag:
    """Return the bag under a new data key for all others, everything sealed anew.

    Who is removed knew the values, and git still has them: they are to be changed where they were
    issued. Raises SecretError for somebody who is no recipient, or the last one.
    """
    recipient = recipient.strip()
    rest = tuple(each for each in opened.bag.recipients if each != recipient)
    if len(rest) == len(opened.bag.recipients):
        raise SecretError(f"{recipient[:80]} is no recipient of the data bag {opened.bag.name}")
    if not rest:
        raise SecretError(
            f"the data bag {opened.bag.name} has no other recipient",
            hint="Add somebody first, or remove the file.",
        )
    return _seal_all(opened.bag.name, rest, read_all(opened))


def rotate(opened: OpenBag) -> OpenBag:
    """Return the bag under a new data key, everything sealed anew for the same recipients."""
    return _seal_all(opened.bag.name, tuple(opened.bag.recipients), read_all(opened))


def _seal_all(name: str, recipients: Sequence[str], values: Mapping[str, str]) -> OpenBag:
    if not recipients:
        raise InputError(f"the data bag {name} would have no recipient")
    key = crypto.new_key()
    wrapped = {each.strip(): _wrapped(name, key, each) for each in recipients}
    opened = OpenBag(bag=Bag(name=name, recipients=wrapped, items={}), key=key)
    sealed = {item: _sealed(opened, item, value) for item, value in values.items()}
    return _with_items(opened, sealed)


def _with_items(opened: OpenBag, items: Mapping[str, bytes]) -> OpenBag:
    return _authenticated(replace(opened.bag, items=items), opened.key)


def _authenticated(bag: Bag, key: bytes) -> OpenBag:
    return OpenBag(bag=replace(bag, mac=_mac(bag, key)), key=key)


def _mac(bag: Bag, key: bytes) -> bytes:
    covered = [FORMAT, bag.name, _plain(bag.recipients), _plain(bag.items)]
    return hmac.digest(
        crypto.derive(key, info=_info(bag.name, "mac")),
        json.dumps(covered).encode(),
        hashlib.sha256,
    )


def _plain(values: Mapping[str, bytes]) -> list[tuple[str, str]]:
    return [(name, b64encode(values[name]).decode()) for name in sorted(values)]


def _wrapped(name: str, key: bytes, recipient: str) -> bytes:
    wrapped = crypto.wrap(key, parse_recipient(recipient), _info(name, "wrap"))
    if wrapped is None:
        raise InputError(f"nobody can hold the secret key of the recipient {recipient}")
    return wrapped


def _sealed(opened: OpenBag, item: str, value: str) -> bytes:
    name = opened.bag.name
    return crypto.seal(_item_key(opened), _encode(value, item), _associated(name, item))


def _encode(value: str, item: str) -> bytes:
    data = value.encode(errors="surrogatepass")
    decode(data, f"the value of {item}")
    if not 0 < len(data) <= LONGEST:
        raise SecretError(f"the value of {item} is empty or longer than {LONGEST} bytes")
    return data


def _item_key(opened: OpenBag) -> bytes:
    return crypto.derive(opened.key, info=_info(opened.bag.name, "items"))


def _info(name: str, purpose: str) -> bytes:
    return f"{FORMAT}\0{purpose}\0{name}".encode()


def _associated(name: str, item: str) -> bytes:
    return _info(name, "item") + f"\0{item}".encode()  # no name has a NUL


def check_name(name: str) -> None:
    """Raise InputError for what cannot be the name of a bag or an item."""
    if not is_name(name):
        raise InputError(
            f'"{name[:80]}" cannot be the name of a data bag or of an item',
            hint="Use letters and digits, and . _ - after the first of them.",
        )


def _require(bag: Bag, item: str) -> None:
    if item not in bag.items:
        raise SecretError(
            f"the data bag {bag.name} has no item {item}",
            hint=f"`provision secrets list {bag.name}` shows what it has.",
        )


def _tampered(what: str) -> SecretError:
    return SecretError(
        f"{what} is not as its owners left it",
        hint="Somebody without a key changed the file, or two changes were merged by hand: "
        "take one of them from git and make the other again.",
    )
