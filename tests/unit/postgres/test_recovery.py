"""Recovery settings for every version, proved by real servers and a real shell."""

from __future__ import annotations

import re
import shlex
import subprocess
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_core.errors import UsageError
from backup_core.postgres.lsn import Lsn
from backup_core.postgres.recovery import (
    AUTO_CONF_HEADER,
    AUTO_CONF_NOTE,
    RecoveryConfig,
    RecoveryTarget,
    quote_setting,
    recovery_files,
    restore_command,
    rewrite_auto_conf,
)
from tests.support.environment import clean_environ
from tests.support.fixtures import MakeCluster

NOON = datetime(2026, 11, 22, 12, 0, 0, 250_000, tzinfo=UTC)
TARGETS = [
    RecoveryTarget(time=NOON),
    RecoveryTarget(lsn=Lsn.parse("16/B374D848"), action="promote"),
    RecoveryTarget(xid=4_294_967_295, inclusive=False),
    RecoveryTarget(name="before 'the' \\ deploy"),
    RecoveryTarget(immediate=True, action="shutdown"),
    RecoveryTarget(timeline="current"),
    RecoveryTarget(timeline="7"),
]
TARGET_NAMES = {
    "recovery_target",
    "recovery_target_lsn",
    "recovery_target_name",
    "recovery_target_time",
    "recovery_target_xid",
}


def config(
    major: int,
    target: RecoveryTarget | None = None,
    *,
    standby: bool = False,
    archive_mode_off: bool = False,
    primary_conninfo: str | None = None,
    gap_follows: bool = False,
) -> RecoveryConfig:
    return recovery_files(
        major,
        target=target or RecoveryTarget(),
        restore_command="fetch %f %p",
        standby=standby,
        archive_mode_off=archive_mode_off,
        primary_conninfo=primary_conninfo,
        gap_follows=gap_follows,
    )


@pytest.mark.parametrize(("major", "off"), [(14, False), (15, True), (18, True)])
def test_a_server_does_not_read_ahead_into_a_gap(major: int, off: bool) -> None:
    """From 15 on it would ask for the missing segment before it reaches its target."""
    setting = ("recovery_prefetch", "off")
    assert (setting in config(major, gap_follows=True).settings) == off
    assert setting not in config(major).settings


class TestTarget:
    """A target that the server would refuse or misread is refused before anything is restored."""

    def test_a_time_without_a_zone_is_local(self) -> None:
        """The zone of the machine is made explicit; it is the same moment afterwards."""
        naive = datetime(2026, 11, 22, 12, 0)  # noqa: DTZ001
        time = RecoveryTarget(time=naive).time
        assert time is not None
        assert time.utcoffset() is not None
        assert time == naive.astimezone()

    @pytest.mark.parametrize(
        ("arguments", "complaint"),
        [
            ({"time": NOON, "lsn": Lsn(1)}, "only one recovery target is possible, not time and"),
            ({"xid": 5, "name": "x"}, "not xid and name"),
            ({"name": "x", "immediate": True}, "not name and immediate"),
            ({"lsn": Lsn(0), "immediate": True}, "not lsn and immediate"),
            ({"inclusive": False}, "can be excluded"),
            ({"inclusive": False, "immediate": True}, "can be excluded"),
            ({"inclusive": False, "name": "x"}, "can be excluded"),
            ({"xid": 2}, "2 is not a transaction id"),
            ({"xid": 2**32}, "4294967296 is not a transaction id"),
            ({"name": ""}, "not the name of a restore point"),
            ({"name": "ü" * 32}, "not the name of a restore point"),
            ({"timeline": "newest"}, '"newest" is not a timeline'),
            ({"timeline": ""}, '"" is not a timeline'),
            ({"timeline": "0"}, "is not a timeline"),
            ({"timeline": "010"}, "is not a timeline"),
            ({"timeline": "4294967296"}, "is not a timeline"),
            ({"action": "wait"}, '"wait" is not a recovery target action'),
            ({"action": "pause"}, "cannot pause at a recovery target that is not given"),
            ({"action": "shutdown"}, "cannot shutdown at a recovery target"),
        ],
    )
    def test_nonsense_is_refused(self, arguments: dict[str, Any], complaint: str) -> None:
        """The message says what is wrong, the hint what to do."""
        with pytest.raises(UsageError, match=complaint) as refusal:
            RecoveryTarget(**arguments)
        assert refusal.value.hint

    def test_recovery_to_the_end_has_no_target(self) -> None:
        """A timeline alone is not a point to stop at, and promotion happens there anyway."""
        assert not RecoveryTarget(timeline="3", action="promote").is_set
        assert RecoveryTarget(xid=3).is_set


class TestSinceVersion12:
    """Settings for postgresql.auto.conf, and a signal file."""

    @pytest.mark.parametrize("target", TARGETS)
    def test_every_target_setting_is_decided(self, target: RecoveryTarget) -> None:
        """What is not the target is emptied, and the target is the last setting of all."""
        settings = config(15, target).settings
        values = dict(settings)
        assert len(values) == len(settings)
        assert values.keys() >= TARGET_NAMES
        chosen = [name for name in TARGET_NAMES if values[name]]
        assert len(chosen) == target.is_set
        assert chosen in ([], [settings[-1][0]])

    @pytest.mark.parametrize(
        ("target", "name", "value"),
        [
            (TARGETS[0], "recovery_target_time", "2026-11-22 12:00:00.250000+00:00"),
            (TARGETS[1], "recovery_target_lsn", "16/B374D848"),
            (TARGETS[2], "recovery_target_xid", "4294967295"),
            (TARGETS[2], "recovery_target_inclusive", "off"),
            (TARGETS[3], "recovery_target_name", "before 'the' \\ deploy"),
            (TARGETS[3], "recovery_target_inclusive", "on"),
            (TARGETS[4], "recovery_target", "immediate"),
            (TARGETS[4], "recovery_target_action", "shutdown"),
            (TARGETS[4], "recovery_target_timeline", "latest"),
            (TARGETS[5], "recovery_target_timeline", "current"),
            (TARGETS[6], "recovery_target_timeline", "7"),
            (TARGETS[6], "recovery_target_action", "pause"),
        ],
    )
    def test_targets_become_settings(self, target: RecoveryTarget, name: str, value: str) -> None:
        """Times are in UTC; the timeline is the latest and the action a pause unless said."""
        assert dict(config(12, target).settings)[name] == value

    def test_a_time_is_the_same_moment_in_any_zone(self) -> None:
        """The server's own time zone has no say."""
        there = NOON.astimezone(timezone(timedelta(hours=-3)))
        assert config(18, RecoveryTarget(time=there)) == config(18, RecoveryTarget(time=NOON))

    def test_the_signal_file_tells_a_standby(self) -> None:
        """recovery.signal ends recovery at the target or the end, standby.signal goes on."""
        assert config(12).signal == "recovery.signal"
        assert config(12, standby=True).signal == "standby.signal"

    def test_to_pause_the_server_must_be_a_hot_standby(self) -> None:
        """Otherwise it would shut down at the target; without a pause the setting is not ours."""
        assert ("hot_standby", "on") in config(15, TARGETS[0]).settings
        assert "hot_standby" not in dict(config(15, TARGETS[1]).settings)
        assert "hot_standby" not in dict(config(15).settings)

    def test_what_is_asked_for_beside_the_target_is_set(self) -> None:
        """Archiving off and the primary are named only on demand."""
        asked = dict(config(15, archive_mode_off=True, primary_conninfo="host=a").settings)
        assert (asked["archive_mode"], asked["primary_conninfo"]) == ("off", "host=a")
        assert not {"archive_mode", "primary_conninfo"}.intersection(dict(config(15).settings))

    @pytest.mark.postgres(12, 13, 15, 18)
    def test_real_servers_read_what_was_meant(self, make_cluster: MakeCluster) -> None:
        """Whatever targets postgresql.conf and an earlier restore left behind."""
        cluster = make_cluster(
            start=False,
            settings={
                "recovery_target_xid": "77",
                "recovery_target_inclusive": "off",
                "recovery_target_action": "shutdown",
                "hot_standby": "off",
            },
        )
        auto_conf = cluster.data_dir / "postgresql.auto.conf"
        auto_conf.write_text("recovery_target_name = 'earlier'\n")
        for target in TARGETS:
            settings = recovery_files(
                cluster.binaries.major,
                target=target,
                restore_command=restore_command(["/o'p t/pi\\tr"], extra_arguments=["100%"]),
                standby=False,
                archive_mode_off=True,
            ).settings
            auto_conf.write_text(rewrite_auto_conf(auto_conf.read_text(), settings))
            assert {
                name: self.value(cluster.data_dir, cluster.binaries.program("postgres"), name)
                for name, _ in settings
            } == dict(settings)

    @staticmethod
    def value(data_dir: Path, postgres: Path, name: str) -> str:
        """What the server would take for a setting at its start."""
        done = subprocess.run(
            [str(postgres), "-C", name, "-D", str(data_dir)],
            env=clean_environ(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.removesuffix("\n")


class TestBeforeVersion12:
    """A recovery.conf, which knows no empty values and no word for the current timeline."""

    @pytest.mark.parametrize("major", [9, 10, 11])
    def test_only_what_is_asked_for_is_written(self, major: int) -> None:
        """The target, how to stop there, and the timeline, whose default was another then."""
        assert config(major, RecoveryTarget(xid=1234, action="promote")) == RecoveryConfig(
            signal="recovery.conf",
            settings=(
                ("restore_command", "fetch %f %p"),
                ("recovery_target_timeline", "latest"),
                ("recovery_target_inclusive", "on"),
                ("recovery_target_action", "promote"),
                ("recovery_target_xid", "1234"),
            ),
        )

    def test_without_a_target_there_is_none(self) -> None:
        """Recovery goes to the end of the latest timeline."""
        assert config(11).settings == (
            ("restore_command", "fetch %f %p"),
            ("recovery_target_timeline", "latest"),
        )

    def test_the_current_timeline_goes_without_saying(self) -> None:
        """Leaving the setting out means it."""
        settings = config(11, RecoveryTarget(timeline="current")).settings
        assert settings == (("restore_command", "fetch %f %p"),)

    def test_a_standby_is_told_by_a_setting(self) -> None:
        """There are no signal files."""
        settings = dict(config(10, standby=True, primary_conninfo="host=a").settings)
        assert (settings["standby_mode"], settings["primary_conninfo"]) == ("on", "host=a")

    def test_server_settings_stand_apart(self) -> None:
        """recovery.conf would not take them: they belong into postgresql.auto.conf."""
        made = config(9, RecoveryTarget(immediate=True), archive_mode_off=True)
        assert made.server_settings == (("hot_standby", "on"), ("archive_mode", "off"))
        assert not {"hot_standby", "archive_mode"}.intersection(dict(made.settings))

    def test_version_9_6_has_no_lsn_target(self) -> None:
        """It came with 10."""
        with pytest.raises(UsageError, match="cannot recover to an LSN"):
            config(9, RecoveryTarget(lsn=Lsn(1)))
        assert ("recovery_target_lsn", "0/1") in config(10, RecoveryTarget(lsn=Lsn(1))).settings


class TestAutoConf:
    """postgresql.auto.conf keeps everything that has nothing to do with recovery."""

    @pytest.mark.parametrize(
        "line",
        [
            "restore_command = 'cp /a/%f %p'",
            "  recovery_target_time='2020-01-01' # that day",
            "RECOVERY_TARGET_NAME old",
            "recovery_target 'immediate'",
            "recovery_target\t=immediate",
            "recovery_target_lsn'0/1'",
            "recovery_target_xid=5",
            "recovery_target_inclusive = off",
            "recovery_target_timeline = 'current'",
            "recovery_target_action = 'shutdown'",
            "recovery_end_command = 'it''s done'",
            "archive_cleanup_command = 'pg_archivecleanup /a %r'",
            "recovery_min_apply_delay = 1h",
            "promote_trigger_file = '/tmp/x'\r",
            "work_mem = '1MB'",
        ],
    )
    def test_leftovers_become_comments(self, line: str) -> None:
        """Recovery settings in any spelling, and any name that is set anew."""
        rewritten = rewrite_auto_conf(f"{line}\n", [("work_mem", "2MB")])
        assert rewritten.split("\n")[0] == f"{AUTO_CONF_NOTE}{line}"

    @pytest.mark.parametrize(
        "line",
        [
            "# Do not edit this file manually!",
            "#restore_command = 'x'",
            "primary_conninfo = 'host=a'",
            "primary_slot_name = 'b'",
            "log_line_prefix = 'restore_command'",
            "restore_commander = 1",
            "my.restore_command = 1",
            "restore_command.x = 1",
            "restore_commandü = 1",
            "'restore_command' = 1",
            f"{AUTO_CONF_NOTE}restore_command = 'x'",
            "",
        ],
    )
    def test_other_lines_stay(self, line: str) -> None:
        """Comments, other settings, and names that only begin or end alike."""
        rewritten = rewrite_auto_conf(f"{line}\n", [("restore_command", "y")])
        assert rewritten == f"{line}\n{AUTO_CONF_HEADER}\nrestore_command = 'y'\n"

    def test_the_primary_is_replaced_only_by_another(self) -> None:
        """It stays as it is unless it is among the settings."""
        rewritten = rewrite_auto_conf("primary_conninfo = 'a'\n", [("primary_conninfo", "b")])
        assert rewritten.startswith(f"{AUTO_CONF_NOTE}primary_conninfo = 'a'\n")
        assert rewritten.endswith("primary_conninfo = 'b'\n")

    def test_a_last_line_without_newline_is_ended(self) -> None:
        """Ours begin on a line of their own."""
        assert rewrite_auto_conf("a = 1", [("b", "2")]) == f"a = 1\n{AUTO_CONF_HEADER}\nb = '2'\n"

    def test_an_empty_file_gets_ours_alone(self) -> None:
        """Nothing stands before the header."""
        assert rewrite_auto_conf("", [("b", "2")]) == f"{AUTO_CONF_HEADER}\nb = '2'\n"

    @given(existing=st.text(max_size=200), target=st.sampled_from(TARGETS))
    def test_each_line_is_kept_or_commented_out(
        self, existing: str, target: RecoveryTarget
    ) -> None:
        """No line is lost, reordered or altered but for the note before it."""
        settings = config(15, target).settings
        kept = rewrite_auto_conf(existing, settings).rpartition(f"{AUTO_CONF_HEADER}\n")[0]
        lines = [line.removeprefix(AUTO_CONF_NOTE) for line in kept.split("\n")]
        assert "\n".join(lines).removesuffix("\n") == existing.removesuffix("\n")

    def test_restoring_twice_leaves_one_of_each(self) -> None:
        """The settings of the first restore are comments after the second."""
        once = rewrite_auto_conf("", config(15, TARGETS[0]).settings)
        twice = rewrite_auto_conf(once, config(15, TARGETS[1]).settings)
        active = [line.split()[0] for line in twice.splitlines() if not line.startswith("#")]
        assert active.count("restore_command") == active.count("recovery_target_time") == 1


class TestQuoting:
    """Values in PostgreSQL's configuration files."""

    @pytest.mark.parametrize(
        ("value", "quoted"),
        [("", "''"), ("it's", "'it''s'"), ("C:\\x", "'C:\\\\x'"), ("a # b", "'a # b'")],
    )
    def test_quotes_and_backslashes_are_doubled(self, value: str, quoted: str) -> None:
        """Everything else stands for itself inside the quotes."""
        assert quote_setting(value) == quoted

    @pytest.mark.parametrize("value", ["two\nlines", "nul\0"])
    def test_what_cannot_be_written_is_refused(self, value: str) -> None:
        """A setting ends with its line."""
        with pytest.raises(UsageError, match="cannot hold a newline or a NUL"):
            quote_setting(value)


class TestRestoreCommand:
    """The shell command that the server runs for each WAL file."""

    DIRECTORIES = (
        "plain",
        "with space",
        "it's",
        'dou"ble',
        "100%f %p%%",
        "back\\slash",
        "$HOME`x`",
    )

    @staticmethod
    def filled(command: str) -> str:
        """The command with the placeholders replaced as the server does it."""
        names = {"%f": "00000002.history", "%p": "pg_wal/RECOVERYHISTORY", "%%": "%"}
        return re.sub("%[fp%]", lambda found: names[found[0]], command)

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """Let sh run the command."""
        return subprocess.run(
            ["/bin/sh", "-c", self.filled(command)], capture_output=True, text=True, check=False
        )

    @staticmethod
    def program(directory: Path, code: int = 0) -> Path:
        """A program that prints its arguments, one a line, and ends with the code."""
        directory.mkdir(exist_ok=True)
        program = directory / "pitr"
        program.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$@\"\nexit {code}\n")
        program.chmod(0o755)
        return program

    @pytest.mark.parametrize("name", DIRECTORIES)
    def test_program_and_arguments_arrive_as_they_are(self, tmp_path: Path, name: str) -> None:
        """Whatever their letters; the file's name and place come last."""
        program = self.program(tmp_path / name)
        done = self.run(restore_command([str(program)], extra_arguments=["--config", name]))
        assert done.returncode == 0
        assert done.stdout.splitlines() == [
            *("wal-fetch", "--config", name),
            *("00000002.history", "pg_wal/RECOVERYHISTORY"),
        ]

    def test_a_program_may_be_several_words(self, tmp_path: Path) -> None:
        """Such as an interpreter and its options."""
        program = self.program(tmp_path)
        done = self.run(restore_command(["/bin/sh", "-e", str(program)]))
        assert done.stdout.splitlines()[0] == "wal-fetch"

    @pytest.mark.parametrize("code", [0, 74, 75])
    def test_chosen_codes_reach_the_server(self, tmp_path: Path, code: int) -> None:
        """Delivered, proven absent, and trouble that a standby waits out."""
        assert self.run(restore_command([str(self.program(tmp_path, code))])).returncode == code

    @pytest.mark.parametrize("code", [1, 2, 7, 73, 76, 125, 126, 127, 130, 137, 143, 200, 255])
    def test_every_other_code_stops_recovery(self, tmp_path: Path, code: int) -> None:
        """None of them may look like the end of the archive, at which the server promotes."""
        assert self.run(restore_command([str(self.program(tmp_path, code))])).returncode == 200

    def test_a_missing_program_stops_recovery(self, tmp_path: Path) -> None:
        """A deleted or never installed program cannot promote a server."""
        assert self.run(restore_command([str(tmp_path / "pitr")])).returncode == 200

    def test_a_killed_program_stops_recovery(self, tmp_path: Path) -> None:
        """Nor can one that the kernel ended."""
        program = self.program(tmp_path)
        program.write_text("#!/bin/sh\nkill -9 $$\n")
        assert self.run(restore_command([str(program)])).returncode == 200

    @given(words=st.lists(st.text(st.characters(exclude_characters="\0"), min_size=1)))
    def test_words_survive_quoting(self, words: list[str]) -> None:
        """Any argument is one word of the command after the server's substitution."""
        command = self.filled(restore_command(["pitr"], extra_arguments=words))
        expected = ["pitr", "wal-fetch", *words, "00000002.history", "pg_wal/RECOVERYHISTORY;"]
        assert shlex.split(command)[: len(expected)] == expected
