"""How long it takes to render a project offline, and how that grows with its hosts."""

from collections.abc import Sequence
from pathlib import Path

from bench.measure import measure
from bench.works import Say, Series
from tests.support.environment import clean_environ
from tests.support.many_hosts import write_sample

SIZES = (20, 100, 500)


def renderings(program: Path, base: Path, *, runs: int, say: Say) -> Sequence[Series]:
    """Render the sample project with more and more hosts, whole processes, into new directories."""
    found = []
    for hosts in SIZES:
        project = base / f"project-{hosts}"
        write_sample(project, hosts)
        found.append(Series(work="render", data=f"{hosts} hosts", size=hosts, objects=True))
    for run in range(runs):
        for series in found:
            project, out = base / f"project-{series.size}", base / f"out-{series.size}-{run}"
            command = (program, "render", out, "--project", project)
            series.add("provision", measure(command, env=clean_environ()), say)
    return found
