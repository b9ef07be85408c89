"""Mistakes get one clear line, a hint, and the documented exit code; never a traceback."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from backup_core.cli.main import COMMANDS
from tests.support.commands import complaint
from tests.support.segments import FIRST, segment, wal_file
from tests.support.site import Site

USAGE, ABSENT, STORAGE, SERVER, STOP = 2, 5, 7, 8, 200
NAME = "base_000000010000000000000002"
EVERY_COMMAND = {
    "wal-push": (FIRST,),
    "wal-fetch": (FIRST, "RECOVERYXLOG"),
    "wal-show": (),
    "backup-push": (),
    "backup-list": (),
    "backup-fetch": ("restored",),
    "config": (),
}
IN_A_REPOSITORY = [name for name in EVERY_COMMAND if name not in ("config", "backup-push")]


def fails(site: Site, *arguments: str | Path, code: int, **env: str) -> str:
    """Run a command that must fail with `code`; wal-fetch fails with 200 whatever the reason."""
    done = site.pitr(*arguments, env={"PGHOST": "/nowhere", **env}, check=False)
    assert done.returncode == (STOP if arguments[0] == "wal-fetch" else code), done.stderr
    assert done.stdout == ""
    return complaint(done)


each_command = pytest.mark.parametrize("command", EVERY_COMMAND)


@each_command
def test_no_repository(site: Site, command: str) -> None:
    """The hint names the flag and the variables that set it."""
    words = fails(site, command, *EVERY_COMMAND[command], code=USAGE)
    assert "no repository is set" in words
    assert "WALG_FILE_PREFIX" in words


@pytest.mark.parametrize("command", IN_A_REPOSITORY)
@pytest.mark.parametrize("place", ["absent", "file", "closed"])
def test_a_repository_that_is_no_directory(site: Site, command: str, place: str) -> None:
    """A missing directory, a file in its place, and one without permission are named."""
    wal_file(site.base, FIRST, segment())
    repository = site.base / place
    if place == "file":
        repository.write_text("not a directory")
    if place == "closed":
        repository.mkdir(mode=0)
    try:
        words = fails(
            site,
            command,
            *EVERY_COMMAND[command],
            code=STORAGE,
            WALG_FILE_PREFIX=str(repository),
        )
        assert str(repository) in words
    finally:
        if place == "closed":
            repository.chmod(0o700)


@pytest.mark.parametrize("command", ["wal-push", "wal-fetch", "backup-list"])
@pytest.mark.parametrize(
    "setting",
    [
        ("WALG_FILE_PREFIX", "relative/path"),
        ("WALG_FILE_PREFIX", "ftp://host/path"),
        ("PITR_REPOSITORY", "file://host/path"),
        ("WALG_S3_PREFIX", "s3://bucket/path"),
        ("WALG_COMPRESSION_METHOD", "zip"),
        ("WALG_ZSTD_LEVEL", "99"),
        ("WALG_LIBSODIUM_KEY", "secret"),
        ("PITR_CONFIG", "/nowhere/pitr.toml"),
        ("PITR_ARCHIVE_TIMEOUT", "soon"),
    ],
    ids="=".join,
)
def test_a_setting_that_cannot_be_used(site: Site, command: str, setting: tuple[str, str]) -> None:
    """The line says which setting it was, by the name under which it was given."""
    name, value = setting
    env = {"WALG_FILE_PREFIX": str(site.repository), name: value}
    words = fails(site, command, *EVERY_COMMAND[command], code=USAGE, **env)
    assert value.rpartition("/")[2] in words if name == "PITR_CONFIG" else name in words
    assert "secret" not in words


@each_command
def test_an_unknown_option(site: Site, command: str) -> None:
    """The hint leads to the command's own help."""
    words = fails(site, command, *EVERY_COMMAND[command], "--frobnicate", code=USAGE)
    assert "--frobnicate" in words
    assert f"pitr {command} --help" in words


@dataclass(frozen=True)
class Case:
    """Arguments with the exit code and words they must lead to."""

    arguments: tuple[str, ...]
    code: int
    words: str
    env: dict[str, str] = field(default_factory=dict)


CASES = [
    Case(("backup-psuh",), USAGE, 'Did you mean "backup-push"?'),
    Case(("frobnicate",), USAGE, "pitr --help lists them"),
    Case(("wal-push",), USAGE, "path"),
    Case(("backup-fetch",), USAGE, "pgdata"),
    Case(("wal-push", "postgresql.conf"), USAGE, "not the name of a WAL file"),
    Case(("wal-push", f"{FIRST}.gz"), USAGE, "not the name of a WAL file"),
    Case(("wal-push", "absent/" + FIRST), ABSENT, "there is no file absent/"),
    Case(("backup-fetch", "new", "LATEST"), ABSENT, "holds no usable backup"),
    Case(("backup-fetch", "new"), ABSENT, "holds no usable backup"),
    Case(("backup-fetch", "new", NAME), ABSENT, f"there is no backup {NAME}"),
    Case(("backup-fetch", "new", "yesterday"), USAGE, '"yesterday" is not the name of a backup'),
    Case(("backup-fetch", "new", "--target-time", "noon"), USAGE, '"noon" is not a time'),
    Case(("backup-fetch", "new", "--target-lsn", "12"), USAGE, "12"),
    Case(("backup-fetch", "new", "--target-xid", "x"), USAGE, "x"),
    Case(("backup-fetch", "new", "--target-xid", "2"), USAGE, "not a transaction id"),
    Case(("backup-fetch", "new", "--target-name", "p"), USAGE, "Name the backup"),
    Case(("backup-fetch", "new", "--target-timeline", "0"), USAGE, "not a timeline"),
    Case(("backup-fetch", "new", "--exclusive"), USAGE, "can be excluded"),
    Case(("backup-fetch", "new", "--target-action", "pause"), USAGE, "cannot pause"),
    Case(("backup-fetch", "new", "--tablespace-mapping", "/a"), USAGE, "OLD=NEW"),
    Case(
        ("backup-fetch", "new", "--target", "immediate", "--target-lsn", "0/5"),
        USAGE,
        "only one recovery target",
    ),
    Case(("backup-push", "--workers", "0"), USAGE, "flag --workers"),
    Case(("backup-fetch", ""), USAGE, "empty name"),
    Case(("backup-push", "--add-user-data", "{"), USAGE, "not JSON"),
    Case(("backup-push",), SERVER, "cannot connect to the server"),
    Case(("wal-show",), USAGE, "relative", {"WALG_FILE_PREFIX": "relative"}),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: " ".join(case.arguments))
def test_a_mistake_on_the_command_line(site: Site, case: Case) -> None:
    """Each is told in the command's own words."""
    env = site.environ | case.env
    assert case.words in fails(site, *case.arguments, code=case.code, **env)
    assert not (site.base / "new").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("repository = [", ":1:"),
        ('\nrepositry = "/x"', 'pitr.toml:2: "repositry" is not a setting'),
        ("zstd_level = 99", "pitr.toml:1"),
        ("[repository]\nx = 1", "must be a string"),
    ],
)
def test_a_mistake_in_the_configuration_file(site: Site, text: str, words: str) -> None:
    """The line number is part of the message."""
    (site.base / "pitr.toml").write_text(text)
    arguments = ("backup-list", "--config", "pitr.toml")
    assert words in fails(site, *arguments, code=USAGE, **site.environ)


def test_an_unknown_setting_is_a_warning(site: Site) -> None:
    """An envdir is shared with other tools; what is near to a known name is told."""
    done = site.run("backup-list", env={"WALG_COMPRESSION_METHD": "zstd"})
    assert 'WALG_COMPRESSION_METHD is not a setting; the nearest is "WALG_COMPRESSION_METHOD"' in (
        done.stderr.replace('\\"', '"')
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_help_names_the_exit_codes(site: Site, command: str) -> None:
    """What a script needs to know stands where an operator looks."""
    done = site.pitr(command, "--help")
    assert done.stderr == ""
    assert f"usage: pitr {command}" in done.stdout
    assert "Exit codes:" in done.stdout


def test_without_a_command_the_commands_are_listed(site: Site) -> None:
    """On request with success, else as what was wrong."""
    asked = site.pitr("--help")
    wrong = site.pitr(check=False)
    assert wrong.returncode == USAGE
    assert asked.stdout == wrong.stderr
    assert all(name in asked.stdout for name in COMMANDS)


def test_the_version_is_printed(site: Site) -> None:
    """One line, the name and the number."""
    assert site.pitr("--version").stdout.startswith("pitr 0.")


def test_config_names_where_each_setting_comes_from(site: Site) -> None:
    """A flag, a variable, a line of the file, or nothing but the default."""
    (site.base / "pitr.toml").write_text('zstd_level = 5\nlog_level = "error"\n')
    done = site.run(
        "config",
        *("--config", "pitr.toml", "--log-level", "warning"),
        env={"WALE_COMPRESSION_METHOD": "none", "PGPASSWORD": "hunter2"},
    )
    rows = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert "environment WALG_FILE_PREFIX" in rows["repository"]
    assert "environment WALE_COMPRESSION_METHOD" in rows["compression_method"]
    assert "pitr.toml:1" in rows["zstd_level"]
    assert "flag --log-level" in rows["log_level"]
    assert " default " in rows["tar_size_threshold"]
    assert "hunter2" not in done.stdout
