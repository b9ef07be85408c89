"""Rotation of the engine's logs."""

from __future__ import annotations

from provision.layout import layout_of
from provision.node import Node
from provision.resources.base import Origin, Resource
from provision.resources.file import File
from provision.templates import render


def logrotate(node: Node) -> tuple[Resource, ...]:
    """One file for logrotate."""
    layout = layout_of(node)
    wanted = node.attributes.pitr.logrotate
    content = render(
        "logrotate.j2",
        directory=layout.log_directory,
        user=layout.user,
        group=layout.group,
        frequency=wanted.frequency,
        rotate=wanted.rotate,
    )
    name = f"/etc/logrotate.d/{layout.profile}"
    return (File(name=name, content=content, origin=Origin(recipe="logrotate")),)
