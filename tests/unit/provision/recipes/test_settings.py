"""Settings in files of ours: archiving, recovery, and how the server comes to read them."""

from __future__ import annotations

import pytest

from provision.errors import InputError, QuotingError
from provision.recipes.settings import server_setting
from provision.resources.file import AbsentFile
from provision.resources.server import Block
from tests.unit.provision.recipes.hosts import catalog, entries, settings

CONF = "/etc/postgresql/15/main"
SPOOL = "spool_directory: /var/spool/p"
PGDATA = "/var/lib/postgresql/15/main"


class TestArchiving:
    """What a primary gets."""

    def test_each_segment_is_pushed(self) -> None:
        """The shell is replaced by the program."""
        assert settings(catalog("archiving")) == {
            "wal_level": "replica",
            "archive_mode": "on",
            "archive_timeout": "1min",
            "archive_command": "exec /opt/pitr/bin/pitr wal-push --envdir /etc/pitr.d/env %p",
        }

    def test_with_a_spool_one_that_was_pushed_ahead_costs_a_test(self) -> None:
        """The command itself is the fast path; what it cannot answer for goes the long way."""
        command = settings(catalog("archiving", pitr=SPOOL))["archive_command"]
        assert command == (
            "[ /var/spool/p/pgdata -ef . ] && [ /var/spool/p/ok/%f -nt %p ]"
            " && [ /var/spool/p/at/%f -ot %p ] || exec /opt/pitr/bin/pitr wal-push"
            " --spool-dir /var/spool/p --envdir /etc/pitr.d/env %p"
        )

    @pytest.mark.parametrize("profile", ["wal-e", "wal-g"])
    def test_a_profile_keeps_the_paths_that_people_know(self, profile: str) -> None:
        """With the same engine behind them."""
        command = settings(catalog("archiving", pitr=f"profile: {profile}"))["archive_command"]
        assert command.endswith(
            f"envdir /etc/{profile}.d/env /opt/{profile}/bin/{profile} wal-push %p"
        )

    def test_a_percent_sign_in_a_path_is_no_placeholder(self) -> None:
        """PostgreSQL expands a double one to it."""
        command = settings(catalog("archiving", pitr="prefix: /opt/50%"))["archive_command"]
        assert "exec /opt/50%%/bin/pitr" in command

    def test_without_archiving_the_mode_is_off(self) -> None:
        """And nothing else is ours."""
        off = settings(catalog("archiving", pitr="archive: {enabled: false}"))
        assert off == {"archive_mode": "off"}

    def test_the_roles_own_settings_win(self) -> None:
        """Who wants logical replication needs more than replica."""
        own = "version: 15\nsettings: {wal_level: logical, Work_Mem: 64MB}"
        found = settings(catalog("archiving", postgresql=own))
        assert (found["wal_level"], found["work_mem"]) == ("logical", "64MB")

    def test_a_plain_text_is_no_command(self) -> None:
        """Whoever writes a recipe has to quote it."""
        with pytest.raises(QuotingError, match="archive_command is a command, and a str is not"):
            server_setting("archive_command", "cp %p /archive/%f", 15)


class TestRecovery:
    """What makes a replica one."""

    def test_a_primary_has_none(self) -> None:
        """What an earlier role left goes."""
        (absent,) = catalog("recovery").resources
        assert absent == AbsentFile(
            name=f"{CONF}/conf.d/60-pitr-recovery.conf",
            phase="server",
            notifies=("postgresql_reload",),
            origin=absent.origin,
        )

    def test_a_standbys_recovery_conf_is_not_taken_away(self) -> None:
        """Without it a server up to 11 starts as a second primary."""
        (absent,) = catalog("recovery", postgresql="version: 11").resources
        assert absent.name == "/var/lib/postgresql/11/main/recovery.conf"
        (guard,) = absent.guards
        assert not guard.expect
        assert "standby" in guard.reason

    def test_a_streaming_replica_falls_back_to_the_archive(self) -> None:
        """Its password stands in a file that only its server can read."""
        pitr = """
        recovery:
          mode: streaming
          slot: db2
          primary: {host: db1, password: {secret: "env:PASSWORD"}}
        """
        found = catalog("recovery", pitr=pitr)
        assert settings(found)["primary_conninfo"] == (
            "host=db1 port=5432 user=replicator passfile=/etc/pitr.d/pgpass "
            "sslmode=verify-full application_name=db-01"
        )
        assert settings(found)["primary_slot_name"] == "db2"
        assert "wal-fetch" in settings(found)["restore_command"]
        pgpass = entries(found)["/etc/pitr.d/pgpass"]
        assert (pgpass.owner, pgpass.mode) == ("postgres", "0600")
        assert str(pgpass.content) == "db1:5432:*:replicator:<secret env:PASSWORD>\n"

    def test_a_replica_of_the_archive_alone_follows_nobody(self) -> None:
        """It proves that the archive is whole."""
        found = settings(catalog("recovery", pitr="recovery: {mode: archive}"))
        assert set(found) == {"restore_command", "recovery_target_timeline", "hot_standby"}

    def test_a_delayed_one_is_as_late_as_it_is_told(self) -> None:
        """In PostgreSQL's unit."""
        found = settings(catalog("recovery", pitr="recovery: {mode: delayed, delay: 480min}"))
        assert found["recovery_min_apply_delay"] == "8h"

    def test_an_unexpected_exit_code_stops_recovery(self) -> None:
        """1 to 125 would end it, and promote."""
        command = settings(catalog("recovery", pitr="recovery: {mode: archive}"))["restore_command"]
        assert command.endswith("rc=$?; case $rc in 0|74|75) exit $rc;; *) exit 200;; esac")

    def test_with_a_spool_what_was_prefetched_is_moved(self) -> None:
        """Only what came since the server's start; the long way follows."""
        pitr = f"{SPOOL}\nrecovery: {{mode: archive}}"
        command = settings(catalog("recovery", pitr=pitr))["restore_command"]
        fast, slow = command.split("exit 0; ")
        assert fast == (
            "[ /var/spool/p/pgdata -ef . ] && [ /var/spool/p/fetched/%f -nt postmaster.pid ]"
            ' && mv -f /var/spool/p/fetched/%f "%p" && '
        )
        assert slow.startswith("/opt/pitr/bin/pitr wal-fetch --envdir /etc/pitr.d/env --spool-dir")
        assert slow.endswith("*) exit 200;; esac")

    @pytest.mark.parametrize(
        ("target", "expected"),
        [
            ('time: "2026-11-24 13:59:00+00"', ("recovery_target_time", "2026-11-24 13:59:00+00")),
            ('lsn: "0/3000000"', ("recovery_target_lsn", "0/3000000")),
            ('xid: "1234"', ("recovery_target_xid", "1234")),
            ("name: before", ("recovery_target_name", "before")),
            ("immediate: true", ("recovery_target", "immediate")),
        ],
    )
    def test_a_target_is_rendered(self, target: str, expected: tuple[str, str]) -> None:
        """With what happens there."""
        pitr = f"recovery: {{mode: archive, target: {{{target}, action: shutdown}}}}"
        found = settings(catalog("recovery", pitr=pitr))
        name, value = expected
        assert found[name] == value
        assert found["recovery_target_action"] == "shutdown"
        assert found["recovery_target_inclusive"] == "on"

    def test_an_empty_signal_makes_a_standby_since_12(self) -> None:
        """Only in a data directory that is one, or that was just restored."""
        found = catalog("recovery", pitr="recovery: {mode: archive}")
        signal = entries(found)[f"{PGDATA}/standby.signal"]
        assert (str(signal.content), signal.owner, signal.mode) == ("", "postgres", "0600")
        (resource,) = (each for each in found.resources if each.name == signal.path)
        assert resource.guards[0].expect

    def test_before_12_it_is_recovery_conf(self) -> None:
        """And "current" has no name there."""
        pitr = "recovery: {mode: archive, timeline: current}"
        found = catalog("recovery", postgresql='version: "9.6"', pitr=pitr)
        assert settings(found)["standby_mode"] == "on"
        assert "recovery_target_timeline" not in settings(found)
        assert list(entries(found)) == ["/var/lib/postgresql/9.6/main/recovery.conf"]

    @pytest.mark.parametrize(
        ("recovery", "missing"),
        [("mode: delayed", "delay"), ("mode: streaming", "primary.host")],
    )
    def test_what_a_mode_needs_has_to_be_there(self, recovery: str, missing: str) -> None:
        """The message names the attribute."""
        with pytest.raises(InputError) as caught:
            catalog("recovery", pitr=f"recovery: {{{recovery}}}")
        assert missing in f"{caught.value} {caught.value.hint}"


class TestInclude:
    """How the server comes to read our files."""

    def test_debians_reads_conf_d_and_needs_nothing(self) -> None:
        """So postgresql.conf is left alone."""
        found = catalog("archiving")
        assert not any(isinstance(each, Block) for each in found.resources)
        assert list(entries(found)) == [f"{CONF}/conf.d/50-pitr.conf"]

    @pytest.mark.parametrize(
        ("sink", "lines"),
        [
            ("conf_d", ("include_dir = 'conf.d'",)),
            (
                "include_file",
                (
                    f"include_if_exists = '{CONF}/50-pitr.conf'",
                    f"include_if_exists = '{CONF}/60-pitr-recovery.conf'",
                ),
            ),
        ],
    )
    def test_two_recipes_share_one_block(self, sink: str, lines: tuple[str, ...]) -> None:
        """Both need the line, and it is there once."""
        postgresql = f"version: 15\nsink: {sink}\nmanage_include: true"
        pitr = "recovery: {mode: archive}"
        found = catalog("archiving", "recovery", postgresql=postgresql, pitr=pitr)
        (block,) = (each for each in found.resources if isinstance(each, Block))
        assert (block.name, block.lines) == (f"{CONF}/postgresql.conf", lines)
        assert block.notifies == ("postgresql_reload",)
