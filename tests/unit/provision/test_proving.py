"""What the roles say of drills and of monitoring, as hosts and engineers get it."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from backup_core.cli import drill as drill_command
from backup_core.cli import metrics as metrics_command
from backup_core.cli.options import Parser
from backup_core.config.table import TABLE
from backup_core.drill.checks import SqlCheck, read_checks
from backup_core.drill.request import DrillRequest
from backup_core.monitor.samples import METRICS
from provision import quoting, samples
from provision.compile import catalog_of
from provision.node import Node
from provision.resources.envdir import Envdir
from provision.resources.file import File
from provision.resources.schedule import CronD
from provision.schema import Attributes
from provision.schema.pitr import Monitoring, Pitr
from provision.schema.postgresql import Postgresql
from provision.schema.recovery import Check, Drill, DrillSchedule
from provision.schema.schedules import Retention
from provision.values import Duration, PgVersion

ROOT = Path(__file__).parents[3]
JOB_METRICS = re.findall(r"metric (\w+)", (ROOT / "templates/job.sh.j2").read_text())
LABELS = {metric.name: set(metric.labels) for metric in METRICS} | {
    f"pitr_job_{name}": {"resource"} for name in JOB_METRICS
}
NAME = re.compile(r"pitr_\w+")
SCHEDULES = (DrillSchedule(name="fresh"), DrillSchedule(name="chain", backup="oldest"))


def node(*recipes: str, **pitr: object) -> Node:
    """A host with these recipes and attributes of pitr."""
    found = Pitr(repository="file:///srv/backup", **pitr)  # type: ignore[arg-type]
    server = Postgresql(version=PgVersion(major=15))
    return Node(
        name="h",
        cluster="main",
        environment="e",
        recipes=("tooling", *recipes),
        attributes=Attributes(postgresql=server, pitr=found),
    )


def files(host: Node) -> dict[str, str]:
    """The contents of a host's files by path."""
    return {
        entry.path: str(entry.content)
        for resource in catalog_of(host).resources
        if isinstance(resource, File | CronD)
        for entry in resource.entries()
        if entry.content is not None
    }


def environment(host: Node) -> dict[str, str]:
    """The variables of a host's envdir."""
    [envdir] = [each for each in catalog_of(host).resources if isinstance(each, Envdir)]
    return {name: str(content).rstrip("\n") for name, content in envdir.variables}


def calls(host: Node, command: str) -> Iterator[list[str]]:
    """The arguments of the engine's calls of this command, in scripts and in crontabs."""
    for text in files(host).values():
        for line in text.replace("\\\n", " ").splitlines():
            if f"/bin/pitr {command} " in line:
                words = shlex.split(line.replace("9>&-", ""))
                yield words[words.index(command) + 1 :]


def requests(host: Node) -> list[DrillRequest]:
    """What the engine makes of a host's drills."""
    parser = Parser()
    drill_command.configure(parser)
    return [drill_command.request_of(parser.parse_args(words)) for words in calls(host, "drill")]


class TestDrills:
    """The recipe of drills."""

    def test_the_engine_takes_its_command_line(self) -> None:
        """The newest backup past the drill's start, the oldest with a day of WAL."""
        fresh, chain = requests(node("drill", drill=Drill(schedules=SCHEDULES)))
        assert (fresh.name, fresh.backup, fresh.until) == ("fresh", "latest", "start")
        assert (chain.name, chain.backup, str(chain.until)) == ("chain", "oldest", "1 day, 0:00:00")
        assert fresh.bin_directory == Path("/usr/lib/postgresql/15/bin")
        assert fresh.checks is None

    def test_until_is_the_roles_to_say(self) -> None:
        """An idle cluster archives nothing to wait for."""
        schedule = replace(SCHEDULES[0], until="end")
        [only] = requests(node("drill", drill=Drill(schedules=(schedule,))))
        assert only.until == "end"

    def test_a_host_without_schedules_has_nothing(self) -> None:
        """Nor one whose drills are turned off."""
        assert list(calls(node("drill"), "drill")) == []
        off = Drill(schedules=SCHEDULES, enabled=False)
        assert list(calls(node("drill", drill=off), "drill")) == []

    def test_the_checks_of_the_roles_are_those_that_the_engine_reads(self, tmp_path: Path) -> None:
        """Each expectation, whatever the query holds."""
        checks = (
            Check(name="a", query="select 'x\\y\"z', 1\n  from t", expect="é'\""),
            Check(name="b", query="q", database="d", at_least=7, timeout=Duration(seconds=5)),
            Check(name="c", query="q", max_age=Duration(seconds=900)),
            Check(name="off", query="q", enabled=False),
        )
        host = node("drill", drill=Drill(schedules=SCHEDULES, checks=checks))
        path = tmp_path / "checks.toml"
        path.write_text(files(host)["/etc/pitr.d/drill-checks.toml"])
        a, b, c = read_checks(path)
        assert a == SqlCheck(name="a", query="select 'x\\y\"z', 1\n  from t", expect="é'\"")
        assert (b.database, str(b.at_least), b.timeout) == ("d", "7", 5.0)
        assert c.max_age == 900.0
        assert all(request.checks is not None for request in requests(host))

    @given(text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
    def test_any_text_is_a_string_of_toml(self, text: str) -> None:
        """By Python's own parser."""
        import tomllib

        assert tomllib.loads(f"a = {quoting.toml_text(text).text}") == {"a": text}


class TestLimits:
    """What check on the host judges by."""

    def test_they_are_those_of_the_alerts(self) -> None:
        """As the engine reads them."""
        limits = Monitoring(wal_age=Duration(seconds=60), pending_wal=9)
        found = environment(node("archiving", monitoring=limits))
        values = {
            name: TABLE[name].parse(found[f"PITR_{name.upper()}"])
            for name in ("max_wal_age", "max_backup_age", "max_ready_files", "max_drill_age")
        }
        assert values == {
            "max_wal_age": 60.0,
            "max_backup_age": float(limits.backup_age.seconds),
            "max_ready_files": 9,
            "max_drill_age": float(limits.drill_age.seconds),
        }

    def test_deleting_is_tried_only_where_something_deletes(self) -> None:
        """A drill host and a replica that only reads may have credentials that cannot."""
        assert environment(node("archiving"))["PITR_MAY_DELETE"] == "false"
        assert "PITR_MAY_DELETE" not in environment(node("base_backup"))
        assert "PITR_MAY_DELETE" not in environment(node("retention"))
        kept = Retention(enabled=False)
        assert "PITR_MAY_DELETE" in environment(node("retention", retention=kept))

    def test_a_promised_window_is_known_to_the_engine(self) -> None:
        """So windows and check tell when it is broken."""
        promised = Retention(window=Duration(seconds=86400))
        assert (
            environment(node("retention", retention=promised))["PITR_RECOVERY_WINDOW"] == "86400s"
        )


class TestMetrics:
    """The recipe of monitoring."""

    def test_the_engine_takes_its_command_lines(self) -> None:
        """The server every minute, the repository every quarter of an hour."""
        parser = Parser()
        metrics_command.configure(parser)
        args = [
            parser.parse_args(words) for words in calls(node("archiving", "monitoring"), "metrics")
        ]
        assert [each.only for each in args] == ["server", "repository"]
        assert {tuple(each.label) for each in args} == {("cluster=main", "host=h")}
        assert {each.textfile.parent for each in args} == {
            Path("/var/lib/prometheus/node-exporter")
        }

    def test_rules_and_dashboard_are_written_where_they_are_wanted(self) -> None:
        """With the role's limits."""
        wanted = Monitoring(
            rules_file="/r.yml", dashboard_file="/d.json", wal_age=Duration(seconds=61)
        )
        found = files(node("archiving", "monitoring", monitoring=wanted))
        assert " > 61 and pitr_wal_ready_files" in found["/r.yml"]
        assert '"value": 61' in found["/d.json"]


def expressions() -> Iterator[tuple[str, str]]:
    """Every expression of the rules and the dashboard, with what it is for."""
    made = samples.samples()
    for group in yaml.safe_load(made["alert-rules.yml"])["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]
    board = json.loads(made["dashboard.json"])
    for panel in board["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    for variable in board["templating"]["list"]:
        yield variable["name"], variable["query"]


@pytest.mark.parametrize("name", ["alert-rules.yml", "dashboard.json"])
def test_the_samples_are_what_the_roles_defaults_make(name: str) -> None:
    """`python -m provision.samples docs/samples` writes them."""
    assert (ROOT / "docs/samples" / name).read_text() == samples.samples()[name]


def test_rules_and_dashboard_ask_for_metrics_that_exist() -> None:
    """A name with a typing error would never fire, and never be missed."""
    asked = {name for _, expression in expressions() for name in NAME.findall(expression)}
    assert asked <= set(LABELS)
    assert len(asked) > 15


def test_what_is_asked_is_well_formed() -> None:
    """Brackets match, and legends name labels that the metric has."""
    for title, expression in expressions():
        for opening, closing in ("()", "[]", "{}"):
            assert expression.count(opening) == expression.count(closing), title
    for panel in json.loads(samples.samples()["dashboard.json"])["panels"]:
        [target] = panel["targets"]
        [metric] = NAME.findall(target["expr"])
        legend = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
        assert legend <= LABELS[metric] | {"cluster", "host"}, panel["title"]


def test_every_alert_says_how_urgent_it_is_and_what_happened() -> None:
    """Somebody is woken by it."""
    for group in yaml.safe_load(samples.samples()["alert-rules.yml"])["groups"]:
        names = [rule["alert"] for rule in group["rules"]]
        assert len(set(names)) == len(names)
        for rule in group["rules"]:
            assert rule["labels"]["severity"] in ("page", "ticket")
            assert rule["annotations"]["summary"]


def test_panels_do_not_overlap() -> None:
    """Each has a place of its own in the grid of 24 columns."""
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(samples.samples()["dashboard.json"])["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken
        assert max(x for x, _ in cells) < 24
        taken |= cells
