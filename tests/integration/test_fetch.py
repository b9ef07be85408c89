"""`pitr wal-fetch` delivers, proves absence, or stops recovery: nothing in between promotes."""

import shutil
import subprocess
import time
from pathlib import Path

import pytest

from backup_core.postgres.control import read_control
from backup_core.postgres.recovery import restore_command
from tests.support.commands import complaint, started
from tests.support.environment import clean_environ, pitr_program
from tests.support.segments import (
    FIRST,
    HISTORY,
    MEBIBYTE,
    SECOND,
    SYSTEM_IDENTIFIER,
    THIRD,
    archived,
    segment,
    stored_files,
    wal_file,
)
from tests.support.site import Site

DELIVERED, ABSENT, RETRY, TROUBLE = 0, 74, 75, 200


@pytest.fixture
def data_dir(site: Site) -> Path:
    """A directory that looks like a recovering server's, where restore_command runs."""
    (site.base / "pg_wal").mkdir()
    return site.base


@pytest.fixture
def archive(site: Site) -> Path:
    """A healthy repository with one segment."""
    push(site, FIRST, segment())
    return site.repository


def push(site: Site, name: str, content: bytes, **env: str) -> None:
    """Archive a file."""
    site.run("wal-push", wal_file(site.base / "archiving", name, content), env=env)


def fetch(site: Site, name: str, expected: int, *options: str, **env: str) -> str:
    """Fetch as a server does, check the code and that only a delivery leaves a file."""
    destination = site.base / "pg_wal" / "RECOVERYXLOG"
    done = site.run("wal-fetch", name, "pg_wal/RECOVERYXLOG", *options, env=env, check=False)
    assert done.returncode == expected, done.stderr
    assert destination.exists() == (expected == DELIVERED)
    assert list(destination.parent.glob("RECOVERYXLOG?*")) == []
    return complaint(done) if expected in (RETRY, TROUBLE) else done.stderr


@pytest.mark.parametrize("codec", ["zstd", "none"])
def test_a_file_is_delivered_byte_for_byte(site: Site, data_dir: Path, codec: str) -> None:
    """What the reader's own codec is does not matter."""
    content = segment(size=16 * MEBIBYTE)
    push(site, FIRST, content, WALG_COMPRESSION_METHOD=codec)
    fetch(site, FIRST, DELIVERED)
    assert (data_dir / "pg_wal" / "RECOVERYXLOG").read_bytes() == content


def test_the_end_of_a_healthy_archive_is_proven(site: Site, data_dir: Path, archive: Path) -> None:
    """Nothing later is there, neither a segment nor a timeline: recovery may end."""
    assert "which is proved" in fetch(site, SECOND, ABSENT)
    fetch(site, "00000002.history", ABSENT)
    fetch(site, "00000001.history", ABSENT)


def test_a_repository_that_is_not_there_proves_nothing(site: Site, data_dir: Path) -> None:
    """A network mount that is gone is the most dangerous case of all."""
    absent = str(site.base / "absent")
    assert "absent" in fetch(site, FIRST, TROUBLE, WALG_FILE_PREFIX=absent)


def test_an_empty_repository_proves_nothing(site: Site, data_dir: Path) -> None:
    """A mount point without its mount is an empty directory."""
    assert "holds no WAL at all" in fetch(site, FIRST, TROUBLE)


def test_a_repository_of_another_cluster_proves_nothing(
    site: Site, data_dir: Path, archive: Path
) -> None:
    """The server's pg_control says which cluster it is."""
    stranger = site.make_cluster("stranger", start=False)
    identifier = read_control(stranger.data_dir)[1].system_identifier
    shutil.copytree(stranger.data_dir / "global", data_dir / "global")
    words = fetch(site, SECOND, TROUBLE)
    assert str(identifier) in words
    assert str(SYSTEM_IDENTIFIER) in words


@pytest.mark.parametrize("name", [FIRST, SECOND])
@pytest.mark.parametrize("damage", ["flipped", "truncated", "emptied", "short", "foreign"])
def test_a_damaged_object_is_never_delivered(
    site: Site, data_dir: Path, name: str, damage: str
) -> None:
    """Neither compressed (the first) nor plain (the second), nor as the end of the archive."""
    push(site, FIRST, segment())
    push(site, SECOND, segment(SECOND), WALG_COMPRESSION_METHOD="none")
    stored = next((site.repository / "wal_005").glob(f"{name}*"))
    data = stored.read_bytes()
    damaged = {
        "flipped": bytes([data[0] ^ 0x40]) + data[1:],
        "truncated": data[: len(data) // 2],
        "emptied": b"",
        "short": data[:-1],
        "foreign": b"\xa5" * len(data),
    }
    stored.write_bytes(damaged[damage])
    assert name in fetch(site, name, TROUBLE)


def test_a_hole_is_not_the_end(site: Site, data_dir: Path, archive: Path) -> None:
    """Later segments are archived, so this one ought to be there too."""
    push(site, THIRD, segment(THIRD))
    assert THIRD in fetch(site, SECOND, TROUBLE)


def test_a_hole_among_timelines_is_not_the_newest(
    site: Site, data_dir: Path, archive: Path
) -> None:
    """A server asks for histories upwards until one is missing, and would overlook the rest."""
    push(site, "00000003.history", HISTORY)
    assert "00000003.history" in fetch(site, "00000002.history", TROUBLE)


def test_before_its_timeline_began_a_segment_is_proven_absent(
    site: Site, data_dir: Path, archive: Path
) -> None:
    """A server tries its newest timeline first, then the ancestor, which has the segment."""
    push(site, "00000002.history", b"1\t0/300000\tno recovery target specified\n")
    later = "000000020000000000000003"
    push(site, later, segment(later))
    fetch(site, later.replace("3", "2"), ABSENT)
    fetch(site, later, DELIVERED)


def test_a_segment_that_the_server_has_itself_is_proven_absent(
    site: Site, data_dir: Path, archive: Path
) -> None:
    """A standby looks into the archive first, and then reads its own copy."""
    push(site, THIRD, segment(THIRD))
    control = site.make_cluster("mine", start=False).data_dir / "global"
    (site.repository / "pitr" / "identity.json").write_text(
        f'{{"system_identifier": {read_control(control.parent)[1].system_identifier}}}'
    )
    shutil.copytree(control, data_dir / "global")
    wal_file(data_dir / "pg_wal", SECOND, segment(SECOND))
    fetch(site, SECOND, ABSENT)


def test_on_demand_the_end_of_the_archive_is_trouble(
    site: Site, data_dir: Path, archive: Path
) -> None:
    """Before version 13 a server forgets its target at the end of the archive, and promotes."""
    fetch(site, FIRST, DELIVERED, "--demand")
    (data_dir / "pg_wal" / "RECOVERYXLOG").unlink()
    assert "target is not reached" in fetch(site, SECOND, TROUBLE, "--demand")
    fetch(site, "00000002.history", ABSENT, "--demand")


def test_a_standby_waits_trouble_out(site: Site, data_dir: Path, archive: Path) -> None:
    """It asks again by itself and never promotes unasked, so its server need not stop."""
    (data_dir / "standby.signal").touch()
    assert "absent" in fetch(site, FIRST, RETRY, WALG_FILE_PREFIX=str(site.base / "absent"))
    fetch(site, SECOND, ABSENT)


def test_a_destination_that_cannot_be_written_is_trouble(
    site: Site, data_dir: Path, archive: Path
) -> None:
    """A directory without permission, and one that is not there."""
    (data_dir / "pg_wal").chmod(0o500)
    assert "cannot write" in fetch(site, FIRST, TROUBLE)
    (data_dir / "pg_wal").chmod(0o700)
    done = site.run("wal-fetch", FIRST, "nowhere/RECOVERYXLOG", check=False)
    assert done.returncode == TROUBLE
    assert "cannot write nowhere/RECOVERYXLOG" in complaint(done)


@pytest.mark.parametrize(
    "arguments",
    [
        (FIRST,),
        (FIRST, "pg_wal/RECOVERYXLOG", "--unknown-option"),
        ("not-a-wal-file", "pg_wal/RECOVERYXLOG"),
        (FIRST, "pg_wal/RECOVERYXLOG", "--repository", "nonsense"),
        (FIRST, "pg_wal/RECOVERYXLOG", "--config", "absent.toml"),
    ],
    ids=["missing argument", "unknown option", "no WAL name", "no URL", "no configuration"],
)
def test_a_mistake_in_the_command_never_ends_recovery(
    site: Site, data_dir: Path, archive: Path, arguments: tuple[str, ...]
) -> None:
    """Most programs end with 2 then, which a server takes for the end of the archive."""
    done = site.run("wal-fetch", *arguments, check=False)
    assert done.returncode == TROUBLE
    complaint(done)


@pytest.mark.parametrize("name", ["WALG_LIBSODIUM_KEY", "WALG_CSE_KMS_ID", "WALG_ENCRYPTION_KYE"])
def test_unknown_encryption_settings_never_end_recovery(
    site: Site, data_dir: Path, archive: Path, name: str
) -> None:
    """What asks for encryption and cannot have it is an error, not something to pass over."""
    assert name in fetch(site, SECOND, TROUBLE, **{name: "x"})


def test_a_killed_fetch_leaves_no_destination(site: Site, data_dir: Path) -> None:
    """The file appears under its name in one step, when it is whole."""
    push(site, FIRST, segment(size=256 * MEBIBYTE))
    destination = data_dir / "pg_wal" / "RECOVERYXLOG"
    temporary = destination.with_name("RECOVERYXLOG.pitr-tmp")
    with started(site, "wal-fetch", FIRST, destination) as process:
        deadline = time.monotonic() + 30
        while not temporary.exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
        process.kill()
        process.wait()
    assert not destination.exists()
    fetch(site, FIRST, DELIVERED)
    assert destination.read_bytes() == archived(site.repository, FIRST)
    assert stored_files(data_dir / "pg_wal") == ["RECOVERYXLOG"]


def run_restore_command(site: Site, program: Path, name: str) -> int:
    """Run a rendered restore_command as the server does, through the shell."""
    command = restore_command(
        [str(program)], extra_arguments=["--repository", str(site.repository)]
    )
    filled = command.replace("%f", name).replace("%p", "pg_wal/RECOVERYXLOG").replace("%%", "%")
    done = subprocess.run(
        filled, shell=True, cwd=site.base, env=clean_environ(), capture_output=True, check=False
    )
    return done.returncode


def test_the_restore_command_passes_what_was_chosen_for_the_server(
    site: Site, data_dir: Path, archive: Path
) -> None:
    """Delivered and proven absent mean to the server what they mean to us."""
    assert run_restore_command(site, pitr_program(), FIRST) == DELIVERED
    assert run_restore_command(site, pitr_program(), SECOND) == ABSENT


@pytest.mark.parametrize("breakage", ["missing", "not executable", "no interpreter", "crash"])
def test_the_restore_command_turns_a_broken_program_into_trouble(
    site: Site, data_dir: Path, archive: Path, breakage: str
) -> None:
    """127, 126 and a Python that dies with 1 would all end recovery early."""
    program = site.base / "pitr with spaces % and 'quotes'"
    if breakage != "missing":
        interpreter = "/absent/python3" if breakage == "no interpreter" else "/bin/sh"
        program.write_text(f"#!{interpreter}\nexit 1\n")
        program.chmod(0o600 if breakage == "not executable" else 0o700)
    assert run_restore_command(site, program, FIRST) == TROUBLE
    assert stored_files(data_dir / "pg_wal") == []
