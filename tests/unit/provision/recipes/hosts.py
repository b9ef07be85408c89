"""One host with the attributes that a test gives, and what recipes make of it."""

from __future__ import annotations

from textwrap import dedent, indent

from provision.catalog import Catalog
from provision.cli.fleet import members_of
from provision.resources.base import Entry
from provision.resources.server import PgSettings
from provision.selection import Selectors
from tests.unit.provision.projects import project


def catalog(*recipes: str, postgresql: str = "version: 15", pitr: str = "profile: pitr") -> Catalog:
    """The catalogue of a host with these recipes; the attributes are lines of YAML."""
    run_list = ", ".join(f'"recipe[pitr::{recipe}]"' for recipe in recipes)
    text = f"run_list: [{run_list}]\ndefault_attributes:\n  postgresql:\n{_below(postgresql)}\n"
    members = members_of(project(base=f"{text}  pitr:\n{_below(pitr)}\n"), Selectors())
    return members[0].catalog


def entries(catalog: Catalog) -> dict[str, Entry]:
    """Everything in the file system that resources describe, by path."""
    return {entry.path: entry for each in catalog.resources for entry in each.entries()}


def text(catalog: Catalog, path: str) -> str:
    """A file's content."""
    return str(entries(catalog)[path].content)


def settings(catalog: Catalog) -> dict[str, str]:
    """All settings of PostgreSQL."""
    files = (each for each in catalog.resources if isinstance(each, PgSettings))
    return {setting.name: str(setting.value) for file in files for setting in file.settings}


def _below(text: str) -> str:
    return indent(dedent(text).strip(), "    ")
