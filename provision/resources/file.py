"""A file whose bytes, owner and mode are ours, or one that should not exist.

`verify` is run on the host with the staged file's path as its last word before anything is
switched, as Chef's `verify` is.
"""

from __future__ import annotations

from dataclasses import dataclass

from provision.content import Content
from provision.resources.base import Entry, Resource


@dataclass(frozen=True, kw_only=True)
class File(Resource):
    """The file at path `name`."""

    content: Content
    owner: str = "root"
    group: str = "root"
    mode: str = "0644"
    verify: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """Chef's name of the resource."""
        return "file"

    def entries(self) -> tuple[Entry, ...]:
        """The file."""
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
class AbsentFile(Resource):
    """Nothing is at path `name`: what an earlier state of this host left there goes."""

    @property
    def kind(self) -> str:
        """Chef's name of the resource."""
        return "file"

    def entries(self) -> tuple[Entry, ...]:
        """The absence."""
        return (Entry(path=self.name, kind="absent"),)
