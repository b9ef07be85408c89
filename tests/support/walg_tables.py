"""The tables of the archives below tests/fixtures/wal-g, and what becomes of them between backups.

Each step is for one way in which a file of a relation differs from the one in the layer below.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.support.cluster import Cluster

QUERIES = {
    "t1": "SELECT count(*), md5(string_agg(id || '|' || payload, ',' ORDER BY id)) FROM t1",
    "meta": "SELECT v FROM meta",
}
_OF_CHAINS = ("grows", "shrunk", "cut", "zeroed", "spaced", "fresh", "dropped")


def fill(cluster: Cluster) -> None:
    """The tables of every archive, as they are before its first backup."""
    for table in ("t1", "meta", *_OF_CHAINS):
        cluster.sql(f"DROP TABLE IF EXISTS {table}")
    cluster.sql(
        "CREATE TABLE t1 AS SELECT n AS id, md5(n::text) AS payload FROM generate_series(1, 1000) n"
    )
    cluster.sql("CREATE TABLE meta AS SELECT 'before-backup'::text AS v")


def go_on(cluster: Cluster) -> None:
    """What WAL alone holds, up to the restore point."""
    cluster.sql("UPDATE meta SET v = 'after-backup-1'")
    cluster.sql("INSERT INTO t1 SELECT n, md5(n::text) FROM generate_series(1001, 1500) n")
    cluster.sql("SELECT pg_create_restore_point('phase1')")


def go_on_more(cluster: Cluster) -> None:
    """What comes after the restore point."""
    cluster.sql("UPDATE meta SET v = 'after-backup-2'")
    cluster.sql("INSERT INTO t1 SELECT n, md5(n::text) FROM generate_series(1501, 2500) n")


def nothing(cluster: Cluster) -> None:
    """A lone backup needs no changes."""


def before_all(cluster: Cluster) -> None:
    """What the full backup of a chain holds."""
    for table in ("grows", "shrunk", "cut", "zeroed", "dropped"):
        rows(cluster, table, 1, 1000)
    cluster.sql("CREATE TABLE spaced (n int, h text) TABLESPACE space")
    cluster.sql("INSERT INTO spaced SELECT n, md5(n::text) FROM generate_series(1, 1000) n")


def first_changes(cluster: Cluster) -> None:
    """One grows, one is cut off on disk, one gets another file, one is dropped, pages are zeros."""
    cluster.sql("INSERT INTO grows SELECT n, md5(n::text) FROM generate_series(1001, 1300) n")
    cluster.sql("DELETE FROM shrunk WHERE n > 100")
    cluster.sql("VACUUM shrunk")
    cluster.sql("TRUNCATE cut")
    cluster.sql("INSERT INTO cut SELECT n, md5(n::text) FROM generate_series(1, 50) n")
    cluster.sql("DROP TABLE dropped")
    zero_pages(cluster, "zeroed", 2, 4)


def second_changes(cluster: Cluster) -> None:
    """What was cut off is longer than ever, the tablespace's table too; a table is new."""
    cluster.sql("INSERT INTO shrunk SELECT n, md5(n::text) FROM generate_series(101, 1500) n")
    cluster.sql("UPDATE spaced SET h = upper(h) WHERE n % 250 = 0")
    rows(cluster, "fresh", 1, 200)


def third_changes(cluster: Cluster) -> None:
    """Little: most files are skipped in the last layer."""
    cluster.sql("UPDATE grows SET h = upper(h) WHERE n = 700")
    cluster.sql("DROP TABLE cut")


def rows(cluster: Cluster, table: str, first: int, last: int) -> None:
    """A new table of so many rows, about 120 a page."""
    cluster.sql(
        f"CREATE TABLE {table} AS SELECT n, md5(n::text) AS h "
        f"FROM generate_series({first}, {last}) n"
    )


def zero_pages(cluster: Cluster, table: str, first: int, end: int) -> None:
    """Empty some pages of a table, then zero them, as an interrupted extension leaves them."""
    cluster.sql(
        f"DELETE FROM {table} WHERE (ctid::text::point)[0] >= {first} "
        f"AND (ctid::text::point)[0] < {end}"
    )
    cluster.sql(f"VACUUM {table}")
    path = cluster.data_dir / str(cluster.scalar(f"SELECT pg_relation_filepath('{table}')"))
    cluster.stop()
    with path.open("r+b") as file:
        file.seek(first * 8192)
        file.write(bytes((end - first) * 8192))
    cluster.start()


def answers(cluster: Cluster) -> dict[str, list[object]]:
    """What each table says, those of a chain as far as they exist."""
    found: dict[str, list[object]] = {
        name: [*cluster.sql(query)[0]] for name, query in QUERIES.items()
    }
    for table in _OF_CHAINS:
        if cluster.scalar("SELECT to_regclass(%s) IS NOT NULL", table):
            query = f"SELECT count(*), md5(string_agg(n || '|' || h, ',' ORDER BY n)) FROM {table}"
            found[table] = [*cluster.sql(query)[0]]
    return found


Step = Callable[[Cluster], None]
LONE: tuple[Step, ...] = (nothing,)
CHAIN: tuple[Step, ...] = (before_all, first_changes, second_changes, third_changes)
