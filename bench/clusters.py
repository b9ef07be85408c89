"""The clusters that are measured: pgbench's, and one whose data compresses as real data does.

pgbench's filler compresses 20-fold, which makes every codec look alike. The mixed cluster holds
orders as a shop would: words in sentences, names, numbers, times, JSON, UUIDs and hashes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from tests.support.cluster import Cluster
from tests.support.postgres import Binaries
from tests.support.site import archive_everything

ROWS_A_SCALE = 36_000
SETTINGS = {
    "archive_mode": "on",
    "archive_command": "true",
    "autovacuum": "off",
    "fsync": "off",
    "max_wal_size": "1GB",
    "maintenance_work_mem": "128MB",
    "shared_buffers": "256MB",
}
WORDS = (
    "the of and to in a is that for it as was with be by on not he his but at are this have from "
    "or had an they which one you were her all she there would their we him been has when who will "
    "more no if out so said what up its about into than them can only other new some could time "
    "these two may then do first any my now such like our over man me even most made after also "
    "did many before must through back years where much your way well down should because each "
    "just those people how too little state good very make world still own see men work long get "
    "here between both life being under never day same another know while last might us great old "
    "year off come since against go came right used take three delivery customer invoice address "
    "warehouse shipment returned payment refund discount voucher account express parcel package "
    "damaged missing replaced requested confirmed cancelled telephone morning afternoon neighbour"
)
GENERATOR = """
CREATE FUNCTION sentence(words text[], count integer) RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT string_agg(words[1 + floor(power(random(), 2.5) * cardinality(words))::integer], ' ')
      FROM generate_series(1, count)
$$;
CREATE FUNCTION fill_orders(rows integer, words text[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO orders
    SELECT nextval('order_number'),
           CASE WHEN random() < 0.25 THEN gen_random_uuid() END,
           floor(power(random(), 2) * 200000),
           (ARRAY['new', 'paid', 'packed', 'shipped', 'returned'])[1 + floor(random() * 5)],
           round((random() * 500)::numeric, 2),
           timestamptz '2024-01-01 00:00+00' + n * interval '7 seconds' + random() * interval '1 s',
           left(md5(random()::text), 12),
           sentence(words, 8 + floor(random() * 30)::integer + n * 0),
           jsonb_build_object(
               'sku', 'A-' || floor(random() * 90000 + 10000)::text,
               'quantity', 1 + floor(power(random(), 3) * 20),
               'weight', round((random() * 30)::numeric, 3),
               'gift', random() < 0.1,
               'tags', to_jsonb(string_to_array(sentence(words, 3 + n * 0), ' ')))
      FROM generate_series(1, rows) AS n;
END $$;
CREATE SEQUENCE order_number;
CREATE TABLE orders (
    number bigint, session uuid, customer integer, state text, amount numeric,
    placed timestamptz, token text, comment text, item jsonb);
"""
INDEXES = """
ALTER TABLE orders ADD PRIMARY KEY (number);
CREATE INDEX ON orders (customer, placed);
VACUUM FREEZE ANALYZE orders;
"""


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A cluster with its load finished; `size` in bytes without WAL."""

    name: str
    cluster: Cluster
    size: int


def make_pgbench(base: Path, binaries: Binaries, scale: int) -> Dataset:
    """Make and stop a cluster of pgbench's tables, about 15 MB a unit of scale."""
    cluster = Cluster.create(base / "pgbench", binaries, settings=SETTINGS)
    with cluster:
        cluster.pgbench("--initialize", "--quiet", f"--scale={scale}")
        finish(cluster)
    return Dataset(name="pgbench", cluster=cluster, size=data_size(cluster.data_dir))


def make_mixed(base: Path, binaries: Binaries, scale: int, *, segments: int, keep: Path) -> Dataset:
    """Make and stop the mixed cluster; copy `segments` segments of its load's WAL to `keep`."""
    keep.mkdir()
    copy = f"test -e {quote(str(keep))}/full || cp %p {quote(str(keep))}/%f"
    cluster = Cluster.create(
        base / "mixed", binaries, settings=SETTINGS | {"archive_command": copy}
    )
    with cluster:
        cluster.sql(GENERATOR)
        cluster.sql("SELECT fill_orders(%s, %s)", ROWS_A_SCALE * scale, WORDS.split())
        for statement in filter(str.strip, INDEXES.split(";")):
            cluster.sql(statement)
        archive_everything(cluster)
        while len(list(keep.iterdir())) < segments:
            cluster.sql("CREATE TABLE copied AS TABLE orders")
            cluster.sql("DROP TABLE copied")
            archive_everything(cluster)
        finish(cluster)
    for superfluous in sorted(keep.iterdir())[segments:]:
        superfluous.unlink()
    return Dataset(name="mixed", cluster=cluster, size=data_size(cluster.data_dir))


def finish(cluster: Cluster) -> None:
    """Make the load durable, set the server up to be backed up, and stop it."""
    cluster.settings(fsync="on", archive_command="true")
    cluster.reload()
    cluster.sql("CHECKPOINT")
    cluster.stop()


def data_size(data_dir: Path) -> int:
    """The bytes of a data directory's files, except its WAL."""
    return sum(path.stat().st_size for path in _files(data_dir))


def relation_files(data_dir: Path) -> dict[str, int]:
    """The files below `base` with their sizes, for a look whether a restore brought all of them."""
    return {
        str(path.relative_to(data_dir)): path.stat().st_size
        for path in _files(data_dir / "base")
        if path.name != "pg_internal.init"
    }


def _files(directory: Path) -> Iterator[Path]:
    for path in directory.rglob("*"):
        if path.is_file() and "pg_wal" not in path.parts:
            yield path


@contextmanager
def archiving(cluster: Cluster, archive_command: str) -> Iterator[None]:
    """Let the running server archive by this command, proved by one segment."""
    cluster.sql(f"ALTER SYSTEM SET archive_command = {_literal(archive_command)}")
    cluster.sql("SELECT pg_reload_conf()")
    cluster.wait_until(f"SELECT current_setting('archive_command') = {_literal(archive_command)}")
    archive_everything(cluster)
    yield
    archive_everything(cluster)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
