"""What every resource is: a desired state of one thing on a host, named as Chef names it.

A resource knows nothing of SSH or Ruby. It says what should be there as entries (files,
directories, links: all that most resources are in the end) or as a request of its own kind (a user,
a package, a reload); the plan compares that with what a host has, and each back end carries it out
in its way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from provision.content import Content

# The order in which a host is switched: what runs something comes last.
Phase = Literal["tooling", "environment", "server", "schedule"]
PHASES: tuple[Phase, ...] = ("tooling", "environment", "server", "schedule")

Effect = Literal["postgresql_reload", "postgresql_restart", "daemon_reload", "timer_restart"]


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Which line of whose YAML, or which recipe, asked for a resource."""

    recipe: str
    attribute: str = ""


@dataclass(frozen=True, kw_only=True)
class Guard:
    """A command that only reads: the resource applies where its success equals `expect`.

    `reason` is what to say where it does not apply.
    """

    argv: tuple[str, ...]
    reason: str
    expect: bool = True


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One object in a host's file system.

    `mode` is four octal digits. A file has `content`, a link `target`; `absent` means that it
    should not exist. `content` None of a file: its owner and mode are ours, its bytes are not.
    """

    path: str
    kind: Literal["file", "directory", "link", "absent"]
    owner: str = "root"
    group: str = "root"
    mode: str = ""
    content: Content | None = None
    target: str = ""


@dataclass(frozen=True, kw_only=True)
class Resource:
    """The desired state of one thing; `name` is unique among resources of its kind on a host."""

    name: str
    origin: Origin
    phase: Phase = "tooling"
    notifies: tuple[Effect, ...] = ()
    guards: tuple[Guard, ...] = ()

    @property
    def kind(self) -> str:
        """Chef's name of the resource."""
        raise TypeError(f"{type(self).__name__} has no kind")

    @property
    def id(self) -> str:
        """`kind[name]`, as Chef writes it."""
        return f"{self.kind}[{self.name}]"

    def entries(self) -> tuple[Entry, ...]:
        """The file system objects that it consists of; none for a user or a package."""
        return ()
