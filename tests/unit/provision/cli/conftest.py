"""A project of three hosts in git."""

from pathlib import Path

import pytest

from tests.unit.provision.cli.command import BASE, INVENTORY, Project


@pytest.fixture
def fleet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Project:
    """Three hosts with one role, committed."""
    project = Project(tmp_path / "fleet", capsys)
    project.write(base=BASE, inventory=INVENTORY)
    project.git("init", "--quiet")
    project.commit()
    return project
