"""Fixtures that every kind of test shares: real servers and the installed `pitr` command."""

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.support.cluster import Cluster
from tests.support.environment import clean_environ, pitr_program
from tests.support.fixtures import MakeCluster, Pitr
from tests.support.postgres import Binaries, find_binaries

# a loaded machine must not turn a correct property into a failure
settings.register_profile("pitr", deadline=None)
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
    with ExitStack() as clusters:

        def make(
            name: str = "data", *, adopt: Path | None = None, start: bool = True, **kwargs: Any
        ) -> Cluster:
            if adopt is not None:
                cluster = Cluster.adopt(adopt, binaries)
            else:
                cluster = Cluster.create(tmp_path / name, binaries, **kwargs)
            clusters.callback(cluster.close)
            if start:
                cluster.start()
            return cluster

        yield make


@pytest.fixture
def pitr(tmp_path: Path) -> Pitr:
    """Run the installed command as an operator does: `pitr("backup-list", env={...})`."""

    def run(
        *args: str | Path,
        env: Mapping[str, str] | None = None,
        check: bool = True,
        timeout: float = 120,
        input: str | None = None,  # noqa: A002 - subprocess.run's own name
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [str(pitr_program()), *map(str, args)],
            env={**clean_environ(), **(env or {})},
            cwd=tmp_path,
            input=input or "",
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check and done.returncode != 0:
            pytest.fail(
                f"pitr {' '.join(map(str, args))} ended with {done.returncode}:\n"
                f"{done.stdout}{done.stderr}"
            )
        return done

    return run
