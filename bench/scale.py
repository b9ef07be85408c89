"""The tables of docs/scale.md, and the measurement of a year of WAL.

python -m bench.scale                   print the tables
python -m bench.scale --update FILE     put each into the page, in place of the one of its heads
python -m bench.scale --year            list and delete a year of WAL on a stub server
"""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

from bench.scaling import (
    COMPRESSION,
    DAYS,
    DELETIONS,
    GB,
    GCS,
    GIB,
    LARGE,
    LARGE_64,
    LATENCY,
    MIB,
    PAGE,
    S3,
    TB,
    TEN,
    THOUSAND,
    TIB,
    YEAR_WAL,
    Requests,
    backup_fetch,
    backup_list,
    backup_push,
    backup_time,
    deletion,
    fetch_time,
    pages,
    push_time,
    restore_time,
    spans_of,
    upload_memory,
    wal_fetch,
    wal_fetch_absent,
    wal_push,
    wal_show,
)


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of the page, known by its heads."""

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]

    def __str__(self) -> str:
        rows = [self.heads, ["---"] * len(self.heads), *self.rows]
        return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def tables() -> list[Table]:
    """All tables, in the order of the page."""
    return [
        _operations(),
        _fleets(),
        _costs(),
        _segments(),
        _speeds(),
        _memory(),
        _wal_times(),
        _listings(),
    ]


def _operations() -> Table:
    parts = TEN.parts
    year = YEAR_WAL * 365 / (16 * MIB)
    rows = [
        ("`wal-push`", wal_push(16 * MIB / COMPRESSION)),
        ("`wal-push` of an empty segment (`archive_timeout`)", wal_push(16 << 10)),
        ("`wal-push` of a segment stored in 85 MiB", wal_push(85 * MIB)),
        ("`wal-fetch`", wal_fetch()),
        ("`wal-fetch` at the end of the archive", wal_fetch_absent()),
        ("`backup-push` of 500 GB, 30 backups there", backup_push(parts, backups=30)),
        (
            "`backup-fetch` of it, without WAL",
            backup_fetch(len(parts), spans=spans_of(parts), backups=30),
        ),
        ("`backup-list` of 30 backups", backup_list(30)),
        ("`wal-show` of 30 days at 50 GB", wal_show(30 * TEN.segments)),
        ("`wal-show` of a year at 1.5 TiB a day", wal_show(year)),
        ("deleting a month at 1.5 TiB a day", deletion(year / 365 * DAYS)),
    ]
    return Table(
        heads=("Operation", "PUT, POST", "LIST", "GET, HEAD", "DeleteObjects", "S3, $"),
        rows=[(name, *_counts(each), f"{S3.asked(each):.6f}") for name, each in rows],
    )


def _fleets() -> Table:
    return Table(
        heads=(
            "A month",
            "segments",
            "PUT, POST",
            "LIST",
            "GET, HEAD",
            "DeleteObjects",
            "a second",
        ),
        rows=[
            (
                each.name,
                f"{each.clusters * each.segments * DAYS:,.0f}",
                *_counts(each.month()),
                f"{sum(astuple(each.month())) / DAYS / 86400:.2f}",
            )
            for each in (TEN, THOUSAND, LARGE, LARGE_64)
        ],
    )


def _costs() -> Table:
    heads = ["A month, $", "stored"]
    for prices in (S3, GCS):
        heads += [f"{prices.name}: storage", "requests", "one backup read from outside"]
    rows = []
    for each in (TEN, THOUSAND, LARGE, LARGE_64):
        row = [each.name, f"{each.stored / TIB:,.1f} TiB"]
        for prices in (S3, GCS):
            egress = each.data / COMPRESSION / GIB * prices.egress
            sums = (prices.stored(each.stored), prices.asked(each.month()), egress)
            row += [f"{money:,.0f}" for money in sums]
        rows.append(row)
    return Table(heads=heads, rows=rows)


def _segments() -> Table:
    rows = []
    for size in (16 * MIB, 64 * MIB, 256 * MIB, 1024 * MIB):
        a_day = YEAR_WAL / size
        month = wal_push(size / COMPRESSION) * (a_day * DAYS)
        whole = wal_push(size / COMPRESSION, 512 * MIB) * (a_day * DAYS)
        rows.append(
            (
                f"{size // MIB} MB",
                f"{a_day:,.0f}",
                f"{86400 / a_day:.2f} s",
                f"{push_time(size, 125e6):.2f} s",
                f"{a_day * 365:,.0f}",
                f"{S3.asked(month):,.0f}",
                f"{S3.asked(whole):,.0f}",
            )
        )
    return Table(
        heads=(
            *("Segments", "a day", "one every", "`wal-push` takes", "keys a year"),
            *("requests a month, $", "in one part, $"),
        ),
        rows=rows,
    )


def _speeds() -> Table:
    rows = []
    for data, name in (
        (100 * GB, "100 GB"),
        (TB, "1 TB"),
        (10 * TB, "10 TB"),
        (100 * TB, "100 TB"),
    ):
        for gigabits, processors in ((1, 4), (10, 16), (25, 32), (100, 64)):
            network = gigabits * 125e6
            rows.append(
                (
                    name,
                    f"{gigabits} Gbit/s",
                    str(processors),
                    _duration(backup_time(data, network, processors)),
                    _duration(restore_time(data, network, processors)),
                )
            )
    return Table(heads=("Data", "network", "processors", "backup", "restore"), rows=rows)


def _memory() -> Table:
    rows = [(4, 4, 20), (16, 16, 20), (64, 64, 20), (64, 16, 64)]
    return Table(
        heads=("Workers of backup-push", "`upload_concurrency`", "part size", "memory at most"),
        rows=[
            (
                str(workers),
                str(concurrency),
                f"{part} MiB",
                f"{upload_memory(workers, concurrency, part * MIB) // MIB:,} MiB",
            )
            for workers, concurrency, part in rows
        ],
    )


def _wal_times() -> Table:
    days = (1, 7)
    return Table(
        heads=("Segments", *(f"{count} d of WAL at 1.5 TiB a day" for count in days)),
        rows=[
            (
                f"{size} MB",
                *(_duration(fetch_time(days_ * YEAR_WAL, size * MIB, 1.25e9)) for days_ in days),
            )
            for size in (16, 64, 256, 1024)
        ],
    )


def _listings() -> Table:
    rows = []
    for name, days in (("a day", 1), ("a week", 7), ("ten months", 304), ("a year", 365)):
        for size in (16, 256):
            keys = YEAR_WAL * days / (size * MIB)
            batches = math.ceil(keys / PAGE)
            cost = S3.asked(Requests(list=pages(keys)))
            rows.append(
                (
                    f"{name}, {size} MB segments",
                    f"{keys:,.0f}",
                    f"{pages(keys):,}",
                    f"{cost:.3f}",
                    _duration(pages(keys) * LATENCY),
                    _duration(batches * LATENCY),
                    _duration(math.ceil(batches / DELETIONS) * LATENCY),
                )
            )
    return Table(
        heads=(
            *("WAL at 1.5 TiB a day", "keys", "LIST", "$", "to list"),
            *("to delete, one by one", f"{DELETIONS} batches at once"),
        ),
        rows=rows,
    )


def _counts(requests: Requests) -> list[str]:
    return [f"{count:,.0f}" for count in astuple(requests)]


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 2 * 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def updated(page: str) -> str:
    """The page with each table in place of the one that has its heads."""
    for table in tables():
        head = str(table).partition("\n")[0]
        pattern = re.escape(head) + r"\n(\|[^\n]*\n)*"
        page = re.sub(pattern, lambda _, text=str(table): f"{text}\n", page)  # type: ignore[misc]
    return page


def main() -> None:
    """Print the tables, put them into the page, or measure a year."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--update", metavar="FILE", type=Path)
    parser.add_argument("--year", action="store_true")
    parser.add_argument("--days", metavar="N", type=int, default=365)
    arguments = parser.parse_args()
    if arguments.year:
        from bench.scale_year import measure_year

        measure_year(arguments.days)
    elif arguments.update:
        arguments.update.write_text(updated(arguments.update.read_text()))
    else:
        print("\n\n".join(map(str, tables())))


if __name__ == "__main__":
    main()
