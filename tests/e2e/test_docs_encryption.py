"""The pages on encryption are run: keys are made, hosts set up, restored and given other keys."""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from shlex import quote

import pytest

from tests.e2e.test_docs import (
    host_places,
    make_host,
    recipe,
    restored_by_hand,
    run_shell,
    with_places,
)
from tests.support.cluster import Cluster
from tests.support.commands import complaint
from tests.support.environment import clean_environ, pitr_program
from tests.support.postgres import find_binaries
from tests.support.site import Site, archive_everything, promoted

PAGE = "docs/encryption.md"
ROWS = 20000


@pytest.fixture
def gnupg() -> Iterator[dict[str, str]]:
    """A keyring of its own, by a path that is short enough for gpg's sockets."""
    with tempfile.TemporaryDirectory(prefix="gpg-") as directory:
        env = {"GNUPGHOME": directory}
        yield env
        subprocess.run(["gpgconf", "--kill", "all"], env=clean_environ() | env, check=True)


def play(
    site: Site,
    name: str,
    places: Mapping[str, str | Path] | None = None,
    *,
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a recipe of the page as a user who need not become another."""
    text = with_places(recipe(PAGE, name), places or {})
    return run_shell(text, site.base, programs=find_binaries().bindir, env=env)


def archiving(site: Site, *lines: str, env: Mapping[str, str]) -> Cluster:
    """A cluster that archives by these settings, with a backup and rows after it, killed."""
    config = site.base / "pitr.toml"
    config.write_text("\n".join([f'repository = "file://{site.repository}"', *lines]) + "\n")
    push = f"{quote(str(pitr_program()))} wal-push %p --config {quote(str(config))}"
    settings = {"archive_mode": "on", "archive_command": push}
    cluster = site.make_cluster(settings=settings, start=False)
    cluster.start(env=env)
    cluster.sql("CREATE TABLE t AS SELECT n FROM generate_series(1, 10000) n")
    site.pitr("backup-push", env=cluster.environ | {"PITR_CONFIG": str(config), **env})
    cluster.sql(f"INSERT INTO t SELECT n FROM generate_series(10001, {ROWS}) n")
    archive_everything(cluster)
    cluster.kill()
    return cluster


class TestWithoutThisProgram:
    """What docs/repository-format.md says of objects that are encrypted, or in other codecs."""

    @pytest.mark.parametrize("codec", ["zstd", "none"])
    def test_age_opens_a_backup(self, site: Site, codec: str) -> None:
        """With the file that age-keygen made."""
        play(site, "sh make-key")
        lines = (f'age_recipients_file = "{site.base}/main.pub"', f'compression_method = "{codec}"')
        lost = archiving(site, *lines, env={})
        restored = restored_by_hand(site, lost, key=site.base / "main.key")
        assert restored.scalar("SELECT count(*) FROM t") == ROWS

    def test_gpg_opens_a_backup(self, site: Site, gnupg: dict[str, str]) -> None:
        """With the key in the keyring of whoever restores; the host had the public one."""
        play(site, "sh make-pgp-key", env=gnupg)
        lines = (f'pgp_key_file = "{site.base}/main-public.asc"', 'compression_method = "lz4"')
        lost = archiving(site, *lines, env={})
        restored = restored_by_hand(site, lost, env=gnupg)
        assert restored.scalar("SELECT count(*) FROM t") == ROWS

    @pytest.mark.parametrize("codec", ["lz4", "brotli", "lzma"])
    def test_each_codec_has_its_program(self, site: Site, codec: str) -> None:
        """For backups and WAL."""
        lost = archiving(site, f'compression_method = "{codec}"', env={})
        assert restored_by_hand(site, lost).scalar("SELECT count(*) FROM t") == ROWS


def test_a_host_is_set_up_restored_and_given_another_key(site: Site) -> None:
    """The whole page with age, from making a key to throwing it away."""
    make_host(site.base)
    (site.base / "etc/pitr").mkdir()
    (site.base / "srv/backup/main").mkdir()
    play(site, "sh make-key")
    assert (site.base / "main.key").stat().st_mode & 0o777 == 0o600
    cluster = set_up(site)
    archive_everything(cluster)
    cluster.sql("CREATE TABLE kept AS SELECT 1 AS n")
    archive_everything(cluster)
    cluster.kill()
    assert opens(site, "etc/pitr/pitr.toml") == {False}
    shutil.rmtree(cluster.data_dir)

    restored = restore(site, cluster)
    assert restored.sql("SELECT n FROM kept") == [(1,)]
    config = site.base / "etc/pitr"
    assert (config / "main.key").stat().st_mode & 0o777 == 0o600
    (site.base / "old.key").write_bytes((site.base / "main.key").read_bytes())
    play(site, "sh after", {"/etc/": f"{site.base}/etc/"})
    assert sorted(path.name for path in config.iterdir()) == ["pitr.toml", "recipients"]

    rewrap(site)
    opened_by_both = opens(site, "rewrap.toml")
    (site.base / "both.key").write_bytes((site.base / "next.key").read_bytes())
    assert opened_by_both == opens(site, "rewrap.toml") == {True}
    (site.base / "both.key").write_bytes((site.base / "main.key").read_bytes())
    assert opens(site, "rewrap.toml") == {False}


def set_up(site: Site) -> Cluster:
    """Run the host's block on a server."""
    cluster = site.make_cluster(settings={"archive_mode": "on"}, start=False)
    environ = {**cluster.environ, "PITR_CONFIG": f"{site.base}/etc/pitr/pitr.toml"}
    cluster.start(env=environ)
    places = {"sudo -u postgres ": "", **host_places(site.base)}
    done = play(site, "sh host", places, env=environ)
    assert f"file://{site.base}/srv/backup/main" in done.stdout
    recipient = (site.base / "main.pub").read_text().strip()
    assert any(recipient in line and "NO" in line for line in done.stdout.splitlines())
    return cluster


def restore(site: Site, cluster: Cluster) -> Cluster:
    """Run the restore's block where the data directory was."""
    places = host_places(site.base) | {
        " -o postgres -g postgres": "",
        "sudo -u postgres ": "",
        "systemctl start postgresql\n": "",
        "/var/lib/postgresql/15/main": cluster.data_dir,
    }
    play(site, "sh restore", places)
    restored = site.make_cluster(adopt=cluster.data_dir, start=False)
    restored.start(env={"PITR_CONFIG": f"{site.base}/etc/pitr/pitr.toml"})
    promoted(restored)
    archive_everything(restored)
    return restored


def rewrap(site: Site) -> None:
    """Run the block that replaces one key by another."""
    places = {"/etc/": f"{site.base}/etc/", "/srv/backup": f"{site.base}/srv/backup"}
    done = play(site, "sh rewrap", places)
    assert "nothing was written (--dry-run)" in done.stdout
    assert (site.base / "next.pub").read_text().strip() in done.stdout


def opens(site: Site, config: str) -> set[bool]:
    """Whether the keys of these settings open what is stored."""
    done = site.pitr("keys", "--json", "--config", site.base / config)
    return {item["opens_here"] for item in json.loads(done.stdout)["keys"]}


def test_libsodium_s_key_is_made_and_used(site: Site) -> None:
    """One key on every host; the table says what needs it."""
    play(site, "sh make-libsodium-key")
    key = site.base / "main-libsodium.key"
    assert key.stat().st_mode & 0o777 == 0o600
    lines = [f'libsodium_key_file = "{key}"', 'libsodium_key_transform = "hex"']
    cluster = archiving(site, *lines, env={})
    site.pitr("backup-fetch", site.base / "back", "--config", site.base / "pitr.toml")
    restored = site.make_cluster(adopt=site.base / "back")
    promoted(restored)
    assert restored.scalar("SELECT count(*) FROM t") == ROWS
    assert not cluster.running


def test_an_old_plain_repository_is_encrypted_from_now_on(site: Site) -> None:
    """A plain backup goes on with encrypted WAL, until plain objects are refused."""
    play(site, "sh make-key")
    cluster = site.cluster()
    cluster.sql("CREATE TABLE t AS SELECT 1 AS n")
    site.backup(cluster)
    config = site.base / "pitr.toml"
    config.write_text(
        f'repository = "file://{site.repository}"\nage_identity_file = "{site.base}/main.key"\n'
    )
    push = f"{quote(str(pitr_program()))} wal-push %p --config {quote(str(config))}"
    cluster.settings(archive_command=push)
    cluster.reload()
    cluster.wait_until(f"SELECT current_setting('archive_command') = '{push}'")
    cluster.sql("INSERT INTO t VALUES (2)")
    archive_everything(cluster)
    cluster.kill()

    site.pitr("backup-fetch", site.base / "back", "--config", config)
    restored = site.make_cluster(adopt=site.base / "back")
    promoted(restored)
    assert restored.sql("SELECT n FROM t ORDER BY n") == [(1,), (2,)]

    [strict] = [block for block in toml_blocks() if "require" in block]
    config.write_text(config.read_text() + strict)
    done = site.pitr("backup-fetch", site.base / "no", "--config", config, check=False)
    assert done.returncode == 9
    assert "is not encrypted, and encryption is required" in complaint(done)


def toml_blocks() -> list[str]:
    """The settings that the page shows."""
    text = (Path(__file__).parents[2] / PAGE).read_text()
    return [block.partition("```")[0] for block in text.split("```toml\n")[1:]]


def test_a_key_comes_from_a_command(site: Site) -> None:
    """As the page writes it for a vault, with another program in the vault's place."""
    play(site, "sh make-key")
    vault = site.base / "bin/vault"
    vault.parent.mkdir()
    vault.write_text(
        f'#!/bin/sh\n[ "$*" = "kv get -field=identity secret/pitr/main" ]\n'
        f"cat {quote(str(site.base / 'main.key'))}\n"
    )
    vault.chmod(0o755)
    [block] = [block for block in toml_blocks() if "key_command" in block]
    places: dict[str, str | Path] = {
        "s3://backup/main": f"file://{site.repository}",
        "/etc/pitr/recipients": site.base / "main.pub",
        "vault kv": f"{vault} kv",
    }
    lines = with_places(block, places).splitlines()
    cluster = archiving(site, *lines[1:], env={})
    site.pitr("backup-fetch", site.base / "back", "--config", site.base / "pitr.toml")
    restored = site.make_cluster(adopt=site.base / "back")
    promoted(restored)
    assert restored.scalar("SELECT count(*) FROM t") == ROWS
    assert not cluster.running
