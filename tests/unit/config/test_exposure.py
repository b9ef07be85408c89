"""A secret in a file that everybody may read is told of, once and in one line."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from backup_core.config import envdir, exposure
from backup_core.config.exposure import is_open
from tests.unit.config.arrange import from_file

PUBLIC = "-----BEGIN PGP PUBLIC KEY BLOCK-----\\n\\nmDMEZQ==\\n-----END PGP PUBLIC KEY BLOCK-----"
PRIVATE = PUBLIC.replace("PUBLIC", "PRIVATE")
KEY = "twenty-five bytes at the least"


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory that everybody may enter; those of pytest are closed."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def warned_of(directory: Path, text: str, mode: int) -> list[str]:
    """What loading a pitr.toml of this text and mode says of it."""
    (directory / "pitr.toml").touch()
    (directory / "pitr.toml").chmod(mode)
    return [one for one in from_file(directory, text).warnings if "everybody" in one]


def warned_of_variables(directory: Path, *, mode: int, **variables: str) -> list[str]:
    """What is said of an envdir with these files."""
    for name, value in variables.items():
        (directory / name).write_text(value + "\n")
        (directory / name).chmod(mode)
    return exposure.of_envdir(directory, envdir.read(directory, {}))


@pytest.mark.parametrize(
    ("modes", "expected"),
    [
        ((0o644, 0o755, 0o755), True),
        ((0o604, 0o711, 0o755), True),
        ((0o640, 0o755, 0o755), False),
        ((0o600, 0o777, 0o755), False),
        ((0o644, 0o750, 0o755), False),
        ((0o644, 0o755, 0o700), False),
    ],
)
def test_everybody_may_read_what_everybody_can_reach(
    modes: tuple[int, ...], expected: bool
) -> None:
    """A closed directory above closes all that is in it."""
    assert is_open(modes) is expected


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("libsodium_key", KEY),
        ("s3_secret_access_key", "wJalrXUtnFEMI"),
        ("https_proxy", "http://me:word@proxy:3128"),
        ("age_identity", "AGE-SECRET-KEY-1" + "Q" * 58),
        ("pgp_key", PRIVATE),
    ],
)
def test_a_settings_file_with_a_secret(directory: Path, setting: str, value: str) -> None:
    """The line names file, setting and mode, and not the secret."""
    text = f"{setting} = '{value}'"
    (line,) = warned_of(directory, text, 0o644)
    assert f"{directory}/pitr.toml holds a secret ({setting})" in line
    assert "0644" in line
    assert value not in line


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o660])
def test_a_closed_settings_file(directory: Path, mode: int) -> None:
    """The group is trusted."""
    assert warned_of(directory, f"libsodium_key = '{KEY}'", mode) == []


@pytest.mark.parametrize(
    "text",
    ["", "s3_region = 'eu'", f"pgp_key = '{PUBLIC}'", "https_proxy = 'http://proxy:3128'"],
)
def test_a_settings_file_without_a_secret(directory: Path, text: str) -> None:
    """A public key is none."""
    assert warned_of(directory, text, 0o644) == []


def test_an_envdir_is_told_of_once(directory: Path) -> None:
    """However many of its files are open."""
    (line,) = warned_of_variables(
        directory, mode=0o644, AWS_SECRET_ACCESS_KEY="x", WALG_LIBSODIUM_KEY=KEY, AWS_REGION="eu"
    )
    assert f"{directory}/AWS_SECRET_ACCESS_KEY holds a secret" in line
    assert "(and 1 more in that directory)" in line


def test_an_envdir_of_the_servers_group(directory: Path) -> None:
    """As WAL-E's manual makes it; and one that has nothing to hide."""
    assert warned_of_variables(directory, mode=0o640, AWS_SECRET_ACCESS_KEY="x") == []
    assert warned_of_variables(directory, mode=0o644, WALG_PGP_KEY=PUBLIC) == []


def test_secrets_of_the_environment_are_not_the_envdirs(directory: Path) -> None:
    """Who can read the environment of a process is another question."""
    assert exposure.of_envdir(directory, {"AWS_SECRET_ACCESS_KEY": "secret"}) == []
