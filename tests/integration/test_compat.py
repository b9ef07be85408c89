"""In the place of WAL-E and WAL-G: their command lines, by a link of that name, on real servers."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.test_docs import recipe, run_shell, with_places
from tests.support.cluster import Cluster
from tests.support.environment import clean_environ, pitr_program
from tests.support.segments import FIRST, SECOND, archived, segment, wal_file
from tests.support.site import Site, archive_everything, promoted

ROWS = 1000


@dataclass(frozen=True)
class Tool:
    """A tool's name at its old place, with the settings that it had."""

    site: Site
    name: str

    @property
    def program(self) -> Path:
        """The link that stands where the tool stood."""
        return self.site.base / "opt" / self.name / "bin" / self.name

    @property
    def environ(self) -> dict[str, str]:
        """WAL-E's whole settings; WAL-G's are in a file beside it."""
        if self.name == "wal-g":
            return {}
        return {"WALE_FILE_PREFIX": f"file://localhost{self.site.repository}"}

    @property
    def options(self) -> list[str]:
        """What stands before the command."""
        return ["--config", f"{self.program}.json"] if self.name == "wal-g" else ["--terse"]

    def command(self, *words: str) -> str:
        """A line for a setting of the server."""
        variables = [f"{name}={value}" for name, value in self.environ.items()]
        return " ".join(["env", *variables, str(self.program), *self.options, *words])

    def run(
        self, *words: str | Path, env: dict[str, str] | None = None, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Call the tool as an operator does."""
        return subprocess.run(
            [self.program, *self.options, *words],
            env=clean_environ() | self.environ | (env or {}),
            cwd=cwd or self.site.base,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


def installed(site: Site, name: str) -> Tool:
    """A link to pitr where the tool was, and wal-g's configuration file."""
    tool = Tool(site=site, name=name)
    tool.program.parent.mkdir(parents=True)
    tool.program.symlink_to(pitr_program())
    settings = {"WALG_FILE_PREFIX": str(site.repository)}
    Path(f"{tool.program}.json").write_text(json.dumps(settings))
    return tool


@pytest.fixture(params=["wal-e", "wal-g"])
def tool(site: Site, request: pytest.FixtureRequest) -> Tool:
    """Each of the two."""
    return installed(site, request.param)


@pytest.fixture
def wal_e(site: Site) -> Tool:
    """WAL-E alone."""
    return installed(site, "wal-e")


def test_a_server_lives_and_recovers_by_the_tool_s_own_lines(site: Site, tool: Tool) -> None:
    """archive_command, the nightly backup, backup-fetch and restore_command as they stood."""
    before = ["wal-push", "-p", "8"] if tool.name == "wal-e" else ["wal-push"]
    settings = {"archive_mode": "on", "archive_command": tool.command(*before, "%p")}
    cluster = site.make_cluster("data", settings=settings)
    cluster.sql(f"CREATE TABLE t AS SELECT n FROM generate_series(1, {ROWS}) n")
    done = tool.run("backup-push", cluster.data_dir, env=cluster.environ)
    assert done.returncode == 0, done.stderr
    cluster.sql(f"INSERT INTO t SELECT n FROM generate_series(1, {ROWS}) n")
    archive_everything(cluster)
    cluster.kill()
    target = site.base / "restored"
    done = tool.run("backup-fetch", target, "LATEST")
    assert done.returncode == 0, done.stderr
    assert not (target / "recovery.signal").exists()
    fetch = ["wal-fetch", "-p", "4"] if tool.name == "wal-e" else ["wal-fetch"]
    restored = recovering(site, target, tool.command(*fetch, '"%f"', '"%p"'))
    restored.start()
    promoted(restored)
    assert restored.scalar("SELECT count(*) FROM t") == 2 * ROWS


def recovering(site: Site, data_dir: Path, command: str) -> Cluster:
    """A restored directory, set up for recovery as an operator of the old tools does it."""
    (data_dir / "recovery.signal").touch()
    with (data_dir / "postgresql.auto.conf").open("a") as file:
        file.write(f"restore_command = '{command}'\n")
    return site.make_cluster(adopt=data_dir, start=False)


class TestExitCodes:
    """What the server sees; 1 to 125 is the end of the archive to it."""

    ABSENT = {"wal-e": 1, "wal-g": 74}  # noqa: RUF012 - a constant of the tests

    @pytest.fixture
    def archive(self, site: Site, tool: Tool) -> None:
        """One segment is archived."""
        file = wal_file(site.base, FIRST, segment(FIRST))
        assert tool.run("wal-push", file).returncode == 0
        assert archived(site.repository, FIRST) == file.read_bytes()

    @pytest.mark.usefixtures("archive")
    def test_a_segment_is_delivered(self, site: Site, tool: Tool) -> None:
        """Whole, with 0."""
        assert tool.run("wal-fetch", FIRST, "out").returncode == 0
        assert (site.base / "out").read_bytes() == segment(FIRST)

    @pytest.mark.usefixtures("archive")
    def test_absence_that_is_proven_has_the_tool_s_code(self, tool: Tool) -> None:
        """Recovery ends there."""
        assert tool.run("wal-fetch", SECOND, "out").returncode == self.ABSENT[tool.name]

    @pytest.mark.usefixtures("archive")
    def test_a_repository_that_is_gone_is_trouble(self, site: Site, tool: Tool) -> None:
        """Recovery stops instead of ending."""
        shutil.rmtree(site.repository)
        assert tool.run("wal-fetch", SECOND, "out").returncode == 200

    @pytest.mark.parametrize(
        "words", [["wal-fetch"], ["wal-fetch", "a", "b", "c"], ["wal-fetch", FIRST, "x", "--what"]]
    )
    def test_a_call_that_is_not_understood_is_trouble(self, tool: Tool, words: list[str]) -> None:
        """A slip in restore_command does not promote a server."""
        assert tool.run(*words).returncode == 200

    def test_a_setting_that_is_refused_is_trouble(self, tool: Tool) -> None:
        """Whatever the reason why nothing was fetched."""
        done = tool.run("wal-fetch", FIRST, "out", env={"WALG_CSE_KMS_ID": "key"})
        assert done.returncode == 200
        assert "WALG_CSE_KMS_ID asks for encryption" in done.stderr

    @pytest.mark.parametrize("words", [[FIRST, "out"], []])
    def test_on_a_standby_it_is_asked_again(self, site: Site, tool: Tool, words: list[str]) -> None:
        """A standby never ends recovery for want of WAL."""
        (site.base / "standby.signal").touch()
        shutil.rmtree(site.repository)
        assert tool.run("wal-fetch", *words).returncode == 75

    def test_a_push_that_fails_never_ends_the_archiver(self, site: Site, tool: Tool) -> None:
        """The server tries again."""
        shutil.rmtree(site.repository)
        file = wal_file(site.base, FIRST, segment(FIRST))
        for words in (["wal-push", str(file)], ["wal-push"], ["wal-push", "absent"], ["what"]):
            assert 0 < tool.run(*words).returncode < 126


class TestList:
    """backup-list of an archive that a real WAL-E wrote."""

    NAME = "base_00000001000000000000000B_00000040"
    SENTINEL = (
        '{"wal_segment_backup_stop": "00000001000000000000000B", '
        '"wal_segment_offset_backup_stop": "00000256", "expanded_size_bytes": 26298278}'
    )

    @pytest.fixture
    def old(self, site: Site) -> None:
        """A backup of WAL-E's, as far as a list looks."""
        folder = site.repository / "basebackups_005"
        (folder / self.NAME / "tar_partitions").mkdir(parents=True)
        (folder / self.NAME / "tar_partitions" / "part_00000000.tar.lzo").touch()
        (folder / f"{self.NAME}_backup_stop_sentinel.json").write_text(self.SENTINEL)

    @pytest.mark.usefixtures("old")
    def test_wal_e_s_columns(self, wal_e: Tool) -> None:
        """Those of the end with --detail only."""
        plain, detailed = (
            cells(wal_e.run("backup-list", *words).stdout)[1] for words in ([], ["--detail"])
        )
        assert plain[0] == self.NAME
        assert plain[2:] == ["", "00000001000000000000000B", "00000040", "", ""]
        end = ["00000001000000000000000B", "00000256"]
        assert detailed[2:] == ["26298278", "00000001000000000000000B", "00000040", *end]

    @pytest.mark.usefixtures("old")
    def test_wal_e_s_query(self, wal_e: Tool) -> None:
        """One backup, or none, or a refusal."""
        assert len(cells(wal_e.run("backup-list", "LATEST").stdout)) == 2
        assert len(cells(wal_e.run("backup-list", f"base_{FIRST}_00000040").stdout)) == 1
        assert wal_e.run("backup-list", "x").returncode == 2

    @pytest.mark.usefixtures("old")
    def test_wal_g_s_json(self, site: Site) -> None:
        """A list of one, on one line."""
        done = installed(site, "wal-g").run("backup-list", "--json")
        (backup,) = json.loads(done.stdout)
        assert (backup["backup_name"], backup["storage_name"]) == (self.NAME, "default")

    def test_an_empty_repository_is_no_error(self, tool: Tool) -> None:
        """A header with WAL-E, nothing with wal-g."""
        done = tool.run("backup-list")
        assert (done.returncode, done.stdout.count("\n")) == (0, 1 if tool.name == "wal-e" else 0)


def cells(output: str) -> list[list[str]]:
    """The rows of WAL-E's list."""
    return [line.split("\t") for line in output.replace("\r\n", "\n").splitlines()]


class TestManual:
    """The recipes of docs/migrating.md, run."""

    @pytest.fixture
    def places(self, site: Site) -> dict[str, str | Path]:
        """Where the recipes put things, here."""
        envdir = site.base / "env"
        envdir.mkdir()
        (envdir / "WALE_FILE_PREFIX").write_text(f"file://localhost{site.repository}\n")
        return {
            "/opt/pitr/bin": pitr_program().parent,
            "/opt/wal-e/bin": site.base / "opt/wal-e/bin",
            "/etc/wal-e.d/env": envdir,
        }

    def play(
        self,
        site: Site,
        tool: Tool,
        name: str,
        places: dict[str, str | Path],
        *,
        env: dict[str, str],
    ) -> str:
        """Run a recipe with our places in it."""
        text = recipe("docs/migrating.md", name)
        here = {written: real for written, real in places.items() if written in text}
        programs = tool.program.parent
        return run_shell(with_places(text, here), site.base, programs=programs, env=env).stdout

    def test_looking_changes_nothing(
        self, site: Site, wal_e: Tool, places: dict[str, str | Path]
    ) -> None:
        """And finds the settings of the envdir."""
        said = self.play(site, wal_e, "sh look", places, env={})
        assert f"file://{site.repository}" in said
        assert not list(site.repository.iterdir())

    def test_the_link_is_made_and_taken_back(
        self, site: Site, wal_e: Tool, places: dict[str, str | Path]
    ) -> None:
        """The old program is what it was."""
        wal_e.program.unlink()
        wal_e.program.write_text("#!/bin/sh\necho 1.1.1\n")
        wal_e.program.chmod(0o755)
        said = self.play(site, wal_e, "sh link", places, env=wal_e.environ)
        assert said.startswith("pitr ")
        self.play(site, wal_e, "sh back", places, env={})
        assert wal_e.run().stdout == "1.1.1\n"

    def test_without_a_link(self, site: Site, wal_e: Tool, places: dict[str, str | Path]) -> None:
        """By the command compat."""
        said = self.play(site, wal_e, "sh compat", places, env=wal_e.environ | site.environ)
        assert said.endswith("[]\n")

    def test_the_whole_way_is_proven(
        self, site: Site, wal_e: Tool, places: dict[str, str | Path]
    ) -> None:
        """A backup by the old name, restored beside the server."""
        cluster = site.cluster()
        env = wal_e.environ | cluster.environ | {"PGDATA": str(cluster.data_dir)}
        places = {"/srv/restore-test": site.base / "restore-test"}
        self.play(site, wal_e, "sh prove", places, env=env)
        assert (site.base / "restore-test/global/pg_control").exists()


def modules(program: Iterable[str | Path], cwd: Path, env: dict[str, str]) -> set[str]:
    """What a command of ours imports, by Python's own account."""
    done = subprocess.run(
        list(map(str, program)),
        cwd=cwd,
        env=clean_environ() | env | {"PYTHONPROFILEIMPORTTIME": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = (line for line in done.stderr.splitlines() if line.startswith("import time:"))
    return {line.rpartition("|")[2].strip() for line in lines}


def test_a_push_by_the_tool_s_name_imports_hardly_more(site: Site, tool: Tool) -> None:
    """It is started once a segment."""
    file = wal_file(site.base, FIRST, segment(FIRST))
    plain: list[str | Path] = [pitr_program(), "wal-push", file, "--repository", site.repository]
    ours = modules(plain, site.base, {})
    theirs = modules([tool.program, *tool.options, "wal-push", file], site.base, tool.environ)
    module = f"backup_core.cli.compat_{tool.name.replace('-', '_')}"
    more = {"backup_core.cli.compat", "backup_core.cli.foreign_call", module}
    again = {"backup_core.stream.frames"}  # theirs finds the file archived, and compares
    assert module in theirs
    assert theirs - ours <= more | again | {"backup_core.cli.wal_g_file"}
