"""What runs at its time: lines of cron, or a service and a timer of systemd.

Both come from the same schedule. The command on the line is a wrapper script without arguments, so
that nothing on it needs the escapes on which cron implementations differ.
"""

from __future__ import annotations

from dataclasses import dataclass

from provision.content import Content
from provision.resources.base import Entry, Resource

CRON_DIRECTORY = "/etc/cron.d"
UNIT_DIRECTORY = "/etc/systemd/system"


@dataclass(frozen=True, kw_only=True)
class CronD(Resource):
    """The file `name` in /etc/cron.d; cron ignores names with a dot."""

    content: Content

    @property
    def kind(self) -> str:
        """Chef's name of the resource."""
        return "cron_d"

    @property
    def path(self) -> str:
        """Where the file stands."""
        return f"{CRON_DIRECTORY}/{self.name}"

    def entries(self) -> tuple[Entry, ...]:
        """The file: cron wants it to be root's and writable by nobody else."""
        return (Entry(path=self.path, kind="file", mode="0644", content=self.content),)


@dataclass(frozen=True, kw_only=True)
class Timer(Resource):
    """The units `name`.service and `name`.timer; the timer is enabled and started."""

    service: Content
    timer: Content

    @property
    def kind(self) -> str:
        """Chef's name of the resource."""
        return "systemd_unit"

    def entries(self) -> tuple[Entry, ...]:
        """The two unit files."""
        units = ((f"{self.name}.service", self.service), (f"{self.name}.timer", self.timer))
        return tuple(
            Entry(path=f"{UNIT_DIRECTORY}/{unit}", kind="file", mode="0644", content=content)
            for unit, content in units
        )
