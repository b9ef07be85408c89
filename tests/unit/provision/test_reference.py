"""docs/roles.md is what the schema says."""

from __future__ import annotations

from pathlib import Path

from provision.schema import documented
from provision.schema.reference import reference

PAGE = Path(__file__).parents[3] / "docs/roles.md"


def test_the_page_is_the_one_that_the_schema_makes() -> None:
    """`python -m provision.schema.reference > docs/roles.md` writes it anew."""
    assert PAGE.read_text() == reference()


def test_every_attribute_is_on_it() -> None:
    """With a sentence about it."""
    text = reference()
    for row in documented():
        name = row.path.rpartition(".")[2]
        assert row.doc.endswith(".")
        assert f"`{name}`" in text or f"## {row.path}" in text or row.path.endswith(name)
        assert row.doc.replace("|", "\\|") in text or row.is_section
