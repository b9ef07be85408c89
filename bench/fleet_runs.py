"""Plan and apply of a fleet by each tool in turn, on hosts that are new for each of them."""

from collections.abc import Sequence
from pathlib import Path

from bench.fleet import Place, check, fresh_hosts, names_of, render, write_inventory, write_roles
from bench.fleet_tools import Ansible, Command, Provision, Provisioner, Pyinfra
from bench.measure import Sample, measure
from bench.works import Say, Series
from tests.support.rig.client import Rig

PLAN, FIRST, AGAIN = WORKS = ("plan of new hosts", "first apply", "apply again")


class FleetRuns:
    """What is the same in every run: the files, and the tools that bring them."""

    def __init__(self, rig: Rig, program: Path, peers: Path | None, base: Path) -> None:
        self._rig = rig
        self._program = program
        self._peers = peers
        self._base = base

    def run(self, hosts: int, *, runs: int, say: Say) -> tuple[list[Series], int]:
        """Return the series, and the number of files a host."""
        project, tree = self._base / "project", self._base / "tree"
        write_roles(project)
        write_inventory(project, [Place(name=name) for name in names_of(hosts)])
        objects = render(self._program, project, tree)
        tools: list[Provisioner] = [Provision(self._program, project, self._rig.identity)]
        if self._peers is not None:
            for kind in (Ansible, Pyinfra):
                directory = self._base / kind.name.lower()
                tools.append(kind(self._peers, directory, self._rig.identity, tree, objects))
        data = f"{hosts} hosts"
        found = {work: Series(work=work, data=data, size=hosts, objects=True) for work in WORKS}
        for _ in range(runs):
            for tool in tools:
                with fresh_hosts(self._rig, hosts) as (there, places):
                    tool.describe(places)
                    found[PLAN].add(tool.name, _measure(tool.plan()), say)
                    found[FIRST].add(tool.name, _measure(tool.apply()), say)
                    check(there, tree, objects)
                    found[AGAIN].add(tool.name, _measure(tool.apply()), say)
                    check(there, tree, objects)
        return [*found.values()], sum(each.kind == "file" for each in objects)


def tool_names(found: Sequence[Series]) -> list[str]:
    """The tools that were measured, in their order."""
    return [*found[0].samples]


def _measure(command: Command) -> Sample:
    return measure(
        command.words,
        env=command.environ,
        cwd=command.directory,
        codes=command.codes,
        memory=False,
    )
