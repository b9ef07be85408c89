"""Commands for the server whose shell looks into the spool before it calls pitr.

Shell built-ins only, but for `mv`: the server starts a shell for each file anyway, and a test there
costs next to nothing, while an interpreter's start is most of what a push costs. A test that does
not know an operator, or knows times in whole seconds only, fails, and then the call goes the long
way. bash calls a missing file older than any other and dash does not: so the pair of stamps is made
and removed in such an order that `at` is there whenever `ok` is.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence


def archive_command(
    program: Sequence[str], *, spool: str | None = None, extra_arguments: Iterable[str] = ()
) -> str:
    """The archive_command that runs `program` (words, unquoted) with wal-push.

    With a `spool`, a file that was pushed ahead is answered for by the shell: the spool is bound to
    the directory that the server runs this in, and the file's time is that of what was pushed
    (manual, section 26.3.1 "Setting Up WAL Archiving").
    """
    arguments = [*extra_arguments] if spool is None else [*extra_arguments, "--spool-dir", spool]
    push = f"{_words([*program, 'wal-push', *arguments])} %p"
    if spool is None:
        return push
    tests = (
        f"[ {_words([f'{spool}/pgdata'])} -ef . ]",
        f"[ {_words([f'{spool}/ok/'])}%f -nt %p ]",
        f"[ {_words([f'{spool}/at/'])}%f -ot %p ]",
    )
    return f"{' && '.join(tests)} || exec {push}"


def restore_prefix(spool: str) -> str:
    """What stands before a restore_command that has a spool: deliver what was prefetched.

    Only what was written after the server's start is taken, since a spool may hold what an earlier
    recovery left. A `mv` that fails leaves the rest to the command behind it.
    """
    fetched = f"{_words([f'{spool}/fetched/'])}%f"
    return (
        f"[ {_words([f'{spool}/pgdata'])} -ef . ] && [ {fetched} -nt postmaster.pid ] && "
        f'mv -f {fetched} "%p" && exit 0; '
    )


def _words(words: Sequence[str]) -> str:
    return shlex.join(words).replace("%", "%%")
