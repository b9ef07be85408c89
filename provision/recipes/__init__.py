"""Recipes: from a node's attributes to resources, one module a concern; pure.

A recipe in a run list is `recipe[pitr::NAME]` with a name of this table.
"""

from collections.abc import Callable, Mapping

from provision.node import Node
from provision.recipes.archiving import archiving
from provision.recipes.base_backup import base_backup
from provision.recipes.drill import drill
from provision.recipes.logrotate import logrotate
from provision.recipes.monitoring import monitoring
from provision.recipes.recovery import recovery
from provision.recipes.retention import retention
from provision.recipes.tooling import tooling
from provision.resources.base import Resource

Recipe = Callable[[Node], tuple[Resource, ...]]

RECIPES: Mapping[str, Recipe] = {
    "tooling": tooling,
    "archiving": archiving,
    "base_backup": base_backup,
    "retention": retention,
    "recovery": recovery,
    "drill": drill,
    "logrotate": logrotate,
    "monitoring": monitoring,
}
