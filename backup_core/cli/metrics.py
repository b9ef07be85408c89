"""Write metrics of the server and of the repository, for Prometheus.

To standard output, to a file for node_exporter's textfile collector, or over HTTP. The server is
asked in milliseconds; looking at the repository lists WAL from the oldest backup on, so over HTTP
it is done every few minutes only. Exit codes: 0, also for a server or a repository that does not
answer, which a metric says; 1 the file cannot be written or the port cannot be had; 2 wrong
arguments or settings.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from backup_core.cli.check import subject_of
from backup_core.cli.options import add_common, load_settings
from backup_core.config import Settings, values
from backup_core.errors import ConfigError, UsageError
from backup_core.monitor.gather import gather
from backup_core.monitor.samples import METRICS, Sample, samples

_LABEL = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")
_LOOPBACK = "127.0.0.1"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--textfile", metavar="PATH", type=Path, help="write this file")
    where.add_argument(
        "--listen", metavar="ADDRESS:PORT", help="serve HTTP there; without ADDRESS on loopback"
    )
    parser.add_argument(
        "--only", choices=["server", "repository"], help="leave the other's metrics out"
    )
    parser.add_argument(
        "--every",
        metavar="TIME",
        default="5min",
        help="with --listen: how often to look at the repository",
    )
    parser.add_argument(
        "--label",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="a label for every metric, such as host=db1; may be repeated",
    )
    add_common(parser)


def run(args: argparse.Namespace) -> int:
    """Write, print or serve."""
    from backup_core.monitor import exposition

    settings = load_settings(args).settings
    server = args.only != "repository"
    repository = args.only != "server"
    generation = _generation(args.envdir)
    labels = dict(map(_label, args.label))

    def look(*, server: bool, repository: bool) -> list[Sample]:
        return _look(settings, generation, server=server, repository=repository)

    if args.listen is None:
        found = look(server=server, repository=repository)
        if args.textfile is None:
            print(exposition.as_text(lambda: found, labels), end="")
        else:
            exposition.write(args.textfile, lambda: found, labels)
        return 0
    address, port = _address(args.listen)
    every = values.duration(args.every)
    kept: list[Sample] = []
    looked = [0.0]

    def gathered() -> Sequence[Sample]:
        if repository and (not kept or time.monotonic() - looked[0] > every):
            kept[:] = look(server=False, repository=True)
            looked[0] = time.monotonic()
        return [*(look(server=True, repository=False) if server else ()), *kept]

    exposition.serve(address, port, gathered, labels)
    return 0


def _look(
    settings: Settings, generation: int | None, *, server: bool, repository: bool
) -> list[Sample]:
    subject = replace(
        subject_of(settings), trials=False, switch=False, server=server, repository=repository
    )
    found = samples(
        gather(subject),
        server=server,
        repository=repository,
        encrypts=settings.encryption != "none",
        generation=generation,
    )
    return list(found)


def _generation(envdir: Path | None) -> int | None:
    """The generation that an envdir of provision's is a link to."""
    if envdir is None or not envdir.is_symlink():
        return None
    name = envdir.readlink().name
    return int(name) if name.isdecimal() else None


def _label(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    taken = {label for metric in METRICS for label in metric.labels}
    if not equals or _LABEL.fullmatch(name) is None or name in taken:
        raise UsageError(f'"{text}" is no label', hint="Write NAME=VALUE, such as host=db1.")
    return name, value


def _address(text: str) -> tuple[str, int]:
    address, _, port = text.rpartition(":")
    try:
        return address.strip("[]") or _LOOPBACK, values.integer(0, 65535)(port)
    except ConfigError:
        raise UsageError(
            f'"{text}" is no address with a port', hint="Write 127.0.0.1:9835, or the port alone."
        ) from None
