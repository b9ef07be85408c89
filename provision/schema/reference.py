"""`python -m provision.schema.reference > docs/roles.md`: the reference of attributes.

Made from the schema, so that what is written about an attribute stands where it is declared.
"""

from __future__ import annotations

from collections.abc import Iterator

from provision.schema import Row, documented

_HEAD = """\
# Roles and their attributes

A role says what hosts have in common: what they run, and the attributes of it. This page is made
from the schema (`python -m provision.schema.reference > docs/roles.md`); an attribute that is not
here is an error wherever it is written. [How to begin](provisioning.md).

## A role

| Key | Meaning |
|---|---|
| `name` | the file's name without its suffix |
| `description` | for people |
| `run_list` | `recipe[pitr::NAME]` and `role[NAME]`, in order; each role counts once |
| `default_attributes` | attributes that others may override |
| `override_attributes` | attributes that win over all defaults |
| `env_run_lists` | other run lists by environment; `_default` for all others |

The recipes are `tooling`, `archiving`, `base_backup`, `retention`, `recovery`, `drill`, `logrotate`
and `monitoring`. Environments have `name`, `description` and both kinds of attributes; a host in
`roles/inventory.yml` has them too; a file in `roles/attributes/` is where values stand that no role
should repeat.

## Which value wins

From the lowest to the highest. Maps are merged key by key; for lists, the column "lists" below says
what happens.

| Default attributes of | Override attributes of |
|---|---|
| the schema | |
| files in `roles/attributes/` | files in `roles/attributes/` |
| the environment | roles, a role over the roles that it includes, a later one over an earlier |
| roles, a role over the roles that it includes, a later one over an earlier | the environment |
| the host | the host |

Every override wins over every default. `provision explain ATTRIBUTE --host HOST` prints all values
with file and line, and the one that won.

## Values

A span of time is a number with a unit of PostgreSQL's: `90s`, `15min`, `8h`, `1d`. A mode is
quoted: `"0640"`. A version is `15` or `9.6`. Where a secret is wanted, it is named and never
written: `{secret: "env:NAME"}`, `{secret: "file:/path"}` or `{secret: "bag:BAG/ITEM"}`.

"replace": the higher layer's list stands alone. "append unique": the items of all layers, each
once. "by name": a list of maps that are merged by their `name`. "merge": a map with keys of your
choice.
"""


def reference() -> str:
    """Return the page."""
    return "\n".join([_HEAD, *_sections(documented())])


def _sections(rows: tuple[Row, ...]) -> Iterator[str]:
    for row in rows:
        if not row.is_section:
            continue
        below = [each for each in rows if not each.is_section and _parent(each.path, rows) == row]
        if below:
            yield from (f"## {row.path}", "", row.doc, "")
            yield from ("| Attribute | Kind | Default | Lists | Meaning |", "|---|---|---|---|---|")
            yield from (_line(each, row.path) for each in below)
            yield ""


def _parent(path: str, rows: tuple[Row, ...]) -> Row | None:
    """The section that an attribute stands in, the innermost."""
    holders = [row for row in rows if row.is_section and path.startswith(f"{row.path}.")]
    return max(holders, key=lambda row: len(row.path), default=None)


def _line(row: Row, section: str) -> str:
    name = row.path.removeprefix(f"{section}.")
    merge = row.merge if row.merge != "replace" or "list" in row.kind else ""
    cells = (f"`{name}`", row.kind, _default(row), (merge or "").replace("_", " "), row.doc)
    return f"| {' | '.join(_escaped(cell) for cell in cells)} |"


def _default(row: Row) -> str:
    """A value is set as code; none, required and what it is derived from are words."""
    is_value = row.default != "none" or "none" in row.kind
    is_word = row.default == "required" or row.default.startswith("from ")
    return f"`{row.default}`" if is_value and not is_word else row.default


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    print(reference(), end="")
