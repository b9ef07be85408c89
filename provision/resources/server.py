"""PostgreSQL's settings on a host: a file of ours that the server reads, and a block that names it.

Before a reload the server itself is asked (pg_file_settings) whether it could apply what stands on
disk, and after it whether it runs with it (manual, sections 20.1.2 and 54.11).
"""

from __future__ import annotations

from dataclasses import dataclass

from provision.content import Content
from provision.resources.base import Entry, Resource

BEGIN = "# BEGIN provision"
END = "# END provision"


@dataclass(frozen=True, kw_only=True)
class ServerSetting:
    """One setting; `value` is unquoted, as pg_settings shows it."""

    name: str
    value: Content


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
    """Lines of ours between two markers in the file `name` that is somebody else's.

    The file is never ours: it has no entry, no digest of it is kept, and it is not deleted.
    """

    lines: tuple[str, ...]

    @property
    def kind(self) -> str:
        """A custom resource in Chef."""
        return "block"

    @property
    def text(self) -> str:
        """Our lines with the markers around them."""
        return "".join(f"{line}\n" for line in (BEGIN, *self.lines, END))

    def placed_in(self, text: str) -> str:
        """Return `text` with our lines in place of the earlier ones, else at the end."""
        before, ours, after = _around(text)
        if not ours and text and not text.endswith("\n"):
            before += "\n"
        return before + self.text + after


def block_path(resource_id: str) -> str | None:
    """The file of the block with that id; None for another resource's id."""
    inside = resource_id.removeprefix("block[")
    return None if inside == resource_id else inside.removesuffix("]")


def without_block(text: str) -> str:
    """Return `text` without the lines of a block, and as it is if there are none."""
    before, _, after = _around(text)
    return before + after


def _around(text: str) -> tuple[str, str, str]:
    """What stands before a block, the block itself and what follows; all is before if none is."""
    lines = text.splitlines(keepends=True)
    bare = [line.rstrip("\r\n") for line in lines]
    if BEGIN not in bare or END not in bare[bare.index(BEGIN) :]:
        return text, "", ""
    first = bare.index(BEGIN)
    after = bare.index(END, first) + 1
    return "".join(lines[:first]), "".join(lines[first:after]), "".join(lines[after:])
