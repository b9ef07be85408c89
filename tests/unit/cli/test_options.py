"""Command lines as people type them."""

import pytest

from backup_core.cli import backup_fetch, st
from backup_core.cli.options import Parser
from backup_core.errors import UsageError


@pytest.fixture
def parser() -> Parser:
    """That of backup-fetch, whose second argument may be left out."""
    parser = Parser(prog="pitr backup-fetch")
    backup_fetch.configure(parser)
    return parser


@pytest.mark.parametrize(
    "line",
    [
        "/srv/pg LATEST --target-timeline 2",
        "--target-timeline 2 /srv/pg LATEST",
        "/srv/pg --target-timeline 2 LATEST",
    ],
)
def test_options_stand_anywhere(parser: Parser, line: str) -> None:
    """Before, between and after the arguments."""
    args = parser.parse(line.split())
    assert (args.pgdata, args.name, args.target_timeline) == ("/srv/pg", "LATEST", "2")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "required: pgdata"),
        ("/srv/pg LATEST another", "unrecognized arguments: another"),
        ("/srv/pg --exclusive LATEST another", "unrecognized arguments"),
        ("--exclusive -- /srv/pg LATEST --standby", "unrecognized arguments"),
        ("/srv/pg --unheard-of", "unrecognized arguments: --unheard-of"),
        ("/srv/pg --target later", "invalid choice: 'later'"),
    ],
)
def test_what_is_wrong_is_said(parser: Parser, line: str, said: str) -> None:
    """By the first look at the line."""
    with pytest.raises(UsageError, match=said):
        parser.parse(line.split())


def test_subcommands_are_refused_as_ever() -> None:
    """Theirs are lines that argparse cannot read in two passes."""
    parser = Parser(prog="pitr st")
    st.configure(parser)
    with pytest.raises(UsageError, match="invalid choice"):
        parser.parse(["burn"])
