"""`provision render` writes a tree a host, and takes time that grows with the hosts alone."""

import json
import time
from pathlib import Path

import pytest

from provision.cli.main import main
from tests.support.many_hosts import ROLES, write_sample

FEW, MANY = 10, 100


def render(project: Path, out: Path) -> float:
    """Render a project; return the seconds of processor time that it took."""
    began = time.process_time()
    assert main(["render", str(out), "--project", str(project)]) == 0
    return time.process_time() - began


def test_a_host_gets_its_files_and_a_manifest_of_them(tmp_path: Path) -> None:
    """Files stand below the host's name where they would stand on it."""
    render(ROLES.parent, tmp_path / "out")
    assert (tmp_path / "out/db1/etc/cron.d/pitr-base-backup").exists()
    nodes = json.loads((tmp_path / "out/db1/manifest.json").read_text())["nodes"]
    assert nodes["/etc/cron.d/pitr-base-backup"]["mode"] == "0644"


def test_the_directory_may_be_named_from_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also by a path that goes up first."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    render(ROLES.parent, Path("../out"))
    assert (tmp_path / "out/db1/manifest.json").exists()


def test_a_directory_with_something_in_it_is_refused(tmp_path: Path) -> None:
    """What an earlier run left would look like a part of this one."""
    (tmp_path / "kept").touch()
    assert main(["render", str(tmp_path), "--project", str(ROLES.parent)]) == 3


def test_the_time_grows_with_the_number_of_hosts_and_no_faster(tmp_path: Path) -> None:
    """Ten times the hosts take about ten times as long; comparing each with each would take 100."""
    seconds = {}
    for hosts in (FEW, MANY):
        write_sample(tmp_path / str(hosts), hosts)
        seconds[hosts] = min(
            render(tmp_path / str(hosts), tmp_path / f"out-{hosts}-{run}") for run in range(2)
        )
    assert seconds[MANY] < seconds[FEW] * MANY / FEW * 2
