"""A fleet's clusters on one page: who can be recovered, and to when (pure).

It is drawn with what draws the page of one repository, from the reports that hosts gave or files
held, so that the two never say different things. A cluster that could not be asked stands first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from backup_core.report import tables
from backup_core.report.drawing import axis, canvas, lane
from backup_core.report.frame import page
from backup_core.report.history import windows_drawn
from backup_core.report.html import Markup, join, tag
from backup_core.report.model import Report
from backup_core.report.page import body, explanation, figures, section, sentence, status
from backup_core.report.scale import Scale
from backup_core.report.verdict import Judgement, judge, newest_drills
from backup_core.report.words import moment_tag, number, short, volume
from provision.operations.report import ClusterReport

Link = Callable[[ClusterReport], str]
"""Where the page, or the part of it, of one cluster is."""
_WORST_FIRST = ("bad", "watch", "good")
_LEAST = timedelta(days=1)
_MOST = timedelta(days=35)


def judgement_of(cluster: ClusterReport) -> Judgement:
    """What a cluster comes to; one that could not be asked is as bad as one that is lost."""
    if cluster.report is None:
        return Judgement(level="bad", word="Not known", reasons=(cluster.problem,))
    return judge(cluster.report)


def fleet_page(clusters: Sequence[ClusterReport], made: datetime) -> str:
    """Everything on one page: the overview, and below it each cluster to be opened."""
    ordered = in_order(clusters)
    places = {id(cluster): f"cluster-{at}" for at, cluster in enumerate(ordered)}
    parts = [
        tag(
            "details",
            tag("summary", tag("strong", cluster.name), f" · {judgement_of(cluster).word}"),
            tag("div", _cluster(cluster), id=places[id(cluster)]),  # a link to it opens it
            class_="cluster",
        )
        for cluster in ordered
    ]
    return overview(
        ordered, made, link=lambda cluster: f"#{places[id(cluster)]}", below=join(parts)
    )


def overview(
    clusters: Sequence[ClusterReport], made: datetime, *, link: Link, below: Markup | None = None
) -> str:
    """The overview, with links to what `link` tells."""
    ordered = in_order(clusters)
    nothing = any(judgement_of(each).level == "bad" for each in ordered)
    return page(
        "Recovery report of the fleet",
        tag(
            "header",
            tag("p", f"Recovery report for {number(len(ordered), 'cluster')}", class_="eyebrow"),
            tag("h1", headline(ordered), class_="nothing" if nothing else None),
            tag("p", "As of ", moment_tag(made), " UTC.", class_="lead"),
        ),
        tag(
            "main",
            section("Clusters", _table(ordered, made, link)),
            section("What can be recovered", _windows(ordered, made)),
            section("Each cluster", below) if below else None,
        ),
        tag("footer", tag("p", "All times are UTC. Each cluster's report says when it was made.")),
    )


def cluster_page(cluster: ClusterReport, overview_at: str) -> str:
    """The page of one cluster, which leads back to the overview."""
    return page(
        f"Recovery report: {cluster.name}",
        tag("nav", tag("a", "The fleet", href=overview_at)),
        tag("header", tag("p", "Cluster", class_="eyebrow"), tag("h1", cluster.name)),
        tag("main", _cluster(cluster)),
    )


def in_order(clusters: Sequence[ClusterReport]) -> list[ClusterReport]:
    """The worst first, by name within a level."""
    return sorted(
        clusters, key=lambda each: (_WORST_FIRST.index(judgement_of(each).level), each.name)
    )


def headline(clusters: Sequence[ClusterReport]) -> str:
    """How many can be recovered, in words."""
    if not clusters:
        return "There is no cluster."
    unknown = sum(each.report is None for each in clusters)
    lost = sum(each.report is not None and each.report.current is None for each in clusters)
    levels = Counter(judgement_of(each).level for each in clusters)
    fine = len(clusters) - unknown - lost
    if fine == len(clusters):
        text = "Every cluster can be recovered"
    else:
        text = f"{fine} of {number(len(clusters), 'cluster')} can be recovered"
    parts = [text]
    if lost:
        parts.append(f"{lost} cannot")
    if unknown:
        parts.append(f"{unknown} could not be asked")
    broken = levels["bad"] - unknown - lost
    if broken:
        parts.append(f"{number(broken, 'promise is', 'promises are')} broken")
    return "; ".join(parts) + "."


# --- the overview ---


def _table(clusters: Sequence[ClusterReport], made: datetime, link: Link) -> Markup:
    heads = ("Cluster", "State", "Newest moment", "Reaches back", "Last drill", "Stored", "Asked")
    rows = [(_name(each, link), *_row(each, made)) for each in clusters]
    return tables.table("Clusters, the worst first", heads, rows, right=(5,))


def _name(cluster: ClusterReport, link: Link) -> Markup:
    return tag("a", cluster.name, href=link(cluster))


def _row(cluster: ClusterReport, made: datetime) -> tuple[str | Markup, ...]:
    found = judgement_of(cluster)
    state = tables.wrong(found.word) if found.level == "bad" else found.word
    if found.level == "good":
        state = tables.right(found.word)
    reasons = tag("span", " ".join(found.reasons), class_="reasons") if found.reasons else None
    report = cluster.report
    if report is None:
        return (join(state, reasons), "unknown", "unknown", "unknown", "unknown", cluster.source)
    current = report.current
    return (
        join(state, reasons),
        f"{short(made - current.end_time)} ago" if current else "none",
        short(made - current.begin_time) if current else "not at all",
        _last_drill(report, made),
        volume(report.growth[-1].backups + report.growth[-1].wal) if report.growth else "nothing",
        cluster.source,
    )


def _last_drill(report: Report, made: datetime) -> str | Markup:
    drills = newest_drills(report)
    if not drills:
        return "never"
    last = max(drills, key=lambda drill: drill.started)
    ago = f"{short(made - last.started)} ago"
    if not last.succeeded:
        return tables.wrong(f"failed {ago}")
    return f"{tables.seconds(last.recovery_seconds)} to recover, {ago}"


def _windows(clusters: Sequence[ClusterReport], made: datetime) -> Markup:
    """A lane for each cluster on one axis, which ends now."""
    current = [each.report.current for each in clusters if each.report is not None]
    length = max([_LEAST, *(made - window.begin_time for window in current if window)])
    length = min(_MOST, length)
    scale = Scale(begin=made - length, end=made + length * 0.02)
    return tag(
        *("figure", [_lane(each, scale, made) for each in clusters], axis(scale)),
        class_="history",
    )


def _lane(cluster: ClusterReport, scale: Scale, made: datetime) -> Markup:
    name = [tag("strong", cluster.name)]
    report = cluster.report
    current = report.current if report else None
    if report is None or current is None:
        word = judgement_of(cluster).word
        return lane([*name, tag("span", word)], canvas(scale, 28, f"{cluster.name}: {word}"))
    mine = [
        each
        for each in report.windows
        if (each.timeline, each.system_identifier) == (current.timeline, current.system_identifier)
    ]
    drawn = join(windows_drawn(mine, scale))
    label = f"{cluster.name}: {sentence_text(report)}"
    return lane(name, canvas(scale, 28, label, drawn, now=made))


def sentence_text(report: Report) -> str:
    """The sentence at the top of a report, as plain text."""
    current = report.current
    if current is None:
        return "nothing can be recovered"
    return (
        f"any moment from {current.begin_time:%Y-%m-%d %H:%M:%S} to "
        f"{current.end_time:%Y-%m-%d %H:%M:%S} UTC can be recovered"
    )


# --- one cluster ---


def _cluster(cluster: ClusterReport) -> Markup:
    if cluster.report is None:
        return status(judgement_of(cluster))
    report = cluster.report
    return join(
        tag("p", sentence(report), class_="sentence"),
        status(judge(report)),
        tag("p", explanation(report), class_="lead"),
        figures(report) if report.backups else None,
        body(report),
        tag(
            *("p", tables.code(report.repository), ", asked of ", cluster.source, ", "),
            *(moment_tag(report.made), f" UTC, pitr {report.pitr_version}."),
            class_="lead",
        ),
    )
