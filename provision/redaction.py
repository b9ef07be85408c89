"""Differences of files that hold secrets: what changed is shown, what the secret is or was is not.

The new side is a template, so its secrets are known by reference. The old side is bytes from a host
or a tree, and nobody knows what in them is secret: a password that has since been changed, or one
in a line that the template no longer has. So nothing of a removed line is shown that the new file
does not show itself: it is a line of the new file, or fits one of its lines around a secret, or is
a plain number or switch for a name that has one in the new file too; else it is a fingerprint. That
holds for files in which a secret stands, and for those that the caller calls `sensitive`, because
others may not read them or because they used to hold one. In all others removed lines are shown,
unless they look like a secret that somebody pasted.

A bare digest of a password can be searched for, so fingerprints are keyed.
"""

from __future__ import annotations

import difflib
import hmac
import re
import secrets as randomness
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from provision import pasted_keys
from provision.content import Content, Label, SecretPart, SecretRef
from provision.errors import InputError, ProvisionError
from provision.secrets.vault import Secrets
from provision.template_lines import Line, between, cut, lines_of

FINGERPRINT_KEY = "PROVISION_FINGERPRINT_KEY"
NOT_COMPARED = "not available: not compared"
CONTEXT = 3
_SHORTEST_KEY = 16
_DIGITS = 8
_SETTING = re.compile(
    r"\s*([A-Za-z_][A-Za-z0-9_.]*)\s*=\s*(['\"]?)"
    r"(?:on|off|true|false|yes|no|-?\d{1,6}\s?(?:[kMGT]?B|us|ms|s|min|h|d)?)\2\s*"
)

Key = tuple[str, ...]
_WHOLE_LINE: tuple[Key, ...] = (("", ""), ("", "\n"))


@dataclass(frozen=True)
class Fingerprints:
    """Tells equal secrets from different ones without telling what they are."""

    key: bytes = field(repr=False)

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Fingerprints:
        """Take the key of PROVISION_FINGERPRINT_KEY, to compare over runs, or a random one.

        Raises InputError for one shorter than 16 bytes.
        """
        key = environ.get(FINGERPRINT_KEY, "").encode(errors="surrogatepass")
        if key and len(key) < _SHORTEST_KEY:
            raise InputError(
                f"{FINGERPRINT_KEY} is shorter than {_SHORTEST_KEY} bytes",
                hint="`openssl rand -hex 32` makes a good one.",
            )
        return cls(key or randomness.token_bytes(32))

    def of(self, value: str) -> str:
        """Eight hexadecimal digits, the same for the same value and key."""
        digest = hmac.digest(self.key, value.encode(errors="surrogatepass"), "sha256")
        return digest.hex()[:_DIGITS]


def label(secrets: Secrets, fingerprints: Fingerprints) -> Label:
    """How `Content.redacted` shows each secret: by its fingerprint, or that it cannot be had."""

    def shown(ref: SecretRef) -> str:
        value = _value(ref, secrets)
        return NOT_COMPARED if value is None else fingerprints.of(value)

    return shown


def redacted_diff(
    before: str | None,
    after: Content | None,
    secrets: Secrets,
    fingerprints: Fingerprints,
    *,
    sensitive: bool,
) -> tuple[str, ...]:
    """Return a unified diff without its two header lines; empty if nothing that is known differs.

    None is a file that is not there. `sensitive` says that the old file may hold secrets whatever
    the new one does: it used to, or others may not read it. A secret that is not available fits
    whatever stands in its place. Control characters are shown as escapes, for a host's file is not
    to drive a terminal.
    """
    new = _NewFile(_lines(after, secrets, fingerprints), fingerprints)
    if before is not None and after is not None and new.fits(before):
        return ()
    hide = sensitive or (after is not None and after.sensitive)
    old = [(new.key_of(line), line) for line in cut(before or "")]
    shown = [new.shown(key, line) if hide else new.guarded(key, line) for key, line in old]
    keys = [key for key, _ in old]
    return tuple(_unified(keys, new.keys, shown, [line.shown for line in new.lines]))


def labels_of_both(old: Secrets, new: Secrets, fingerprints: Fingerprints) -> tuple[Label, Label]:
    """How two revisions of one file show their secrets: a change of a value is one of its label.

    A secret that one of both cannot have has no label, and is compared by its reference alone.
    """

    def either(secrets: Secrets, other: Secrets) -> Label:
        def shown(ref: SecretRef) -> str:
            value = _value(ref, secrets)
            return "" if value is None or _value(ref, other) is None else fingerprints.of(value)

        return shown

    return either(old, new), either(new, old)


class _NewFile:
    """The lines of the new content, against which an old file is compared and shown."""

    def __init__(self, lines: Sequence[Line], fingerprints: Fingerprints) -> None:
        self.lines = lines
        self.keys = [line.key for line in lines]
        self._fingerprints = fingerprints
        self._templates = [line for line in lines if line.holes]
        # A line with a secret comes last: where a text is written both ways, it is a secret.
        ordered = sorted(lines, key=lambda line: len(line.holes))
        self._shown = {line.key: line.shown for line in ordered}
        self._unknown = [line.key for line in self._templates if len(line.key) > 1]
        self._settings = set(
            filter(None, (_setting(line.shown) for line in lines if not line.holes))
        )

    def fits(self, before: str) -> bool:
        """Whether an old file is this one, whatever the secrets are that are not known.

        One that fills its line may have several lines, another may not: it would hide added ones.
        """
        literals, alone = [""], list[bool]()
        for key in self.keys:
            literals[-1] += key[0]
            literals.extend(key[1:])
            alone.extend(key in _WHOLE_LINE for _ in key[1:])
        values = between(before, literals)
        return values is not None and all(
            free or "\n" not in value for free, value in zip(alone, values, strict=True)
        )

    def key_of(self, line: str) -> Key:
        """The key of an old line: that of a new line which it equals as far as is known."""
        if (line,) in self._shown:
            return (line,)
        return next((key for key in self._unknown if _fits(line, key) is not None), (line,))

    def shown(self, key: Key, line: str) -> str:
        """An old line without anything that could be a secret."""
        if key in self._shown or not line.strip() or _setting(line) in self._settings:
            return self._shown.get(key, line)
        fitting = [each for each in self._templates if _fits(line, each.texts) is not None]
        if not fitting:
            return self._hidden(line)
        best = max(fitting, key=lambda each: sum(map(len, each.texts)))
        return best.filled([self._as_secret(value) for value in _fits(line, best.texts) or ()])

    def guarded(self, key: Key, line: str) -> str:
        """An old line of a file without secrets, hidden only if it looks like one."""
        return self._hidden(line) if pasted_keys.holds_secret(line) else self._shown.get(key, line)

    def _as_secret(self, value: str) -> str:
        return f"<secret {self._fingerprints.of(value)}>"

    def _hidden(self, line: str) -> str:
        text = line.removesuffix("\n")
        return f"<redacted line {self._fingerprints.of(text)}>" + line[len(text) :]


def _lines(
    content: Content | None, secrets: Secrets, fingerprints: Fingerprints
) -> tuple[Line, ...]:
    if content is None:
        return ()
    labelled = label(secrets, fingerprints)

    def known(part: SecretPart) -> str | None:
        value = _value(part.ref, secrets)
        return None if value is None else part.quote(value)

    return lines_of(content, known, lambda part: f"<secret {part.ref} {labelled(part.ref)}>")


def _value(ref: SecretRef, secrets: Secrets) -> str | None:
    try:
        return secrets.resolve(ref)
    except ProvisionError:
        return None


def _setting(line: str) -> str | None:
    """The name that a line gives a plain number or a switch."""
    found = _SETTING.fullmatch(line)
    return found[1] if found else None


def _fits(line: str, texts: Sequence[str]) -> tuple[str, ...] | None:
    """What stands in the holes of a template's line; None too where that is more than a line."""
    values = between(line, texts)
    return None if values and any("\n" in value for value in values) else values


def _unified(
    old: Sequence[Key], new: Sequence[Key], old_shown: Sequence[str], new_shown: Sequence[str]
) -> Iterator[str]:
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    for group in matcher.get_grouped_opcodes(CONTEXT):
        first, last = group[0], group[-1]
        yield f"@@ -{_range(first[1], last[2])} +{_range(first[3], last[4])} @@"
        for tag, old_start, old_end, new_start, new_end in group:
            if tag == "equal":
                yield from _marked(" ", new_shown[new_start:new_end])
                continue
            yield from _marked("-", old_shown[old_start:old_end])
            yield from _marked("+", new_shown[new_start:new_end])


def _range(start: int, end: int) -> str:
    """A hunk's range as diff(1) writes it: an empty one names the line before it."""
    count = end - start
    begin = start + 1 if count else start
    return f"{begin}" if count == 1 else f"{begin},{count}"


def _marked(mark: str, lines: Sequence[str]) -> Iterator[str]:
    return chain.from_iterable(_visible(mark, line) for line in lines)


def _visible(mark: str, line: str) -> Iterator[str]:
    text = line.removesuffix("\n")
    yield mark + "".join(map(_printable, text))
    if text == line:
        yield "\\ No newline at end of file"


def _printable(letter: str) -> str:
    if letter.isprintable() or letter == "\t":
        return letter
    return letter.encode("unicode_escape").decode()
