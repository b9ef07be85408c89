"""Golden renders: what each sample role becomes, for every major version of PostgreSQL.

`make golden` writes them into tests/golden/ROLE/FIRST-LAST, where the majors from FIRST to LAST get
the same but for their number in paths, which is written MAJOR. The review of a change to a recipe
or a template is the diff of these files.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from provision.cli.fleet import Member, members_of
from provision.pgsettings import MAJORS, label
from provision.project import from_files, read_files
from provision.selection import Selectors
from provision.tree import Leaf, Tree, tree_of

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests/golden"
INVENTORY = GOLDEN / "inventory.yml"
MANIFEST = "manifest.txt"
ANY_MAJOR = "/MAJOR/"

Files = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Golden:
    """What the majors from `first` to `last` get on one host, by path."""

    host: str
    first: int
    last: int
    files: Files

    @property
    def directory(self) -> str:
        """Where it stands below tests/golden."""
        versions = dict.fromkeys((label(self.first), label(self.last)))
        return f"{self.host}/{'-'.join(versions)}"


def hosts() -> tuple[str, ...]:
    """The hosts of the golden inventory."""
    return tuple(member.host.name for member in members(MAJORS[-1]))


@cache
def members(major: int) -> tuple[Member, ...]:
    """The hosts of the golden inventory with that version of PostgreSQL."""
    version = f"override_attributes: {{postgresql: {{version: {label(major)}}}}}\n"
    ours = {
        "roles/inventory.yml": INVENTORY.read_bytes(),
        "roles/attributes/version.yml": version.encode(),
    }
    return members_of(from_files({**read_files(ROOT), **ours}), Selectors())


def rendered(host: str, major: int) -> Files:
    """What a host gets, with the manifest of everything."""
    (member,) = (each for each in members(major) if each.host.name == host)
    tree = tree_of(member.catalog)
    found = {key.lstrip("/"): leaf.text for key, leaf in tree.items() if leaf.is_file}
    return {MANIFEST: _manifest(tree), **found}


def goldens(host: str) -> Iterator[Golden]:
    """What a host gets, by ranges of majors."""
    current: Golden | None = None
    for major in MAJORS:
        files = {
            _without(major, path): _without(major, text)
            for path, text in rendered(host, major).items()
        }
        if current is not None and files == current.files:
            current = Golden(host=host, first=current.first, last=major, files=files)
            continue
        if current is not None:
            yield current
        current = Golden(host=host, first=major, last=major, files=files)
    assert current is not None
    yield current


def kept(host: str) -> dict[str, Files]:
    """The golden files of a host as they stand in the repository, by directory."""
    found: dict[str, dict[str, str]] = {}
    for path in sorted((GOLDEN / host).rglob("*")):
        if path.is_file():
            versions = path.relative_to(GOLDEN / host).parts[0]
            name = path.relative_to(GOLDEN / host / versions).as_posix()
            found.setdefault(f"{host}/{versions}", {})[name] = path.read_text()
    return dict(found)


def write() -> None:
    """Write them all anew."""
    for path in GOLDEN.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
    for host in hosts():
        for golden in goldens(host):
            for name, text in golden.files.items():
                path = GOLDEN / golden.directory / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)


def _without(major: int, text: str) -> str:
    return text.replace(f"/{label(major)}/", ANY_MAJOR)


def _manifest(tree: Tree) -> str:
    return "".join(f"{_line(key, leaf)}\n" for key, leaf in sorted(tree.items()))


def _line(key: str, leaf: Leaf) -> str:
    if leaf.kind == "link":
        return f"link {key} -> {leaf.target}"
    if leaf.mode:
        return f"{leaf.kind} {leaf.owner}:{leaf.group} {leaf.mode} {key}"
    if leaf.kind == "absent":
        return f"absent {key}"
    return f"{key}: {'; '.join(leaf.text.splitlines())}"


if __name__ == "__main__":
    write()
