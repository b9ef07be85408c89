"""The page of one repository: a sentence, a drawing, and the tables behind it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from backup_core.report import tables
from backup_core.report.drawing import legend
from backup_core.report.frame import page
from backup_core.report.history import history, key_to_colours, last_week, scale_of
from backup_core.report.html import Content, Markup, join, tag
from backup_core.report.model import Report, Retention, Trouble
from backup_core.report.scale import scale_over
from backup_core.report.sizes import chart
from backup_core.report.verdict import (
    Judgement,
    age,
    judge,
    lost_between,
    newest_drills,
)
from backup_core.report.words import length, moment_tag, number, short, volume

_SIGNS = {"good": "✓", "watch": "!", "bad": "✕"}
_FEWEST_POINTS = 3
_PHASES = tuple((f"phase {name}", name) for name in tables.OF_A_RECOVERY)
_SOURCES = {
    "wal": "That is the last transaction in the WAL.",
    "backup": "That is the end of the newest backup: no transaction ended since, as far as is "
    "known.",
    "stored": "That is when the last segment was stored: its key is not here to read it.",
}


def render_page(report: Report) -> str:
    """The report as one HTML document that needs nothing else."""
    return page(
        f"Recovery report: {report.repository}",
        _header(report),
        tag("main", figures(report) if report.backups else None, body(report)),
        _footer(report),
    )


def body(report: Report) -> Markup:
    """All sections below the sentence; a fleet's page has them for each cluster."""
    has_history = report.timelines or report.backups or report.drills
    drawn = section("History", histories(report)) if has_history else None
    return join(drawn, _sections(report))


def section(title: str, *content: Content) -> Markup:
    """A section with its heading."""
    return tag("section", tag("h2", title), content)


# --- the top ---


def _header(report: Report) -> Markup:
    return tag(
        "header",
        tag("p", "Recovery report for ", tables.code(report.repository), class_="eyebrow"),
        tag("h1", sentence(report), class_=None if report.current else "nothing"),
        status(judge(report)),
        tag("p", explanation(report), class_="lead") if report.current else None,
    )


def sentence(report: Report) -> Markup:
    """What can be recovered now, in words."""
    current = report.current
    if current is None:
        return join("Nothing can be recovered.")
    return join(
        *("Any moment from ", moment_tag(current.begin_time), " to "),
        *(moment_tag(current.end_time), " UTC can be recovered."),
    )


def status(judgement: Judgement) -> Markup:
    """The level in a word, and every reason that it is not better."""
    sign = tag("span", _SIGNS[judgement.level], class_="sign", aria_hidden="true")
    word = tag("p", sign, tag("strong", judgement.word), class_="word")
    reasons = tag("ul", [tag("li", text) for text in judgement.reasons])
    return tag(
        "div",
        word,
        reasons if judgement.reasons else None,
        class_=f"status {judgement.level}",
    )


def explanation(report: Report) -> str:
    """What the sentence leaves open: how fresh it is, by what it is known, what else there is."""
    current = report.current
    if current is None:
        return ""
    old = age(report.made, current.end_time)
    parts = ["The newest moment is later than this report, since clocks differ."]
    if old:
        parts = [f"The newest moment was {old} old when this was made."]
    parts.append(_SOURCES.get(current.end_source, ""))
    lost = lost_between(report)
    if lost:
        parts.append(f"WAL is missing, and nothing is recoverable, {', and '.join(lost)} UTC.")
    others = len(report.windows) - 1 - len(lost)
    if others > 0:
        parts.append(f"{number(others, 'other window')} can be reached on older timelines.")
    return " ".join(part for part in parts if part)


def figures(report: Report) -> Markup:
    """The few numbers that everybody asks for."""
    return tag("dl", [_figure(*each) for each in _figures(report)], class_="figures")


def _figure(name: str, value: str, note: str) -> Markup:
    return tag("div", tag("dt", name), tag("dd", tag("b", value), tag("span", note)))


def _figures(report: Report) -> Iterator[tuple[str, str, str]]:
    current = report.current
    if current is not None:
        promised = report.promised.recovery_window
        note = f"promised: {length(timedelta(seconds=promised))}" if promised else "no promise set"
        yield "Reaches back", short(report.made - current.begin_time), note
        promised = report.promised.recovery_freshness
        note = f"promised: {length(timedelta(seconds=promised))}" if promised else "no promise set"
        gone = max(timedelta(), report.made - current.end_time)
        yield "Newest moment", f"{short(gone)} ago", note
    if report.backups:
        newest = report.backups[-1]
        note = f"newest {short(report.made - newest.finish_time)} ago"
        yield "Base backups", f"{len(report.backups):,}", note
    yield _drill_figure(report)
    if report.growth:
        last = report.growth[-1]
        yield "Stored", volume(last.backups + last.wal), f"{volume(last.wal)} of it WAL"


def _drill_figure(report: Report) -> tuple[str, str, str]:
    drills = newest_drills(report)
    if not drills:
        return "Last drill", "never", "no drill is on record"
    last = max(drills, key=lambda drill: drill.started)
    ago = f"{short(report.made - last.started)} ago"
    if not last.succeeded:
        return "Last drill", "failed", f"in its phase {last.failed_phase}, {ago}"
    return "Last drill", tables.seconds(last.recovery_seconds), f"to recover, {ago}"


# --- the sections ---


def histories(report: Report) -> Markup:
    """The drawing of everything, and of the last week where that would be lost in it."""
    whole = scale_of(report)
    week = last_week(report, whole)
    parts = [history(report, whole, caption="From the first backup to now" if week else "")]
    if week is not None:
        parts.append(history(report, week, caption="The last seven days"))
    return join(parts, key_to_colours())


def _sections(report: Report) -> Iterator[Markup]:
    if report.windows:
        yield section("What can be recovered", tables.windows(report), _how_to(report))
    if any(line.gaps for line in report.timelines):
        yield section("What is missing", tables.gaps(report))
    troubles = join(
        _troubles("Backups that are of no use", report.unusable),
        _troubles("Backups that cannot be read", report.unreadable),
        _troubles("Damaged WAL segments", report.damaged),
        _unfinished(report.unfinished),
    )
    if troubles:
        yield section("What is wrong", troubles)
    if report.drills:
        yield section("Drills", tables.drills(report), legend(_PHASES))
    if len(report.growth) >= _FEWEST_POINTS:
        times = [point.until for point in report.growth]
        yield section("Growth", chart(report.growth, scale_over(times, report.made)))
    if report.retention is not None:
        yield section("What retention removes next", _retention(report.retention))
    if report.backups:
        yield section("Base backups", tables.backups(report))


def _how_to(report: Report) -> Markup | None:
    current = report.current
    if current is None:
        return None
    time = f"{current.end_time:%Y-%m-%d %H:%M:%S}+00"
    command = f"pitr backup-fetch PGDATA --target-time '{time}' --dry-run"
    return tag(
        "details",
        tag("summary", "How to recover a moment"),
        tag("p", "Print the plan first; without ", tables.code("--dry-run"), " it is carried out:"),
        tag("pre", tables.code(command), tabindex="0"),
        tag(
            *("p", "For another timeline than the current one add "),
            *(tables.code("--target-timeline"), " and its number."),
        ),
        class_="printed",
    )


def _troubles(title: str, found: tuple[Trouble, ...]) -> Markup | None:
    if not found:
        return None
    items = [tag("li", tables.code(item.name), f": {item.reason}") for item in found]
    return join(tag("h3", title), tag("ul", items, class_="troubles"))


def _unfinished(names: tuple[str, ...]) -> Markup | None:
    if not names:
        return None
    items = [tag("li", tables.code(name)) for name in names]
    title = "Unfinished: a backup that runs, or was interrupted"
    return join(tag("h3", title), tag("ul", items, class_="troubles"))


def _retention(plan: Retention) -> Markup:
    gone = len(plan.removed)
    words = [f"The policy: {plan.policy}." if plan.policy else ""]
    if gone or plan.wal_segments:
        wal = number(plan.wal_segments, "WAL segment")
        words.append(
            f"Carried out now, it would remove {number(gone, 'backup')} and {wal}, "
            f"and free {volume(plan.freed)}."
        )
    else:
        words.append("Carried out now, it would remove nothing.")
    return join(tag("p", " ".join(word for word in words if word)), tables.retention(plan))


def _footer(report: Report) -> Markup:
    return tag(
        "footer",
        tag(
            *("p", "Made "),
            *(moment_tag(report.made), f" UTC by pitr {report.pitr_version}."),
            " It says what was true then.",
        ),
        tag(
            "p",
            "All times are UTC. Backups and transactions have the times of the database's clock, "
            "stored objects those of the store's, this report that of the host that made it. "
            "Where the ends of archived WAL lie is told by what ties WAL to times: backups, "
            "transactions, and the store's clock where it does not contradict them.",
        ),
    )
