"""What fixtures of any scope hand out: clusters that end with them, and the installed command."""

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.support.cluster import Cluster
from tests.support.environment import clean_environ, pitr_program
from tests.support.postgres import Binaries


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


@contextmanager
def cluster_maker(base: Path, binaries: Binaries) -> Iterator[MakeCluster]:
    """Make clusters below `base`; all of them end with the context."""
    with ExitStack() as clusters:

        def make(
            name: str = "data", *, adopt: Path | None = None, start: bool = True, **kwargs: Any
        ) -> Cluster:
            if adopt is not None:
                cluster = Cluster.adopt(adopt, binaries)
            else:
                cluster = Cluster.create(base / name, binaries, **kwargs)
            clusters.callback(cluster.close)
            if start:
                cluster.start()
            return cluster

        yield make


def pitr_runner(directory: Path) -> Pitr:
    """Run the installed command in `directory`, as an operator does."""

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
            cwd=directory,
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
