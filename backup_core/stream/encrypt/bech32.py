"""Bech32 (BIP 173), the spelling of age's keys.

Forty lines of our own, because it is arithmetic without secrets in its timing: keys are typed and
read once. Unlike BIP 173, age has no bound on the length, and its prefixes fix the case.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from backup_core.errors import ConfigError

_ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATORS = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_CHECKSUM = 6


def encode(prefix: str, data: bytes) -> str:
    """Spell `data` in the case of `prefix`."""
    values = _regroup(data, 8, 5, pad=True)
    residue = _polymod([*_expanded(prefix), *values, *([0] * _CHECKSUM)]) ^ 1
    check = [residue >> 5 * (5 - place) & 31 for place in range(_CHECKSUM)]
    text = "".join(_ALPHABET[value] for value in [*values, *check])
    return f"{prefix}1{text.upper() if prefix.isupper() else text}"


def decode(prefix: str, text: str) -> bytes:
    """Read what `encode` spells; raises ConfigError, which does not repeat the text.

    Another prefix, another case and a wrong checksum are refused, and so are stray bits.
    """
    body = text.removeprefix(f"{prefix}1")
    expected = body.upper() if prefix.isupper() else body.lower()
    lowered = body.lower()
    if body == text or body != expected or not set(lowered) <= set(_ALPHABET):
        raise ConfigError(f"the key is not of the form {prefix}1...")
    values = [_ALPHABET.index(letter) for letter in lowered]
    if len(values) < _CHECKSUM or _polymod([*_expanded(prefix), *values]) != 1:
        raise ConfigError(
            f"the checksum of a key {prefix}1... is wrong",
            hint="A letter of it is missing or mistyped; copy it again.",
        )
    return bytes(_regroup(values[:-_CHECKSUM], 5, 8, pad=False))


def _expanded(prefix: str) -> list[int]:
    letters = prefix.lower().encode()
    return [letter >> 5 for letter in letters] + [0] + [letter & 31 for letter in letters]


def _polymod(values: Iterable[int]) -> int:
    residue = 1
    for value in values:
        top = residue >> 25
        residue = (residue & 0x1FFFFFF) << 5 ^ value
        for place, generator in enumerate(_GENERATORS):
            residue ^= generator if top >> place & 1 else 0
    return residue


def _regroup(values: Sequence[int], width: int, target: int, *, pad: bool) -> list[int]:
    """Cut the bits of `values` anew; without `pad`, what is left over must be few zeros."""
    held = bits = 0
    found = []
    for value in values:
        held, bits = held << width | value, bits + width
        while bits >= target:
            bits -= target
            found.append(held >> bits & (1 << target) - 1)
        held &= (1 << bits) - 1
    if pad and bits:
        found.append(held << target - bits)
    elif not pad and (bits >= width or held):
        raise ConfigError("the key has stray bits at its end")
    return found
