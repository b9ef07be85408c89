"""Pushing ahead: what the worker archives, what the shell answers, and never too early."""

from collections.abc import Iterator

import pytest

from tests.support.segments import archived
from tests.support.site import Site
from tests.support.spooled import (
    contents,
    fill,
    no_worker_left,
    push_command,
    release,
    spool_of,
    spooled_cluster,
    until,
    until_archived,
    workers,
)


@pytest.fixture(autouse=True)
def _no_worker_left(site: Site) -> Iterator[None]:
    """Workers outlive the server by a second or so; tests should not wait for that."""
    with no_worker_left(spool_of(site)):
        yield


def test_what_waits_is_archived_by_a_worker_and_answered_for_by_the_shell(site: Site) -> None:
    """Most calls start no pitr at all, every segment is stored whole, and one worker is left."""
    cluster = spooled_cluster(site)
    names = fill(cluster, 30)
    expected = contents(cluster, names)
    release(cluster, push_command(site))
    until_archived(cluster)
    assert {name: archived(site.repository, name) for name in names} == expected
    assert cluster.log.count('msg="archived"') < len(names) / 2
    assert len(workers(spool_of(site))) == 1
    until(lambda: not list((spool_of(site) / "ok").iterdir()))
