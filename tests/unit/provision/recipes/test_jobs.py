"""What runs at its times: base backups, retention, drills, metrics; by cron and by timers."""

from __future__ import annotations

import pytest
import yaml

from provision.errors import InputError
from provision.recipes.job import delay
from tests.unit.provision.recipes.hosts import catalog, entries, text

REPOSITORY = "repository: s3://bucket/main\n"


class TestBaseBackup:
    """Once a day, on the server that is to do it."""

    def test_cron_starts_a_script_without_arguments(self) -> None:
        """Nothing on the line needs an escape on which crons differ."""
        found = catalog("base_backup", pitr='base_backup: {schedule: "15 4 * * sun"}')
        line = text(found, "/etc/cron.d/pitr-base-backup").splitlines()[-1]
        assert line == "15 4 * * 0 postgres /opt/pitr/jobs/base-backup"
        assert entries(found)["/etc/cron.d/pitr-base-backup"].mode == "0644"

    def test_a_timer_does_the_same(self) -> None:
        """From the same schedule."""
        pitr = 'base_backup: {schedule: "15 4 * * sun", scheduler: systemd}'
        found = catalog("base_backup", "monitoring", pitr=pitr)
        units = "/etc/systemd/system/pitr-base-backup"
        assert "OnCalendar=Sun *-*-* 04:15:00\n" in text(found, f"{units}.timer")
        service = text(found, f"{units}.service")
        assert "ExecStart=/opt/pitr/jobs/base-backup\n" in service
        assert "Type=oneshot\n" in service
        assert not any(path.startswith("/etc/cron.d/") for path in entries(found))

    @pytest.mark.parametrize(
        ("run_on", "gate"), [("primary", "!= f ]"), ("standby", "!= t ]"), ("any", None)]
    )
    def test_the_script_asks_its_server_whether_it_is_the_one(
        self, run_on: str, gate: str | None
    ) -> None:
        """So that a failover needs no change."""
        found = catalog("base_backup", pitr=f"base_backup: {{run_on: {run_on}}}")
        script = text(found, "/opt/pitr/jobs/base-backup")
        assert ("pg_is_in_recovery" in script) == (gate is not None)
        assert gate is None or gate in script

    def test_options_and_limits_are_those_of_the_role(self) -> None:
        """Words of a shell."""
        pitr = "base_backup: {flags: ['--user-data', \"it's\"], timeout: 2h, nice: 5}"
        script = text(catalog("base_backup", pitr=pitr), "/opt/pitr/jobs/base-backup")
        assert "nice -n 5 timeout --preserve-status -k 60 7200" in script
        assert "backup-push --user-data 'it'\\''s' /var/lib/postgresql/15/main" in script

    def test_hosts_are_spread_and_each_stays_where_it_is(self) -> None:
        """By its name, within the span."""
        delays = [delay(f"db{number}", "base-backup", 30) for number in range(200)]
        assert delays == [delay(f"db{number}", "base-backup", 30) for number in range(200)]
        assert (min(delays), max(delays)) == (0, 29)

    def test_a_schedule_that_cannot_be_moved_need_not_be(self) -> None:
        """Without a spread it is taken as it is."""
        found = catalog("base_backup", pitr='base_backup: {schedule: "0 */6 * * *"}')
        assert "\n0 */6 * * * postgres " in text(found, "/etc/cron.d/pitr-base-backup")
        with pytest.raises(InputError, match="cannot be moved"):
            catalog("base_backup", pitr='base_backup: {schedule: "0 */6 * * *", spread: 30min}')

    def test_where_it_is_off_there_is_nothing(self) -> None:
        """An enabled one that is turned off leaves the model, and --prune removes it."""
        assert not catalog("base_backup", pitr="base_backup: {enabled: false}").resources


class TestRetention:
    """What is deleted, and when."""

    @pytest.mark.parametrize(
        ("profile", "command"),
        [
            ("pitr", "/opt/pitr/bin/pitr delete retain FULL 3 --confirm --envdir /etc/pitr.d/env"),
            (
                "wal-g",
                "envdir /etc/wal-g.d/env /opt/wal-g/bin/wal-g delete retain FULL 3 --confirm",
            ),
            ("wal-e", "envdir /etc/wal-e.d/env /opt/wal-e/bin/wal-e delete --confirm retain 3"),
        ],
    )
    def test_backups_are_counted(self, profile: str, command: str) -> None:
        """In the words of each profile's program."""
        found = catalog("retention", pitr=f"profile: {profile}\nretention: {{keep_full: 3}}")
        assert command in text(found, f"/opt/{profile}/jobs/retention")

    def test_a_window_is_kept_too(self) -> None:
        """Reckoned when the job runs."""
        found = catalog("retention", pitr="retention: {window: 7d}")
        option = "--after \"$(date -u -d '604800 seconds ago' +%Y-%m-%dT%H:%M:%SZ)\""
        assert option in text(found, "/opt/pitr/jobs/retention")

    def test_wal_e_cannot_keep_a_window(self) -> None:
        """It is refused and not forgotten."""
        with pytest.raises(InputError, match="counts backups"):
            catalog("retention", pitr="profile: wal-e\nretention: {window: 7d}")


class TestDrill:
    """A restore that proves itself."""

    PITR = (
        REPOSITORY
        + """
drill:
  schedules:
    - {name: fresh, schedule: "30 11 * * *", backup: latest}
    - {name: chain, schedule: "5 0 * * *", backup: oldest}
  checks:
    - {name: rows, query: "select count(*) > 0 from t where a = 'x'", database: shop}
"""
    )

    def test_each_schedule_runs_the_engines_drill(self) -> None:
        """The newest backup, and the oldest with a day of WAL, which is the engine's default."""
        found = catalog("drill", pitr=self.PITR)
        fresh = text(found, "/opt/pitr/jobs/drill-fresh")
        assert "pitr drill run /var/lib/pitr/drill --name fresh --backup latest " in fresh
        assert "--backup oldest " in text(found, "/opt/pitr/jobs/drill-chain")
        assert "30 11 * * * postgres" in text(found, "/etc/cron.d/pitr-drill-fresh")

    def test_checks_are_asked_as_they_are_written(self) -> None:
        """In the file that the engine reads."""
        found = text(catalog("drill", pitr=self.PITR), "/etc/pitr.d/drill-checks.toml")
        assert "query = \"select count(*) > 0 from t where a = 'x'\"\n" in found
        assert 'database = "shop"\n' in found


class TestMonitoring:
    """Metrics by file, and rules with the role's limits."""

    RULES = "rules_file: /etc/pitr.d/rules.yml"

    def rules(self, *recipes: str, pitr: str = "") -> dict[str, str]:
        """The expressions by the alerts' names."""
        found = catalog(*recipes, "monitoring", pitr=f"monitoring: {{{self.RULES}}}\n{pitr}")
        (group,) = yaml.safe_load(text(found, "/etc/pitr.d/rules.yml"))["groups"]
        return {rule["alert"]: rule["expr"] for rule in group["rules"]}

    def test_metrics_say_whose_they_are(self) -> None:
        """`job` is Prometheus' own label, which ours must not be."""
        found = catalog("base_backup", "monitoring")
        labels = 'cluster="db-01",host="db-01"'
        written = "--label 'cluster=db-01' --label 'host=db-01' "
        assert written in text(found, "/opt/pitr/jobs/monitor")
        job = text(found, "/opt/pitr/jobs/base-backup")
        assert f"labels='{labels},resource=\"base-backup\"'\n" in job

    def test_every_rule_asks_for_its_host_alone(self) -> None:
        """A replica that is late by design has other limits than its neighbour."""
        for expression in self.rules("archiving", "base_backup", "recovery").values():
            assert expression.count("pitr_") == expression.count('{host="db-01"')

    def test_only_what_a_host_does_is_watched(self) -> None:
        """A drill host has no server of its own, and a primary does not replay."""
        assert set(self.rules("drill")) == {
            "PitrMonitoringIsSilent",
            "PitrJobFailed",
            "PitrJobIsLate",
        }
        assert {"PitrDrillIsMissing", "PitrNothingCanBeRecovered"} < set(
            self.rules("drill", pitr=REPOSITORY)
        )
        primary = self.rules("archiving", "base_backup", "recovery")
        assert {"PitrArchivingIsLate", "PitrBaseBackupIsLate"} <= set(primary)
        assert "PitrReplayIsLate" not in primary

    def test_a_delayed_replica_is_late_only_after_its_delay(self) -> None:
        """Eight hours and the three that any replica may have."""
        rules = self.rules("recovery", pitr="recovery: {mode: delayed, delay: 8h}")
        assert 'pitr_replay_lag_seconds{host="db-01"} > 39600 and' in rules["PitrReplayIsLate"]

    def test_a_server_at_rest_is_not_late(self) -> None:
        """Something has to wait."""
        assert (
            'pitr_wal_ready_files{host="db-01"} > 0'
            in self.rules("archiving")["PitrArchivingIsLate"]
        )


class TestTooling:
    """The engine and what it runs with."""

    def test_directories_belong_to_who_writes_into_them(self) -> None:
        """The server's user cannot change where its WAL goes."""
        found = entries(catalog("tooling", pitr="spool_directory: /var/spool/pitr"))
        assert (found["/etc/pitr.d"].owner, found["/etc/pitr.d"].mode) == ("root", "0750")
        assert (found["/var/spool/pitr"].owner, found["/var/spool/pitr"].mode) == (
            "postgres",
            "0700",
        )

    @pytest.mark.parametrize("profile", ["wal-e", "wal-g"])
    def test_a_profile_gets_envdir_and_its_programs_name(self, profile: str) -> None:
        """In its own directory below /opt."""
        found = catalog("tooling", pitr=f"profile: {profile}")
        assert "package[daemontools]" in {each.id for each in found.resources}
        assert entries(found)[f"/opt/{profile}/bin/{profile}"].target == "pitr"

    def test_a_secret_that_is_a_file_is_one(self) -> None:
        """Beside the environment, which has its path."""
        pitr = 'files: {gcs.json: {secret: "file:/run/key"}}'
        file = entries(catalog("tooling", pitr=pitr))["/etc/pitr.d/gcs.json"]
        assert (file.group, file.mode) == ("postgres", "0640")
        assert str(file.content) == "<secret file:/run/key>"

    def test_a_scheme_without_its_key_is_refused(self) -> None:
        """Nothing is stored in plain text because a key is missing."""
        for scheme in ("age", "openpgp", "libsodium"):
            with pytest.raises(InputError, match="is not set"):
                catalog("tooling", pitr=f"encryption: {{scheme: {scheme}}}")

    def test_without_management_nothing_is_installed(self) -> None:
        """Somebody else's packages stay theirs."""
        found = catalog("tooling", pitr="package: {manage: false}")
        assert {each.kind for each in found.resources} == {"directory", "envdir"}
