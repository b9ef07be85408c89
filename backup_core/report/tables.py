"""The same facts as tables, for reading, copying, and those who cannot see a drawing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from backup_core.report.drawing import percent
from backup_core.report.html import Content, Markup, join, tag
from backup_core.report.model import BackupFacts, Drill, Report, Retention, Verdict, Window
from backup_core.report.words import moment_tag, number, server, short, volume

_FIRST_ROWS = 12
OF_A_RECOVERY = ("plan", "restore", "start", "replay")


def table(
    caption: str, heads: Sequence[str], rows: Sequence[Sequence[Content]], *, right: Sequence[int]
) -> Markup:
    """A table whose first cell names the row; numbers are on the right."""

    def kind(column: int) -> str | None:
        return "number" if column in right else None

    head = tag(
        "tr", [tag("th", text, scope="col", class_=kind(at)) for at, text in enumerate(heads)]
    )
    body = [
        tag(
            "tr",
            tag("th", row[0], scope="row", data_head=heads[0]),
            [
                tag("td", tag("div", cell), class_=kind(at), data_head=heads[at])
                for at, cell in enumerate(row[1:], start=1)
            ],
        )
        for row in rows
    ]
    whole = tag("table", tag("caption", caption), tag("thead", head), tag("tbody", body))
    return tag("div", whole, class_="table", tabindex="0", role="region", aria_label=caption)


def long_table(
    caption: str, heads: Sequence[str], rows: Sequence[Sequence[Content]], *, right: Sequence[int]
) -> Markup:
    """A table of which only the first rows are shown at once."""
    first = table(caption, heads, rows[:_FIRST_ROWS], right=right)
    rest = rows[_FIRST_ROWS:]
    if not rest:
        return first
    more = table(f"{caption}, the others", heads, rest, right=right)
    return join(first, tag("details", tag("summary", f"{len(rest):,} more"), more))


def windows(report: Report) -> Markup:
    """Each window with its edges, and how to recover a moment in it."""
    heads = ("Timeline", "From", "To", "Length", "From LSN", "To LSN", "Backups", "Newest backup")
    rows = [_window(window) for window in reversed(report.windows)]
    return table("Recovery windows", heads, rows, right=(3, 6))


def _window(window: Window) -> tuple[Content, ...]:
    current = tag("span", "current", class_="note") if window.current else None
    return (
        tag("span", str(window.timeline), " ", current, class_="together"),
        moment_tag(window.begin_time),
        moment_tag(window.end_time),
        short(window.end_time - window.begin_time),
        code(window.begin_lsn),
        code(window.end_lsn),
        f"{len(window.backups):,}",
        code(window.backups[-1].name),
    )


def gaps(report: Report) -> Markup:
    """What is missing, by timeline."""
    heads = ("Timeline", "First missing", "Last missing", "Segments", "After", "Before")
    rows = [
        (
            str(line.timeline),
            code(gap.first),
            code(gap.last),
            f"{gap.segments:,}",
            moment_tag(gap.from_time) if gap.from_time else "unknown",
            moment_tag(gap.to_time) if gap.to_time else "unknown",
        )
        for line in report.timelines
        for gap in line.gaps
    ]
    return table("Missing WAL", heads, rows, right=(3,))


def backups(report: Report) -> Markup:
    """All base backups, newest first."""
    heads = ("Backup", "Ended", "Took", "Stored", "Raw", "PostgreSQL", "Host", "State")
    reasons = {item.name: item.reason for item in report.unusable}
    rows = [_backup(backup, reasons.get(backup.name)) for backup in reversed(report.backups)]
    return long_table("Base backups", heads, rows, right=(2, 3, 4))


def _backup(backup: BackupFacts, useless: str | None) -> tuple[Content, ...]:
    notes = [
        "permanent" if backup.permanent else "",
        f"increment to {backup.delta_from}" if backup.delta_from else "",
        number(backup.corrupt_pages, "corrupt page") if backup.corrupt_pages else "",
        f"note: {backup.user_data}" if backup.user_data else "",
    ]
    said = "; ".join(note for note in notes if note)
    state: Content = said or "good"
    if useless is not None:
        state = join(wrong("of no use"), f": {useless}", f"; {said}" if said else None)
    return (
        code(backup.name),
        moment_tag(backup.finish_time),
        short(backup.finish_time - backup.start_time),
        volume(backup.stored_size),
        volume(backup.raw_size),
        server(backup.pg_version),
        backup.hostname or "unknown",
        state,
    )


def drills(report: Report) -> Markup:
    """The drills, newest first, their recovery times as bars."""
    heads = ("Drill", "Started", "Result", "Recovery", "", "Data lost at most", "Backup", "Record")
    longest = max([1.0, *(drill.recovery_seconds or 0 for drill in report.drills)])
    rows = [_drill(drill, longest) for drill in reversed(report.drills)]
    return long_table("Drills", heads, rows, right=(3, 5))


def _drill(drill: Drill, longest: float) -> tuple[Content, ...]:
    result: Content = right("proved")
    if not drill.succeeded:
        result = join(wrong(f"failed: {drill.failed_phase}"), f" {drill.error or ''}")
    signature = wrong(drill.signature) if drill.signature == "wrong" else drill.signature
    return (
        drill.drill,
        moment_tag(drill.started),
        result,
        seconds(drill.recovery_seconds),
        _recovery(drill, longest),
        seconds(drill.data_lost_seconds),
        code(drill.backup) if drill.backup else "none",
        signature,
    )


def _recovery(drill: Drill, longest: float) -> Markup | None:
    """The recovery time as a bar of its phases."""
    if drill.recovery_seconds is None:
        return None
    parts = []
    place = 0.0
    for phase in drill.phases:
        if phase.name in OF_A_RECOVERY:
            wide = 100 * phase.seconds / longest
            title = tag("title", f"{phase.name}: {seconds(phase.seconds)}")
            parts.append(
                tag(
                    *("rect", title),
                    x=percent(place),
                    y="1",
                    width=percent(wide),
                    height="10",
                    class_=f"phase {phase.name}",
                )
            )
            place += wide
    label = ", ".join(f"{each.name} {seconds(each.seconds)}" for each in drill.phases)
    return tag("svg", parts, role="img", aria_label=label, class_="phases", height="12")


def seconds(count: float | None) -> str:
    """A length in seconds; a dash for what was not reached."""
    if count is None:
        return "-"
    return f"{count:.1f} s" if count < 60 else short(timedelta(seconds=count))


def retention(plan: Retention) -> Markup:
    """What goes next and why, then what stays and why."""
    heads = ("Backup", "Stored", "Why")
    gone = plan.removed
    kept = [item for item in plan.verdicts if item.keep]
    parts = []
    if gone:
        parts.append(long_table("Removed next", heads, [_verdict(v) for v in gone], right=(1,)))
    if kept:
        rows = [_verdict(item) for item in reversed(kept)]
        stays = table("Kept", heads, rows, right=(1,))
        words = f"What is kept, and why: {number(len(kept), 'backup')}"
        parts.append(tag("details", tag("summary", words), stays))
    return join(parts)


def _verdict(item: Verdict) -> tuple[Content, ...]:
    return (code(item.name), volume(item.size), item.reason)


def code(text: str) -> Markup:
    """A name as machines write it."""
    return tag("code", text)


def right(text: str) -> Markup:
    """Good news, with a sign that is no colour."""
    return tag("span", tag("span", "✓ ", aria_hidden="true"), text, class_="right")


def wrong(text: str) -> Markup:
    """Bad news, likewise."""
    return tag("span", tag("span", "✕ ", aria_hidden="true"), text, class_="wrong")
