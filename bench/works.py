"""The pieces of work, each done by every tool in turn, and checked outside the measured time.

The tools alternate, and each goes first in turn, so that what else the machine does meanwhile
strikes them alike.
"""

import filecmp
import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote

from bench.clusters import Dataset, archiving, relation_files
from bench.measure import Sample, measure
from bench.tools import Tool
from tests.support.environment import clean_environ

Say = Callable[[str], None]


@dataclass(kw_only=True)
class Series:
    """All runs of one piece of work on `size` bytes, or so many objects; samples by the tool."""

    work: str
    data: str
    size: int
    objects: bool = False
    samples: dict[str, list[Sample]] = field(default_factory=dict)

    def add(self, tool: str, sample: Sample, say: Say) -> None:
        """Note a run."""
        self.samples.setdefault(tool, []).append(sample)
        say(f"{self.data}: {self.work} by {tool}: {sample.wall:.2f} s")


def backups_and_restores(
    data: Dataset, tools: Sequence[Tool], target: Path, *, runs: int, say: Say
) -> list[Series]:
    """Back up the running cluster and restore into an empty directory, `runs` times each."""
    backup = Series(work="backup", data=data.name, size=data.size)
    restore = Series(work="restore", data=data.name, size=data.size)
    used = target.with_name("used")
    used.mkdir()
    for number in range(runs):
        for tool in _in_turn(tools, number):
            tool.reset()
            os.sync()
            with archiving(data.cluster, tool.archive_command):
                backup.add(tool.name, measure(tool.backup(), env=tool.environ), say)
        for tool in _in_turn(tools, number):
            target.mkdir(mode=0o700)
            have_memory(target.with_name("memory"), data.size)
            restore.add(tool.name, measure(tool.restore(target), env=tool.environ), say)
            if relation_files(target) != relation_files(data.cluster.data_dir):
                raise RuntimeError(f"{tool.name} did not restore the relations that there are")
            empty(target)
            target.rename(used / f"{number}-{tool.name}")
    shutil.rmtree(used)
    return [backup, restore]


def _in_turn(tools: Sequence[Tool], number: int) -> Sequence[Tool]:
    return tools if number % 2 == 0 else tools[::-1]


def have_memory(path: Path, size: int) -> None:
    """Use and free as much memory as a restore fills: a virtual machine may have given it back.

    Whoever came first would otherwise wait for the machine's host.
    """
    with path.open("wb") as file:
        for _ in range(size >> 20):
            file.write(bytes(1 << 20))
    os.truncate(path, 0)
    os.sync()


def empty(directory: Path) -> None:
    """Give the room back but keep the files: some file systems are slow after many were removed."""
    for path in directory.rglob("*"):
        if path.is_file() and not path.is_symlink():
            os.truncate(path, 0)


def pushes_and_fetches(
    data: Dataset,
    tools: Sequence[Tool],
    paths: Sequence[Path],
    target: Path,
    *,
    runs: int,
    say: Say,
) -> list[Series]:
    """Archive segments and fetch them back, a process a segment as the server does."""
    size = sum(path.stat().st_size for path in paths)
    push = Series(work=f"wal-push of {len(paths)}", data=data.name, size=size)
    fetch = Series(work=f"wal-fetch of {len(paths)}", data=data.name, size=size)
    for number in range(runs):
        for tool in _in_turn(tools, number):
            tool.reset()
            one = (tool.wal_push(quote(str(path))) for path in paths)
            push.add(tool.name, measure(_all_of(one), env=tool.environ), say)
        for tool in _in_turn(tools, number):
            target.mkdir()
            one = (tool.wal_fetch(path.name, quote(str(target / path.name))) for path in paths)
            sample = measure(_all_of(one), env=tool.environ, cwd=data.cluster.data_dir)
            fetch.add(tool.name, sample, say)
            _check_fetched(tool, paths, target)
            shutil.rmtree(target)
    return [push, fetch]


def _all_of(commands: Iterable[str]) -> list[str]:
    return ["sh", "-ec", "\n".join(commands)]


def _check_fetched(tool: Tool, paths: Sequence[Path], target: Path) -> None:
    names = [path.name for path in paths]
    same, _, _ = filecmp.cmpfiles(paths[0].parent, target, names, shallow=False)
    if len(same) != len(names):
        raise RuntimeError(f"{tool.name} did not fetch what it had been given")


def limits(data: Dataset, *, level: int, runs: int, say: Say) -> list[Series]:
    """What the machine does without a backup tool: read the data, and compress them."""
    at, quiet = quote(str(data.cluster.data_dir)), ">/dev/null"
    commands = {"cat": f"find {at} -path '*/pg_wal/*' -o -type f -exec cat {{}} + {quiet}"}
    if shutil.which("zstd"):
        tar = f"tar -C {at} --exclude=./pg_wal -cf - ."
        commands[f"tar, zstd -{level} -T2"] = f"{tar} | zstd -q -{level} -T2 {quiet}"
    disk = quote(str(data.cluster.data_dir.with_name("written")))
    commands["dd, fsync"] = (
        f"dd if=/dev/zero of={disk} bs=1M count={data.size >> 20} conv=fsync status=none; rm {disk}"
    )
    found = [Series(work=name, data=data.name, size=data.size) for name in commands]
    for _ in range(runs):
        for series in found:
            sample = measure(["sh", "-c", commands[series.work]], env=clean_environ())
            series.add("limit", sample, say)
    return found


def stored_ratio(data: Dataset, *, level: int) -> float | None:
    """How many times the data directory compresses, by the zstd program where there is one."""
    if not shutil.which("zstd"):
        return None
    at = quote(str(data.cluster.data_dir))
    command = f"tar -C {at} --exclude=./pg_wal -cf - . | zstd -q -{level} -T2 | wc -c"
    return data.size / int(subprocess.check_output(["sh", "-c", command]))
