"""What an engineer reads who has just written something wrong."""

from __future__ import annotations

import pytest

from tests.unit.provision.cli.command import Project


def test_a_valid_project_is_counted(fleet: Project) -> None:
    """In words."""
    said = fleet.run("validate")
    assert (said.code, said.out) == (0, "valid: 1 role, 0 environments, 3 hosts\n")


@pytest.mark.parametrize("command", ["validate", "plan", "lint", "render out", "hosts list"])
def test_in_the_wrong_directory_it_says_where_to_go(fleet: Project, command: str) -> None:
    """That is how most first tries end."""
    (fleet.directory / "roles/inventory.yml").rename(fleet.directory / "elsewhere.yml")
    said = fleet.run(command)
    assert said.code == 1
    assert "roles/inventory.yml: there is none" in said.out + said.err
    assert "--project" in said.out + said.err


def test_a_role_that_is_wrong_is_not_said_to_be_missing(fleet: Project) -> None:
    """One mistake, one message."""
    fleet.edit("base", "repository", "repositry")
    said = fleet.run("validate")
    assert said.code == 1
    assert said.out.count("hint:") == 1
    assert "does not exist" in said.out
    assert "role[base]" not in said.out


def test_everything_that_is_wrong_is_said_at_once(fleet: Project) -> None:
    """Each with file and line, in their order."""
    fleet.write(other="run_list: [tooling]\n", third="defualt_attributes: {}\n")
    fleet.edit("inventory", "role[base]", "role[bas]")
    lines = [line for line in fleet.run("validate").out.splitlines() if "hint:" not in line]
    assert [line.partition(": ")[0] for line in lines] == [
        "roles/other.yml:1",
        "roles/third.yml:1",
        "roles/inventory.yml:5",
        "roles/inventory.yml:6",
        "roles/inventory.yml:7",
    ]


def test_what_only_a_recipe_can_know_names_the_host(fleet: Project) -> None:
    """In `validate` as in `plan`."""
    fleet.edit(
        "base", "repository:", 'base_backup: {schedule: "*/5 * * * *", spread: 1h}\n    repository:'
    )
    for command in ("validate", "plan --against-git HEAD"):
        said = fleet.run(command)
        assert said.code == 1
        assert "host db1: base-backup: '*/5 * * * *' cannot be moved" in said.out + said.err


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        ("expain", 'there is no command "expain"', 'Did you mean "explain"?'),
        (
            "explain pitr.archive.timeot",
            "there is no attribute",
            "Did you mean pitr.archive.timeout?",
        ),
        ("plan --host db9", "no host fits --host db9", "Did you mean"),
        ("plan --format yaml", "invalid choice: 'yaml'", "--help lists the arguments"),
        ("plan --against-git HEAD --against x", "not allowed with", "--help lists the arguments"),
        ("apply --allow-restart db9", "not among those that are applied", "without patterns"),
        ("hosts show db9", "there is no host db9", "Did you mean"),
    ],
)
def test_a_wrong_command_line_says_what_may_have_been_meant(
    fleet: Project, words: str, message: str, hint: str
) -> None:
    """Exit code 1: 2 means that something would change."""
    said = fleet.run(words)
    assert said.code == 1
    assert message in said.err
    assert hint in said.err


def test_explain_shows_every_layer_with_file_and_line(fleet: Project) -> None:
    """And the one that wins, marked; equal answers of several hosts once."""
    fleet.edit("inventory", "{recovery: {mode: none}}", "{repository: 's3://bucket/other'}")
    said = fleet.run("explain pitr.repository")
    assert said.code == 0
    assert said.out.startswith("db1, db3:\npitr.repository: s3://bucket/main\n")
    assert "db2:\npitr.repository: s3://bucket/other\n" in said.out
    assert "  *  default · role base" in said.out
    assert "roles/base.yml:9" in said.out
    assert "roles/inventory.yml:6" in said.out


def test_lint_ends_with_1_for_an_error_and_0_for_a_warning(fleet: Project) -> None:
    """A pipeline stops for what loses data."""
    assert fleet.run("lint").code == 1  # three primaries of one cluster
    fleet.edit("inventory", "[db1, db2, db3], cluster: main", "[db1, db2, db3]")
    said = fleet.run("lint")
    assert said.code == 1
    assert "clusters db1 and db2 and db3 write to s3://bucket/main" in said.out
    for name in ("db2", "db3"):
        fleet.edit(
            "inventory", f'  {name}: {{run_list: ["role[base]"]', f"  {name}: {{run_list: []"
        )
    assert fleet.run("lint").out == "0 errors, 0 warnings\n"
    fleet.edit("base", "repository:", 'base_backup: {schedule: "30 2 * * *"}\n    repository:')
    said = fleet.run("lint")
    assert (said.code, "0 errors, 1 warning\n" in said.out) == (0, True)


def test_a_pasted_key_is_found_and_not_repeated(fleet: Project) -> None:
    """With what to do about it."""
    key = "AKIA" + "IOSFODNN7EXAMPL3"
    fleet.edit("base", "repository:", f"environment: {{AWS_ACCESS_KEY_ID: {key}}}\n    repository:")
    said = fleet.run("lint")
    assert said.code == 1
    assert "roles/base.yml:9" in said.out
    assert "provision secrets set" in said.out
    assert key not in said.out
