"""The types of the callables that fixtures hand out, so that tests can be checked strictly."""

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from tests.support.cluster import Cluster


class MakeCluster(Protocol):
    """The `make_cluster` fixture."""

    def __call__(
        self, name: str = "data", *, adopt: Path | None = None, start: bool = True, **kwargs: Any
    ) -> Cluster:
        """Make a cluster in `tmp_path / name`, or adopt a directory, and start it if asked."""
        ...


class Pitr(Protocol):
    """The `pitr` fixture."""

    def __call__(
        self,
        *args: str | Path,
        env: Mapping[str, str] | None = None,
        check: bool = True,
        timeout: float = 120,
        input: str | None = None,  # noqa: A002 - subprocess.run's own name
    ) -> subprocess.CompletedProcess[str]:
        """Run the installed `pitr`; with `check`, fail the test when it does not exit with 0."""
        ...
