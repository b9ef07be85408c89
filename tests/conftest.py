"""Fixtures that every kind of test shares: real servers and the installed `pitr` command."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.fixtures import MakeCluster, Pitr, cluster_maker, pitr_runner
from tests.support.postgres import Binaries, find_binaries

# a loaded machine must not turn a correct property into a failure; nothing is written down
settings.register_profile("pitr", deadline=None, database=None)
settings.register_profile("thorough", settings.get_profile("pitr"), max_examples=5000)
settings.load_profile("pitr")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test marked `postgres(14, 15)` once for each of those majors."""
    marker = metafunc.definition.get_closest_marker("postgres")
    if marker is not None and marker.args and "binaries" in metafunc.fixturenames:
        metafunc.parametrize(
            "binaries", marker.args, indirect=True, ids=[f"pg{major}" for major in marker.args]
        )


@pytest.fixture
def binaries(request: pytest.FixtureRequest) -> Binaries:
    """The machine's own PostgreSQL, or the major that the test's marker names."""
    return find_binaries(getattr(request, "param", None))


@pytest.fixture
def make_cluster(binaries: Binaries, tmp_path: Path) -> Iterator[MakeCluster]:
    """Make clusters: `make_cluster(**kwargs)` takes what Cluster.create takes, and a `name`.

    With `adopt=data_dir` it takes an existing directory instead. All end with the test.
    """
    with cluster_maker(tmp_path, binaries) as make:
        yield make


@pytest.fixture
def pitr(tmp_path: Path) -> Pitr:
    """Run the installed command as an operator does: `pitr("backup-list", env={...})`."""
    return pitr_runner(tmp_path)
