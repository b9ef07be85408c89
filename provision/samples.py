"""`python -m provision.samples docs/samples`: what monitoring gets, with the default limits."""

from __future__ import annotations

import sys
from pathlib import Path

from provision.recipes.alerts import alert_rules
from provision.recipes.dashboard import dashboard
from provision.schema.pitr import Monitoring


def samples() -> dict[str, str]:
    """The files by name."""
    limits = Monitoring()
    rules = alert_rules(limits, replay_lag=limits.replay_lag.seconds)
    return {"alert-rules.yml": str(rules), "dashboard.json": str(dashboard(limits))}


if __name__ == "__main__":
    for name, text in samples().items():
        Path(sys.argv[1], name).write_text(text, encoding="utf-8")
