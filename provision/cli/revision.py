"""A project as it was in a revision of git, read without checking it out."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from provision.cli.fleet import Member, members_of
from provision.errors import InputError, SecretError
from provision.project import belongs, from_files
from provision.secrets import bag_file
from provision.secrets.bag import Bag
from provision.selection import Selectors


@dataclass(frozen=True, kw_only=True)
class Revision:
    """The hosts of a revision; `load_bag` reads a data bag as it was then, by its path of today."""

    members: tuple[Member, ...]
    load_bag: Callable[[Path], Bag]


def read_revision(project: Path, name: str) -> Revision:
    """Read a revision; raises InputError for one that is not here or whose roles are wrong."""
    _git(project, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    listed = _git(project, "ls-tree", "-r", "-z", "--name-only", name, "--", "roles")
    found = [path for path in listed.decode().split("\0") if path and belongs(path)]
    files = {path: _git(project, "show", f"{name}:./{path}") for path in found}
    try:
        members = members_of(from_files(files), Selectors())
    except InputError as error:
        raise InputError(f"revision {name}: {error.message}", hint=error.hint) from None

    def load_bag(path: Path) -> Bag:
        inside = path.relative_to(project).as_posix()
        try:
            data = _git(project, "show", f"{name}:./{inside}")
        except InputError:
            raise SecretError(f"revision {name} has no {inside}") from None
        return bag_file.parse(data, path)

    return Revision(members=members, load_bag=load_bag)


def _git(project: Path, *words: str) -> bytes:
    command = ["git", "-C", str(project), *words]
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except FileNotFoundError:
        raise InputError("git is not installed here") from None
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        if said and "not a git repository" in said[-1]:
            hint = "--against DIR compares with what provision render has written, without git."
            raise InputError(f"{project} is not in git", hint=hint)
        raise InputError(
            f"git cannot read the revision: {said[-1] if said else 'there is none of that name'}",
            hint="Name a revision that is here; CI often fetches the newest commit only.",
        )
    return done.stdout
