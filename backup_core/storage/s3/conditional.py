"""Creating an object that must not be there, also where the server lacks `If-None-Match`.

Every creation carries the header. A server that says it does not know it answers 501. One that
ignores it would overwrite silently, so the first small object that a process creates is created
twice: the second attempt must fail. What was found is kept as metadata of that object, so a
process that only reads it (the repository's identity, say) knows too, without asking again.

SeaweedFS honours the header, but when it completes a multipart upload it looks first and writes a
few milliseconds later, so there the header alone is not enough for large objects.

Without the header all objects are multipart uploads, completed under claims.
"""

from __future__ import annotations

from collections.abc import Callable

from backup_core import log
from backup_core.errors import StorageError
from backup_core.storage.s3.errors import RefusalError

IF_ABSENT = {"If-None-Match": "*"}
METADATA, IGNORED = "x-amz-meta-pitr-conditional", "ignored"
WRITER = "x-amz-meta-pitr-writer"
PROBED_SIZE = 1 << 10  # of identity and lock; segments, however empty, are larger
LOST = ("PreconditionFailed", "412")


def is_unknown_to_server(error: RefusalError) -> bool:
    """Tell whether the server says that it has no conditional creation."""
    return error.status == 501 or error.code == "NotImplemented"


def honours_condition(create_again: Callable[[], None]) -> bool | None:
    """Create what exists once more and tell whether the server refuses; None if it cannot say."""
    try:
        create_again()
    except RefusalError as error:
        return error.code in LOST or None
    except StorageError:
        return None
    return False


def tell(url: str) -> None:
    """Log once that this server lets writers overwrite each other."""
    log.event(
        log.get("storage"),
        log.WARNING,
        "the server ignores If-None-Match: objects are created under claims instead, which is "
        "slower; use a server that honours it where two hosts may write to one repository",
        prefix=url,
    )
