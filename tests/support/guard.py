"""Runs a command that must not outlive another process; a program of its own, not imported.

`python guard.py SCRATCH COMMAND ...` starts the command in a new session, prints its process id,
and waits for the first of two events: the command ends (its exit code becomes the guard's, 128 + n
for signal n), or standard input ends because the process that held its other end is gone, however
it went. Then the command is told to quit, killed when it does not, and SCRATCH, a directory, is
removed.

The kernel closes a dead process's pipes also after SIGKILL, which no exit handler sees. A server
started directly with a parent-death signal would die with the *thread* that started it.
"""

import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys

PR_SET_PDEATHSIG = 1
SECONDS_TO_QUIT = 10


def die_with_guard() -> None:
    """Ask the kernel for SIGQUIT (PostgreSQL's immediate shutdown) when the guard is killed."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGQUIT)


def main(scratch: str, command: list[str]) -> int:
    """Run `command` until it ends or standard input does; return its exit code."""
    child = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=sys.stderr, preexec_fn=die_with_guard
    )
    print(child.pid, flush=True)
    child_ended = os.pidfd_open(child.pid)
    ready, _, _ = select.select([sys.stdin, child_ended], [], [])
    if child_ended not in ready:
        end(child)
        shutil.rmtree(scratch, ignore_errors=True)
    code = child.wait()
    return code if code >= 0 else 128 - code


def end(child: subprocess.Popen[bytes]) -> None:
    """Quit the child, or kill it when that takes too long."""
    child.send_signal(signal.SIGQUIT)
    try:
        child.wait(SECONDS_TO_QUIT)
    except subprocess.TimeoutExpired:
        child.kill()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
