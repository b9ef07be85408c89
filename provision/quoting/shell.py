"""Words of a POSIX shell.

Single quotes keep everything, line breaks included. Words that are harmless stay bare, since a
script is read by people; bare words never look like an assignment or a reserved word, so a word
means the same wherever in a command it stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from provision.errors import QuotingError
from provision.quoting.base import Place, Quoted, encodable, text_for

_BARE = re.compile(r"[A-Za-z0-9_@%+:,./-]+|--?[A-Za-z0-9_@%+:,./=-]+")
_LOOPS = ("do", "done", "for", "select", "until", "while")
_BRANCHES = ("case", "elif", "else", "esac", "fi", "if", "in", "then")
_RESERVED = frozenset((*_LOOPS, *_BRANCHES, "coproc", "function", "time"))
# A connection string is one word, and a whole command can be: sh -c 'command'.
_ACCEPTED: tuple[Place, ...] = ("conninfo", "sh")


def escape_sh(text: str) -> str:
    """Escape a text that stands between single quotes."""
    return encodable(text, "a shell command").replace("'", "'\\''")


def quote_sh(text: str) -> str:
    """Return a text as one word."""
    if _BARE.fullmatch(text) and text not in _RESERVED:
        return text
    return f"'{escape_sh(text)}'"


def sh(word: str | Quoted) -> Quoted:
    """One word of a command; of a shell command, the argument of `sh -c`.

    Raises QuotingError for a NUL byte.
    """
    return Quoted("sh", quote_sh(text_for("sh", word, accepts=_ACCEPTED)))


def sh_command(argv: Iterable[str | Quoted]) -> Quoted:
    """A simple command; words that are quoted for a shell already stay as they are."""
    words = [word if isinstance(word, Quoted) and word.sink == "sh" else sh(word) for word in argv]
    if not words:
        raise QuotingError("a command has no words")
    return Quoted("sh", " ".join(word.text for word in words))
