"""The plan for programs: JSON with a version, in a stable order, without times."""

from __future__ import annotations

import json
from dataclasses import asdict

from provision.plan.groups import summary
from provision.plan.model import Change, HostPlan, Plan

FORMAT_VERSION = "1.0"

Document = dict[str, object]


def json_of(plan: Plan) -> str:
    """Return the plan as JSON (docs/json.md, "provision plan")."""
    document = {
        "format_version": FORMAT_VERSION,
        "against": plan.against,
        "revision": plan.revision,
        "summary": asdict(summary(plan)),
        "hosts": [_host(host) for host in plan.hosts],
    }
    return json.dumps(document, indent=1) + "\n"


def _host(host: HostPlan) -> Document:
    return {
        "host": host.host,
        "status": host.status,
        "problem": host.problem or None,
        "hint": host.hint or None,
        "hold": asdict(host.hold) if host.hold is not None else None,
        "effects": list(host.effects),
        "restart_required": list(host.restart_settings),
        "restart_awaited": list(host.awaiting_restart),
        "warnings": list(host.warnings),
        "orphans": list(host.orphans),
        "changes": [_change(change) for change in host.changes],
    }


def _change(change: Change) -> Document:
    return {
        "id": change.id,
        "action": change.action,
        "path": change.path or None,
        "recipe": change.origin.recipe if change.origin is not None else None,
        "attribute": (change.origin.attribute or None) if change.origin is not None else None,
        "sensitive": change.sensitive,
        "notes": list(change.notes),
        "diff": list(change.diff),
        "effects": list(change.effects),
        "restart_required": list(change.restart_settings),
    }
