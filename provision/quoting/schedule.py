"""Lines of cron and of systemd units.

cron turns an unescaped % into a line break. Some implementations take the backslash of \\% away and
some leave it to the shell, where inside quotes it would stay; so here it always stands outside of
quotes, where both readings give a percent sign (crontab(5)). systemd expands % and $ itself, inside
quotes too; both are doubled (systemd.service(5), "Command lines").
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from provision.errors import QuotingError
from provision.quoting.base import Quoted, one_line, quoted_text, shown

_CRON = "a line of cron"
_UNIT = "a systemd unit"
# Debian's cron cuts what is longer.
_CRON_MAX_BYTES = 998
_CRON_FIELD = re.compile(r"[A-Za-z0-9_.*/,-]+")
_UNSAFE_PROGRAM = re.compile(r"[\\'\"$]")
_BARE_UNIT = re.compile(r"[A-Za-z0-9_@+:,./=-]+")


def cron_command(command: Quoted) -> Quoted:
    """A shell command as the end of a cron line.

    Raises QuotingError for line breaks, for a percent sign within double quotes and for a command
    longer than cron reads.
    """
    text = one_line(quoted_text("cron", command, accepts=("sh",)), _CRON)
    escaped = "".join(_percents_outside(text))
    if len(escaped.encode()) > _CRON_MAX_BYTES:
        raise QuotingError(
            f"{shown(text)} is too long for {_CRON}", hint="Put the command into a script."
        )
    return Quoted("cron", escaped)


def _percents_outside(text: str) -> Iterator[str]:
    """Go through a command, leaving single quotes for each percent sign."""
    quoted, escaped = False, False
    for character in text:
        if character == '"' and not quoted and not escaped and "%" in text:
            raise QuotingError(f"{shown(text)} has both % and double quotes in {_CRON}")
        if character == "%":
            yield "'\\%'" if quoted else "%" if escaped else "\\%"
        else:
            yield character
        if character == "'" and not escaped:
            quoted = not quoted
        escaped = character == "\\" and not quoted and not escaped


def cron_fields(text: str) -> Quoted:
    """The five fields of a time, or a user's name."""
    fields = text.split(" ")
    if not all(map(_CRON_FIELD.fullmatch, fields)):
        raise QuotingError(f"{text!r} cannot be a field of {_CRON}")
    return Quoted("cron", " ".join(fields))


def cron_variable(value: str) -> Quoted:
    """The value of NAME=value among lines of cron, which knows no escapes and expands nothing."""
    one_line(value, _CRON)
    quote = '"' if '"' not in value else "'"
    if quote in value:
        raise QuotingError(f"{shown(value)} has both kinds of quotes; cron can write only one")
    return Quoted("cron", f"{quote}{value}{quote}")


def escape_systemd(text: str) -> str:
    """Escape a text that stands between double quotes in a command line of a unit."""
    doubled = one_line(text, _UNIT).replace("%", "%%").replace("$", "$$")
    return doubled.replace("\\", "\\\\").replace('"', '\\"')


def systemd_word(word: str) -> Quoted:
    """One argument in a command line of a unit."""
    text = word if _BARE_UNIT.fullmatch(word) else f'"{escape_systemd(word)}"'
    return Quoted("systemd", text)


def systemd_command(argv: Iterable[str]) -> Quoted:
    """What stands after ExecStart=: a program's absolute path and its arguments.

    Raises QuotingError for a path with quotes or a backslash, which systemd refuses, or with a
    dollar sign, which it does not unescape there.
    """
    program, *arguments = [*argv] or [""]
    if not program.startswith("/") or _UNSAFE_PROGRAM.search(program):
        raise QuotingError(f"{program!r} is not an absolute path that systemd can run")
    return Quoted("systemd", " ".join(systemd_word(word).text for word in (program, *arguments)))


def systemd_value(text: str) -> Quoted:
    """What stands after Description= and other settings that are neither lists nor commands.

    Raises QuotingError for blanks at the ends, which are lost, and a backslash at the end, which
    continues the line.
    """
    if text != text.strip() or text.endswith("\\"):
        raise QuotingError(f"{shown(text)} cannot stand in {_UNIT} as it ends or begins")
    return Quoted("systemd", one_line(text, _UNIT).replace("%", "%%"))
