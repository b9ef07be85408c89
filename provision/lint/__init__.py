"""Mistakes that are valid YAML: on one host, and between hosts; pure.

Each rule stands for a story of somebody's lost backups: two clusters on one prefix overwrote each
other, a command ended in `|| true`, retention removed what a delayed replica still had to fetch.
"""

from collections.abc import Iterable, Sequence

from provision.lint.fleet import RULES as FLEET_RULES
from provision.lint.model import Finding
from provision.lint.single import RULES as HOST_RULES
from provision.node import Node

__all__ = ["Finding", "lint"]


def lint(nodes: Sequence[Node]) -> tuple[Finding, ...]:
    """Return what is wrong, errors first, in the order of the rules and the hosts."""
    found = [each for node in nodes for rule in HOST_RULES for each in rule(node)]
    found += _of_fleet(nodes)
    return tuple(sorted(found, key=lambda finding: finding.severity != "error"))


def _of_fleet(nodes: Sequence[Node]) -> Iterable[Finding]:
    for rule in FLEET_RULES:
        yield from rule(nodes)
