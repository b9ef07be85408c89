"""The samples for GitLab and GitHub: their scripts are clean, and do on a branch what they say."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
import yaml

from tests.support.environment import clean_environ

ROOT = Path(__file__).parents[2]
GITLAB = ROOT / "docs/samples/gitlab-ci.yml"
GITHUB = ROOT / "docs/samples/github-workflow.yml"
KEYWORDS = {"stages", "default", "variables"}
STEPS_WITHOUT_US = ("pip install", "gh pr")  # the package index, GitHub itself
CHANGED = re.compile(r"^\+\d+ 5 \* \* \* postgres /opt/pitr/jobs/base-backup$", re.MULTILINE)
PROGRAM = f"""#!{sys.executable}
import sys
from provision.cli.main import main
sys.exit(main())
"""
NO_CHANGES = "no changes"


def gitlab_scripts() -> dict[str, str]:
    """The script of each job, as the runner puts it together."""
    document = yaml.safe_load(GITLAB.read_text())
    jobs = {name: job for name, job in document.items() if name not in KEYWORDS}
    scripts = {name: "\n".join(job["script"]) for name, job in jobs.items()}
    return {"before": "\n".join(document["default"]["before_script"]), **scripts}


def github_steps() -> list[dict[str, Any]]:
    """The steps of the only job."""
    (job,) = yaml.safe_load(GITHUB.read_text())["jobs"].values()
    return list(job["steps"])


def all_scripts() -> dict[str, str]:
    """Every script of both samples, by a name for the test."""
    steps = [step["run"] for step in github_steps() if "run" in step]
    gitlab = {f"gitlab-{name}": script for name, script in gitlab_scripts().items()}
    return gitlab | {f"github-{number}": script for number, script in enumerate(steps)}


@pytest.mark.parametrize("name", all_scripts())
def test_every_script_is_clean(name: str, tmp_path: Path) -> None:
    """By the shell and by shellcheck; no text of a stranger is put into a script."""
    script = all_scripts()[name]
    path = tmp_path / "script"
    path.write_text(f"{script}\n")
    # CI's variables come from outside
    for command in (["bash", "-n"], ["shellcheck", "--shell=bash", "--exclude=SC2154"]):
        subprocess.run([*command, str(path)], check=True)
    assert "${{" not in script


def test_every_job_is_on_a_stage() -> None:
    """And each stage has a job."""
    document = yaml.safe_load(GITLAB.read_text())
    jobs = [job for name, job in document.items() if name not in KEYWORDS]
    assert {job["stage"] for job in jobs} == {*document["stages"]}


class Branch:
    """A git repository with the sample project, and a branch that may change it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir()
        self._git("init", "--quiet")
        self._git("config", "user.name", "engineer")
        self._git("config", "user.email", "engineer@example.com")
        for path in (ROOT / "roles").rglob("*.yml"):
            copy = directory / path.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(path.read_text())
        self.base = self._commit("roles")
        programs = directory.parent / "programs"
        programs.mkdir()
        provision = programs / "provision"
        provision.write_text(PROGRAM)
        provision.chmod(0o755)
        self._path = f"{programs}:{os.environ['PATH']}"

    def change(self, name: str, before: str, after: str) -> None:
        """Commit a change of a file."""
        path = self.directory / name
        assert before in path.read_text()
        path.write_text(path.read_text().replace(before, after))
        self._commit("change")

    def run(self, script: str, **variables: str) -> int:
        """Run a script as CI does: it ends with the first command that fails."""
        done = subprocess.run(
            ["bash", "-eo", "pipefail", "-c", script],
            cwd=self.directory,
            env=clean_environ() | {"PATH": self._path, "PYTHONPATH": str(ROOT)} | variables,
            check=False,
        )
        return done.returncode

    def read(self, name: str) -> str:
        """What a script wrote."""
        return (self.directory / name).read_text()

    def _commit(self, message: str) -> str:
        self._git("add", "--all")
        self._git("commit", "--quiet", "-m", message)
        return self._git("rev-parse", "HEAD").strip()

    def _git(self, *words: str) -> str:
        command = ["git", "-C", str(self.directory), *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def branch(tmp_path: Path) -> Branch:
    """A branch that changes nothing yet."""
    return Branch(tmp_path / "fleet")


def change_schedule(branch: Branch) -> None:
    """Base backups an hour later."""
    branch.change("roles/primary.yml", '"0 4 * * *"', '"0 5 * * *"')


class Notes(BaseHTTPRequestHandler):
    """GitLab's interface for notes on merge requests, as far as it concerns the request."""

    posted: list[tuple[str, str, str]]

    def do_POST(self) -> None:
        """Keep the note."""
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        token = self.headers["PRIVATE-TOKEN"]
        self.posted.append((self.path, token, parse_qs(text)["body"][0]))
        self.send_response(201)
        self.end_headers()

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""


@contextmanager
def gitlab() -> Iterator[tuple[dict[str, str], list[tuple[str, str, str]]]]:
    """The variables of a merge request, and the notes that are posted on it."""
    posted: list[tuple[str, str, str]] = []
    handler = type("Handler", (Notes,), {"posted": posted})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        variables = {
            "CI_API_V4_URL": f"http://127.0.0.1:{server.server_port}/api/v4",
            "CI_PROJECT_ID": "7",
            "CI_MERGE_REQUEST_IID": "3",
            "PLAN_TOKEN": "token",
        }
        yield variables, posted
        server.shutdown()


def test_gitlab_posts_what_a_branch_changes(branch: Branch) -> None:
    """As a note on the merge request, and as a report of tests."""
    change_schedule(branch)
    with gitlab() as (variables, posted):
        script = gitlab_scripts()["plan"]
        assert branch.run(script, CI_MERGE_REQUEST_DIFF_BASE_SHA=branch.base, **variables) == 0
    ((path, token, body),) = posted
    assert path == "/api/v4/projects/7/merge_requests/3/notes"
    assert token == "token"
    assert CHANGED.search(body)
    assert body.strip() == branch.read("plan.md").strip()
    assert branch.read("plan.xml").startswith("<?xml")


def test_gitlab_says_nothing_of_a_branch_that_changes_nothing(branch: Branch) -> None:
    """The job passes."""
    with gitlab() as (variables, posted):
        script = gitlab_scripts()["plan"]
        assert branch.run(script, CI_MERGE_REQUEST_DIFF_BASE_SHA=branch.base, **variables) == 0
    assert not posted
    assert NO_CHANGES in branch.read("plan.md")


def test_gitlab_fails_for_roles_that_are_wrong(branch: Branch) -> None:
    """In both jobs that look at them, and without a note."""
    branch.change("roles/primary.yml", "spread:", "spraed:")
    with gitlab() as (variables, posted):
        for name in ("check", "plan"):
            script = gitlab_scripts()[name]
            assert branch.run(script, CI_MERGE_REQUEST_DIFF_BASE_SHA=branch.base, **variables) == 1
    assert not posted


def test_gitlab_checks_roles_that_are_right(branch: Branch) -> None:
    """The job passes."""
    assert branch.run(gitlab_scripts()["check"]) == 0


def run_github(branch: Branch, summary: Path) -> int:
    """Run the steps that need neither the package index nor GitHub; return the first failure."""
    for step in github_steps():
        script = step.get("run", "")
        if not script or script.startswith(STEPS_WITHOUT_US):
            continue
        code = branch.run(script, BASE=branch.base, GITHUB_STEP_SUMMARY=str(summary))
        if code:
            return code
    return 0


def test_github_shows_what_a_branch_changes(branch: Branch, tmp_path: Path) -> None:
    """In the summary of the run, and in the file that becomes a comment."""
    change_schedule(branch)
    summary = tmp_path / "summary.md"
    assert run_github(branch, summary) == 0
    assert CHANGED.search(summary.read_text())
    assert branch.read("plan.md") == summary.read_text()


def test_github_fails_for_roles_that_are_wrong(branch: Branch, tmp_path: Path) -> None:
    """At the first step that looks at them."""
    branch.change("roles/primary.yml", "spread:", "spraed:")
    assert run_github(branch, tmp_path / "summary.md") == 1
