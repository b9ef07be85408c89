"""The plan as JUnit XML: a test for each host, failed where something would change.

It is what CI services show beside a pipeline without being taught anything.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree

from provision.plan.model import HostPlan, Plan

# What XML 1.0 has no way to write.
_FORBIDDEN = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_of(plan: Plan) -> str:
    """Return the plan as one test suite."""
    suite = ElementTree.Element("testsuite", name="provision plan", tests=str(len(plan.hosts)))
    errors = sum(bool(host.problem) for host in plan.hosts)
    failures = sum(bool(host.pending) and not host.problem for host in plan.hosts)
    suite.set("errors", str(errors))
    suite.set("failures", str(failures))
    for host in plan.hosts:
        _case(suite, host)
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _case(suite: ElementTree.Element, host: HostPlan) -> None:
    case = ElementTree.SubElement(suite, "testcase", classname="plan", name=host.host)
    if host.problem:
        ElementTree.SubElement(case, "error", message=_clean(host.problem))
    elif host.pending:
        count = len(host.pending)
        failure = ElementTree.SubElement(case, "failure", message=f"{count} changes pending")
        failure.text = _clean("\n".join(_lines(host)))


def _lines(host: HostPlan) -> list[str]:
    lines: list[str] = []
    for change in host.pending:
        lines += [f"{change.action} {change.id}", *change.notes, *change.diff]
    return lines


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text)
