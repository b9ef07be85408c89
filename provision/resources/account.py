"""Users, packages and the virtual environment: what has to be there before any file is ours."""

from __future__ import annotations

from dataclasses import dataclass

from provision.resources.base import Resource


@dataclass(frozen=True, kw_only=True)
class User(Resource):
    """A system user `name` and its group; an existing user is left as it is."""

    group: str
    home: str
    shell: str = "/bin/sh"

    @property
    def kind(self) -> str:
        """Chef's name of the resource."""
        return "user"


@dataclass(frozen=True, kw_only=True)
class Package(Resource):
    """A package `name` of the host's distribution, in any version."""

    @property
    def kind(self) -> str:
        """Chef's name of the resource."""
        return "package"


@dataclass(frozen=True, kw_only=True)
class Venv(Resource):
    """A Python environment at path `name` in which one distribution is installed.

    `version` "" takes any that is there. `find_links` is a directory of wheels on the host or a
    URL, used instead of the package index.
    """

    distribution: str
    version: str = ""
    find_links: str = ""

    @property
    def kind(self) -> str:
        """A custom resource in Chef."""
        return "venv"

    @property
    def project(self) -> str:
        """The distribution's name without extras, as the installed one is called on disk."""
        return self.distribution.partition("[")[0].replace("-", "_")

    @property
    def requirement(self) -> str:
        """What pip is asked for."""
        return f"{self.distribution}=={self.version}" if self.version else self.distribution
