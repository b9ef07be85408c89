"""The table of settings against the servers that it speaks of."""

from __future__ import annotations

import math
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from provision import quoting
from provision.errors import InputError
from provision.pgsettings import check, lookup, parsed
from provision.pgsettings.table import rows_by_name
from tests.support.fixtures import MakeCluster
from tests.support.postgres import Binaries, find_binaries

# Debian's servers have it, nobody else's.
PATCHED = {"extension_destdir"}
# They have a context and yet cannot stand in a file.
CANNOT_BE_SET = {
    "config_file",
    "transaction_deferrable",
    "transaction_isolation",
    "transaction_read_only",
}
NUMBERS = (
    "archive_timeout",
    "autovacuum_vacuum_cost_delay",
    "checkpoint_completion_target",
    "log_rotation_age",
    "max_connections",
    "max_wal_size",
    "random_page_cost",
    "recovery_min_apply_delay",
    "shared_buffers",
    "unix_socket_permissions",
    "vacuum_cost_limit",
    "work_mem",
)
TRUTHS = ("on", "OFF", "t", "fa", "of", "o", "yes", "N", "1", "0", "2", "", " on", "onn", "True")
VALUES = ("always", "Replica", "logical", "remote_apply", "local", "minimal", "replicas")
WORDS = ("archive_mode", "hot_standby", "synchronous_commit", "wal_level")


@pytest.mark.postgres(12, 13, 14, 15, 16, 17, 18)
def test_every_setting_that_a_server_describes_stands_in_the_table(binaries: Binaries) -> None:
    """With its type, its context and its range, and no build has more."""
    program = binaries.program("postgres")
    printed = subprocess.run(
        [program, "--describe-config"], check=True, capture_output=True, text=True
    ).stdout
    rows = [line.split("\t") for line in printed.splitlines()]
    assert len(rows) > 250
    for name, context, _group, kind, _default, low, high, *_ in rows:
        if name in PATCHED:
            continue
        setting = lookup(name, binaries.major)
        assert (setting.name, setting.context) == (name, context)
        assert setting.type == {"BOOLEAN": "bool"}.get(kind, kind.lower())
        if setting.type == "integer":
            assert (setting.minimum, setting.maximum) == (float(low), float(high))


@pytest.mark.postgres(12, 15, 18)
def test_the_table_says_what_a_running_server_shows(
    binaries: Binaries, make_cluster: MakeCluster
) -> None:
    """Every name, unit, range and value of an enum; a build without libraries has fewer values."""
    shown = make_cluster().sql(
        "SELECT name, vartype, coalesce(unit, ''), context, min_val, max_val, enumvals "
        "FROM pg_settings WHERE name !~ '[.]'"
    )
    assert {row[0].lower() for row in shown} - PATCHED == known(binaries.major)
    for name, vartype, unit, context, low, high, values in shown:
        if name in PATCHED:
            continue
        setting = lookup(name, binaries.major)
        assert (setting.type, setting.unit) == (vartype, unit), name
        assert setting.context == ("internal" if name in CANNOT_BE_SET else context), name
        assert set(setting.values) >= set(values or ()), name
        if context != "internal" and vartype == "integer":
            assert (setting.minimum, setting.maximum) == (float(low), float(high)), name


def known(major: int) -> set[str]:
    """The names that the table has for a version."""
    table = rows_by_name()
    return {name for name, rows in table.items() if any(r.first <= major <= r.last for r in rows)}


def shown_by(major: int, name: str, text: str) -> str | None:
    """What a server makes of a setting, None when it refuses to start with it."""
    with tempfile.TemporaryDirectory() as directory:
        line = f"{name} = {quoting.pg_conf(text).text}\n"
        (Path(directory) / "postgresql.conf").write_text(line)
        command = [str(find_binaries(major).program("postgres")), "-D", directory, "-C", name]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
    return ended.stdout.strip() if ended.returncode == 0 else None


def accepted(name: str, text: str, major: int) -> str | None:
    """The canonical text, None when the table refuses it."""
    try:
        return check(lookup(name, major), text)
    except InputError:
        return None


@pytest.mark.parametrize("major", [12, 15, 18])
@settings(max_examples=60)
@given(
    name=st.sampled_from(NUMBERS),
    number=st.sampled_from(
        ["0", "1", "-1", "+5", "08", "070", "0x10", "1.5", ".5", "5.", "1e2", "1e", "30.1", "1_0"]
    )
    | st.integers(-10, 10**10).map(str)
    | st.floats(0, 1000, allow_subnormal=False).map(str),
    unit=st.sampled_from(
        ["", " ", "B", "kB", " MB", "GB", "us", "ms", "s ", "min", "  h", "d", "H", "mb", "hours"]
    ),
)
@example(name="max_wal_size", number="30.1", unit="GB")
@example(name="recovery_min_apply_delay", number="8", unit="H")
def test_numbers_are_read_as_the_server_reads_them(
    major: int, name: str, number: str, unit: str
) -> None:
    """The same are refused, and the others mean the same number."""
    text = number + unit
    canonical, shown = accepted(name, text, major), shown_by(major, name, text)
    assert (canonical is None) == (shown is None)
    if canonical is not None and shown is not None:
        value = parsed(lookup(name, major), text)
        assert isinstance(value, float)
        # the server prints six digits
        assert math.isclose(value, float(shown), rel_tol=1e-5)
        assert shown_by(major, name, canonical) == shown


@pytest.mark.parametrize("major", [12, 15, 18])
@settings(max_examples=40)
@given(
    name=st.sampled_from(WORDS),
    text=st.sampled_from(TRUTHS + VALUES),
)
def test_words_that_pass_mean_the_same_to_the_server(major: int, name: str, text: str) -> None:
    """Enums take less than the server, booleans the same."""
    canonical, shown = accepted(name, text, major), shown_by(major, name, text)
    if lookup(name, major).type == "bool":
        assert (canonical is None) == (shown is None)
    if canonical is not None:
        assert shown == canonical


@pytest.mark.parametrize("major", [12, 15, 18])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("recovery_target_time", "latest"),
        ("recovery_target_lsn", "16B3740"),
        ("recovery_target", "latest"),
        ("recovery_target_name", "x" * 64),
        ("recovery_target_time", "2024-02-30 14:30:00+00"),
        ("recovery_target_time", "2024-05-31 14:30:00Z"),
    ],
)
def test_targets_that_are_refused_keep_a_server_from_starting(
    major: int, name: str, value: str
) -> None:
    """A name for UTC is known before the names of zones are read, Z is not."""
    assert accepted(name, value, major) is None
    assert shown_by(major, name, value) is None


@pytest.mark.parametrize("major", [12, 15, 18])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("recovery_target_timeline", "newest"),
        ("recovery_target_xid", "12a"),
        ("recovery_target_time", "2024-05-31 14:30:00"),
    ],
)
def test_targets_that_a_server_misreads_are_refused(major: int, name: str, value: str) -> None:
    """It takes them: for timeline 0, for transaction 12, for a time in its own zone."""
    assert accepted(name, value, major) is None
    assert shown_by(major, name, value) == value


@pytest.mark.parametrize("major", [12, 15, 18])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("recovery_target_time", "2024-05-31 14:30:00+02"),
        ("recovery_target_time", "2024-05-31T14:30:00.5 -03:30"),
        ("recovery_target_time", "2024-05-31 14:30 UTC"),
        ("recovery_target_timeline", "current"),
        ("recovery_target_timeline", "3"),
        ("recovery_target_lsn", "0/16B3740"),
        ("recovery_target_xid", "4294967295"),
        ("recovery_target", "immediate"),
        ("recovery_target", ""),
        ("recovery_target_name", "ä" * 31),
    ],
)
def test_targets_that_pass_are_taken(major: int, name: str, value: str) -> None:
    """By every version that has them as settings."""
    assert accepted(name, value, major) == value
    assert shown_by(major, name, value) == value
