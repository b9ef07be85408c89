"""The attributes that exist: typed, documented, each with a default.

An attribute that is not here is an error wherever it is written: a mistyped name that goes on
unnoticed ends as a file in the wrong place.
"""

# ruff: noqa: RUF009  # each call makes a field
from dataclasses import dataclass

from provision.schema.document import Row, rows_of
from provision.schema.fields import (
    Attribute,
    Line,
    Merge,
    Path,
    RecordsLine,
    Section,
    SectionLine,
    schema_of,
    section,
)
from provision.schema.pitr import Pitr
from provision.schema.postgresql import Postgresql

__all__ = [
    "ROOT",
    "Attribute",
    "Attributes",
    "Line",
    "Merge",
    "Path",
    "Pitr",
    "Postgresql",
    "RecordsLine",
    "Row",
    "Section",
    "SectionLine",
    "documented",
]


@dataclass(frozen=True, kw_only=True)
class Attributes:
    """All attributes of a host."""

    postgresql: Postgresql = section(Postgresql, doc="The server that is on the host.")
    pitr: Pitr = section(Pitr, doc="Archiving, base backups, retention, recovery and drills.")


ROOT = schema_of(Attributes)


def documented() -> tuple[Row, ...]:
    """Return a row for each section and attribute, in the schema's order."""
    return rows_of(ROOT)
