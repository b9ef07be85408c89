"""A site for each test: a fresh repository and the means to fill it."""

from pathlib import Path

import pytest

from tests.support.fixtures import MakeCluster, Pitr
from tests.support.site import Site


@pytest.fixture
def site(tmp_path: Path, pitr: Pitr, make_cluster: MakeCluster) -> Site:
    """An empty repository with everything around it."""
    repository = tmp_path / "repository"
    repository.mkdir()
    return Site(base=tmp_path, repository=repository, pitr=pitr, make_cluster=make_cluster)
