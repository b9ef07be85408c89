"""Alert rules for Prometheus: one template makes them, with a role's limits or the defaults."""

from __future__ import annotations

from provision.content import Content
from provision.schema.pitr import Monitoring
from provision.templates import render


def alert_rules(limits: Monitoring, *, replay_lag: int) -> Content:
    """The rules with these limits; `replay_lag` in seconds, with a delay that is kept."""
    return render(
        "alert-rules.yml.j2",
        wal_age=limits.wal_age.seconds,
        ready_files=limits.pending_wal,
        backup_age=limits.backup_age.seconds,
        drill_age=limits.drill_age.seconds,
        replay_lag=replay_lag,
    )
