"""What an apply leaves on a host about itself: the journal, and the hold that keeps others away.

The journal tells drift from "never applied", and which files are ours although no role speaks of
them any more. Formats are JSON with a version; an unknown version is refused, because an older
provision would take a newer one's resources for strangers.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from provision.content import Resolve
from provision.errors import ProvisionError
from provision.resources.base import Entry
from provision.resources.server import block_path
from provision.state import Applied, Hold, Journal, JournalEntry

STATE_DIRECTORY = "/var/lib/provision"
JOURNAL = f"{STATE_DIRECTORY}/journal.json"
PATHS = f"{STATE_DIRECTORY}/paths"
HOLD = f"{STATE_DIRECTORY}/hold.json"
PENDING = f"{STATE_DIRECTORY}/pending"
LOCK = f"{STATE_DIRECTORY}/lock"
RECOVER = f"{STATE_DIRECTORY}/recover"
# One of them is there while an apply runs, and after it only if it ended in the middle.
UNFINISHED = tuple(f"{STATE_DIRECTORY}/{name}" for name in ("staged", "pending", "committed"))
_FORMAT = 1


def journal_of(entries: Iterable[JournalEntry], *, at: datetime, by: str, revision: str) -> Journal:
    """Return the journal of a host on which these resources are ours."""
    return Journal(
        applied_at=at.astimezone(UTC).isoformat(timespec="seconds"),
        applied_by=by,
        revision=revision,
        resources=tuple(entries),
    )


def applied(entry: Entry, resolve: Resolve) -> Applied:
    """Describe an object as it is applied; the journal can be read by root alone, as it can."""
    digest = ""
    if entry.content is not None:
        digest = sha256(entry.content.reveal(resolve)).hexdigest()
    return Applied(
        path=entry.path,
        kind=entry.kind,
        owner="" if entry.kind == "link" else entry.owner,
        group="" if entry.kind == "link" else entry.group,
        mode=entry.mode,
        digest=digest,
        target=entry.target,
    )


def dump_journal(journal: Journal) -> str:
    """Write a journal as text."""
    return json.dumps({"format": _FORMAT, **asdict(journal)}, indent=1) + "\n"


def dump_paths(journal: Journal) -> str:
    """Write the paths of a journal, one a line, as the host reads them; files with blocks too."""
    paths = [each.path for entry in journal.resources for each in entry.objects]
    paths += filter(None, (block_path(entry.id) for entry in journal.resources))
    return "".join(f"{path}\n" for path in paths)


def parse_journal(text: str) -> Journal | None:
    """Read a journal; "" is none. Raises ProvisionError for one that cannot be understood."""
    if not text:
        return None
    document = _document(text, JOURNAL)
    try:
        return Journal(
            applied_at=str(document["applied_at"]),
            applied_by=str(document["applied_by"]),
            revision=str(document["revision"]),
            resources=tuple(
                JournalEntry(
                    id=str(entry["id"]),
                    objects=tuple(Applied(**each) for each in entry["objects"]),
                )
                for entry in document["resources"]
            ),
        )
    except (KeyError, TypeError):
        raise _damaged(JOURNAL) from None


def dump_hold(hold: Hold) -> str:
    """Write a hold as text."""
    return json.dumps({"format": _FORMAT, **asdict(hold)}, indent=1) + "\n"


def parse_hold(text: str) -> Hold | None:
    """Read a hold; "" is none. Raises ProvisionError for one that cannot be understood."""
    if not text:
        return None
    document = _document(text, HOLD)
    try:
        return Hold(
            who=str(document["who"]), why=str(document["why"]), until=str(document["until"])
        )
    except KeyError:
        raise _damaged(HOLD) from None


def in_force(hold: Hold | None, now: datetime) -> bool:
    """Whether a hold has not run out."""
    if hold is None:
        return False
    return not hold.until or datetime.fromisoformat(hold.until) > now


def _document(text: str, path: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except ValueError:
        raise _damaged(path) from None
    if not isinstance(document, dict) or document.get("format") != _FORMAT:
        raise _damaged(path)
    return document


def _damaged(path: str) -> ProvisionError:
    return ProvisionError(
        f"{path} on the host is damaged, or was written by a newer provision",
        hint="Look at it; without it, what earlier roles left on the host is not known.",
    )
