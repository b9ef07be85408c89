"""A host with its attributes resolved: what recipes turn into resources."""

from __future__ import annotations

from dataclasses import dataclass

from provision.schema import Attributes


@dataclass(frozen=True, kw_only=True)
class Node:
    """One host: its name, the cluster it belongs to, its run list expanded, its attributes."""

    name: str
    cluster: str
    environment: str
    recipes: tuple[str, ...]
    attributes: Attributes
