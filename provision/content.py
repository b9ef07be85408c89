"""Text that refers to secrets without holding them.

A catalogue of resources is rendered, diffed, written to disk and printed, so it must be harmless:
a secret stands in it as a reference, and its value enters only where a digest is compared and where
bytes leave for a host. What is shown in its place tells that it changed, never what it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from provision.errors import QuotingError, SecretError


@dataclass(frozen=True, kw_only=True, order=True)
class SecretRef:
    """Where a secret is kept: `env:NAME`, `file:PATH` or `bag:BAG/ITEM`."""

    scheme: str
    name: str

    def __str__(self) -> str:
        return f"{self.scheme}:{self.name}"


Resolve = Callable[[SecretRef], str]
Label = Callable[[SecretRef], str]
Quote = Callable[[str], str]


def verbatim(text: str) -> str:
    """Quote for a place that takes any text as it is."""
    return text


@dataclass(frozen=True, kw_only=True)
class SecretPart:
    """A secret in a text; `quote` is how the place where it stands wants its value written."""

    ref: SecretRef
    quote: Quote = verbatim

    def __str__(self) -> str:
        return f"<secret {self.ref}>"


@dataclass(frozen=True)
class Content:
    """The content of a file: text and references to secrets, in order."""

    parts: tuple[str | SecretPart, ...]

    @classmethod
    def of(cls, *parts: str | SecretPart) -> Content:
        """Join parts; neighbouring texts become one, so that equal contents compare equal."""
        return cls(tuple(_merged(parts)))

    @property
    def references(self) -> tuple[SecretRef, ...]:
        """Each secret that is referred to, once, in order of appearance."""
        found = (part.ref for part in self.parts if isinstance(part, SecretPart))
        return tuple(dict.fromkeys(found))

    @property
    def sensitive(self) -> bool:
        """Whether any secret stands in it."""
        return bool(self.references)

    def reveal(self, resolve: Resolve) -> bytes:
        """Return the real bytes.

        Raises what `resolve` raises for a secret that is missing, and SecretError for one that
        cannot stand where it is wanted.
        """
        return "".join(self._texts(lambda part: _revealed(part, resolve))).encode()

    def redacted(self, label: Label) -> str:
        """Return the text with `<secret REF LABEL>` where a secret stands; "" is no label."""

        def shown(part: SecretPart) -> str:
            told = label(part.ref)
            return f"<secret {part.ref} {told}>" if told else str(part)

        return "".join(self._texts(shown))

    def __str__(self) -> str:
        return "".join(self._texts(str))

    def _texts(self, shown: Callable[[SecretPart], str]) -> Iterable[str]:
        for part in self.parts:
            yield part if isinstance(part, str) else shown(part)


def _revealed(part: SecretPart, resolve: Resolve) -> str:
    value = resolve(part.ref)
    try:
        return part.quote(value)
    except QuotingError as error:
        message = f"the secret {part.ref}: {error.message}"
        raise SecretError(message, hint=error.hint) from None


def _merged(parts: Iterable[str | SecretPart]) -> Iterable[str | SecretPart]:
    text = ""
    for part in parts:
        if isinstance(part, str):
            text += part
            continue
        if text:
            yield text
        text = ""
        yield part
    if text:
        yield text
