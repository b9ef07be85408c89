"""Hosts for the tests of provisioning; where there is no rig these tests are skipped by name."""

from collections.abc import Iterator

import pytest

from tests.support.rig.client import Host, Rig, rig_available
from tests.support.rig.loopback import loopback, loopback_available
from tests.support.rig.reach import Reachable

WANTED = "hosts need root: run make test as root, or with sudo without a password"


@pytest.fixture(scope="session")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """The rig of this test process; hosts that a test starts on it live as long as the process."""
    if not rig_available():
        pytest.skip(WANTED)
    with Rig(tmp_path_factory.mktemp("rig")) as rig:
        yield rig


@pytest.fixture
def fresh_rig(rig: Rig) -> Iterator[Rig]:
    """A rig whose hosts end with the test."""
    with rig.part() as part:
        yield part


@pytest.fixture(scope="module")
def host(rig: Rig) -> Iterator[Host]:
    """A host that the tests of a module share, each leaving it as it was."""
    with rig.part() as part:
        yield part.start("db1")


@pytest.fixture(scope="module")
def bastion(rig: Rig) -> Iterator[Host]:
    """A second host, to pass through."""
    with rig.part() as part:
        yield part.start("bastion")


@pytest.fixture(scope="module")
def sshd(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Reachable]:
    """The shared host, or an sshd of this user's own for tests that ask for no more than that."""
    if rig_available():
        yield request.getfixturevalue("host")
    elif loopback_available():
        with loopback(tmp_path_factory.mktemp("sshd")) as stand_in:
            yield stand_in
    else:
        pytest.skip(WANTED)
