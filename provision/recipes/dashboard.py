"""A dashboard for Grafana, with a role's limits as thresholds or the defaults.

What is asked first stands first: can we recover, from when to when, was it proved. Panels are rows
of a table here, because a dashboard that is clicked together cannot be reviewed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from provision.content import Content
from provision.schema.pitr import Monitoring

_WIDTH, _PANEL_WIDTH, _PANEL_HEIGHT = 24, 6, 6
_SOURCE = {"type": "prometheus", "uid": "${source}"}
_HOSTS = '{host=~"$host"}'


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One panel: an expression with `%` where hosts are chosen, and from when on it is red."""

    title: str
    expression: str
    unit: str
    kind: Literal["stat", "timeseries"] = "stat"
    red: float | None = None
    legend: str = "{{host}}"


def panels(limits: Monitoring) -> tuple[Panel, ...]:
    """The panels with the limits as thresholds."""
    return (*_recovery(limits), *_archiving(limits), *_measured(limits))


def _recovery(limits: Monitoring) -> tuple[Panel, ...]:
    return (
        Panel(
            title="Age of the newest recoverable moment",
            expression="time() - pitr_recovery_end_timestamp_seconds%",
            unit="s",
            red=limits.wal_age.seconds,
        ),
        Panel(
            title="Recovery reaches back",
            expression="time() - pitr_recovery_begin_timestamp_seconds%",
            unit="s",
        ),
        Panel(
            title="Age of the newest backup",
            expression="time() - pitr_backup_finish_timestamp_seconds%",
            unit="s",
            red=limits.backup_age.seconds,
        ),
        Panel(
            title="Since a restore was proved",
            expression="time() - pitr_drill_proved_timestamp_seconds%",
            unit="s",
            red=limits.drill_age.seconds,
        ),
    )


def _archiving(limits: Monitoring) -> tuple[Panel, ...]:
    return (
        Panel(
            title="Age of the last archived segment",
            expression="time() - pitr_wal_last_archived_timestamp_seconds%",
            unit="s",
            kind="timeseries",
            red=limits.wal_age.seconds,
        ),
        Panel(
            title="WAL files that wait",
            expression="pitr_wal_ready_files%",
            unit="short",
            kind="timeseries",
            red=limits.pending_wal,
        ),
        Panel(
            title="WAL files archived",
            expression="rate(pitr_wal_archived_total%[15m]) * 60",
            unit="opm",
            kind="timeseries",
        ),
        Panel(
            title="Failures to archive",
            expression="rate(pitr_wal_failed_total%[15m]) * 60",
            unit="opm",
            kind="timeseries",
        ),
    )


def _measured(limits: Monitoring) -> tuple[Panel, ...]:
    return (
        Panel(
            title="Recovery time of drills",
            expression="pitr_drill_recovery_seconds%",
            unit="s",
            kind="timeseries",
            legend="{{cluster}} {{drill}}",
        ),
        Panel(
            title="Data that a disaster would have cost",
            expression="pitr_drill_data_lost_seconds%",
            unit="s",
            kind="timeseries",
            legend="{{cluster}} {{drill}}",
        ),
        Panel(
            title="Size of the newest backup",
            expression="pitr_backup_stored_bytes%",
            unit="bytes",
            kind="timeseries",
        ),
        Panel(
            title="Replay lag of replicas",
            expression="pitr_replay_lag_seconds%",
            unit="s",
            kind="timeseries",
            red=limits.replay_lag.seconds,
        ),
        Panel(
            title="Free space",
            expression="pitr_free_bytes%",
            unit="bytes",
            kind="timeseries",
            legend="{{host}} {{place}}",
        ),
        Panel(
            title="Jobs that failed",
            expression="pitr_job_failed%",
            unit="short",
            red=1,
            legend="{{host}} {{resource}}",
        ),
    )


def dashboard(limits: Monitoring) -> Content:
    """The dashboard as a file of Grafana's."""
    return Content.of(json.dumps(_document(limits), indent=1) + "\n")


def _document(limits: Monitoring) -> dict[str, object]:
    return {
        "title": "pitr",
        "uid": "pitr",
        "schemaVersion": 39,
        "tags": ["postgresql", "backup"],
        "time": {"from": "now-7d", "to": "now"},
        "refresh": "1m",
        "templating": {"list": [_source_variable(), _host_variable()]},
        "panels": list(_panels(limits)),
    }


def _source_variable() -> dict[str, object]:
    return {"name": "source", "type": "datasource", "query": "prometheus", "label": "Prometheus"}


def _host_variable() -> dict[str, object]:
    return {
        "name": "host",
        "type": "query",
        "label": "Host",
        "datasource": _SOURCE,
        "query": "label_values(pitr_monitor_timestamp_seconds, host)",
        "includeAll": True,
        "multi": True,
        "current": {"text": "All", "value": "$__all"},
        "refresh": 2,
    }


def _panels(limits: Monitoring) -> Iterator[dict[str, object]]:
    columns = _WIDTH // _PANEL_WIDTH
    for number, panel in enumerate(panels(limits)):
        place = {
            "x": number % columns * _PANEL_WIDTH,
            "y": number // columns * _PANEL_HEIGHT,
            "w": _PANEL_WIDTH,
            "h": _PANEL_HEIGHT,
        }
        yield {
            "id": number + 1,
            "title": panel.title,
            "type": panel.kind,
            "datasource": _SOURCE,
            "gridPos": place,
            "targets": [_target(panel)],
            "fieldConfig": {"defaults": _field(panel), "overrides": []},
        }


def _target(panel: Panel) -> dict[str, object]:
    expression = panel.expression.replace("%", _HOSTS)
    return {"refId": "A", "expr": expression, "legendFormat": panel.legend}


def _field(panel: Panel) -> dict[str, object]:
    steps: list[dict[str, object]] = [{"color": "green", "value": None}]
    if panel.red is not None:
        steps.append({"color": "red", "value": panel.red})
    return {"unit": panel.unit, "thresholds": {"mode": "absolute", "steps": steps}}
