"""Templates: texts with places in them, each of which takes only what is quoted for it.

The first line of a template says for which kinds of place it has room, `{# sinks: sh comment #}`.
What is put in must be a number, a `Quoted` of one of these kinds, or a secret with the quoting of
one; a plain text is an error that names the template's line, so that nobody has to remember to
quote. Autoescaping could not do it: it knows one syntax, HTML's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from secrets import token_hex
from types import TracebackType
from typing import NoReturn

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError, pass_context
from jinja2 import TemplateSyntaxError as SyntaxTrouble
from jinja2.runtime import Context, Undefined

from provision import quoting
from provision.content import Content, SecretPart
from provision.errors import InputError, QuotingError
from provision.quoting import SINKS, Quoted, Sink

# A link to the repository's own directory of that name; an installed package has the files here.
DIRECTORY = Path(__file__).with_name("templates")

_SLOTS = "__slots__"
_DECLARATION = re.compile(r"\{#-? *sinks:([a-z_ ,]+)-?#\}")
_FUNCTIONS: Mapping[str, Callable[..., Quoted]] = {
    "comment": quoting.comment,
    "conninfo_value": quoting.conninfo_value,
    "cron_command": quoting.cron_command,
    "cron_fields": quoting.cron_fields,
    "cron_variable": quoting.cron_variable,
    "env_value": quoting.env_value,
    "logrotate_path": quoting.logrotate_path,
    "logrotate_word": quoting.logrotate_word,
    "metric_label": quoting.metric_label,
    "pg_conf": quoting.pg_conf,
    "pg_name": quoting.pg_name,
    "pgpass_field": quoting.pgpass_field,
    "sh": quoting.sh,
    "sh_command": quoting.sh_command,
    "systemd_command": quoting.systemd_command,
    "systemd_value": quoting.systemd_value,
    "systemd_word": quoting.systemd_word,
    "toml_text": quoting.toml_text,
    "yaml_text": quoting.yaml_text,
}
# The functions that quote any text piece by piece, so that a secret may stand in it.
_PIECEWISE: Mapping[str, Sink] = {
    "env_value": SINKS["env"],
    "pg_conf": SINKS["pg_conf"],
    "pgpass_field": SINKS["pgpass"],
    "sh": SINKS["sh"],
    "systemd_word": SINKS["systemd"],
}


@dataclass(frozen=True)
class Pieces:
    """A content that is quoted for a place, its secrets included."""

    sink: Sink
    content: Content


@dataclass(frozen=True)
class Nested:
    """The quoting of a secret that stands in a text which is quoted again."""

    inner: Callable[[str], str]
    outer: Callable[[str], str]

    def __call__(self, text: str) -> str:
        """Quote for the inner place, then for the outer one."""
        return self.outer(self.inner(text))


def quoted_content(sink: Sink, content: Content) -> Content:
    """Quote a content for a place; its secrets are quoted when they are revealed.

    Raises QuotingError as the sink does.
    """
    parts = (
        SecretPart(ref=part.ref, quote=Nested(inner=part.quote, outer=sink.escape))
        if isinstance(part, SecretPart)
        else sink.escape(part)
        for part in content.parts
    )
    return Content.of(sink.opening, *parts, sink.closing)


@dataclass(frozen=True)
class Templates:
    """The templates of a directory."""

    directory: Path

    def render(self, name: str, /, **values: object) -> Content:
        """Return the template `name` filled with `values`.

        Raises InputError, beginning with the template's file and line, for a value that is missing,
        is not quoted or is quoted for another kind of place, and for a template that is wrong.
        """
        slots = _Slots(self._sinks)
        try:
            text = self._environment.get_template(name).render({**values, _SLOTS: slots})
        except SyntaxTrouble as error:
            where = self._shown(error.filename or name)
            raise InputError(f"{where}:{error.lineno}: {error.message}") from error
        except (TemplateError, InputError, TypeError) as error:
            self._fail(name, error)
        return slots.content(text)

    def _fail(self, name: str, error: Exception) -> NoReturn:
        file, line = _place(error.__traceback__, self.directory) or (name, 1)
        hint = error.hint if isinstance(error, InputError) else None
        raise InputError(f"{self._shown(file)}:{line}: {error}", hint=hint) from error

    def _shown(self, file: str) -> str:
        path = (self.directory / file).relative_to(self.directory)
        return f"{self.directory.name}/{path}"

    @cached_property
    def _environment(self) -> Environment:
        environment = Environment(
            loader=FileSystemLoader(self.directory),
            undefined=StrictUndefined,
            finalize=_finalize,
            autoescape=False,
            keep_trailing_newline=True,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters.update({name: _filter(name) for name in _FUNCTIONS})
        return environment

    @cached_property
    def _declared(self) -> dict[str, frozenset[str]]:
        return {}

    def _sinks(self, name: str) -> frozenset[str]:
        """The kinds of place that a template declares in its first line."""
        if name not in self._declared:
            with (self.directory / name).open(encoding="utf-8") as lines:
                found = _DECLARATION.match(lines.readline())
            if found is None:
                raise QuotingError(
                    f"{name} does not say what stands in it",
                    hint="Begin it with a line like {# sinks: sh comment #}.",
                )
            self._declared[name] = frozenset(found[1].replace(",", " ").split())
        return self._declared[name]


@dataclass(frozen=True)
class _Slots:
    """The secrets of one rendering, each with the marker that stands for it in the text."""

    sinks: Callable[[str], frozenset[str]]
    nonce: str = field(default_factory=lambda: token_hex(16))
    parts: list[SecretPart] = field(default_factory=list)

    def marker(self, part: SecretPart) -> str:
        self.parts.append(part)
        return f"<{self.nonce}:{len(self.parts) - 1}>"

    def content(self, text: str) -> Content:
        pieces = re.split(f"<{self.nonce}:([0-9]+)>", text)
        return Content.of(
            *(self.parts[int(each)] if odd % 2 else each for odd, each in enumerate(pieces))
        )


@pass_context
def _finalize(context: Context, value: object) -> object:
    """Let through what is safe in the template at hand; everything else is an error."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, Undefined):
        return str(value)  # says what is missing
    slots = context.get(_SLOTS)
    if not isinstance(slots, _Slots):
        raise QuotingError("a macro must be imported with context")
    sinks = slots.sinks(context.name or "")
    if isinstance(value, Quoted):
        _expect(value.sink, sinks)
        return value.text
    if isinstance(value, Pieces):
        _expect(value.sink.place, sinks)
        parts = value.content.parts
        return "".join(slots.marker(p) if isinstance(p, SecretPart) else p for p in parts)
    raise QuotingError(
        f"a {type(value).__name__} is not quoted", hint="Quote it, as in {{ value | sh }}."
    )


def _expect(place: str, sinks: Iterable[str]) -> None:
    if place not in sinks:
        raise QuotingError(f"it is quoted for {place}; here stands {', '.join(sorted(sinks))}")


def _filter(name: str) -> Callable[..., Quoted | Pieces]:
    """The function as a filter; where any text may stand, secrets may stand in it as well."""
    function = _FUNCTIONS[name]
    sink = _PIECEWISE.get(name)

    def quote(value: object, *arguments: object) -> Quoted | Pieces:
        if isinstance(value, SecretPart):
            value = Content.of(value)
        if isinstance(value, Content) and sink is not None and value.sensitive:
            return Pieces(sink, quoted_content(sink, value))
        if isinstance(value, Content) and not value.sensitive:
            value = str(value)
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if isinstance(value, Undefined):
            value = str(value)  # says what is missing
        if not isinstance(value, str | Quoted | list | tuple):
            raise QuotingError(f"a {type(value).__name__} cannot be quoted with {name}")
        return function(value, *arguments)

    return quote


def _place(traceback: TracebackType | None, directory: Path) -> tuple[str, int] | None:
    """File and line of the innermost template that an exception passed."""
    found = None
    while traceback is not None:
        filename = traceback.tb_frame.f_code.co_filename
        if Path(filename).is_relative_to(directory):
            found = filename, traceback.tb_lineno
        traceback = traceback.tb_next
    return found


render = Templates(DIRECTORY).render
