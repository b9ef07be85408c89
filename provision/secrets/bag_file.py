"""The file of a data bag: `roles/data_bags/NAME.json`, one line for each recipient and item.

JSON and not YAML, because a program writes it and one line a value is what git should show. The
file is ciphertext and is readable by everyone. It is replaced as a whole, and not at all when it is
no longer what it was when it was read: somebody else's change would be lost.
"""

from __future__ import annotations

import json
import os
import tempfile
from base64 import b64decode, b64encode
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from provision.errors import InputError, RefusedError, SecretError
from provision.secrets.bag import FORMAT, Bag
from provision.secrets.references import is_name

DIRECTORY = Path("roles/data_bags")
SUFFIX = ".json"
_KEYS = {"format", "name", "recipients", "items", "mac"}
_LONGEST = 64 << 20


def path_of(project: Path, name: str) -> Path:
    """Where the data bag `name` stands."""
    return project / DIRECTORY / f"{name}{SUFFIX}"


def names(project: Path) -> tuple[str, ...]:
    """The names of a project's data bags, sorted."""
    found = (project / DIRECTORY).glob(f"*{SUFFIX}")
    return tuple(sorted(path.stem for path in found if is_name(path.stem)))


def load(path: Path) -> Bag:
    """Read a bag; raises SecretError where it is not there, InputError where it is not one."""
    return parse(_read(path), path)


def parse(data: bytes, path: Path) -> Bag:
    """Read the bytes of a bag; raises InputError."""
    document = _document(data, path)
    if document.get("format") != FORMAT:
        raise InputError(f'{path}: this is not a data bag of the format "{FORMAT}"')
    name = document.get("name")
    if set(document) != _KEYS or name != path.name.removesuffix(SUFFIX) or not is_name(str(name)):
        raise InputError(f"{path}: this is not the file of a data bag of that name")
    items = _binaries(document["items"], path)
    if not all(map(is_name, items)):
        raise InputError(f"{path}: an item has a name that none can have")
    return Bag(
        name=path.name.removesuffix(SUFFIX),
        recipients=_binaries(document["recipients"], path),
        items=items,
        mac=_binary(document["mac"], path),
    )


def render(bag: Bag) -> str:
    """The file's text: sorted, so that the same bag is the same bytes."""
    document = {
        "format": FORMAT,
        "name": bag.name,
        "recipients": _texts(bag.recipients),
        "items": _texts(bag.items),
        "mac": b64encode(bag.mac).decode(),
    }
    return json.dumps(document, indent=2) + "\n"


def save(path: Path, bag: Bag, *, replacing: Bag | None) -> None:
    """Write a bag in place of `replacing`, the one that was read; None for none.

    Raises RefusedError where the file holds another by now, SecretError where it cannot be written.
    """
    now = load(path) if path.exists() else None
    if now != replacing:
        raise RefusedError(
            f"{path} has changed in the meantime",
            hint="Look at the change, then do yours again.",
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, render(bag).encode())
    except OSError as error:
        raise SecretError(f"cannot write {path}: {error.strerror}") from None


def _replace(path: Path, data: bytes) -> None:
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            os.fsync(file.fileno())
        Path(temporary).rename(path)
    except BaseException:
        with suppress(OSError):
            Path(temporary).unlink()
        raise
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_LONGEST + 1)
    except FileNotFoundError:
        raise SecretError(
            f"there is no data bag {path}", hint="`provision secrets create` makes one."
        ) from None
    except OSError as error:
        raise SecretError(f"cannot read the data bag {path}: {error.strerror}") from None
    if len(data) > _LONGEST:
        raise InputError(f"{path}: this is too long for a data bag")
    return data


def _document(data: bytes, path: Path) -> dict[str, object]:
    try:
        document = json.loads(data, object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        raise InputError(
            f"{path}: this is not JSON in which every name stands once",
            hint="If git left conflict marks: take one side of it and make the other change again.",
        ) from None
    if not isinstance(document, dict):
        raise InputError(f"{path}: this is not a data bag")
    return document


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def _binaries(value: object, path: Path) -> dict[str, bytes]:
    if not isinstance(value, dict):
        raise InputError(f"{path}: recipients and items are mappings in a data bag")
    return {str(name): _binary(text, path) for name, text in value.items()}


def _binary(value: object, path: Path) -> bytes:
    try:
        return b64decode(value if isinstance(value, str) else "?", validate=True)
    except ValueError:
        raise InputError(f"{path}: a value is not base64") from None


def _texts(values: Mapping[str, bytes]) -> dict[str, str]:
    return {name: b64encode(values[name]).decode() for name in sorted(values)}
