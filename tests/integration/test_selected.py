"""Single files of a stored backup, as an operator asks for them, encrypted or not."""

from pathlib import Path

import pytest

from backup_core.stream.encrypt import age
from tests.support.cluster import Cluster
from tests.support.commands import complaint
from tests.support.site import Site
from tests.unit.stream.encrypt.keys import IDENTITY, RECIPIENT, SODIUM_KEY, pgp_key

SCHEMES = ["none", "age", "libsodium", "openpgp"]


def keys(scheme: str) -> dict[str, str]:
    """The settings by which backups are encrypted and read."""
    if scheme == "age":
        return {
            "PITR_AGE_RECIPIENTS": age.format_recipient(RECIPIENT),
            "PITR_AGE_IDENTITY": age.format_identity(IDENTITY),
        }
    if scheme == "libsodium":
        return {
            "WALG_LIBSODIUM_KEY": SODIUM_KEY.hex(),
            "WALG_LIBSODIUM_KEY_TRANSFORM": "hex",
        }
    return {"WALG_PGP_KEY": pgp_key().secret} if scheme == "openpgp" else {}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_table_is_taken_out_of_a_backup(site: Site, scheme: str, tmp_path: Path) -> None:
    """Its file by `backup-cat`, and all of its database by `--only`, as the stopped cluster has."""
    env = keys(scheme)
    cluster = site.cluster()
    cluster.sql("CREATE TABLE t AS SELECT n, md5(n::text) AS t FROM generate_series(1, 90000) n")
    cluster.sql("VACUUM FREEZE t")
    cluster.sql("CHECKPOINT")
    path = str(cluster.scalar("SELECT pg_relation_filepath('t')"))
    site.run("backup-push", env=cluster.environ | env)
    cluster.stop()
    done = site.run("backup-fetch", tmp_path / "out", "--only", f"{path}*", env=env)
    assert "files written" in done.stderr
    for name in (path, f"{path}_fsm", f"{path}_vm"):
        assert (tmp_path / "out" / name).read_bytes() == (cluster.data_dir / name).read_bytes()
    version = site.run("backup-cat", "LATEST", "PG_VERSION", env=env).stdout
    assert version == (cluster.data_dir / "PG_VERSION").read_text()


@pytest.fixture(scope="module")
def backed_up(module_site: Site) -> Cluster:
    """A cluster with a backup, for questions that end with an error."""
    cluster = module_site.cluster()
    module_site.backup(cluster)
    return cluster


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["backup-cat", "LATEST", "base/9/9"], 5, "holds no file that is called base/9/9"),
        (["backup-cat", "LATEST", "base/*"], 5, "holds no file"),
        (["backup-cat", "LATEST", "/"], 2, "empty"),
        (["backup-cat", "base_0000000100000000000000FF", "x"], 5, "there is no backup"),
        (["backup-fetch", "out", "--only", "nothing*"], 5, "holds no file"),
        (["backup-fetch", "out", "--only", "*", "--delta"], 2, "not allowed with"),
        (["backup-fetch", "out", "--only", "*", "--standby"], 2, "make no sense"),
    ],
)
def test_what_cannot_be_had_is_said(
    module_site: Site, backed_up: Cluster, words: list[str], code: int, said: str
) -> None:
    """By code and sentence; nothing is written."""
    done = module_site.run(*words, check=False)
    assert done.returncode == code
    assert said in complaint(done)
    assert done.stdout == ""
    assert not (module_site.base / "out").exists()


def test_only_lists_what_it_would_write(module_site: Site, backed_up: Cluster) -> None:
    """With --dry-run."""
    done = module_site.run("backup-fetch", "out", "--only", "global/pg_*", "--dry-run")
    assert "global/pg_control" in done.stdout
    assert not (module_site.base / "out").exists()
