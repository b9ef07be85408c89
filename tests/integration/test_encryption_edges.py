"""Encryption where it could give way: hosts with public keys alone, kills, copies, vaults."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote

import pytest

from backup_core.stream.encrypt.age import format_identity, format_recipient
from tests.support.commands import complaint, finished, started
from tests.support.environment import clean_environ, pitr_program
from tests.support.segments import FIRST, HISTORY, segment, wal_file
from tests.support.site import Site, archive_everything, check_indexes, open_site, promoted
from tests.unit.stream.encrypt.keys import (
    IDENTITY,
    PASSPHRASE,
    RECIPIENT,
    SODIUM_KEY,
    pgp_key,
    run_gpg,
)

HISTORY_NAME = "00000002.history"
ONE = format_recipient(RECIPIENT)
SECRETS: dict[str, Callable[[], str]] = {
    "age": lambda: format_identity(IDENTITY),
    "libsodium": SODIUM_KEY.hex,
    "openpgp": lambda: pgp_key().secret,
}
HOST_LINES: dict[str, Callable[[Path], str]] = {
    "age": lambda _: f'age_recipients = "{ONE}"',
    "libsodium": lambda base: _libsodium_line(base),
    "openpgp": lambda base: f'pgp_key_file = "{written(base, "public.asc", pgp_key().public)}"',
}
VAULT_LINES: dict[str, Callable[[Path], str]] = {
    "libsodium": lambda base: _libsodium_line(base),
    "openpgp": lambda base: f'pgp_key_file = "{written(base, "secret.asc", pgp_key().secret)}"',
}


def written(base: Path, name: str, text: str, mode: int = 0o600) -> Path:
    """A file of the test's own."""
    path = base / name
    path.write_text(text)
    path.chmod(mode)
    return path


def _libsodium_line(base: Path) -> str:
    path = written(base, "libsodium.key", SODIUM_KEY.hex())
    return f'libsodium_key_file = "{path}"\nlibsodium_key_transform = "hex"'


def settings(site: Site, name: str, *lines: str) -> dict[str, str]:
    """A file of settings, as the variable that names it."""
    text = "\n".join([f'repository = "file://{site.repository}"', *lines]) + "\n"
    return {"PITR_CONFIG": str(written(site.base, f"{name}.toml", text))}


def wait_until(condition: Callable[[], bool]) -> None:
    """For what happens in another process."""
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


# --- OpenPGP's homes


@dataclass(frozen=True, kw_only=True)
class Host:
    """A host that encrypts by OpenPGP, by a gpg that notes how it is called."""

    site: Site
    key: Path
    calls: Path
    temporary: Path

    @property
    def env(self) -> dict[str, str]:
        """Its settings."""
        program = written(
            self.site.base,
            "gpg.sh",
            f'#!/bin/sh\necho "$@" >>{self.calls}\n[ ! -e {self.calls}.slow ] || '
            'case "$*" in *--encrypt*) sleep 2;; esac\nexec gpg "$@"\n',
            0o700,
        )
        return self.site.environ | {
            "WALG_PGP_KEY_PATH": str(self.key),
            "GPG_BIN": str(program),
            "TMPDIR": str(self.temporary),
        }

    def push(self, path: Path, *, check: bool = True) -> subprocess.CompletedProcess[str]:
        """As archive_command does."""
        return self.site.pitr("wal-push", path, env=self.env, check=check)

    def killed_push(self, path: Path) -> None:
        """A push that is ended by SIGKILL while gpg encrypts."""
        slow = Path(f"{self.calls}.slow")
        slow.touch()
        before = self.calls.read_text().count("--encrypt") if self.calls.exists() else 0
        with started(self.site, "wal-push", path, env=self.env) as process:
            wait_until(
                lambda: self.calls.exists() and self.calls.read_text().count("--encrypt") > before
            )
            process.kill()
            assert finished(process).returncode == -signal.SIGKILL
        slow.unlink()

    def homes(self) -> set[Path]:
        """Those that were made for gpg."""
        return set(map(Path, re.findall(r"--homedir (\S+)", self.calls.read_text())))

    def leftovers(self) -> list[str]:
        """What is still there of all that was made: homes, their agents, temporary files."""
        homes = self.homes()
        assert homes
        there = [str(home) for home in homes if home.exists()]
        lines = [path / "cmdline" for path in Path("/proc").iterdir() if path.name.isdigit()]
        agents = [line for line in map(_content, lines) if any(str(home) in line for home in homes)]
        return [*there, *agents, *map(str, self.temporary.iterdir())]


def _content(path: Path) -> str:
    try:
        return path.read_bytes().decode(errors="replace")
    except OSError:
        return ""


def make_host(site: Site, key: str) -> Host:
    """A host with this key."""
    temporary = site.base / "temporary"
    temporary.mkdir()
    path = written(site.base, "key.asc", key)
    return Host(site=site, key=path, calls=site.base / "calls", temporary=temporary)


@pytest.fixture
def host(site: Site) -> Host:
    """One with the public key alone."""
    return make_host(site, pgp_key().public)


def test_a_public_key_is_enough_to_compare(host: Host) -> None:
    """The mark answers for the content, which the host cannot read; nothing stays behind."""
    path = wal_file(host.site.base, FIRST, segment())
    host.push(path)
    host.push(path)
    wal_file(host.site.base, FIRST, segment(seed=1))
    done = host.push(path, check=False)
    assert done.returncode == 3
    assert "with different content; nothing was overwritten" in complaint(done)
    assert host.leftovers() == []


def test_without_its_mark_nothing_is_claimed(host: Host) -> None:
    """Neither equal nor different: the key is asked for."""
    path = wal_file(host.site.base, FIRST, segment())
    host.push(path)
    for mark in (host.site.repository / "pitr" / "marks").iterdir():
        mark.unlink()
    done = host.push(path, check=False)
    assert done.returncode == 9
    assert "whose secret key is not at hand" in complaint(done)


def test_a_torn_object_is_no_success(host: Host) -> None:
    """A host that cannot read it keeps its segment all the same."""
    path = wal_file(host.site.base, FIRST, segment())
    host.push(path)
    stored = host.site.repository / "wal_005" / f"{FIRST}.zst"
    os.truncate(stored, stored.stat().st_size - 100)
    done = host.push(path, check=False)
    assert done.returncode == 3
    assert "cannot be read back" in complaint(done)


def test_a_locked_key_does_not_stop_the_archiver(site: Site) -> None:
    """A keyring with a passphrase that nobody gives, as WAL-E's often is."""
    with tempfile.TemporaryDirectory() as home:  # sockets have short paths
        run_gpg(Path(home), pgp_key(PASSPHRASE).secret.encode(), "--import")
        env = site.environ | {"GNUPGHOME": home, "WALE_GPG_KEY_ID": "pitr@example.org"}
        path = wal_file(site.base, FIRST, segment())
        for _ in range(2):
            site.pitr("wal-push", path, env=env)
        wal_file(site.base, FIRST, segment(seed=1))
        done = site.pitr("wal-push", path, env=env, check=False)
        subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=False)
    assert done.returncode == 3


@pytest.mark.parametrize("line", ['age_identity_file = "/nowhere"', 'key_command = "false"'])
def test_a_key_out_of_reach_does_not_stop_the_archiver(site: Site, line: str) -> None:
    """Writing needs none, and a segment that comes again is known by its mark."""
    env = settings(site, "host", HOST_LINES["age"](site.base), line)
    path = wal_file(site.base, FIRST, segment())
    site.pitr("wal-push", path, env=env)
    again = site.pitr("wal-push", path, env=env)
    assert "already" in again.stderr
    wal_file(site.base, FIRST, segment(seed=1))
    assert site.pitr("wal-push", path, env=env, check=False).returncode == 3


def test_a_killed_push_is_cleaned_up_by_the_next(host: Host) -> None:
    """All that it can leave is a keyring with a public key; the segment goes up after all."""
    path = wal_file(host.site.base, FIRST, segment())
    host.killed_push(path)
    host.push(path)
    host.push(path)
    wait_until(lambda: not host.leftovers())


def test_a_killed_push_leaves_no_secret_key(site: Site) -> None:
    """The keyring and its agent go at once, without a next command."""
    host = make_host(site, pgp_key().secret)
    host.killed_push(wal_file(site.base, FIRST, segment()))
    wait_until(lambda: not host.leftovers())


def test_a_signal_to_all_processes_leaves_no_secret_key(site: Site) -> None:
    """As a server does that is stopped at once: SIGKILL for the whole process group."""
    host = make_host(site, pgp_key().secret)
    Path(f"{host.calls}.slow").touch()
    path = wal_file(site.base, FIRST, segment())
    process = subprocess.Popen(
        [pitr_program(), "wal-push", path],
        env=clean_environ() | host.env,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    with process:
        wait_until(lambda: host.calls.exists() and "--encrypt" in host.calls.read_text())
        os.killpg(process.pid, signal.SIGKILL)
    wait_until(lambda: not host.leftovers())


# --- the main path


@dataclass(frozen=True, kw_only=True)
class Story:
    """A cluster that archived in one scheme, with a backup and WAL after it."""

    site: Site
    scheme: str
    host: dict[str, str]
    vault: dict[str, str]


@pytest.fixture(scope="module", params=sorted(VAULT_LINES))
def story(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Story]:
    """Told once for each scheme; tests only read its repository."""
    with open_site(tmp_path_factory.mktemp("story")) as site:
        scheme = str(request.param)
        host = settings(site, "host", HOST_LINES[scheme](site.base))
        vault = settings(site, "vault", VAULT_LINES[scheme](site.base))
        push = f"{quote(str(pitr_program()))} wal-push %p --config {quote(host['PITR_CONFIG'])}"
        archiving = {"archive_mode": "on", "archive_command": push}
        cluster = site.make_cluster("data", settings=archiving)
        cluster.sql("CREATE TABLE t AS SELECT n, md5(n::text) FROM generate_series(1, 1000) n")
        cluster.sql("ALTER TABLE t ADD PRIMARY KEY (n)")
        site.pitr("backup-push", env=host | cluster.environ)
        cluster.sql("INSERT INTO t SELECT n, md5(n::text) FROM generate_series(1001, 2000) n")
        archive_everything(cluster)
        cluster.stop()
        yield Story(site=site, scheme=scheme, host=host, vault=vault)


def test_a_lost_cluster_comes_back(story: Story) -> None:
    """Backup and WAL, by the command line and a real server, proved by stock programs."""
    site = story.site
    site.pitr("backup-fetch", site.base / "restored", env=story.vault)
    cluster = site.make_cluster(adopt=site.base / "restored")
    promoted(cluster)
    assert cluster.scalar("SELECT count(*) FROM t WHERE md5 = md5(n::text)") == 2000
    check_indexes(cluster)
    cluster.stop()


def test_no_content_is_plain(story: Story) -> None:
    """Every object that has any opens with the key, and not without."""
    rows = json.loads(story.site.pitr("keys", "--json", env=story.vault).stdout)["keys"]
    assert {row["scheme"] for row in rows} == {story.scheme}
    assert all(row["objects"] for row in rows)


def test_a_restore_without_the_key_is_told_which(story: Story) -> None:
    """By the code for keys, before the first byte is written."""
    site = story.site
    keyless = settings(site, "keyless", HOST_LINES["age"](site.base))
    done = site.pitr("backup-fetch", site.base / "refused", env=keyless, check=False)
    assert done.returncode == 9
    assert story.scheme in complaint(done)
    assert not (site.base / "refused").exists()


@pytest.mark.parametrize("story", ["libsodium"], indirect=True)
def test_what_may_be_damaged_is_not_copied(story: Story, tmp_path: Path) -> None:
    """Without its key nothing tells libsodium's object from a damaged one."""
    where = [f"file://{story.site.repository}", f"file://{tmp_path}"]
    done = story.site.pitr("copy", "--all", *where, check=False)
    assert done.returncode == 9
    assert "it may be libsodium's" in complaint(done)
    assert not list(tmp_path.rglob("*.zst"))


@pytest.mark.parametrize("story", ["openpgp"], indirect=True)
def test_a_copy_brings_the_marks(story: Story, tmp_path: Path) -> None:
    """A host with the public key goes on in the copy, with a segment that it brought already."""
    copied = replace(story.site, repository=tmp_path / "copied")
    copied.repository.mkdir()
    where = [f"file://{story.site.repository}", f"file://{copied.repository}"]
    story.site.pitr("copy", "--all", *where, env=story.host)
    names = [path.name.partition(".zst")[0] for path in (copied.repository / "wal_005").iterdir()]
    name = next(name for name in sorted(names) if len(name) == 24)
    story.site.pitr("wal-fetch", name, tmp_path / name, env=story.vault)
    go_on = story.host | {"PITR_REPOSITORY": where[1]}
    story.site.pitr("wal-push", tmp_path / name, env=go_on)
    dry = story.site.pitr("copy", "--all", "--dry-run", *where, env=story.host).stdout
    assert "to copy  0 objects" in dry


def test_libsodium_without_a_key_is_not_called_damage(site: Site) -> None:
    """The code is that of a missing key, and the message says what cannot be known."""
    host = settings(site, "host", HOST_LINES["libsodium"](site.base))
    site.pitr("wal-push", wal_file(site.base, FIRST, segment()), env=host)
    key = f"wal_005/{FIRST}.zst"
    done = site.pitr("st", "cat", "--decompress", key, env=site.environ, check=False)
    assert done.returncode == 9
    assert "is encrypted or damaged: it may be libsodium's" in complaint(done)


# --- keys from a command


def key_command(site: Site, scheme: str, command: str) -> dict[str, str]:
    """Settings in which a command is all that knows the secret key."""
    lines = [f'encryption = "{scheme}"', f"key_command = '''{command}'''"]
    if scheme == "libsodium":
        lines.append('libsodium_key_transform = "hex"')
    return settings(site, "command", *lines)


@pytest.fixture(params=sorted(SECRETS))
def sealed_history(request: pytest.FixtureRequest, site: Site) -> str:
    """The scheme of a repository that has one small file of text."""
    scheme = str(request.param)
    host = settings(site, "host", HOST_LINES[scheme](site.base))
    site.pitr("wal-push", wal_file(site.base, HISTORY_NAME, HISTORY), env=host)
    return scheme


def shown(site: Site, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Read the file."""
    key = f"wal_005/{HISTORY_NAME}.zst"
    return site.pitr("st", "cat", "--decompress", key, env=env, check=False)


def test_a_command_gives_the_key(site: Site, sealed_history: str) -> None:
    """Whatever the scheme; the key stands in no file of settings."""
    vault = written(site.base, "vault", SECRETS[sealed_history]())
    done = shown(site, key_command(site, sealed_history, f"cat {vault}"))
    assert (done.returncode, done.stdout) == (0, HISTORY.decode()), done.stderr


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ('sh -c "echo sealed >&2; exit 2"', "failed with code 2: sealed"),
        ("true", "the key of key_command is empty"),
        ("echo permission denied", "key"),
        ("head -c 5000 /dev/zero", "key"),
        ("cat /dev/zero", "is longer than"),
        ("echo -----BEGIN PGP PRIVATE KEY BLOCK-----", "key"),
    ],
    ids=["fails", "nothing", "garbage", "zeros", "endless", "cut"],
)
def test_a_command_that_gives_no_key(
    site: Site, sealed_history: str, command: str, message: str
) -> None:
    """One line, what to do, the code for keys, and what it printed is not shown."""
    done = shown(site, key_command(site, sealed_history, command))
    assert done.returncode == 9
    line, hint = complaint(done).splitlines()
    assert message in line
    assert "permission denied" not in line
    assert hint.startswith("hint: ")
    assert done.stdout == ""


def test_a_command_that_hangs(site: Site, sealed_history: str) -> None:
    """It is ended with all that it started; its minute is shortened."""
    env = key_command(site, sealed_history, "sh -c 'sleep 1000 & exec sleep 1000'")
    program = (
        "from backup_core.stream.encrypt import keys; from backup_core.cli.main import program; "
        "keys.read_key.__kwdefaults__['timeout'] = 0.5; program()"
    )
    command = ["st", "cat", "--decompress", f"wal_005/{HISTORY_NAME}.zst"]
    done = subprocess.run(
        [sys.executable, "-c", program, *command],
        env=clean_environ() | env,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 9
    assert "sh of key_command gave no key" in complaint(done)


def test_a_standby_waits_for_the_vault(site: Site, sealed_history: str) -> None:
    """A recovering server is never told that the archive ends."""
    env = key_command(site, sealed_history, "false")
    done = site.pitr("wal-fetch", HISTORY_NAME, site.base / "x", env=env, check=False)
    assert done.returncode == 200
    assert not (site.base / "x").exists()
