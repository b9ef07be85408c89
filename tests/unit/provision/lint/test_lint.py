"""Each rule finds its story, and says nothing of a fleet that is as it should be."""

from __future__ import annotations

from pathlib import Path

import pytest

from provision.cli.fleet import members_of
from provision.lint import Finding, lint
from provision.project import load
from provision.selection import Selectors
from tests.unit.provision.projects import project

PRIMARY = """
    run_list:
      - recipe[pitr::tooling]
      - recipe[pitr::archiving]
      - recipe[pitr::base_backup]
      - recipe[pitr::recovery]
    default_attributes:
      postgresql: {version: 15, settings: {max_connections: 200}}
      pitr: {repository: "s3://bucket/main", recovery: {mode: none}}
"""
STANDBY = """
    run_list: ["role[base]"]
    default_attributes:
      pitr:
        archive: {enabled: false}
        base_backup: {enabled: false}
        recovery: {mode: archive}
"""


def found(hosts: str, **files: str) -> dict[str, Finding]:
    """What lint finds in a project with these hosts, by rule."""
    texts = {"base": PRIMARY, "standby": STANDBY, "inventory": hosts, **files}
    nodes = [member.node for member in members_of(project(**texts), Selectors())]
    return {finding.rule: finding for finding in lint(nodes)}


def test_the_sample_fleet_has_nothing_to_be_said_of() -> None:
    """What is copied from it begins well."""
    members = members_of(load(Path(__file__).parents[4]), Selectors())
    assert lint([member.node for member in members]) == ()


def test_two_clusters_on_one_prefix() -> None:
    """They would overwrite each other; a slash at the end makes no other prefix."""
    hosts = """
    hosts:
      db1: {cluster: one, run_list: ["role[base]"]}
      db2:
        cluster: two
        run_list: ["role[base]"]
        default_attributes: {pitr: {repository: "s3://bucket/main/"}}
    """
    finding = found(hosts)["shared-prefix"]
    assert (finding.severity, finding.hosts) == ("error", ("db1", "db2"))
    assert finding.message == "clusters one and two write to s3://bucket/main"


def test_the_hosts_of_a_cluster_share_their_prefix() -> None:
    """That is what lets a failover go on archiving."""
    hosts = """
    hosts:
      db1: {cluster: main, run_list: ["role[base]"]}
      db2: {cluster: main, run_list: ["role[standby]"]}
    """
    assert not found(hosts)


def test_a_standby_with_less_than_its_primary() -> None:
    """It would not start; a limit that is not set is the version's default."""
    hosts = """
    hosts:
      db1: {cluster: main, run_list: ["role[base]"]}
      db2:
        cluster: main
        run_list: ["role[standby]"]
        override_attributes: {postgresql: {settings: {max_connections: null}}}
    """
    finding = found(hosts)["standby-limits"]
    assert finding.severity == "error"
    assert finding.message == "max_connections is 100 on db2 and 200 on its primary db1"


def test_a_standby_of_another_version() -> None:
    """It cannot read its primary's WAL."""
    hosts = """
    hosts:
      db1: {cluster: main, run_list: ["role[base]"]}
      db2:
        cluster: main
        run_list: ["role[standby]"]
        default_attributes: {postgresql: {version: 16}}
    """
    assert found(hosts)["one-version"].hosts == ("db2", "db1")


def test_two_primaries_of_one_cluster() -> None:
    """Both would archive."""
    hosts = """
    hosts:
      db1: {cluster: main, run_list: ["role[base]"]}
      db2: {cluster: main, run_list: ["role[base]"]}
    """
    assert found(hosts)["two-primaries"].message == "cluster main has 2 primaries"


def test_a_replica_that_follows_another_cluster() -> None:
    """The name of a host was copied."""
    hosts = """
    hosts:
      db1: {cluster: one, run_list: ["role[base]"]}
      db2:
        cluster: two
        run_list: ["role[standby]"]
        default_attributes:
          pitr: {recovery: {mode: streaming, primary: {host: db1}}}
    """
    assert found(hosts)["foreign-primary"].hosts == ("db2", "db1")


class TestRetention:
    """And a replica that fetches WAL hours later."""

    HOSTS = """
    hosts:
      db1:
        cluster: main
        run_list: ["role[base]", "recipe[pitr::retention]"]
        default_attributes: {{pitr: {{retention: {retention}}}}}
      db2:
        cluster: main
        run_list: ["role[standby]"]
        default_attributes: {{pitr: {{recovery: {{mode: delayed, delay: 8h}}}}}}
    """

    @pytest.mark.parametrize(
        ("retention", "reach"),
        [("{keep_full: 1}", "0s"), ("{keep_full: 1, window: 8h}", "8h")],
    )
    def test_less_than_the_delay_is_an_error(self, retention: str, reach: str) -> None:
        """Counted in backups or in hours."""
        finding = found(self.HOSTS.format(retention=retention))["retention-delay"]
        assert finding.severity == "error"
        assert finding.message == f"db1 keeps WAL for {reach}, and db2 fetches it 8h later"

    @pytest.mark.parametrize("retention", ["{keep_full: 2}", "{keep_full: 1, window: 9h}"])
    def test_more_than_the_delay_is_not(self, retention: str) -> None:
        """Two daily backups reach back a day."""
        assert "retention-delay" not in found(self.HOSTS.format(retention=retention))


@pytest.mark.parametrize("recipe", ["archiving", "base_backup", "retention"])
def test_a_drill_host_that_could_write_to_the_repository(recipe: str) -> None:
    """What it restores is not to reach production's archive."""
    hosts = f"""
    hosts:
      drill1: {{run_list: ["recipe[pitr::drill]", "recipe[pitr::{recipe}]"]}}
    """
    attributes = """
    default_attributes:
      postgresql: {version: 15}
      pitr: {repository: "s3://bucket/main"}
    """
    finding = found(hosts, attributes__all=attributes)["drill-archives"]
    assert finding.severity == "error"
    assert recipe in finding.message


class TestTimes:
    """When jobs begin."""

    HOSTS = """
    hosts:
      db1:
        run_list: ["role[base]", "recipe[pitr::retention]"]
        default_attributes:
          pitr:
            base_backup: {{schedule: "{backup}"}}
            retention: {{schedule: "{retention}"}}
    """

    @pytest.mark.parametrize(
        ("backup", "retention"),
        [("0 4 * * *", "0 4 * * *"), ("0 4 * * sun", "0 */2 * * *"), ("0 4 1 * *", "0 4 * * 1")],
    )
    def test_jobs_that_begin_in_the_same_minute(self, backup: str, retention: str) -> None:
        """Every time, or only now and then."""
        finding = found(self.HOSTS.format(backup=backup, retention=retention))["same-time"]
        assert finding.severity == "warning"
        assert "base backup" in finding.message

    @pytest.mark.parametrize(
        ("backup", "retention"),
        [("0 4 * * *", "30 4 * * *"), ("0 4 * * *", "0 5 * * *"), ("0 4 1 1 *", "0 4 2 * *")],
    )
    def test_jobs_that_never_meet(self, backup: str, retention: str) -> None:
        """Another minute, another hour, another day."""
        assert "same-time" not in found(self.HOSTS.format(backup=backup, retention=retention))

    def test_hours_that_a_change_of_clocks_skips(self) -> None:
        """A warning: some hosts run in UTC."""
        finding = found(self.HOSTS.format(backup="30 2 * * *", retention="0 12 * * *"))
        assert finding["clock-change"].severity == "warning"

    def test_backups_of_one_cluster_at_once(self) -> None:
        """Where a standby takes them too, each would."""
        hosts = """
    hosts:
      db1: {cluster: main, run_list: ["role[base]"]}
      db2: {cluster: main, run_list: ["role[base]"]}
    """
        role = PRIMARY.replace("recovery: {mode: none}", "base_backup: {run_on: any}")
        assert found(hosts, base=role)["backups-at-once"].hosts == ("db1", "db2")


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("cp %p /a/%f &> /dev/null", "background"),
        ("cp %p /a/%f || true", "success"),
        ("/bin/true", "thrown away"),
        ("cp %p /tmp/%f", "anybody"),
    ],
)
def test_a_command_that_loses_wal(command: str, why: str) -> None:
    """Each was found in somebody's configuration."""
    hosts = f"""
    hosts:
      db1:
        run_list: ["role[base]"]
        default_attributes:
          postgresql: {{settings: {{archive_command: "{command}"}}}}
    """
    finding = found(hosts)["dangerous-command"]
    assert finding.severity == "error"
    assert why in finding.message


def test_a_host_without_a_repository() -> None:
    """It would archive to nowhere."""
    role = PRIMARY.replace('repository: "s3://bucket/main", ', "")
    assert found('hosts: {db1: {run_list: ["role[base]"]}}', base=role)["no-repository"].hosts


def test_a_primary_without_base_backups() -> None:
    """WAL alone restores nothing."""
    role = PRIMARY.replace("      - recipe[pitr::base_backup]\n", "")
    found_here = found('hosts: {db1: {run_list: ["role[base]"]}}', base=role)
    assert found_here["no-base-backup"].severity == "warning"


def test_errors_come_first() -> None:
    """They decide the exit code."""
    hosts = """
    hosts:
      db1:
        cluster: one
        run_list: ["role[base]"]
        default_attributes: {pitr: {base_backup: {schedule: "30 2 * * *"}}}
      db2: {cluster: two, run_list: ["role[base]"]}
    """
    severities = [finding.severity for finding in found(hosts).values()]
    assert severities == ["error", "warning"]
