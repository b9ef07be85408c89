"""A database host that has public keys only, and whoever has the secret one beside it."""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote

import pytest

from backup_core.stream.encrypt.age import format_identity, format_recipient
from tests.support.cluster import Cluster
from tests.support.commands import complaint, finished, started
from tests.support.environment import pitr_program
from tests.support.site import Site, archive_everything, open_site, promoted
from tests.unit.stream.encrypt.keys import IDENTITY, OTHER_IDENTITY, OTHER_RECIPIENT, RECIPIENT

ONE, OTHER = format_recipient(RECIPIENT), format_recipient(OTHER_RECIPIENT)
NAME = "customers_of_the_bank"


@dataclass(frozen=True)
class Story:
    """A cluster that archives encrypted for `ONE`, with a backup and WAL after it."""

    site: Site
    backup: str


def settings(site: Site, name: str, *lines: str) -> dict[str, str]:
    """A file of settings, as the variable that names it."""
    path = site.base / f"{name}.toml"
    path.write_text("\n".join([f'repository = "file://{site.repository}"', *lines]) + "\n")
    path.chmod(0o600)
    return {"PITR_CONFIG": str(path)}


def host(site: Site, *recipients: str) -> dict[str, str]:
    """Settings that encrypt and cannot decrypt."""
    return settings(site, "host", f'age_recipients = "{",".join(recipients or [ONE])}"')


def vault(site: Site, identity: bytes, *recipients: str) -> dict[str, str]:
    """Settings with a secret key in a file."""
    path = site.base / "identity"
    path.write_text(format_identity(identity) + "\n")
    path.chmod(0o600)
    lines = [f'age_identity_file = "{path}"']
    if recipients:
        lines.append(f'age_recipients = "{",".join(recipients)}"')
    return settings(site, "vault", *lines)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Told once; tests work on copies of its repository."""
    with open_site(tmp_path_factory.mktemp("story")) as site:
        config = host(site)["PITR_CONFIG"]
        push = f"{quote(str(pitr_program()))} wal-push %p --config {quote(config)}"
        cluster = site.make_cluster(
            "data", settings={"archive_mode": "on", "archive_command": push}
        )
        cluster.sql(f"CREATE TABLE {NAME} AS SELECT n FROM generate_series(1, 1000) n")
        site.pitr("backup-push", env=host(site) | cluster.environ)
        cluster.sql(f"INSERT INTO {NAME} SELECT n FROM generate_series(1001, 2000) n")
        archive_everything(cluster)
        cluster.stop()
        yield Story(site=site, backup=site.backups()[-1])


@pytest.fixture
def site(story: Story, site: Site) -> Site:
    """The test's own copy of the repository."""
    shutil.rmtree(site.repository)
    shutil.copytree(story.site.repository, site.repository)
    return site


def restored(site: Site, env: dict[str, str]) -> Cluster:
    """A server that recovered to the end of its WAL."""
    site.pitr("backup-fetch", site.base / "restored", env=env)
    cluster = site.make_cluster(adopt=site.base / "restored")
    promoted(cluster)
    return cluster


def table(site: Site, env: dict[str, str], *args: str) -> list[dict[str, object]]:
    """What pitr keys says."""
    rows: list[dict[str, object]] = json.loads(site.pitr("keys", "--json", *args, env=env).stdout)[
        "keys"
    ]
    return rows


def test_everything_comes_back_with_the_secret_key(site: Site) -> None:
    """Base backup, WAL and the proof of both: stock pg_verifybackup reads the manifest."""
    cluster = restored(site, vault(site, IDENTITY))
    assert cluster.scalar(f"SELECT count(*) FROM {NAME}") == 2000


def test_the_host_sees_what_there_is_and_reads_nothing(site: Site) -> None:
    """Lists need no secret key; a restore is refused before the first byte is written."""
    listed = json.loads(site.pitr("backup-list", "--json", env=host(site)).stdout)
    assert [backup["name"] for backup in listed["backups"]] == site.backups()
    assert "16777216" in site.pitr("wal-show", "--json", env=host(site)).stdout
    target = site.base / "restored"
    done = site.pitr("backup-fetch", target, env=host(site), check=False)
    assert done.returncode == 9
    assert "is encrypted by age, and no key for that is configured" in complaint(done)
    assert not target.exists()


def test_nothing_that_is_stored_names_a_table(site: Site) -> None:
    """Whatever holds content is age's, whatever is not has none of it."""
    objects = [path for path in site.repository.rglob("*") if path.is_file()]
    assert not [path for path in objects if NAME.encode() in path.read_bytes()]
    sealed = [path for path in objects if path.read_bytes().startswith(b"age-encryption.org/v1\n")]
    plain = {path.name.removeprefix(site.backups()[0]) for path in objects if path not in sealed}
    documents = {"_backup_stop_sentinel.json", "metadata.json", "started.json", "identity.json"}
    assert plain == documents


def test_a_wrong_key_restores_nothing(site: Site) -> None:
    """It is told apart from damage, in one line."""
    done = site.pitr(
        "backup-fetch", site.base / "restored", env=vault(site, OTHER_IDENTITY), check=False
    )
    assert done.returncode == 9
    assert "is encrypted for other age keys than those at hand" in complaint(done)


def test_a_recovering_server_without_the_key_does_not_promote(site: Site) -> None:
    """wal-fetch says trouble, never the end of the archive."""
    segment = next((site.repository / "wal_005").iterdir()).name.partition(".")[0]
    done = site.pitr("wal-fetch", segment, site.base / "x", env=host(site), check=False)
    assert done.returncode == 200
    assert not (site.base / "x").exists()


def test_keys_tells_what_needs_which(site: Site) -> None:
    """Without any secret key; where one is at hand it is told what that opens."""
    by_host = table(site, host(site))
    assert {row["objects_of"] for row in by_host} == {site.backups()[0], "WAL of timeline 1"}
    assert {tuple(row["recipients"]) for row in by_host} == {(ONE,)}  # type: ignore[arg-type]
    assert {row["opens_here"] for row in by_host} == {False}
    assert {row["opens_here"] for row in table(site, vault(site, IDENTITY))} == {True}
    shown = site.pitr("keys", env=host(site)).stdout
    assert ONE in shown
    assert "NO" in shown


def test_rewrap_adds_and_removes_keys(site: Site) -> None:
    """The content stays as it is; who has only the removed key opens nothing that is stored."""
    both = vault(site, IDENTITY, ONE, OTHER)
    before = {path: path.stat().st_size for path in site.repository.rglob("*.zst")}
    assert "rewrapped" in site.pitr("rewrap", env=both).stdout
    assert all(path.stat().st_size > size for path, size in before.items())
    assert {len(row["key_ids"]) for row in table(site, both)} == {2}  # type: ignore[arg-type]
    site.pitr("rewrap", env=vault(site, OTHER_IDENTITY, OTHER))
    done = site.pitr("wal-show", env=vault(site, IDENTITY), check=False)
    assert {row["opens_here"] for row in table(site, vault(site, IDENTITY))} == {False}, done
    cluster = restored(site, vault(site, OTHER_IDENTITY))
    assert cluster.scalar(f"SELECT count(*) FROM {NAME}") == 2000


def sealed(site: Site) -> dict[Path, bytes]:
    """Every encrypted object."""
    objects = (path for path in site.repository.rglob("*") if path.is_file())
    contents = ((path, path.read_bytes()) for path in objects)
    return {path: data for path, data in contents if data.startswith(b"age-encryption.org/")}


def test_rewrap_does_what_is_left(site: Site) -> None:
    """Killed at any moment, it leaves whole objects; the same command goes on."""
    env = vault(site, IDENTITY, OTHER)
    for tenths in range(1, 8):
        with started(site, "rewrap", env=env) as process:
            time.sleep(tenths / 10)
            process.kill()
            finished(process)
    site.pitr("rewrap", env=env)
    assert "rewrapped     0 objects" in site.pitr("rewrap", env=env).stdout
    assert restored(site, vault(site, OTHER_IDENTITY)).scalar(f"SELECT count(*) FROM {NAME}")


def test_rewrap_tells_what_it_could_not_open(site: Site) -> None:
    """Nothing is changed then."""
    before = sealed(site)
    done = site.pitr("rewrap", env=vault(site, OTHER_IDENTITY, ONE, OTHER), check=False)
    assert done.returncode == 9
    assert f"{len(before)} objects could not be rewrapped" in done.stderr
    assert sealed(site) == before


def test_a_dry_run_changes_nothing(site: Site) -> None:
    """It needs no secret key."""
    before = sealed(site)
    done = site.pitr("rewrap", "--dry-run", env=host(site, ONE, OTHER))
    assert "nothing was written" in done.stdout
    assert sealed(site) == before


@pytest.mark.parametrize("by", [host, lambda site: vault(site, IDENTITY)], ids=["host", "vault"])
def test_copies_stay_encrypted(site: Site, by: Callable[[Site], dict[str, str]]) -> None:
    """Looked into with the secret key, by their sizes without; a copy restores as well."""
    copied = site.base / "copied"
    copied.mkdir()
    where = [f"file://{site.repository}", f"file://{copied}"]
    site.pitr("copy", "--all", *where, env=by(site))
    assert "0 objects" in site.pitr("copy", "--all", "--dry-run", *where, env=by(site)).stdout
    objects = {path.relative_to(site.repository): data for path, data in sealed(site).items()}
    there = {path.relative_to(copied) for path in sealed(replace(site, repository=copied))}
    assert {path.name for path in there} >= {"part_001.tar.zst", "index.json.zst"}
    assert all((copied / path).read_bytes() == objects[path] for path in there)
    site.pitr("copy", "--all", "--verify", *where, env=by(site))
    cluster = restored(replace(site, repository=copied), vault(site, IDENTITY))
    assert cluster.scalar(f"SELECT count(*) FROM {NAME}") >= 1000


def test_a_copy_goes_on_after_a_rewrapping(site: Site) -> None:
    """The same content behind other headers is no conflict, with the key or without."""
    copied = site.base / "copied"
    copied.mkdir()
    where = [f"file://{site.repository}", f"file://{copied}"]
    site.pitr("copy", "--all", *where, env=host(site))
    site.pitr("rewrap", env=vault(site, IDENTITY, ONE, OTHER))
    site.pitr("copy", "--all", "-w", *where, env=vault(site, IDENTITY))
    site.pitr("copy", "--all", "-w", *where, env=host(site))
    theirs = {path.name: path.stat().st_size for path in copied.rglob("*.zst")}
    ours = {path.name: path.stat().st_size for path in site.repository.rglob("*.zst")}
    assert theirs["index.json.zst"] != ours["index.json.zst"], "the copy keeps its own headers"


def test_a_damaged_object_is_not_copied(site: Site) -> None:
    """The copy looks into what it can decrypt."""
    copied = site.base / "copied"
    copied.mkdir()
    part = next(site.repository.rglob("part_001.tar.zst"))
    data = bytearray(part.read_bytes())
    data[len(data) // 2] ^= 1
    part.write_bytes(data)
    done = site.pitr(
        "copy",
        f"file://{site.repository}",
        f"file://{copied}",
        "--all",
        env=vault(site, IDENTITY),
        check=False,
    )
    assert done.returncode == 6
    assert "part_001.tar.zst" in complaint(done)
    assert not list(copied.rglob("part_001.tar.zst"))


def test_plain_objects_are_refused_where_encryption_is_required(site: Site) -> None:
    """A segment that somebody put there in plain is not delivered."""
    plain = settings(site, "plain")
    segment = next((site.repository / "wal_005").iterdir())
    name = segment.name.partition(".")[0]
    site.pitr("wal-fetch", name, site.base / "fetched", env=vault(site, IDENTITY))
    segment.unlink()
    (site.base / name).write_bytes((site.base / "fetched").read_bytes())
    site.pitr("wal-push", site.base / name, env=plain)
    strict = vault(site, IDENTITY, ONE) | {"PITR_REQUIRE_ENCRYPTION": "true"}
    done = site.pitr("wal-fetch", name, site.base / "again", env=strict, check=False)
    assert done.returncode == 200
    assert "is not encrypted, and encryption is required" in done.stderr
