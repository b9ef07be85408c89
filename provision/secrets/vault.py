"""Turns references into values, once each, for one run.

The composition root makes one `Secrets` and hands it to those who compare and apply; nothing else
ever holds a value. What cannot be had is remembered as well, so that five hundred hosts that refer
to one missing secret ask for it once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from provision.content import SecretRef
from provision.errors import ProvisionError, SecretError
from provision.secrets import bag_file
from provision.secrets.bag import Bag, OpenBag, read, unlock
from provision.secrets.keys import Identity
from provision.secrets.private_file import LONGEST, decode, read_private
from provision.secrets.references import BAG, ENV, FILE, split_item

SHORTEST = 4


class Secrets:
    """The secrets that a project's files refer to, as far as this run can have them.

    `learn` is told of every value before anyone else has it, so that outputs can be kept free of
    it. `load_bag` reads a data bag's file, of a revision of git for instance. Threads may share
    one. Nothing shows the values: not repr, and pickling is refused.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        project: Path,
        identities: Sequence[Identity] = (),
        *,
        learn: Callable[[str], None] = lambda _: None,
        load_bag: Callable[[Path], Bag] = bag_file.load,
    ) -> None:
        self._environ = environ
        self._project = project
        self._identities = tuple(identities)
        self._learn = learn
        self._load_bag = load_bag
        self._lock = threading.RLock()
        self._known: dict[SecretRef, str | ProvisionError] = {}
        self._bags: dict[str, OpenBag | ProvisionError] = {}

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def __getstate__(self) -> NoReturn:
        raise TypeError("secrets are not written anywhere")

    def resolve(self, ref: SecretRef) -> str:
        """Return a secret's value; a file's without the one newline that ends it, if one does.

        Raises SecretError for a variable that is not set, a file that cannot be read or that others
        may read, a bag that no identity opens, and for a value shorter than four characters: it
        would be guessed at once, and could not be kept out of an output that has such words anyway.
        InputError for a bag's file that is not one.
        """
        with self._lock:
            found = self._known.get(ref)
            if found is None:
                found = self._known[ref] = self._looked_up(ref)
        return _or_raise(found)

    def available(self, ref: SecretRef) -> bool:
        """Whether `resolve` would return a value."""
        return self.problem(ref) is None

    def problem(self, ref: SecretRef) -> str | None:
        """Say why a secret cannot be had here; None if it can."""
        try:
            self.resolve(ref)
        except ProvisionError as error:
            return error.message
        return None

    def _looked_up(self, ref: SecretRef) -> str | ProvisionError:
        try:
            value = self._value(ref)
            _check(value, ref)
        except ProvisionError as error:
            return _bare(error)
        self._learn(value)
        return value

    def _value(self, ref: SecretRef) -> str:
        if ref.scheme == ENV:
            return self._from_environment(ref)
        if ref.scheme == FILE:
            text = read_private(self._project / ref.name, f"the secret {ref}")
            return text.removesuffix("\n")
        if ref.scheme == BAG:
            bag, item = split_item(ref.name)
            return read(self._opened(bag), item)
        raise SecretError(f"there are no secrets of the kind {ref.scheme}:")

    def _from_environment(self, ref: SecretRef) -> str:
        value = self._environ.get(ref.name, "")
        if not value:
            raise SecretError(
                f"the secret {ref} is not set",
                hint=f"Set {ref.name} in the environment of this command.",
            )
        return decode(value.encode(errors="surrogatepass"), f"the secret {ref}")

    def _opened(self, name: str) -> OpenBag:
        if name not in self._bags:
            try:
                bag = self._load_bag(bag_file.path_of(self._project, name))
                self._bags[name] = unlock(bag, self._identities)
            except ProvisionError as error:
                self._bags[name] = _bare(error)
        found = self._bags[name]
        if isinstance(found, OpenBag):
            return found
        raise _bare(found)


def _check(value: str, ref: SecretRef) -> None:
    if len(value) < SHORTEST:
        raise SecretError(
            f"the secret {ref} has fewer than {SHORTEST} characters",
            hint="Nothing so short can be kept secret; have a longer one issued.",
        )
    if len(value) > LONGEST:
        raise SecretError(f"the secret {ref} is longer than {LONGEST} characters")


def _or_raise(found: str | ProvisionError) -> str:
    if isinstance(found, str):
        return found
    raise _bare(found)


def _bare(error: ProvisionError) -> ProvisionError:
    """The same error without its traceback, whose frames would keep what they saw."""
    return type(error)(error.message, hint=error.hint)
