"""Put what can be recovered of every cluster on one page, asked of one host a cluster.

Hosts of a cluster are asked one after the other until one answers: first those that take base
backups. With FILEs, which are what `pitr report --json` wrote, no host is asked. The page is
written also if some cannot be asked: it says so.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import zip_longest
from pathlib import Path

from backup_core.errors import CorruptError
from backup_core.report.document import parse
from provision.cli.fleet import Member, chosen, password_of, target_of
from provision.cli.options import add_connection, add_project, add_selectors
from provision.errors import InputError, UnreachableError, UsageError, worst
from provision.fleet_page import cluster_page, fleet_page, judgement_of, overview, sentence_text
from provision.inventory import Host
from provision.operations.place import Place, place_of
from provision.operations.report import ClusterReport, ask
from provision.transport import AskPassword, Outcome, Session, run_on

_INDEX = "index.html"
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "files", metavar="FILE", type=Path, nargs="*", help="reports as JSON, instead of asking"
    )
    parser.add_argument(
        *("-o", "--output"),
        metavar="FILE|DIR",
        type=Path,
        required=True,
        help="one page; in a directory, an index and a page for each cluster",
    )
    add_project(parser)
    add_selectors(parser)
    add_connection(parser)


def run(arguments: argparse.Namespace) -> int:
    """Collect the reports, write the page, say how each cluster is."""
    if arguments.files:
        clusters, codes = read_files(arguments.files), [0]
    else:
        clusters, codes = _ask(arguments)
    pages = pages_of(clusters, datetime.now(UTC), arguments.output)
    for path, text in pages.items():
        _write(path, arguments.scrubber.scrub(text))
    for cluster in clusters:
        found = judgement_of(cluster)
        said = cluster.problem if cluster.report is None else sentence_text(cluster.report)
        print(f"{cluster.name}: {found.word.lower()}: {said}")
    return worst(codes)


def read_files(files: Sequence[Path]) -> tuple[ClusterReport, ...]:
    """Read reports, each cluster by its file's name; raises InputError."""
    found = []
    for path in files:
        try:
            report = parse(path.read_bytes(), name=str(path))
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror}") from None
        except CorruptError as error:
            raise InputError(error.message, hint=error.hint) from None
        found.append(ClusterReport(name=path.stem, source=str(path), report=report))
    return tuple(found)


def pages_of(clusters: Sequence[ClusterReport], made: datetime, output: Path) -> dict[Path, str]:
    """The pages by their files."""
    if not output.is_dir():
        return {output: fleet_page(clusters, made)}
    names = dict(zip(map(id, clusters), _file_names(clusters), strict=True))
    pages = {output / names[id(each)]: cluster_page(each, _INDEX) for each in clusters}
    pages[output / _INDEX] = overview(clusters, made, link=lambda each: names[id(each)])
    return pages


def _file_names(clusters: Sequence[ClusterReport]) -> list[str]:
    """A name for each that any file system takes, none of them twice."""
    names: list[str] = []
    for cluster in clusters:
        base = _UNSAFE.sub("-", cluster.name).strip("-").lower() or "cluster"
        name, count = f"{base}.html", 1
        while name in names or name == _INDEX:
            count += 1
            name = f"{base}-{count}.html"
        names.append(name)
    return names


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from None


# --- asking ---


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A host that can be asked about its cluster."""

    cluster: str
    host: Host
    place: Place


def candidates_of(members: Sequence[Member]) -> dict[str, list[Candidate]]:
    """The hosts to ask, by cluster: those that take base backups first, then those that archive."""
    found: dict[str, list[Candidate]] = {}
    for member in members:
        place = place_of(member.node)
        if place.repository:
            cluster = member.host.cluster or member.host.name
            candidate = Candidate(cluster=cluster, host=member.host, place=place)
            found.setdefault(cluster, []).append(candidate)
    for candidates in found.values():
        candidates.sort(key=lambda each: (not each.place.backs_up, not each.place.archives))
    return found


def _ask(arguments: argparse.Namespace) -> tuple[tuple[ClusterReport, ...], list[int]]:
    """Ask the first host of each cluster, then the second of those that have not answered, ..."""
    waiting = candidates_of(chosen(arguments))
    if not waiting:
        raise UsageError("none of these hosts has a repository")
    found: dict[str, ClusterReport] = {}
    codes = dict.fromkeys(waiting, 0)
    password = password_of(arguments)
    for row in zip_longest(*waiting.values()):
        unanswered = [each for each in row if each and not _is_answered(found, each.cluster)]
        for candidate, outcome in _ask_hosts(unanswered, arguments, password):
            answer = _answer(candidate, outcome)
            cluster = candidate.cluster
            if answer.report is None:
                print(f"! {candidate.host.name}: {answer.problem}")
                found.setdefault(cluster, answer)
                codes[cluster] = 4 if isinstance(outcome.error, UnreachableError) else 1
            else:
                found[cluster], codes[cluster] = answer, 0
    return tuple(found.values()), list(codes.values())


def _is_answered(found: Mapping[str, ClusterReport], cluster: str) -> bool:
    return cluster in found and found[cluster].report is not None


def _ask_hosts(
    candidates: Sequence[Candidate], arguments: argparse.Namespace, password: AskPassword | None
) -> Iterator[tuple[Candidate, Outcome[ClusterReport]]]:
    by_target = {target_of(each.host, arguments): each for each in candidates}

    def work(session: Session) -> ClusterReport:
        candidate = by_target[session.target]
        return ask(session, candidate.place, candidate.cluster)

    outcomes = run_on(list(by_target), work, parallel=arguments.parallel, password=password)
    return ((by_target[outcome.target], outcome) for outcome in outcomes)


def _answer(candidate: Candidate, outcome: Outcome[ClusterReport]) -> ClusterReport:
    if outcome.value is not None:
        return outcome.value
    assert outcome.error is not None
    return ClusterReport(
        name=candidate.cluster, source=candidate.host.name, problem=outcome.error.message
    )
