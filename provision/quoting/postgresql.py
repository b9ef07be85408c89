"""Places that PostgreSQL reads: its configuration, connection strings, the password file, SQL.

In postgresql.conf and recovery.conf a value is always quoted: without quotes a path or a command is
a syntax error. Inside the quotes backslashes are active, so both they and quotes are doubled
(manual, section 20.1.2).
"""

from __future__ import annotations

import re
from string import Formatter

from provision.errors import QuotingError
from provision.quoting.base import Place, Quoted, encodable, one_line, quoted_text, shown, text_for

PGPASS_ANY = Quoted("pgpass", "*")

_CONF = "a PostgreSQL setting"
_CONF_ACCEPTED: tuple[Place, ...] = ("conninfo", "pg_command")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*)*")
_KEYWORD = re.compile(r"[a-z_][a-z0-9_]*")
_BARE_CONNINFO = re.compile(r"[A-Za-z0-9_@%+:,./-]+")
_PLACEHOLDER = re.compile(r"%[pfr%]")
_MAX_IDENTIFIER_BYTES = 63


def escape_pg_conf(text: str) -> str:
    """Escape a text that stands between the quotes of a setting."""
    return one_line(text, _CONF).replace("\\", "\\\\").replace("'", "''")


def pg_conf(value: str | Quoted) -> Quoted:
    """The value of a setting, with its quotes: a text, a command of `pg_command`, a conninfo.

    Raises QuotingError for control characters: the file has no way to write a line break in a text
    that every version understands.
    """
    return Quoted(
        "pg_conf", f"'{escape_pg_conf(text_for('pg_conf', value, accepts=_CONF_ACCEPTED))}'"
    )


def pg_name(name: str) -> Quoted:
    """The name of a setting; one of an extension has a dot."""
    if not _NAME.fullmatch(name):
        raise QuotingError(f"{name!r} is not the name of a setting")
    return Quoted("pg_conf", name)


def pg_percent(word: Quoted) -> Quoted:
    """Make words of a shell part of a command that PostgreSQL expands: % means itself."""
    text = quoted_text("pg_command", word, accepts=("sh",))
    return Quoted("pg_command", text.replace("%", "%%"))


def pg_command(form: str, /, **words: Quoted) -> Quoted:
    """A command with placeholders, such as `pg_command("cp %p {to}/%f", to=sh(directory))`.

    `form` is written by us: shell syntax with %p, %f and %r, and fields for the words, which are
    quoted for a shell. Their own percent signs are doubled. Raises QuotingError for other
    placeholders, which servers since 16 refuse (manual, section 25.3.1).
    """
    if "%" in _PLACEHOLDER.sub("", form):
        raise QuotingError(f"{form!r} has a % that PostgreSQL does not know")
    fields = {name for _, name, _, _ in Formatter().parse(form) if name is not None}
    if fields != set(words):
        raise QuotingError(f"{form!r} does not name each of {', '.join(words) or 'no words'} once")
    texts = {name: pg_percent(word).text for name, word in words.items()}
    return Quoted("pg_command", one_line(form.format(**texts), _CONF))


def escape_conninfo(text: str) -> str:
    """Escape a text that stands between the quotes of a connection string."""
    return one_line(text, "a connection string").replace("\\", "\\\\").replace("'", "\\'")


def conninfo_value(text: str) -> Quoted:
    """The value of one keyword of a connection string (manual, section 32.1.1.1)."""
    bare = _BARE_CONNINFO.fullmatch(text)
    return Quoted("conninfo", text if bare else f"'{escape_conninfo(text)}'")


def conninfo(**parameters: str | int) -> Quoted:
    """A connection string in keyword=value form, in the order given."""
    for name in parameters:
        if not _KEYWORD.fullmatch(name):
            raise QuotingError(f"{name!r} is not a keyword of a connection string")
    values = {name: conninfo_value(str(value)) for name, value in parameters.items()}
    return Quoted("conninfo", " ".join(f"{name}={value.text}" for name, value in values.items()))


def escape_pgpass(text: str) -> str:
    """Escape a field of the password file, or a piece of one."""
    escaped = one_line(text, "a password file").replace("\\", "\\\\").replace(":", "\\:")
    return escaped.replace("*", "\\*").replace("#", "\\#")


def pgpass_field(text: str) -> Quoted:
    """A field that means itself, even when it is a star (manual, section 32.16)."""
    return Quoted("pgpass", escape_pgpass(text))


def pgpass_line(
    host: str | Quoted,
    port: str | Quoted,
    database: str | Quoted,
    user: str | Quoted,
    password: str,
) -> Quoted:
    """A line of the password file, without its end; `PGPASS_ANY` matches anything."""
    fields = [
        field if isinstance(field, Quoted) else pgpass_field(field)
        for field in (host, port, database, user, password)
    ]
    if any(field.sink != "pgpass" for field in fields):
        raise QuotingError("a field of a password file is quoted for another place")
    return Quoted("pgpass", ":".join(field.text for field in fields))


def sql_ident(name: str) -> Quoted:
    """An identifier of SQL, quoted, its case kept; raises QuotingError when it is too long."""
    encodable(name, "an SQL identifier")
    if not name or len(name.encode()) > _MAX_IDENTIFIER_BYTES:
        raise QuotingError(
            f"{shown(name)} cannot be an SQL identifier: it has no or too many bytes"
        )
    return Quoted("sql", '"' + name.replace('"', '""') + '"')
