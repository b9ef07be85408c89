"""How archiving goes, in a small file of the spool for `pitr check`, metrics and people.

Written by whoever pushed last, as a whole and without a lock: an update that a race loses is made
up for by the next. Nothing is decided by it.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from backup_core.archive.spool import Spool

STATUS_FILE = "status.json"
_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Status:
    """Times are RFC 3339 in UTC; None is "never", or for `failing_since` "not now".

    `waiting` counts the files that the server wants archived, `ahead` those of them that are.
    """

    updated: str | None = None
    waiting: int = 0
    ahead: int = 0
    last_success: str | None = None
    last_success_name: str | None = None
    last_failure: str | None = None
    last_failure_name: str | None = None
    last_failure_message: str | None = None
    failing_since: str | None = None

    def counted(self, waiting: int, ahead: int) -> Status:
        """The status with new counts."""
        return replace(self, updated=_now(), waiting=waiting, ahead=ahead)

    def succeeded(self, name: str) -> Status:
        """The status after a file was archived."""
        return replace(
            self, updated=_now(), last_success=_now(), last_success_name=name, failing_since=None
        )

    def failed(self, name: str, message: str) -> Status:
        """The status after a file could not be archived."""
        return replace(
            self,
            updated=_now(),
            last_failure=_now(),
            last_failure_name=name,
            last_failure_message=message,
            failing_since=self.failing_since or _now(),
        )


def read_status(spool: Spool) -> Status:
    """The last status; an empty one if there is none that can be read."""
    return load_status(spool) or Status()


def load_status(spool: Spool) -> Status | None:
    """The last status, empty if there was none yet; None if it cannot be read."""
    try:
        document = json.loads(Path(spool.path(STATUS_FILE)).read_bytes())
        return Status(**document) if document.pop("version") == _VERSION else None
    except FileNotFoundError:
        return Status()
    except (OSError, ValueError, TypeError, LookupError, AttributeError):
        return None


def write_status(spool: Spool, status: Status) -> None:
    """Write the status; a spool that is full keeps the last one."""
    path = Path(spool.path(STATUS_FILE))
    temporary = path.with_name(f"{STATUS_FILE}.{os.getpid()}")
    with suppress(OSError):
        try:
            temporary.write_text(json.dumps({"version": _VERSION} | asdict(status)) + "\n")
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
