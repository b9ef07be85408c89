"""The engine and what it runs with: user, virtual environment, directories, environment.

Every other recipe builds on this one, so it stands in the base role.
"""

from __future__ import annotations

from provision.content import Content, SecretPart, SecretRef
from provision.layout import Layout, layout_of
from provision.node import Node
from provision.quoting import SINKS, env_name
from provision.recipes.repository import environment_of
from provision.resources.account import Package, User, Venv
from provision.resources.base import Origin, Resource
from provision.resources.directory import Directory, Link
from provision.resources.envdir import Envdir, Probe
from provision.resources.file import File
from provision.templates import quoted_content

_ORIGIN = Origin(recipe="tooling")
_HOME = "/var/lib/postgresql"


def tooling(node: Node) -> tuple[Resource, ...]:
    """The user, the engine, its directories and its environment."""
    layout = layout_of(node)
    directories, files = _directories(layout), _files(node, layout)
    return (*_engine(node, layout), *directories, *files, _environment(node, layout))


def _engine(node: Node, layout: Layout) -> tuple[Resource, ...]:
    package = node.attributes.pitr.package
    if not package.manage:
        return ()
    name, _, version = package.requirement.partition("==")
    user = User(
        name=layout.user,
        group=layout.group,
        home=_HOME,
        origin=_ORIGIN,
    )
    venv = Venv(
        name=layout.prefix,
        distribution=name,
        version=version,
        find_links=package.find_links or "",
        origin=_ORIGIN,
    )
    python = Package(name="python3-venv", origin=_ORIGIN)
    if layout.profile == "pitr":
        return (python, user, venv)
    daemontools = Package(name="daemontools", origin=_ORIGIN)
    link = Link(name=layout.program, target="pitr", origin=_ORIGIN)
    return (python, daemontools, user, venv, link)


def _directories(layout: Layout) -> tuple[Resource, ...]:
    ours = filter(None, (layout.state_directory, layout.spool))
    return (
        Directory(name=layout.config_directory, group=layout.group, mode="0750", origin=_ORIGIN),
        Directory(name=layout.jobs, mode="0755", origin=_ORIGIN),
        *(
            Directory(name=path, owner=layout.user, group=layout.group, mode="0700", origin=_ORIGIN)
            for path in ours
        ),
        Directory(
            name=layout.log_directory,
            owner=layout.user,
            group=layout.group,
            mode="0750",
            origin=_ORIGIN,
        ),
    )


def _files(node: Node, layout: Layout) -> tuple[Resource, ...]:
    """What has several lines, or is wanted as a file: the environment has its path."""
    origin = Origin(recipe="tooling", attribute="pitr.files")
    return tuple(
        File(
            name=f"{layout.config_directory}/{name}",
            content=Content.of(SecretPart(ref=ref)),
            group=layout.group,
            mode="0640",
            phase="environment",
            origin=origin,
        )
        for name, ref in node.attributes.pitr.files.items()
    )


def _environment(node: Node, layout: Layout) -> Resource:
    """The variables of the roles, and those that follow from other attributes; the former win."""
    values = dict(environment_of(node, layout)) | _given(node)
    variables = tuple((env_name(name), _file(values[name])) for name in sorted(values))
    probe = None
    if node.attributes.pitr.repository and node.attributes.pitr.package.probe:
        probe = Probe(argv=_probe_words(layout), user=layout.user)
    return Envdir(
        name=layout.envdir,
        group=layout.group,
        variables=variables,
        probe=probe,
        phase="environment",
        origin=Origin(recipe="tooling", attribute="pitr.environment"),
    )


def _given(node: Node) -> dict[str, Content]:
    """The variables that the roles name."""
    return {
        name: Content.of(SecretPart(ref=value) if isinstance(value, SecretRef) else value)
        for name, value in node.attributes.pitr.environment.items()
    }


def _probe_words(layout: Layout) -> tuple[str, ...]:
    """List the backups with the new variables: the store answers and takes the credentials."""
    pitr = f"{layout.prefix}/bin/pitr"
    return (pitr, "backup-list", "--json", "--envdir", "{}")


def _file(value: Content) -> Content:
    """A variable's file: the value as it is, and one newline."""
    sink = SINKS["env"]
    return Content.of(*quoted_content(sink, value).parts, "\n")
