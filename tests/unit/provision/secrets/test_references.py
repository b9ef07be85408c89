"""References to secrets: three kinds, checked when they are read."""

import pytest
from hypothesis import given

from provision.content import SecretRef
from provision.errors import InputError
from provision.secrets.references import parse_reference, split_item
from tests.unit.provision.secrets.people import NAMES


@pytest.mark.parametrize(
    "text", ["env:AWS_SECRET_ACCESS_KEY", "file:secrets/key.pem", "file:/run/k", "bag:prod/aws_key"]
)
def test_a_reference_reads_as_it_is_written(text: str) -> None:
    """Its text is its identity."""
    assert str(parse_reference(text)) == text


def test_only_the_first_colon_parts_it() -> None:
    """A path may have more of them."""
    assert parse_reference("file:a:b") == SecretRef(scheme="file", name="a:b")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "env",
        "env:",
        "env:1A",
        "env:A-B",
        "env:A ",
        "file:",
        "file:a\nb",
        "file:a\0",
        "bag:",
        "bag:prod",
        "bag:prod/",
        "bag:/key",
        "bag:prod/a/b",
        "bag:../key",
        "bag:prod/.key",
        "vault:a/b",
        "ENV:A",
    ],
)
def test_what_names_nothing_is_refused(text: str) -> None:
    """Offline, where the typo is."""
    with pytest.raises(InputError):
        parse_reference(text)


@pytest.mark.parametrize("text", ["postgres:hunter2", "hunter2", "env:hunter2!", "bag:hunter2"])
def test_a_pasted_secret_is_not_repeated(text: str) -> None:
    """The message of the refusal is printed by CI."""
    with pytest.raises(InputError) as caught:
        parse_reference(text)
    assert "hunter2" not in f"{caught.value} {caught.value.hint}"


@given(bag=NAMES, item=NAMES)
def test_an_item_has_a_bag_and_a_name(bag: str, item: str) -> None:
    """Neither can hold the slash that parts them."""
    assert split_item(f"{bag}/{item}") == (bag, item)
