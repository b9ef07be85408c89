"""The runbook: `fab --list`."""

from provision.tasks import namespace as namespace
