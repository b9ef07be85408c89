"""Which hosts a command is about: `--host`, `--role`, `--environment` and `--group`.

Several words of one kind widen, several kinds narrow. A word that fits nothing is an error, because
a typing mistake must not end as "nothing to do".
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from provision.errors import UsageError
from provision.inventory import Host, Inventory
from provision.suggestion import did_you_mean


@dataclass(frozen=True, kw_only=True)
class Selectors:
    """Words to choose hosts by; each may be a pattern with * ? and [].

    None of a kind is no restriction.
    """

    hosts: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


def select(
    inventory: Inventory, selectors: Selectors, roles_of: Mapping[str, Collection[str]]
) -> tuple[Host, ...]:
    """Return the hosts that fit, in the inventory's order; `roles_of` has each host's roles.

    Raises UsageError for a word that fits no host, and if no host fits all kinds.
    """
    hosts = tuple(inventory.hosts.values())
    tags: tuple[tuple[str, tuple[str, ...], Mapping[str, Collection[str]]], ...] = (
        ("host", selectors.hosts, {host.name: (host.name,) for host in hosts}),
        ("role", selectors.roles, roles_of),
        ("environment", selectors.environments, {h.name: (h.environment,) for h in hosts}),
        ("group", selectors.groups, {host.name: host.groups for host in hosts}),
    )
    chosen = [host.name for host in hosts]
    for kind, words, names_of in tags:
        if words:
            _check(kind, words, names_of.values())
            chosen = [name for name in chosen if _fits(names_of.get(name, ()), words)]
    if not chosen and any(words for _, words, _ in tags):
        raise UsageError("no host fits all that was asked for")
    return tuple(inventory.hosts[name] for name in chosen)


def _fits(names: Iterable[str], words: Iterable[str]) -> bool:
    return any(fnmatchcase(name, word) for name in names for word in words)


def _check(kind: str, words: Iterable[str], names: Iterable[Collection[str]]) -> None:
    known = {name for some in names for name in some}
    for word in words:
        if not _fits(known, (word,)):
            hint = did_you_mean(word, known)
            raise UsageError(f"no host fits --{kind} {word}", hint=hint)
