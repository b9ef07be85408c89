"""A site for each test, or for a module: a fresh repository and the means to fill it.

And an S3 server, with a network to it that does harm when told to.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fixtures import MakeCluster, Pitr
from tests.support.proxy import FaultProxy
from tests.support.seaweed import SeaweedFS, seaweed
from tests.support.site import Site, open_site


@pytest.fixture
def site(tmp_path: Path, pitr: Pitr, make_cluster: MakeCluster) -> Site:
    """An empty repository with everything around it."""
    repository = tmp_path / "repository"
    repository.mkdir()
    return Site(base=tmp_path, repository=repository, pitr=pitr, make_cluster=make_cluster)


@pytest.fixture(scope="module")
def module_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site whose repository is filled once and then only read by the tests of a module."""
    with open_site(tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    """An S3 server for all tests of the process that do not end it."""
    with seaweed(tmp_path_factory.mktemp("seaweed")) as running:
        yield running


@pytest.fixture
def proxy(server: SeaweedFS) -> Iterator[FaultProxy]:
    """A network, good until the test gives it a schedule."""
    with FaultProxy(server.url) as network:
        yield network
