"""The documentation is run: links lead somewhere, commands exist, recipes do what they say.

A fenced block with a name after its language (```sh by-hand) is a recipe. It is run here as it
stands, but for the paths of the server that it was written for.
"""

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path

import pytest

from backup_core import errors
from backup_core.cli.main import COMMANDS
from backup_core.cli.options import Parser
from tests.support.cluster import Cluster
from tests.support.environment import clean_environ, pitr_program
from tests.support.site import Site, archive_everything, paused, promoted

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
FENCE = re.compile(r"^```([^\n`]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
SHELL_OPERATOR = re.compile(r"[;|&<>]+")
PROMPT = "$ "


def named(page: Path) -> str:
    """The page's path within the project."""
    return page.relative_to(ROOT).as_posix()


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return FENCE.sub("", page.read_text())


def recipe(page: str, name: str) -> str:
    """The fenced block of this name."""
    blocks = [text for info, text in FENCE.findall((ROOT / page).read_text()) if info == name]
    assert len(blocks) == 1, f"{page} has {len(blocks)} blocks named {name}"
    return str(blocks[0])


def with_places(text: str, places: Mapping[str, str | Path]) -> str:
    """Put the test's own places in; each must be there to be replaced."""
    for written, real in places.items():
        assert written in text, f"{written} is not in the recipe"
        text = text.replace(written, str(real))
    return text


def run_shell(
    script: str, directory: Path, *, programs: Path, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a recipe as an operator pastes it, but stop at the first error."""
    environ = clean_environ() | dict(env or {})
    environ["PATH"] = f"{programs}:{environ['PATH']}"
    done = subprocess.run(
        ["sh", "-eu", "-c", script],
        cwd=directory,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{script}\nended with {done.returncode}:\n{done.stderr}"
    return done


# --- what is written ---


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    """To a file of the project and, after a #, to one of its headings."""
    dead = [
        link
        for link in LINK.findall(prose(page))
        if not link.startswith(("https://", "http://")) and not leads_somewhere(page, link)
    ]
    assert not dead


def leads_somewhere(page: Path, link: str) -> bool:
    """Tell whether a relative link has a target."""
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    return target.exists() and (not anchor or anchor in anchors(target))


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, by the usual rule."""
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in HEADING.findall(FENCE.sub("", page.read_text()))
    }


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_command_line_can_be_parsed(page: Path) -> None:
    """Each `pitr ...` in a fenced block has a command and options that exist."""
    for line in command_lines(page):
        check_command_line(line)


def test_command_lines_are_found() -> None:
    """The parser of the documentation does not pass over it."""
    found = [line for page in PAGES for line in command_lines(page)]
    assert {line[0] for line in found} >= {"backup-push", "backup-fetch", "wal-push", "wal-fetch"}
    assert ["backup-list", "--json"] in list(pitr_calls("if x; then y/pitr backup-list --json; fi"))


def command_lines(page: Path) -> Iterator[list[str]]:
    """The arguments of every pitr in the page's fenced blocks."""
    for _, text in FENCE.findall(page.read_text()):
        for line in text.replace("\\\n", " ").splitlines():
            if "pitr " in line and not line.startswith("... "):
                yield from pitr_calls(line.strip().removeprefix(PROMPT))


def pitr_calls(line: str) -> Iterator[list[str]]:
    """The arguments of every pitr in a line of shell, in quoted commands as well."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    try:
        words = list(lexer)
    except ValueError:  # a comment's apostrophe, a line of a larger text
        return
    for number, word in enumerate(words):
        if word == "pitr" or word.endswith("/pitr"):
            call = list(until_operator(words[number + 1 :]))
            if call and not call[0].startswith("-"):
                yield call
        elif " " in word and "pitr " in word:
            yield from pitr_calls(word)


def until_operator(words: list[str]) -> Iterator[str]:
    """The words of one simple command."""
    for word in words:
        if SHELL_OPERATOR.fullmatch(word):
            return
        yield word


def check_command_line(words: list[str]) -> None:
    """Parse a command line as the command does; UsageError fails the test."""
    assert words[0] in COMMANDS, words
    parser = Parser(prog=f"pitr {words[0]}")
    import_module(f"backup_core.cli.{COMMANDS[words[0]].module}").configure(parser)
    parser.parse_args(words[1:])


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_target_of_make_exists(page: Path) -> None:
    """What a reader is told to make is in the Makefile."""
    makefile = (ROOT / "Makefile").read_text()
    wanted = re.findall(r"^(?:\$ )?make ([a-z]+)", "\n".join(blocks(page)), re.MULTILINE)
    assert not [target for target in wanted if not re.search(rf"^{target}:", makefile, re.M)]


def blocks(page: Path) -> list[str]:
    """The text of the page's fenced blocks."""
    return [text for _, text in FENCE.findall(page.read_text())]


def test_every_command_is_in_the_readme() -> None:
    """A newcomer finds each command in the table."""
    readme = (ROOT / "README.md").read_text()
    assert not [name for name in COMMANDS if f"| `pitr {name}" not in readme]


def test_every_error_is_in_the_table_of_exit_codes() -> None:
    """With its own number."""
    row = re.compile(r"^\| (\d+)(?: to \d+)? \| .* \| (`.*`) \|$", re.MULTILINE)
    rows = row.findall(page_text("exit-codes.md"))
    written = {name: int(code) for code, names in rows for name in re.findall(r"\w+Error", names)}
    classes = {
        name: value.exit_code
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.PitrError)
    }
    assert written == classes


def page_text(name: str) -> str:
    """The text of a page in docs/."""
    return (ROOT / "docs" / name).read_text()


# --- what is run ---


@pytest.fixture
def lost(site: Site) -> Cluster:
    """A cluster with a tablespace that was backed up, written to, archived and destroyed."""
    location = site.base / "space"
    location.mkdir()
    cluster = site.cluster()
    cluster.sql(f"CREATE TABLESPACE fast LOCATION '{location}'")
    cluster.sql("CREATE TABLE t TABLESPACE fast AS SELECT n FROM generate_series(1, 10000) n")
    site.backup(cluster)
    cluster.sql("INSERT INTO t SELECT n FROM generate_series(10001, 20000) n")
    archive_everything(cluster)
    cluster.kill()
    shutil.rmtree(cluster.data_dir)
    shutil.rmtree(location)
    return cluster


def places(site: Site) -> dict[str, str | Path]:
    """What the recipes of the format's page call a repository and a backup."""
    return {
        "/srv/backup/main": site.repository,
        "base_000000010000000000000005": site.backups()[-1],
    }


def test_a_backup_is_restored_by_hand(site: Site, lost: Cluster) -> None:
    """With zstd, tar and PostgreSQL's programs alone, a lost cluster comes back whole."""
    restored = restored_by_hand(site, lost)
    assert restored.scalar("SELECT count(*) FROM t") == 20000
    assert any((site.base / "space").iterdir())


def restored_by_hand(
    site: Site, lost: Cluster, *, key: Path | None = None, env: Mapping[str, str] | None = None
) -> Cluster:
    """Do what the format's page says without this program; `env` is for it and for the server."""
    page, target = "docs/repository-format.md", site.base / "by-hand"
    content: dict[str, str | Path] = {"/srv/content": site.base / "content"}
    opened = with_places(
        recipe(page, "sh by-hand-content"), content | {"/srv/main.key": key or "/dev/null"}
    )
    script = with_places(
        recipe(page, "sh by-hand"),
        places(site) | content | {"/var/lib/postgresql/15/main": target},
    )
    done = run_shell(opened + script, site.base, programs=lost.binaries.bindir, env=env)
    assert "backup successfully verified" in done.stdout
    restored = site.make_cluster(adopt=target, start=False)
    restored.start(env=env)
    promoted(restored)
    return restored


def test_one_file_is_read_by_hand(site: Site) -> None:
    """From the middle of a part, without what is before it."""
    cluster = site.cluster()
    cluster.sql("CREATE TABLE t AS SELECT n FROM generate_series(1, 10000) n")
    cluster.sql("CHECKPOINT")
    path = str(cluster.scalar("SELECT pg_relation_filepath('t')"))
    site.backup(cluster)
    script = with_places(
        recipe("docs/repository-format.md", "sh one-file"), places(site) | {"global/1262": path}
    )
    done = run_shell(script, site.base, programs=cluster.binaries.bindir)
    assert done.stdout == "found: OK\n"
    assert (site.base / "found").read_bytes() == (cluster.data_dir / path).read_bytes()
    _, stored, *_ = (site.base / "place").read_text().split()
    assert int(stored) > 0


SERVER = {
    "apt-get install -y python3-venv\n": "",
    "python3 -m venv /opt/pitr && /opt/pitr/bin/pip install .\n": "",
    " -o postgres -g postgres": "",
    "sudo -u postgres ": "",
}


def host_places(base: Path) -> dict[str, str | Path]:
    """The directories of a host, below `base`."""
    return {place: f"{base}{place}" for place in ("/opt/pitr", "/srv/backup", "/etc/")}


def make_host(base: Path) -> None:
    """The parts of a host that the README takes for granted, or installs."""
    (base / "opt/pitr/bin").mkdir(parents=True)
    (base / "opt/pitr/bin/pitr").symlink_to(pitr_program())
    (base / "etc/cron.d").mkdir(parents=True)
    (base / "srv/backup").mkdir(parents=True)


def test_the_readme_sets_up_a_server_and_restores_it(site: Site) -> None:
    """Its two blocks archive, back up, schedule, and bring a moment back."""
    base = site.base
    make_host(base)
    setup = with_places(recipe("README.md", "sh server"), SERVER | host_places(base))
    before, restart, after = setup.partition("systemctl restart postgresql\n")
    assert restart
    cluster = site.make_cluster()
    environ = {**cluster.environ, "PITR_CONFIG": str(base / "etc/pitr/pitr.toml")}
    programs = cluster.binaries.bindir

    run_shell(before, base, programs=programs, env=environ)
    cluster.stop()
    cluster.start(env=environ)
    run_shell(after, base, programs=programs, env=environ)
    schedule = (base / "etc/cron.d/pitr").read_text()
    run_shell(schedule.partition("postgres ")[2], base, programs=programs, env=environ)
    assert len(list((base / "srv/backup/main/basebackups_005").glob("*.json"))) == 2

    cluster.sql("CREATE TABLE kept AS SELECT 1 AS n")
    moment = str(cluster.scalar("SELECT clock_timestamp()"))
    cluster.sql("DELETE FROM kept")
    archive_everything(cluster)
    cluster.stop()
    restore_as_the_readme_says(site, cluster, moment, environ)


def restore_as_the_readme_says(
    site: Site, cluster: Cluster, moment: str, environ: Mapping[str, str]
) -> None:
    """Run the emergency's block on the stopped cluster and see that the moment is back."""
    script = with_places(
        recipe("README.md", "sh restore"),
        {
            "systemctl stop postgresql\n": "",
            "systemctl start postgresql\n": "",
            "sudo -u postgres ": "",
            "/opt/pitr": site.base / "opt/pitr",
            "/var/lib/postgresql/15/main": cluster.data_dir,
            "2026-11-22 14:03:00+01": moment,
        },
    )
    done = run_shell(script, site.base, programs=cluster.binaries.bindir, env=environ)
    assert "nothing was written (--dry-run)" in done.stdout
    restored = site.make_cluster(adopt=cluster.data_dir)
    paused(restored)
    assert restored.sql("SELECT * FROM kept") == [(1,)]
    restored.sql("SELECT pg_wal_replay_resume()")
    promoted(restored)


def test_the_last_minutes_are_saved(site: Site) -> None:
    """What a dead server had not archived comes back out of its pg_wal, to the last commit."""
    make_host(site.base)
    repository = f"{site.base}/pitr.toml"
    Path(repository).write_text(f'repository = "file://{site.repository}"\n')
    cluster = site.cluster()
    site.backup(cluster)
    cluster.settings(archive_command="false")
    cluster.reload()
    cluster.wait_until("SELECT current_setting('archive_command') = 'false'")
    cluster.sql("CREATE TABLE t AS SELECT 1 AS n")
    cluster.sql("SELECT pg_switch_wal()")
    cluster.sql("INSERT INTO t VALUES (2)")
    cluster.kill()
    away = cluster.data_dir.rename(site.base / "main.lost")
    words: dict[str, str | Path] = {
        "/var/lib/postgresql/15/main.lost": away,
        "sudo -u postgres ": "",
    }
    opt = {"/opt/pitr": site.base / "opt/pitr"}
    target = site.base / "main"

    save = with_places(recipe("docs/restore.md", "sh save-wal"), words | opt)
    run_shell(save, site.base, programs=cluster.binaries.bindir, env={"PITR_CONFIG": repository})
    site.run("backup-fetch", target)
    copy = with_places(
        recipe("docs/restore.md", "sh copy-wal"), words | {"/var/lib/postgresql/15/main": target}
    )
    run_shell(copy, site.base, programs=cluster.binaries.bindir)

    restored = site.make_cluster(adopt=target)
    promoted(restored)
    assert restored.sql("SELECT n FROM t ORDER BY n") == [(1,), (2,)]
