"""A data bag as text for an editor, and back.

The text is three forms of YAML and no more, so that what is typed is what is kept, whatever it
looks like: a value on its line is taken as it stands, `0640`, `on` and `#` included.

    name: value
    other: "a JSON string, for blanks at the ends and control characters"
    certificate: |
        lines, each indented by four blanks and each with its newline
    key: |-
        the same without the newline of the last line

The plain text is on disk only while the editor runs, in a directory of its own that nobody else may
enter, on a file system in memory where there is one; the directory goes whatever happens.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from provision.errors import InputError, SecretError
from provision.secrets.bag import OpenBag, read_all, remove_item, set_item
from provision.secrets.private_file import read_private, write_private
from provision.secrets.references import is_name

MEMORY = Path("/dev/shm")
_INDENT = "    "
_PLAIN = re.compile(r"[^\s\"|](?:[^\x00-\x1f\x7f-\x9f\u2028\u2029]*[^\s\x00-\x1f\x7f-\x9f])?")
_HEADER = """\
# The data bag {name}. What is removed here is removed, what is added is added.
# A value stands on its line as it is. For several lines write | (or |- for no newline at the end)
# and indent them by four blanks; for blanks at the ends or control characters a JSON string.

"""

Editor = Callable[[Path], None]
Again = Callable[[InputError], bool]


def to_text(name: str, values: Mapping[str, str]) -> str:
    """The text in which an editor shows a bag."""
    return _HEADER.format(name=name) + "".join(
        f"{item}: {_shown(value)}\n" for item, value in sorted(values.items())
    )


def from_text(text: str) -> dict[str, str]:
    """Read what an editor left; raises InputError, which names the line and repeats no value."""
    lines = text.split("\n")
    values: dict[str, str] = {}
    number = 0
    while number < len(lines):
        line, number = lines[number], number + 1
        if not line.strip() or line.startswith("#"):
            continue
        item, colon, rest = line.partition(":")
        if not colon or not is_name(item):
            raise _wrong(number, 'this is not "name: value"')
        if item in values:
            raise _wrong(number, f"{item} stands here twice")
        form, begin = rest.strip(" \t\r"), number
        if form in ("|", "|-"):
            number = _end_of_block(lines, number)
        values[item] = _value(form, lines[begin:number], begin)
    return values


def merge(opened: OpenBag, values: Mapping[str, str]) -> OpenBag:
    """Return the bag with these items and no others; unchanged ones keep their bytes."""
    for item in sorted(opened.bag.items.keys() - values.keys()):
        opened = remove_item(opened, item)
    for item, value in sorted(values.items()):
        opened = set_item(opened, item, value)
    return opened


def edit(opened: OpenBag, editor: Editor, *, again: Again, places: Sequence[Path]) -> OpenBag:
    """Have a person edit a bag in the first of `places` that will do; return what becomes of it.

    A mistake is shown to `again`, which says whether the editor opens once more with the same text.
    Raises the mistake otherwise, SecretError where no place will do, and what the editor raises.
    """
    with private_directory(places) as directory:
        path = directory / f"{opened.bag.name}.txt"
        write_private(path, to_text(opened.bag.name, read_all(opened)))
        while True:
            editor(path)
            path.chmod(0o600)  # some editors write a new file with the mode they like
            try:
                return merge(opened, from_text(read_private(path, "the edited text")))
            except InputError as error:
                if not again(error):
                    raise


@contextmanager
def private_directory(places: Iterable[Path]) -> Iterator[Path]:
    """Yield a new directory of mode 0700 in the first place that takes one, and remove it."""
    directory = next(filter(None, map(_made, places)), None)
    if directory is None:
        raise SecretError(
            "there is no place for a private directory",
            hint="Set TMPDIR to a directory that you may write to.",
        )
    try:
        yield directory
    finally:
        shutil.rmtree(directory)


def _made(place: Path) -> Path | None:
    try:
        return Path(tempfile.mkdtemp(prefix="provision-secrets-", dir=place))
    except OSError:
        return None


def _shown(value: str) -> str:
    if _PLAIN.fullmatch(value):
        return value
    mark = "|" if value.endswith("\n") else "|-"
    lines = value.removesuffix("\n").split("\n")
    if "\n" not in value or not lines[-1] or not all(map(_fits_block, lines)):
        return json.dumps(value)
    return "\n".join([mark, *(_INDENT + line if line else "" for line in lines)])


def _fits_block(line: str) -> bool:
    """Whether a line survives an editor; trailing blanks and carriage returns often do not."""
    return line == line.rstrip() and (line.isprintable() or line.replace("\t", "").isprintable())


def _end_of_block(lines: Sequence[str], number: int) -> int:
    """The line after a block: blank lines at its end are not part of it."""
    end = number
    while number < len(lines) and (not lines[number].strip() or lines[number].startswith(_INDENT)):
        number += 1
        end = number if lines[number - 1].strip() else end
    return end


def _value(form: str, block: Sequence[str], number: int) -> str:
    if form in ("|", "|-"):
        if not block:
            raise _wrong(number, "lines indented by four blanks are missing below")
        return "\n".join(line.removeprefix(_INDENT) for line in block) + "\n" * (form == "|")
    if form.startswith('"'):
        return _quoted(form, number)
    if not form:
        raise _wrong(number, "the value is missing; remove the line to remove the item")
    return form


def _quoted(form: str, number: int) -> str:
    try:
        value = json.loads(form)
    except ValueError:
        value = None  # the error holds the text
    if not isinstance(value, str) or not value:
        raise _wrong(number, "what begins with a double quote is not a JSON string")
    return value


def _wrong(number: int, what: str) -> InputError:
    return InputError(f"line {number}: {what}", hint="Each item is `name: value`; see the top.")
