"""How a secret is named in role YAML: `env:NAME`, `file:PATH` or `bag:BAG/ITEM`.

A reference is checked when it is read, so that a typo is found offline, and long before anything
would need the value.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from provision.content import SecretRef
from provision.errors import InputError

ENV, FILE, BAG = "env", "file", "bag"
LONGEST_NAME = 128
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def parse_reference(text: str) -> SecretRef:
    """Read a reference; raises InputError, which repeats the scheme but not what follows it.

    Somebody may have pasted the secret itself, with a colon in it by chance.
    """
    scheme, colon, name = text.partition(":")
    known = _SCHEMES.get(scheme) if colon else None
    if known is None:
        raise InputError(
            "this is not a reference to a secret",
            hint="Write env:NAME, file:PATH or bag:BAG/ITEM; never the secret itself.",
        )
    is_valid, form = known
    if not is_valid(name):
        raise InputError(
            f"what follows {scheme}: is not what a reference may name",
            hint=f"Write {scheme}:{form}.",
        )
    return SecretRef(scheme=scheme, name=name)


def split_item(name: str) -> tuple[str, str]:
    """Part `BAG/ITEM`; raises InputError unless both are names."""
    if not _is_item(name):
        raise InputError(
            f'"{name}" does not name an item of a data bag',
            hint="Write BAG/ITEM: letters, digits, and . _ - after the first.",
        )
    bag, _, item = name.partition("/")
    return bag, item


def is_name(text: str) -> bool:
    """Whether a data bag or an item of it may be called so."""
    return len(text) <= LONGEST_NAME and _NAME.fullmatch(text) is not None


def _is_item(name: str) -> bool:
    bag, slash, item = name.partition("/")
    return bool(slash) and is_name(bag) and is_name(item)


def _is_variable(name: str) -> bool:
    return _VARIABLE.fullmatch(name) is not None


def _is_path(name: str) -> bool:
    return bool(name) and _CONTROL.search(name) is None


_SCHEMES: dict[str, tuple[Callable[[str], bool], str]] = {
    ENV: (_is_variable, "NAME, the name of an environment variable"),
    FILE: (_is_path, "PATH, relative to the project or absolute"),
    BAG: (_is_item, "BAG/ITEM: letters, digits, and . _ - after the first"),
}
