"""PostgreSQL settings as a resource: checked for the server's version, written into one file.

The file stands in the directory that the server includes, or is included by a block of ours.
"""

from __future__ import annotations

from collections.abc import Iterable

from provision import pgsettings
from provision.content import Content
from provision.layout import Layout
from provision.node import Node
from provision.quoting import Quoted
from provision.resources.base import Origin, Resource
from provision.resources.server import Block, PgSettings, ServerSetting
from provision.templates import render

Value = str | int | float | bool | Quoted | Content


def settings_resources(
    node: Node,
    layout: Layout,
    *,
    file: str,
    title: str,
    values: Iterable[tuple[str, Value]],
    recipe: str,
) -> tuple[Resource, ...]:
    """Return the file `file` with these settings, and what makes the server read it.

    Raises InputError for a setting that this version does not have, or a value it does not take.
    """
    settings = tuple(_setting(name, value, layout.major) for name, value in values)
    origin = Origin(recipe=recipe, attribute="postgresql.settings")
    path = _path(node, layout, file)
    rendered = render("postgresql.conf.j2", title=title, settings=settings_pairs(settings))
    resource = PgSettings(
        name=path,
        settings=settings,
        content=rendered,
        owner="root",
        group=layout.group,
        phase="server",
        origin=origin,
    )
    return (*_include(node, layout, path, origin), resource)


def settings_pairs(settings: Iterable[ServerSetting]) -> list[tuple[str, Content]]:
    """Names and unquoted values, as the template wants them."""
    return [(setting.name, setting.value) for setting in settings]


def _setting(name: str, value: Value, major: int) -> ServerSetting:
    known = pgsettings.lookup(name, major)
    if isinstance(value, Quoted):
        value = value.text
    content = value if isinstance(value, Content) else Content.of(pgsettings.check(known, value))
    return ServerSetting(name=known.name, value=content, restart=known.effect == "restart")


def _path(node: Node, layout: Layout, file: str) -> str:
    if node.attributes.postgresql.sink == "conf_d":
        return f"{layout.config_files}/conf.d/{file}"
    return f"{layout.config_files}/{file}"


def _include(node: Node, layout: Layout, path: str, origin: Origin) -> tuple[Resource, ...]:
    """The line of postgresql.conf that makes the server read our file; Debian's reads conf.d."""
    server = node.attributes.postgresql
    if not server.manage_include:
        return ()
    line = "include_dir = 'conf.d'" if server.sink == "conf_d" else f"include_if_exists = '{path}'"
    block = Block(
        name=f"{layout.config_files}/postgresql.conf",
        marker="provision" if server.sink == "conf_d" else f"provision {path.rpartition('/')[2]}",
        lines=(line,),
        phase="server",
        notifies=("postgresql_reload",),
        origin=origin,
    )
    return (block,)
