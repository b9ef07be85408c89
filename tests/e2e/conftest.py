"""A site for each test, as for the integration tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.site import Site, open_site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """An empty repository with everything around it."""
    with open_site(tmp_path) as site:
        yield site
