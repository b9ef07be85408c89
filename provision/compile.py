"""From a configured host to its catalogue: Chef calls this compiling."""

from __future__ import annotations

from provision.catalog import Catalog
from provision.layout import Layout
from provision.node import Node
from provision.observation import ServerAddress
from provision.project import ConfiguredHost
from provision.recipes import RECIPES


def node_of(configured: ConfiguredHost) -> Node:
    """Return the host as recipes see it; a host without a cluster is one of its own."""
    host = configured.host
    return Node(
        name=host.name,
        cluster=host.cluster or host.name,
        environment=host.environment,
        recipes=configured.expansion.recipes,
        attributes=configured.attributes,
    )


def catalog_of(node: Node) -> Catalog:
    """Apply the recipes of the node's run list, in its order; raises InputError."""
    found = (resource for name in node.recipes for resource in RECIPES[name](node))
    return Catalog.of(node.name, found)


def server_of(layout: Layout) -> ServerAddress:
    """Return how the host's server is asked."""
    return ServerAddress(
        user=layout.user,
        psql=layout.psql,
        sockets=layout.sockets,
        port=layout.port,
        data_directory=layout.data_directory,
    )


def restart_of(node: Node) -> tuple[str, ...]:
    """Return the command that restarts the host's server, Debian's."""
    server = node.attributes.postgresql
    return ("pg_ctlcluster", str(server.version), server.cluster, "restart")
