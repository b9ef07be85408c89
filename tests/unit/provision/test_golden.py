"""The sample roles render to what stands in tests/golden; `make golden` writes it anew."""

import pytest

from provision.pgsettings import MAJORS
from tests.support.golden import GOLDEN, goldens, hosts, kept

FIRST_WITH_SIGNAL_FILES = 12


@pytest.mark.parametrize("host", hosts())
def test_a_role_renders_to_its_golden_files(host: str) -> None:
    """For every major version, to the byte, with owners and modes."""
    rendered = {golden.directory: dict(golden.files) for golden in goldens(host)}
    assert kept(host) == rendered, (
        "look at what `make golden` changes, and commit it if it is meant"
    )


def test_no_golden_files_are_left_of_a_host_that_is_gone() -> None:
    """What nobody compares would be believed."""
    assert {path.name for path in GOLDEN.iterdir() if path.is_dir()} == set(hosts())


@pytest.mark.parametrize("host", hosts())
def test_every_major_version_is_in_one_range(host: str) -> None:
    """From 9.6 to the newest."""
    majors = [
        major
        for golden in goldens(host)
        for major in MAJORS
        if golden.first <= major <= golden.last
    ]
    assert majors == list(MAJORS)


@pytest.mark.parametrize("host", ["replica", "archive_replica", "delayed_replica"])
def test_recovery_conf_ends_where_signal_files_begin(host: str) -> None:
    """A recovery.conf keeps 12 from starting, and before it a signal file means nothing."""
    for golden in goldens(host):
        old = any(name.endswith("recovery.conf") and "conf.d" not in name for name in golden.files)
        new = any(name.endswith("standby.signal") for name in golden.files)
        assert (old, new) == (
            golden.last < FIRST_WITH_SIGNAL_FILES,
            golden.first >= FIRST_WITH_SIGNAL_FILES,
        )
