"""A directory of environment variables that changes as a whole.

A program started while files are replaced one by one sees some old and some new ones, a new key id
with an old secret, however atomic each replacement is. So the directory that programs name is a
link, each state is a directory of its own, a generation, and one rename of the link switches.
"""

from __future__ import annotations

from dataclasses import dataclass

from provision.content import Content
from provision.resources.base import Entry, Resource

GENERATION_DIGITS = 6


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A command that proves a generation before it is in force; `{}` is the generation's path.

    It runs as the user that will use the variables, for at most `timeout` seconds.
    """

    argv: tuple[str, ...]
    user: str
    timeout: int = 30


@dataclass(frozen=True, kw_only=True)
class Envdir(Resource):
    """The variables that `envdir NAME` sets; generations stand in `NAME.d`.

    Everything is readable by `group` and writable by root alone: the server's user cannot change
    where its own WAL goes. Values are whole file contents, each with its newline.
    """

    group: str
    variables: tuple[tuple[str, Content], ...]
    probe: Probe | None = None

    @property
    def kind(self) -> str:
        """A custom resource in Chef."""
        return "envdir"

    @property
    def store(self) -> str:
        """The directory in which the generations stand."""
        return f"{self.name}.d"

    def generation_path(self, number: int) -> str:
        """Where generation `number` stands."""
        return f"{self.store}/{number:0{GENERATION_DIGITS}d}"

    def generation(self, number: int) -> tuple[Entry, ...]:
        """What generation `number` consists of; the link that names it comes last."""
        root = self.generation_path(number)
        files = (
            Entry(
                path=f"{root}/{name}",
                kind="file",
                group=self.group,
                mode="0640",
                content=content,
            )
            for name, content in self.variables
        )
        return (
            Entry(path=root, kind="directory", group=self.group, mode="0750"),
            *files,
            Entry(path=self.name, kind="link", target=link_target(root)),
        )


def link_target(generation: str) -> str:
    """The link's text: relative to where it stands, so that a moved tree keeps working."""
    store, _, number = generation.rpartition("/")
    return f"{store.rpartition('/')[2]}/{number}"
