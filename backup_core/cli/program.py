"""The installed command: the shortest way to an answer for the server, else the long one.

With push-ahead, most calls of wal-push that get past the shell only have to wait for the worker to
finish the file. They are answered here, before the command line is parsed and the settings are
read; whatever is not exactly the form that archive_command has goes the long way.
"""

from __future__ import annotations

import os
import sys

from backup_core.archive.ahead import pushed_ahead
from backup_core.archive.spool import Spool

_INTERRUPTED = 125


def program() -> None:
    """Run as the installed command."""
    if _is_answered(sys.argv):
        os._exit(0)
    from backup_core.cli.main import program as long_way

    long_way()


def _is_answered(words: list[str]) -> bool:
    """Whether this is `pitr wal-push ... --spool-dir SPOOL FILE` and a worker has pushed FILE."""
    if len(words) < 5 or words[1] != "wal-push" or words[-3] != "--spool-dir":
        return False
    return pushed_ahead(Spool(words[-2]), words[-1], before_waiting=_end_within_range)


def _end_within_range() -> None:
    """Whatever happened, the archiver must not see a signal (manual, section 26.3.1)."""
    import signal

    signal.signal(signal.SIGTERM, lambda *_: os._exit(_INTERRUPTED))
