"""`provision plan` against a revision and against a tree: what a merge request shows."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.support.canaries import Canary, mark, seen
from tests.unit.provision.cli.command import Project

ROOT = Path(__file__).parents[4]
SCHEDULE = '    base_backup: {schedule: "15 4 * * *"}\n'


def reschedule(fleet: Project) -> None:
    """A change on all hosts."""
    path = fleet.directory / "roles/base.yml"
    path.write_text(path.read_text() + SCHEDULE)


class TestRevision:
    """Against git."""

    def test_nothing_is_nothing(self, fleet: Project) -> None:
        """Exit code 0, and it says on how many hosts."""
        said = fleet.run("plan --against-git HEAD")
        assert (said.code, said.out) == (0, "no changes on 3 hosts\n")

    def test_a_change_is_shown_once_for_all_its_hosts(self, fleet: Project) -> None:
        """Exit code 2, a diff, and the sentence at the end."""
        reschedule(fleet)
        said = fleet.run("plan --against-git HEAD")
        assert said.code == 2
        assert said.out.count("+15 4 * * * postgres /opt/pitr/jobs/base-backup") == 1
        assert "    on db1, db2, db3\n" in said.out
        assert said.out.endswith(
            "0 to create, 3 to update, 0 to delete; 3 hosts to change, 0 as they should be\n"
        )

    def test_what_differs_between_hosts_stands_alone(self, fleet: Project) -> None:
        """The others stay together."""
        reschedule(fleet)
        fleet.edit("inventory", "{mode: none}", "{mode: none}, archive: {timeout: 5min}")
        said = fleet.run("plan --against-git HEAD")
        assert "    on db2\n" in said.out
        assert "    on db1, db2, db3\n" in said.out

    def test_a_setting_says_what_it_needs(self, fleet: Project) -> None:
        """A reload, or a restart and for which setting."""
        fleet.edit("base", "repository:", "archive: {timeout: 5min}\n    repository:")
        reload = fleet.run("plan --against-git HEAD").out
        assert "reload PostgreSQL on db1, db2, db3" in reload
        assert "restart" not in reload
        fleet.edit("base", "{version: 15}", "{version: 15, settings: {max_connections: 300}}")
        restart = fleet.run("plan --against-git HEAD").out
        assert "restart of PostgreSQL required on db1 for max_connections" in restart

    def test_a_host_that_is_gone_is_said_to_be_left_alone(self, fleet: Project) -> None:
        """Its files are shown as deleted, and nothing touches them."""
        fleet.edit("inventory", "[db1, db2, db3]", "[db1, db2]")
        fleet.edit("inventory", '  db3: {run_list: ["role[base]"]}\n', "")
        said = fleet.run("plan --against-git HEAD")
        assert said.code == 2
        assert "! db3: the host is no longer in the inventory; nothing on it will be" in said.out
        assert "- file[/opt/pitr/jobs/base-backup]" in said.out

    def test_a_host_that_is_new_gets_everything(self, fleet: Project) -> None:
        """And the others nothing."""
        fleet.edit("inventory", "  db1: {", '  db4: {run_list: ["role[base]"]}\n  db1: {')
        said = fleet.run("plan --against-git HEAD --format json")
        hosts = {host["host"]: len(host["changes"]) for host in json.loads(said.out)["hosts"]}
        assert hosts["db4"] > 10
        assert (hosts["db1"], hosts["db2"], hosts["db3"]) == (0, 0, 0)

    @pytest.mark.parametrize("name", ["nothing", "HEAD~7", "--help", "HEAD:roles", ""])
    def test_a_revision_that_is_not_here_is_an_error(self, fleet: Project, name: str) -> None:
        """With a hint at what CI often does."""
        said = fleet.run("plan", f"--against-git={name}")
        assert said.code == 1
        assert "git cannot read the revision" in said.err
        assert "CI often fetches the newest commit only" in said.err

    def test_an_error_of_the_revision_says_that_it_is_the_revisions(self, fleet: Project) -> None:
        """Nobody looks for a mistake of yesterday in the file of today."""
        fleet.edit("base", "repository:", "repositry:")
        fleet.commit()
        fleet.edit("base", "repositry:", "repository:")
        said = fleet.run("plan --against-git HEAD")
        assert said.code == 1
        assert "revision HEAD: roles/base.yml:9: pitr.repositry does not exist" in said.err
        assert "Did you mean" in said.err

    def test_part_of_a_revision_cannot_be_compared(self, fleet: Project) -> None:
        """The hosts that are left out would look as if they were gone."""
        said = fleet.run("plan --against-git HEAD --host db1")
        assert said.code == 1
        assert "a revision is compared as a whole" in said.err

    def test_outside_git_it_is_an_error(self, fleet: Project) -> None:
        """And no traceback."""
        subprocess.run(["rm", "-rf", str(fleet.directory / ".git")], check=True)
        said = fleet.run("plan --against-git HEAD")
        assert (said.code, "Traceback" in said.err) == (1, False)


class TestSecret:
    """In a data bag that changes from revision to revision."""

    OLD, NEW = (Canary(f"{mark(name)}'%", (mark(name),)) for name in ("old", "new"))

    @pytest.fixture
    def bag(self, fleet: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Project:
        """A project with the old value committed, and the new one in the working copy."""
        identity = tmp_path / "identity"
        fleet.run(f"secrets keygen {identity}")
        monkeypatch.setenv("PROVISION_IDENTITY_FILE", str(identity))
        fleet.run(f"secrets create main {identity.read_text().split()[2]}")
        fleet.edit(
            "base", "repository:", "environment: {K: {secret: 'bag:main/k'}}\n    repository:"
        )
        self.set(fleet, self.OLD, monkeypatch)
        fleet.commit()
        return fleet

    def set(self, fleet: Project, canary: Canary, monkeypatch: pytest.MonkeyPatch) -> None:
        """Give the secret a value."""
        path = fleet.directory.parent / "value"
        path.write_text(canary.value)
        with path.open() as value:
            monkeypatch.setattr(sys, "stdin", value)
            fleet.run("secrets set main/k")

    @pytest.mark.parametrize("form", ["text", "json", "markdown", "junit"])
    def test_a_change_shows_by_fingerprints(
        self, bag: Project, monkeypatch: pytest.MonkeyPatch, form: str
    ) -> None:
        """And neither value in any format."""
        same = bag.run("plan --against-git HEAD")
        assert (same.code, same.out) == (0, "no changes on 3 hosts\n")
        self.set(bag, self.NEW, monkeypatch)
        said = bag.run(f"plan --against-git HEAD --format {form}")
        assert said.code == 2
        found = re.findall(r"([-+])(?:<|&lt;)secret bag:main/k ([0-9a-f]{8})", said.out)
        assert {sign for sign, _ in found} == {"-", "+"}
        assert len({fingerprint for _, fingerprint in found}) == 2
        assert not seen([self.OLD, self.NEW], said.out, said.err)

    def test_without_the_key_everything_else_is_compared(
        self, bag: Project, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """CI needs no secret to say what a branch changes."""
        self.set(bag, self.NEW, monkeypatch)
        monkeypatch.delenv("PROVISION_IDENTITY_FILE")
        reschedule(bag)
        said = bag.run("plan --against-git HEAD")
        assert said.code == 2
        assert "+15 4 * * *" in said.out
        assert "secret" not in said.out


class TestTree:
    """Against what was rendered earlier."""

    def test_what_was_rendered_is_no_change(self, fleet: Project, tmp_path: Path) -> None:
        """Exit code 0; after an edit, 2."""
        out = tmp_path / "out"
        assert fleet.run(f"render {out}").code == 0
        assert fleet.run(f"plan --against {out}").code == 0
        reschedule(fleet)
        said = fleet.run(f"plan --against {out}")
        assert said.code == 2
        assert "+15 4 * * * postgres /opt/pitr/jobs/base-backup" in said.out

    def test_a_tree_that_somebody_edited_is_refused(self, fleet: Project, tmp_path: Path) -> None:
        """It would say what nobody rendered."""
        out = tmp_path / "out"
        fleet.run(f"render {out}")
        (out / "db1/opt/pitr/jobs/base-backup").write_text("#!/bin/sh\n")
        said = fleet.run(f"plan --against {out}")
        assert said.code == 1
        assert "is not what its manifest says" in said.err

    def test_what_is_no_tree_is_an_error(self, fleet: Project, tmp_path: Path) -> None:
        """Not there, and there but something else."""
        assert fleet.run(f"plan --against {tmp_path / 'none'}").code == 1
        (tmp_path / "other/db1").mkdir(parents=True)
        said = fleet.run(f"plan --against {tmp_path / 'other'}")
        assert said.code == 1
        assert "provision render" in said.err

    def test_a_selection_narrows_what_is_compared(self, fleet: Project, tmp_path: Path) -> None:
        """The hosts that are not selected are not gone."""
        out = tmp_path / "out"
        fleet.run(f"render {out}")
        reschedule(fleet)
        said = fleet.run(f"plan --against {out} --host db1")
        assert "    on db1\n" in said.out
        assert "db2" not in said.out


class TestFormats:
    """For people, programs, merge requests and CI services."""

    def test_json_has_a_version_and_every_change(self, fleet: Project) -> None:
        """docs/json.md has each key."""
        reschedule(fleet)
        document = json.loads(fleet.run("plan --against-git HEAD --format json").out)
        assert document["format_version"] == "1.0"
        assert document["against"] == "git HEAD"
        assert document["summary"]["changed"] == 3
        (change,) = document["hosts"][0]["changes"]
        assert change["id"] == "cron_d[pitr-base-backup]"
        assert change["path"] == "/etc/cron.d/pitr-base-backup"
        assert (change["action"], change["recipe"]) == ("update", "base_backup")
        assert "+15 4 * * * postgres /opt/pitr/jobs/base-backup" in change["diff"]

    def test_the_keys_of_json_are_documented(self, fleet: Project) -> None:
        """No more and no fewer."""
        reschedule(fleet)
        fleet.edit("base", "{version: 15}", "{version: 15, settings: {max_connections: 300}}")
        document = json.loads(fleet.run("plan --against-git HEAD --format json").out)
        section = (ROOT / "docs/json.md").read_text().partition("## provision plan\n")[2]
        section = section.partition("\n## ")[0]
        documented = set(re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE))
        hold = {f"hosts[].hold.{name}" for name in ("who", "why", "until")}
        assert paths(document) | hold == documented

    def test_junit_has_a_case_for_each_host(self, fleet: Project) -> None:
        """Failed where something would change."""
        fleet.edit("inventory", "{mode: none}", "{mode: none}, archive: {timeout: 5min}")
        suite = ElementTree.fromstring(fleet.run("plan --against-git HEAD --format junit").out)
        failed = {case.get("name"): case.find("failure") is not None for case in suite}
        assert failed == {"db1": False, "db2": True, "db3": False}
        assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("3", "1", "0")

    def test_markdown_folds_each_diff(self, fleet: Project) -> None:
        """Once for all its hosts, below the sentence that says how much there is."""
        reschedule(fleet)
        text = fleet.run("plan --against-git HEAD --format markdown").out
        assert text.startswith("### provision plan: 0 to create, 3 to update, 0 to delete")
        assert text.count("<details>") == text.count("</details>") == 1
        assert "<code>cron_d[pitr-base-backup]</code> on db1, db2, db3" in text

    @pytest.mark.parametrize("form", ["text", "json", "markdown", "junit"])
    def test_the_same_bytes_come_out_every_time(self, fleet: Project, form: str) -> None:
        """Whatever the seed of hashes and the locale."""
        reschedule(fleet)
        command = ["plan", "--against-git", "HEAD", "--format", form]
        outputs = {
            subprocess.run(
                [sys.executable, "-c", RUN, *command, "--project", str(fleet.directory)],
                capture_output=True,
                check=False,
                env={**os.environ, "PYTHONHASHSEED": seed, "LC_ALL": locale, "PYTHONUTF8": "1"},
                cwd=ROOT,
            ).stdout
            for seed, locale in (("1", "C"), ("2", "C.UTF-8"), ("3", "tr_TR.UTF-8"))
        }
        assert len(outputs) == 1
        assert b"base-backup" in next(iter(outputs))


RUN = "from provision.cli.main import main; raise SystemExit(main())"


def paths(value: object, above: str = "") -> set[str]:
    """Every key of a document, as docs/json.md writes it."""
    if isinstance(value, list):
        return {path for each in value for path in paths(each, f"{above}[]")}
    if not isinstance(value, dict):
        return set()
    found = set()
    for key, each in value.items():
        path = f"{above}.{key}".lstrip(".")
        found |= {path, *paths(each, path)}
    return found
