"""The comparison of provisioning: every tool gets the same files, and the table says who won."""

import json
from pathlib import Path

import pytest

from bench.fleet import LOGIN, Object, Place, names_of, render, write_inventory, write_roles
from bench.fleet_tools import Ansible, Provisioner, Pyinfra
from bench.measure import Sample, measure
from bench.report import several
from bench.works import Series
from tests.support.environment import clean_environ, scripts_dir

FILES = 40


@pytest.fixture
def objects(tmp_path: Path) -> list[Object]:
    """What each host gets."""
    project = tmp_path / "project"
    write_roles(project)
    write_inventory(project, [Place(name=name) for name in names_of(2)])
    return render(scripts_dir() / "provision", project, tmp_path / "tree")


def test_each_host_gets_forty_files_in_directories_that_come_first(
    objects: list[Object], tmp_path: Path
) -> None:
    """With the content that provision renders."""
    kinds = [each.kind for each in objects]
    assert kinds.count("file") == FILES
    assert kinds == sorted(kinds)
    assert all((tmp_path / "tree/h02" / each.path[1:]).is_file() for each in objects[-FILES:])


def test_the_others_are_given_all_of_it_and_the_keys(objects: list[Object], tmp_path: Path) -> None:
    """Ansible in a playbook, pyinfra in a file that its deploy reads."""
    python, key, tree = Path("python"), Path("key"), tmp_path / "tree"
    tools: list[Provisioner] = [
        Ansible(python, tmp_path / "ansible", key, tree, objects),
        Pyinfra(python, tmp_path / "pyinfra", key, tree, objects),
    ]
    for tool in tools:
        tool.describe([Place(name="h01", address="192.0.2.7", port=2222)])
        directory = tool.plan().directory
        known = (directory / "known_hosts").read_text()
        assert known.startswith("[192.0.2.7]:2222 ssh-ed25519 ")
    (play,) = json.loads((tmp_path / "ansible/playbook.json").read_text())
    assert sum(len(task["loop"]) for task in play["tasks"]) == len(objects)
    given = json.loads((tmp_path / "pyinfra/objects.json").read_text())
    assert sum(map(len, given.values())) == len(objects)
    assert LOGIN in (tmp_path / "pyinfra/inventory.py").read_text()


def test_the_table_has_our_time_as_a_part_of_each_other_s() -> None:
    """Smaller is faster."""
    series = Series(work="first apply", data="20 hosts", size=20, objects=True)
    for tool, seconds in (("provision", 2.0), ("Ansible", 80.0), ("pyinfra", 16.0)):
        series.samples[tool] = [Sample(wall=seconds, cpu=1, largest=0, tree=0)]
    figures = several([series], ["provision", "Ansible", "pyinfra"])
    row = dict(zip(figures.heads, figures.rows[0], strict=True))
    assert (row["provision / Ansible"], row["provision / pyinfra"]) == ("0.025", "0.125")


def test_exit_codes_that_are_no_failure_can_be_named() -> None:
    """A plan that is not empty ends with 2."""
    command = ["sh", "-c", "exit 2"]
    assert measure(command, env=clean_environ(), codes=(0, 2), memory=False).largest == 0
    with pytest.raises(RuntimeError, match="ended with 2"):
        measure(command, env=clean_environ())
