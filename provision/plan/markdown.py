"""The plan for a merge request: what changes in one look, the diffs behind a click.

Hosting services cut long comments in the middle of a diff; here whole changes are left out at the
end, and said to be.
"""

from __future__ import annotations

import re
from html import escape

from provision.plan.groups import Group, effect_lines, groups, sentence
from provision.plan.model import Plan
from provision.plan.text import MARKS

LARGEST = 60_000  # characters; services take a few more
_FENCE = re.compile(r"`{3,}")


def markdown_of(plan: Plan, *, largest: int = LARGEST) -> str:
    """Return the plan as Markdown of at most about `largest` characters."""
    head = [f"### provision plan: {escape(sentence(plan), quote=False)}", ""]
    head += [f"- **{escape(line, quote=False)}**" for line in effect_lines(plan.hosts)]
    for host in plan.hosts:
        told = [host.problem] if host.problem else []
        told += host.warnings
        head += [f"- {host.host}: {escape(text, quote=False)}" for text in told]
    text = "\n".join([*head, ""])
    found = groups(plan)
    for number, group in enumerate(found):
        section = _section(group)
        if len(text) + len(section) > largest:
            left = len(found) - number
            return f"{text}\n*{left} more changes are too long to be shown here.*\n"
        text += section
    return text


def _section(group: Group) -> str:
    change = group.change
    hosts = ", ".join(group.hosts)
    title = f"{MARKS[change.action]} <code>{escape(change.id)}</code> on {escape(hosts)}"
    notes = "".join(f"{escape(note, quote=False)}<br>\n" for note in change.notes)
    body = "\n".join(change.diff)
    longest = max((len(found) for found in _FENCE.findall(body)), default=2)
    fence = "`" * (longest + 1)
    diff = f"{fence}diff\n{body}\n{fence}\n" if change.diff else ""
    return f"\n<details><summary>{title}</summary>\n\n{notes}\n{diff}\n</details>\n"
