"""What somebody may have meant who wrote a name that does not exist."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

_MOST_LISTED = 12


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """Return a hint with the nearest known name, else with all of them if they are few."""
    names = sorted(set(known))
    near = get_close_matches(name, names, n=1) or get_close_matches(name.lower(), names, n=1)
    if near:
        return f"Did you mean {near[0]}?"
    if 0 < len(names) <= _MOST_LISTED:
        return f"There {'are' if len(names) > 1 else 'is'}: {', '.join(names)}."
    return None
