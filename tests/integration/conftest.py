"""A site for each test, or for a module: a fresh repository and the means to fill it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fixtures import MakeCluster, Pitr
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
