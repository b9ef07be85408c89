"""A host's catalogue as a tree of plain values: what is rendered to disk, and compared offline.

Secrets stand in it as their references, so a tree can be an artefact of CI. What is no file (a
package, a user) has an entry too, under its id, with the words that describe it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath

from provision.catalog import Catalog
from provision.content import Label, SecretRef
from provision.errors import InputError
from provision.resources.account import Package, User, Venv
from provision.resources.base import Entry, Resource
from provision.resources.envdir import Envdir
from provision.resources.server import Block

MANIFEST = "manifest.json"
_FORMAT = 1

Tree = Mapping[str, "Leaf"]


@dataclass(frozen=True, kw_only=True)
class Leaf:
    """One object of a tree; `text` is a file's content or what describes another resource."""

    resource: str
    kind: str
    owner: str = ""
    group: str = ""
    mode: str = ""
    target: str = ""
    sensitive: bool = False
    text: str = ""

    @property
    def is_file(self) -> bool:
        """Whether `text` is the content of a file."""
        return self.kind == "file"


def bare(_ref: SecretRef) -> str:
    """Say nothing of a secret but its reference."""
    return ""


def tree_of(catalog: Catalog, label: Label = bare) -> Tree:
    """Return the tree of a catalogue; its keys are paths and, for what has none, resource ids.

    `label` says something of each secret, such as a fingerprint, so that its change is seen.
    """
    return {key: node for resource in catalog.resources for key, node in _leaves(resource, label)}


def write_tree(tree: Tree, directory: Path) -> None:
    """Write a tree into a directory of its own: the files, and a manifest of everything.

    Raises InputError if a path would leave the directory.
    """
    for key, node in tree.items():
        if not node.is_file:
            continue
        path = _inside(directory, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(node.text, encoding="utf-8")
    (directory / MANIFEST).write_text(_manifest(tree), encoding="utf-8")


def read_tree(directory: Path) -> Tree:
    """Read a tree that `write_tree` wrote; raises InputError if it is none, or was changed."""
    path = directory / MANIFEST
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        found = {str(key): dict(value) for key, value in document["nodes"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path} is not the manifest of a rendered host: {error}",
            hint="Name a directory that `provision render` has written.",
        ) from None
    if document.get("format") != _FORMAT:
        raise InputError(f"{path} has format {document.get('format')}, not {_FORMAT}")
    return {key: _leaf(directory, key, value) for key, value in found.items()}


def _leaves(resource: Resource, label: Label) -> Iterator[tuple[str, Leaf]]:
    match resource:
        case Envdir():
            yield from _variables(resource, label)
        case Block():
            yield f"{resource.name} ({resource.id})", _described(resource, resource.text)
        case Package():
            yield resource.id, _described(resource, "installed\n")
        case User():
            words = f"group {resource.group}, home {resource.home}, shell {resource.shell}\n"
            yield resource.id, _described(resource, words)
        case Venv():
            yield resource.id, _described(resource, f"install {resource.requirement}\n")
        case _:
            for entry in resource.entries():
                yield entry.path, _entry_leaf(resource, entry, label)


def _variables(envdir: Envdir, label: Label) -> Iterator[tuple[str, Leaf]]:
    """The variables stand under the name that programs use, whatever the generation."""
    for name, content in envdir.variables:
        entry = Entry(
            path=f"{envdir.name}/{name}",
            kind="file",
            group=envdir.group,
            mode="0640",
            content=content,
        )
        yield entry.path, _entry_leaf(envdir, entry, label)


def _entry_leaf(resource: Resource, entry: Entry, label: Label) -> Leaf:
    return Leaf(
        resource=resource.id,
        kind=entry.kind,
        owner=entry.owner,
        group=entry.group,
        mode=entry.mode,
        target=entry.target,
        sensitive=entry.content is not None and entry.content.sensitive,
        text="" if entry.content is None else entry.content.redacted(label),
    )


def _described(resource: Resource, text: str) -> Leaf:
    return Leaf(resource=resource.id, kind=resource.kind, text=text)


def _manifest(tree: Tree) -> str:
    nodes: dict[str, dict[str, object]] = {}
    for key in sorted(tree):
        fields = asdict(tree[key])
        if tree[key].is_file:
            fields["sha256"] = sha256(str(fields.pop("text")).encode()).hexdigest()
        nodes[key] = {name: value for name, value in fields.items() if value not in ("", False)}
    return json.dumps({"format": _FORMAT, "nodes": nodes}, indent=1) + "\n"


def _leaf(directory: Path, key: str, fields: dict[str, object]) -> Leaf:
    digest = fields.pop("sha256", None)
    text = str(fields.pop("text", ""))
    if digest is not None:
        path = _inside(directory, key)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror}") from None
        if sha256(data).hexdigest() != digest:
            raise InputError(f"{path} is not what its manifest says")
        text = data.decode("utf-8", "replace")
    sensitive = bool(fields.pop("sensitive", False))
    try:
        words = {name: str(value) for name, value in fields.items()}
        return Leaf(**words, text=text, sensitive=sensitive)
    except TypeError:
        raise InputError(f"{directory / MANIFEST} describes {key} with unknown words") from None


def _inside(directory: Path, key: str) -> Path:
    path = PurePosixPath(key)
    if ".." in path.parts or not path.is_absolute():
        raise InputError(f"{key!r} is no path of a host")
    return directory / key.lstrip("/")
