"""A directory and a symbolic link: owner and mode of the leaf only, never of what is below."""

from __future__ import annotations

from dataclasses import dataclass

from provision.resources.base import Entry, Resource


@dataclass(frozen=True, kw_only=True)
class Directory(Resource):
    """The directory at path `name`; its parents have to exist or to be resources themselves."""

    owner: str = "root"
    group: str = "root"
    mode: str = "0755"

    @property
    def kind(self) -> str:
        """Chef's name of the resource."""
        return "directory"

    def entries(self) -> tuple[Entry, ...]:
        """The directory."""
        return (
            Entry(
                path=self.name, kind="directory", owner=self.owner, group=self.group, mode=self.mode
            ),
        )


@dataclass(frozen=True, kw_only=True)
class Link(Resource):
    """A symbolic link at path `name` to `target`."""

    target: str

    @property
    def kind(self) -> str:
        """Chef's name of the resource."""
        return "link"

    def entries(self) -> tuple[Entry, ...]:
        """The link."""
        return (Entry(path=self.name, kind="link", target=self.target),)
