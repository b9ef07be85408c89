"""PostgreSQL's settings on a host: a file of ours that the server reads, and a block that names it.

Before a reload the server itself is asked (pg_file_settings) whether it could apply what stands on
disk, and after it whether it runs with it (manual, sections 20.1.2 and 54.11).
"""

from __future__ import annotations

from dataclasses import dataclass

from provision.content import Content
from provision.resources.base import Entry, Resource


@dataclass(frozen=True, kw_only=True)
class ServerSetting:
    """One setting; `value` is unquoted, as pg_settings shows it."""

    name: str
    value: Content
    restart: bool = False


@dataclass(frozen=True, kw_only=True)
class PgSettings(Resource):
    """Settings in the configuration file `name`, read by the server; last in its order they win."""

    settings: tuple[ServerSetting, ...]
    content: Content
    owner: str
    group: str
    mode: str = "0644"

    @property
    def kind(self) -> str:
        """A custom resource in Chef."""
        return "pg_settings"

    def entries(self) -> tuple[Entry, ...]:
        """The configuration file."""
        return (
            Entry(
                path=self.name,
                kind="file",
                owner=self.owner,
                group=self.group,
                mode=self.mode,
                content=self.content,
            ),
        )


@dataclass(frozen=True, kw_only=True)
class Block(Resource):
    """Lines of ours between two markers in the file `name` that is somebody else's."""

    marker: str
    lines: tuple[str, ...]

    @property
    def kind(self) -> str:
        """A custom resource in Chef."""
        return "block"

    @property
    def begin(self) -> str:
        """The line before ours."""
        return f"# BEGIN {self.marker}"

    @property
    def end(self) -> str:
        """The line after ours."""
        return f"# END {self.marker}"

    def placed_in(self, text: str) -> str:
        """Return `text` with our lines in place of the earlier ones, else at the end."""
        ours = "".join(f"{line}\n" for line in (self.begin, *self.lines, self.end))
        lines = text.splitlines(keepends=True)
        bare = [line.rstrip("\r\n") for line in lines]
        if self.begin in bare and self.end in bare[bare.index(self.begin) :]:
            first = bare.index(self.begin)
            last = bare.index(self.end, first)
            return "".join(lines[:first]) + ours + "".join(lines[last + 1 :])
        if text and not text.endswith("\n"):
            text += "\n"
        return text + ours

    def entry(self, text: str, *, owner: str, group: str, mode: str) -> Entry:
        """The whole file with our lines in it; owner and mode stay as they are."""
        return Entry(
            path=self.name,
            kind="file",
            owner=owner,
            group=group,
            mode=mode,
            content=Content.of(text),
        )
