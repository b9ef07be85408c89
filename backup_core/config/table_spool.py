"""The rows of pushing ahead and of prefetching: one directory, and the bounds of what is in it."""

from __future__ import annotations

from backup_core.config import values
from backup_core.config.row import Row

SPOOL_ROWS: dict[str, Row] = {
    "spool_dir": Row(
        parse=values.absolute_path,
        about="A directory of this cluster's own, outside PGDATA, for pushing WAL ahead and for "
        "prefetching it. Without one, each call moves its own file.",
        default="not set",
    ),
    "push_ahead_workers": Row(
        parse=values.integer(1, 64),
        about="WAL files that are pushed ahead at once, 1 to 64.",
    ),
    "push_ahead_size": Row(
        parse=values.size,
        about="Bytes of WAL that are pushed ahead at once; one file always is.",
    ),
    "prefetch_workers": Row(
        parse=values.integer(1, 64),
        about="WAL segments that are prefetched at once, 1 to 64.",
    ),
    "prefetch_size": Row(
        parse=values.size,
        about="Bytes of prefetched WAL in `spool_dir`, those on their way included; two segments "
        "always fit.",
    ),
}
