"""What a command costs: time, processor and memory, its children included.

The kernel's own accounts are used: wait4 for processor time, VmHWM for a process's peak memory.
wait4's peak is not, for it counts what the process held before exec: a copy of this interpreter.
"""

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import IO, Self

SAMPLE_SECONDS = 0.1


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One run: seconds of wall clock and of processor, peak resident bytes.

    `largest` is the peak of the largest process, `tree` that of all processes together, in which a
    page that two processes share counts twice.
    """

    wall: float
    cpu: float
    largest: int
    tree: int


def middle(samples: Sequence[Sample]) -> Sample:
    """The medians of the times and the maxima of the memory."""
    return Sample(
        wall=median(sample.wall for sample in samples),
        cpu=median(sample.cpu for sample in samples),
        largest=max(sample.largest for sample in samples),
        tree=max(sample.tree for sample in samples),
    )


def measure(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str],
    cwd: Path | None = None,
    codes: Collection[int] = (0,),
    memory: bool = True,
) -> Sample:
    """Run a command and return what it cost; everything written before is on disk by then.

    Without `memory` nobody looks at the processes while they run: with many of them that costs
    more than a little. Raise RuntimeError with its last words when it ends with none of `codes`.
    """
    os.sync()
    with tempfile.TemporaryFile("w+") as output:
        began = time.perf_counter()
        process = subprocess.Popen(
            list(map(str, command)),
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        watch = _MemoryWatch(process.pid)
        with watch if memory else nullcontext():
            _, status, usage = os.wait4(process.pid, 0)
            wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in codes:
            raise RuntimeError(
                f"{process.args!r} ended with {process.returncode}:\n{_last_words(output)}"
            )
    cpu = usage.ru_utime + usage.ru_stime
    return Sample(wall=wall, cpu=cpu, largest=watch.largest, tree=watch.tree)


def _last_words(output: IO[str]) -> str:
    output.seek(0)
    return "\n".join(output.read().splitlines()[-20:])


class _MemoryWatch:
    """Looks at a process and everything below it, many times a second."""

    def __init__(self, pid: int) -> None:
        self.largest = 0
        self.tree = 0
        self._pid = pid
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._end.wait(SAMPLE_SECONDS):
            seen = [memory_of(pid) for pid in process_tree(self._pid)]
            self.tree = max(self.tree, sum(resident for resident, _ in seen))
            self.largest = max(self.largest, *(peak for _, peak in seen))


def process_tree(pid: int) -> list[int]:
    """The process and all its descendants, as far as they still live."""
    found = [pid]
    for parent in found:
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            found.extend(map(int, _read(children).split()))
    return found


def memory_of(pid: int) -> tuple[int, int]:
    """Resident bytes of a process, now and at their peak; zeros when it is gone."""
    fields = dict(
        line.split(":", 1) for line in _read(Path(f"/proc/{pid}/status")).splitlines() if line
    )
    now, peak = fields.get("VmRSS", "0 kB"), fields.get("VmHWM", "0 kB")
    return int(now.split()[0]) << 10, int(peak.split()[0]) << 10


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
