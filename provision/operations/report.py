"""What can be recovered of a cluster, asked of one of its hosts: `pitr report --json` there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from backup_core.errors import CorruptError
from backup_core.report.document import parse
from backup_core.report.model import Report
from provision.operations.place import Place
from provision.operations.sight import run_program
from provision.transport import Session

SECONDS = 300.0
_BROKEN_PROMISE = 10


@dataclass(frozen=True, kw_only=True)
class ClusterReport:
    """A cluster: its report by the host that made it, or the problem why there is none."""

    name: str
    source: str
    report: Report | None = None
    problem: str = ""


def words_of(place: Place) -> tuple[str, ...]:
    """The words that ask for the report, with the retention that the roles schedule."""
    kept = place.node.attributes.pitr.retention
    scheduled = "retention" in place.node.recipes and kept.enabled
    retain = ("--retain", f"FULL {kept.keep_full}") if scheduled else ()
    return place.layout.engine("report", "--json", *retain)


def ask(session: Session, place: Place, cluster: str) -> ClusterReport:
    """Ask a host, in one round trip; raises UnreachableError if the answer is cut."""
    status, output = run_program(session, place, words_of(place), seconds=SECONDS)
    return parse_answer(cluster, place.host, status, output)


def parse_answer(cluster: str, host: str, status: int, output: str) -> ClusterReport:
    """Read what the engine printed, log lines before it included."""
    start = output.find("{\n")
    if status in (0, _BROKEN_PROMISE) and start >= 0:
        try:
            report = parse(output[start:], name=f"the answer of {host}")
            return ClusterReport(name=cluster, source=host, report=report)
        except CorruptError as error:
            return ClusterReport(name=cluster, source=host, problem=error.message)
    return ClusterReport(name=cluster, source=host, problem=_said(status, output))


def _said(status: int, output: str) -> str:
    """The engine's own error, without the hint below it."""
    lines = output.strip().splitlines()
    errors = [line for line in lines if ": error: " in line]
    last: Sequence[str] = errors or lines
    return last[-1] if last else f"pitr report ended with exit code {status}"
