"""PostgreSQL settings as a resource: checked for the server's version, written into one file.

The file stands in the directory that the server includes, or is included by a block of ours. All
recipes that write settings ask for the same block, so that it is one however many there are.
"""

from __future__ import annotations

from collections.abc import Iterable

from provision import pgsettings
from provision.content import Content
from provision.errors import QuotingError
from provision.layout import Layout
from provision.node import Node
from provision.quoting import Quoted, pg_conf
from provision.resources.base import Effect, Origin, Resource
from provision.resources.server import Block, PgSettings, ServerSetting
from provision.templates import render

Value = str | int | float | bool | Quoted | Content

COMMANDS = frozenset(
    {"archive_cleanup_command", "archive_command", "recovery_end_command", "restore_command"}
)
ARCHIVING = "50-pitr.conf"
RECOVERY = "60-pitr-recovery.conf"
_RELOAD: tuple[Effect, ...] = ("postgresql_reload",)


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
    settings = tuple(server_setting(name, value, layout.major) for name, value in values)
    origin = Origin(recipe=recipe, attribute="postgresql.settings")
    path = settings_path(node, layout, file)
    rendered = render("postgresql.conf.j2", title=title, settings=settings_pairs(settings))
    resource = PgSettings(
        name=path,
        settings=settings,
        content=rendered,
        owner="root",
        group=layout.group,
        phase="server",
        notifies=_RELOAD,
        origin=origin,
    )
    return (*_include(node, layout), resource)


def settings_path(node: Node, layout: Layout, file: str) -> str:
    """Where a file of settings stands."""
    if node.attributes.postgresql.sink == "conf_d":
        return f"{layout.config_files}/conf.d/{file}"
    return f"{layout.config_files}/{file}"


def settings_pairs(settings: Iterable[ServerSetting]) -> list[tuple[str, Content]]:
    """Names and unquoted values, as the template wants them."""
    return [(setting.name, setting.value) for setting in settings]


def server_setting(name: str, value: Value, major: int) -> ServerSetting:
    """Return a setting whose value this version takes; raises InputError if it does not."""
    known = pgsettings.lookup(name, major)
    if known.name in COMMANDS and not isinstance(value, Quoted):
        raise QuotingError(
            f"{known.name} is a command, and a {type(value).__name__} is not quoted as one",
            hint="Build it with pg_command.",
        )
    if isinstance(value, Quoted):
        value = value.text
    content = value if isinstance(value, Content) else Content.of(pgsettings.check(known, value))
    return ServerSetting(name=known.name, value=content)


def _include(node: Node, layout: Layout) -> tuple[Resource, ...]:
    """The lines of postgresql.conf that make the server read our files; Debian's reads conf.d."""
    server = node.attributes.postgresql
    if not server.manage_include:
        return ()
    files = (settings_path(node, layout, file) for file in (ARCHIVING, RECOVERY))
    lines = tuple(f"include_if_exists = {pg_conf(path).text}" for path in files)
    block = Block(
        name=f"{layout.config_files}/postgresql.conf",
        lines=("include_dir = 'conf.d'",) if server.sink == "conf_d" else lines,
        phase="server",
        notifies=_RELOAD,
        origin=Origin(recipe="settings", attribute="postgresql.manage_include"),
    )
    return (block,)
