"""From the command line to hosts with their catalogues, connections and secrets."""

from __future__ import annotations

import argparse
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from getpass import getpass, getuser
from pathlib import Path

from provision import pgsettings
from provision.catalog import Catalog
from provision.compile import catalog_of, node_of, restart_of, server_of
from provision.content import Content
from provision.errors import InputError
from provision.inventory import Host
from provision.job import HostJob
from provision.layout import layout_of
from provision.node import Node
from provision.observe import Eyes
from provision.plan.compare import ServerRules
from provision.project import ConfiguredHost, Project, choose, configure, load
from provision.redaction import Fingerprints, redacted_diff
from provision.secrets import bag_file
from provision.secrets.bag import Bag
from provision.secrets.keys import identities_from
from provision.secrets.vault import Secrets
from provision.selection import Selectors
from provision.transport import AskPassword, Target, parse_host_key

KNOWN_HOSTS = ("~/.ssh/known_hosts", "/etc/ssh/ssh_known_hosts")


@dataclass(frozen=True, kw_only=True)
class Member:
    """One host of the fleet: as configured, as recipes see it, and what it should be."""

    configured: ConfiguredHost
    node: Node
    catalog: Catalog

    @property
    def host(self) -> Host:
        """The host as the inventory has it."""
        return self.configured.host

    @property
    def major(self) -> int:
        """The version of its PostgreSQL."""
        return self.node.attributes.postgresql.version.major


def selectors_of(arguments: argparse.Namespace) -> Selectors:
    """Return the words that choose hosts."""
    return Selectors(
        hosts=tuple(arguments.host),
        roles=tuple(arguments.role),
        environments=tuple(arguments.environment),
        groups=tuple(arguments.group),
    )


def members_of(project: Project, selectors: Selectors) -> tuple[Member, ...]:
    """Compile the hosts that are selected; raises InputError and UsageError."""
    return tuple(compiled(configure(project, host)) for host in choose(project, selectors))


def chosen(arguments: argparse.Namespace) -> tuple[Member, ...]:
    """Load the project and compile the hosts that the arguments select."""
    return members_of(load(arguments.project), selectors_of(arguments))


def secrets_of(
    arguments: argparse.Namespace, *, load_bag: Callable[[Path], Bag] = bag_file.load
) -> Secrets:
    """Return what resolves references; what it resolves is scrubbed from every output."""
    return Secrets(
        arguments.variables,
        arguments.project,
        identities_from(arguments.variables),
        learn=arguments.scrubber.learn,
        load_bag=load_bag,
    )


def eyes_of(arguments: argparse.Namespace, *, prune: bool = False) -> Eyes:
    """Return how hosts are looked at."""
    secrets = secrets_of(arguments)
    fingerprints = Fingerprints.from_environ(arguments.variables)

    def diff(before: str | None, after: Content, private: bool) -> tuple[str, ...]:
        return redacted_diff(before, after, secrets, fingerprints, sensitive=private)

    return Eyes(
        resolve=secrets.resolve,
        diff=diff,
        now=datetime.now(UTC),
        prune=prune,
        parallel=arguments.parallel,
        password=password_of(arguments),
    )


def jobs_of(members: Sequence[Member], arguments: argparse.Namespace) -> tuple[HostJob, ...]:
    """Return what is needed to look at each host and to change it."""
    return tuple(_job(member, arguments) for member in members)


def target_of(host: Host, arguments: argparse.Namespace) -> Target:
    """Return how a host is reached, through all its gateways."""
    gateway: Target | None = None
    for hop in host.gateways:
        gateway = _target(
            hop.name, hop.address, hop.user, hop.port, hop.host_keys, gateway, arguments
        )
    return _target(
        host.name, host.address, host.user, host.port, host.host_keys, gateway, arguments
    )


def revision_of(project: Path) -> str:
    """Return the git revision of a project, with + for uncommitted changes; "" outside git."""
    try:
        head = _git(project, "rev-parse", "--short=12", "HEAD")
        changed = _git(project, "status", "--porcelain", "--", ".")
    except (OSError, subprocess.CalledProcessError):
        return ""
    return f"{head}+" if changed else head


def engineer() -> str:
    """Return who is at the keyboard."""
    return getuser()


def _git(project: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(project), *words], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def compiled(configured: ConfiguredHost) -> Member:
    """Compile one host; raises InputError, which names the host."""
    node = node_of(configured)
    try:
        return Member(configured=configured, node=node, catalog=catalog_of(node))
    except InputError as error:
        message = error.message
        if not message.startswith(f"host {node.name}: "):
            message = f"host {node.name}: {message}"
        raise InputError(message, hint=error.hint) from None


def _job(member: Member, arguments: argparse.Namespace) -> HostJob:
    layout = layout_of(member.node)
    return HostJob(
        target=target_of(member.host, arguments),
        catalog=member.catalog,
        server=server_of(layout),
        rules=rules_of(layout.major),
        restart=restart_of(member.node),
    )


def rules_of(major: int) -> ServerRules:
    """Return what settings mean to a server of this version."""

    def same(name: str, wanted: str, running: str) -> bool:
        if running == "(disabled)":  # what archive_command shows while archive_mode is off
            return True
        return pgsettings.same(pgsettings.lookup(name, major), wanted, running)

    def needs_restart(name: str) -> bool:
        return pgsettings.effect(name, major) in ("restart", "recovery.conf")

    return ServerRules(same=same, needs_restart=needs_restart)


def _target(
    name: str,
    address: str,
    user: str | None,
    port: int,
    host_keys: Sequence[str],
    gateway: Target | None,
    arguments: argparse.Namespace,
) -> Target:
    usual = (Path(path).expanduser() for path in KNOWN_HOSTS)
    files = arguments.known_hosts or [path for path in usual if path.exists()]
    return Target(
        name=name,
        address=address,
        user=user or engineer(),
        port=port,
        gateway=gateway,
        host_keys=tuple(parse_host_key(key) for key in host_keys),
        known_hosts=tuple(files),
        identities=tuple(arguments.identity),
        use_agent=arguments.use_agent,
    )


def password_of(arguments: argparse.Namespace) -> AskPassword | None:
    """Ask once, before hosts are reached in threads, and only if that was wished."""
    if not arguments.ask_sudo_password:
        return None
    password = getpass("sudo password: ")
    arguments.scrubber.learn(password)
    return lambda _target: password
