"""Commands under test that run beside the test, and what they say when they fail."""

import re
import select
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.support.environment import clean_environ, pitr_program
from tests.support.site import Site

LOG_LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (?:DEBUG|INFO|WARNING|ERROR) pitr\.")


@contextmanager
def started(
    site: Site,
    *args: str | Path,
    env: Mapping[str, str] | None = None,
    under: Sequence[str] = (),
) -> Iterator[subprocess.Popen[bytes]]:
    """Start pitr against the site's repository, `under` another command; it ends with the block."""
    process = subprocess.Popen(
        [*under, str(pitr_program()), *map(str, args)],
        env=clean_environ() | site.environ | dict(env or {}),
        cwd=site.base,
        bufsize=0,  # so that what was not read yet is still in the pipe
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def read_until(process: subprocess.Popen[bytes], words: str, timeout: float = 60) -> None:
    """Read what a command says until a line has these words in it."""
    assert process.stderr is not None
    said = ""
    while words not in said:
        assert select.select([process.stderr], [], [], timeout)[0], f"never said {words}: {said}"
        line = process.stderr.readline().decode()
        said += line
        assert line, f"ended without saying {words}: {said}"


def finished(
    process: subprocess.Popen[bytes], timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    """Wait for a started command and return how it ended."""
    output, errors = process.communicate(timeout=timeout)
    return subprocess.CompletedProcess(
        process.args, process.returncode, output.decode(), errors.decode()
    )


def complaint(done: subprocess.CompletedProcess[str]) -> str:
    """What a failed command says besides its log; asserts one error line and at most one hint."""
    lines = [line for line in done.stderr.splitlines() if not LOG_LINE.match(line)]
    assert lines, f"exit code {done.returncode} without a word; log: {done.stderr}"
    assert re.match(r"pitr(?: [a-z-]+)?: error: \S", lines[0]), done.stderr
    assert all(line.startswith("hint: ") for line in lines[1:]), done.stderr
    assert len(lines) <= 2, done.stderr
    assert "error: unexpected " not in lines[0], done.stderr
    return "\n".join(lines)
