"""Settings: which exist, what they take and what a change of them needs."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.errors import InputError
from provision.pgsettings import MAJORS, Effect, Value, check, effect, label, lookup, same
from provision.pgsettings.table import rows_by_name


def refusal(name: str, value: Value, major: int = 15) -> InputError:
    """The error of a value that must not pass."""
    with pytest.raises(InputError) as caught:
        check(lookup(name, major), value)
    return caught.value


class TestLookup:
    """What a version knows."""

    def test_names_are_found_in_any_case(self) -> None:
        """The server folds them, and shows some with capitals."""
        assert lookup("TIMEZONE", 15).name == "TimeZone"

    @pytest.mark.parametrize(
        ("name", "major", "message", "hint"),
        [
            ("wal_keep_segments", 13, "was removed in PostgreSQL 13", "wal_keep_size"),
            ("wal_keep_size", 12, "is new in PostgreSQL 13", "wal_keep_segments"),
            ("archive_library", 14, "is new in PostgreSQL 15", ""),
            ("standby_mode", 12, "was removed in PostgreSQL 12", "standby.signal"),
            ("promote_trigger_file", 16, "was removed in PostgreSQL 16", "pg_promote"),
            ("checkpoint_segments", 9, "was removed before PostgreSQL 9.6", "max_wal_size"),
            ("pause_at_recovery_target", 9, "removed before", "recovery_target_action"),
            ("archive_comand", 9, "PostgreSQL 9.6 has no setting", "archive_command"),
            ("fnord", 18, "PostgreSQL 18 has no setting fnord", ""),
            ("port", 8, "PostgreSQL 8 is not supported", "9.6"),
        ],
    )
    def test_what_it_does_not_know_is_explained(
        self, name: str, major: int, message: str, hint: str
    ) -> None:
        """A role that moves to another version meets these."""
        with pytest.raises(InputError, match=message) as caught:
            lookup(name, major)
        assert hint in (caught.value.hint or "")

    def test_settings_of_extensions_are_taken_as_they_are(self) -> None:
        """The server takes any name with a dot, whether or not the extension is there."""
        assert lookup("pg_stat_statements.max", 15).effect == "reload"

    @pytest.mark.parametrize(
        ("name", "effects"),
        [
            ("restore_command", "recovery.conf*3 restart*2 reload*5"),
            ("primary_conninfo", "recovery.conf*3 restart*1 reload*6"),
            ("recovery_min_apply_delay", "recovery.conf*3 reload*7"),
            ("recovery_target_time", "recovery.conf*3 restart*7"),
            ("archive_mode", "restart*10"),
            ("archive_command", "reload*10"),
            ("work_mem", "reload*10"),
            ("block_size", "none*10"),
        ],
    )
    def test_what_a_change_needs_depends_on_the_version(self, name: str, effects: str) -> None:
        """From recovery.conf over a restart to a reload."""
        expected: list[Effect] = []
        for each in effects.split():
            kind, _, count = each.partition("*")
            expected += [kind] * int(count)  # type: ignore[list-item]
        assert [effect(name, major) for major in MAJORS] == expected

    def test_rows_of_a_setting_do_not_overlap(self) -> None:
        """Each version finds one definition."""
        for rows in rows_by_name().values():
            spans = [(row.first, row.last) for row in rows]
            assert all(first <= last for first, last in spans)
            assert all(a[1] + 1 == b[0] for a, b in pairwise(spans))

    def test_defaults_satisfy_their_own_definition(self) -> None:
        """A table that contradicted itself would refuse what every server starts with."""
        for major in MAJORS:
            for name, rows in rows_by_name().items():
                if any(row.first <= major <= row.last for row in rows):
                    setting = lookup(name, major)
                    if setting.default and setting.effect != "none":
                        check(setting, setting.default)

    def test_versions_are_written_as_people_do(self) -> None:
        """The last version with two numbers is 9 here."""
        assert [label(9), label(10)] == ["9.6", "10"]


class TestNumbers:
    """Numbers, with the units of their version."""

    @pytest.mark.parametrize(
        ("name", "value", "text"),
        [
            ("recovery_min_apply_delay", "8h", "8h"),
            ("recovery_min_apply_delay", "8 h", "8h"),
            ("recovery_min_apply_delay", 28800000, "28800000"),
            ("recovery_min_apply_delay", "1.5h", "1.5h"),
            ("shared_buffers", "4GB", "4GB"),
            ("checkpoint_completion_target", 0.9, "0.9"),
            ("unix_socket_permissions", "0770", "0770"),
            ("max_wal_size", "0x400", "0x400"),
        ],
    )
    def test_what_the_server_takes_passes(self, name: str, value: Value, text: str) -> None:
        """Blanks go, everything else stays as it was written."""
        assert check(lookup(name, 15), value) == text

    def test_units_are_case_sensitive(self) -> None:
        """The hint says what was meant."""
        assert refusal("recovery_min_apply_delay", "8H").hint == (
            "Units are case-sensitive: write 8h."
        )
        assert refusal("shared_buffers", "4gb").hint == "Units are case-sensitive: write 4GB."

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("recovery_min_apply_delay", "8hours"),
            ("archive_timeout", "1GB"),
            ("archive_timeout", ""),
            ("archive_timeout", "h"),
            ("archive_timeout", "-1"),
            ("archive_timeout", "1 h 5 min"),
            ("archive_timeout", True),
            ("max_connections", "100s"),
            ("max_connections", 0),
            ("max_connections", 2**40),
            ("max_connections", "010.5"),
            ("checkpoint_completion_target", 1.1),
            ("work_mem", "1\u00a0MB"),
            ("work_mem", "\u0661MB"),
        ],
    )
    def test_what_the_server_refuses_is_refused(self, name: str, value: Value) -> None:
        """It would not start, or not reload anything at all."""
        refusal(name, value)

    @pytest.mark.parametrize(
        ("name", "value", "major"),
        [
            ("archive_timeout", "1.5h", 11),
            ("archive_timeout", "1e3", 9),
            ("log_min_duration_statement", "500us", 11),
            ("work_mem", "65536B", 10),
        ],
    )
    def test_older_versions_take_less(self, name: str, value: str, major: int) -> None:
        """Fractions came with 12, as microseconds did; bytes with 11."""
        refusal(name, value, major)
        assert check(lookup(name, 12), value) == value

    def test_the_range_is_told_in_the_settings_own_unit(self) -> None:
        """A number without a unit is in that unit."""
        assert refusal("shared_buffers", "1kB").hint == (
            "It takes 16 to 1073741823, in units of 8kB."
        )


class TestWords:
    """Booleans and enums."""

    @pytest.mark.parametrize("value", [True, "on", "YES", "t", "1", 1])
    def test_booleans_have_one_spelling(self, value: Value) -> None:
        """YAML's and the server's spellings mean the same."""
        assert check(lookup("hot_standby", 15), value) == "on"

    @pytest.mark.parametrize("value", [False, "of", "No", "f", "0", 0])
    def test_a_beginning_is_enough(self, value: Value) -> None:
        """As it is for the server."""
        assert check(lookup("hot_standby", 15), value) == "off"

    @pytest.mark.parametrize("value", ["o", "", "2", "onn", "enabled", " on"])
    def test_other_words_are_refused(self, value: str) -> None:
        """The hint says on or off."""
        assert refusal("hot_standby", value).hint == "Write on or off."

    @pytest.mark.parametrize(
        ("name", "value", "text"),
        [
            ("wal_level", "Replica", "replica"),
            ("archive_mode", "always", "always"),
            ("archive_mode", True, "on"),
            ("synchronous_commit", "no", "off"),
            ("wal_compression", "zstd", "zstd"),
        ],
    )
    def test_enums_take_their_values_in_any_case(self, name: str, value: Value, text: str) -> None:
        """Those that were booleans once take these too."""
        assert check(lookup(name, 15), value) == text

    @pytest.mark.parametrize(
        ("name", "value", "major"),
        [("wal_level", "archive", 15), ("wal_level", True, 15), ("wal_compression", "zstd", 14)],
    )
    def test_other_values_are_refused(self, name: str, value: Value, major: int) -> None:
        """Also those of another version."""
        refusal(name, value, major)


class TestTexts:
    """Texts that have a syntax of their own."""

    @pytest.mark.parametrize(
        "value",
        [
            "2024-05-31 14:30:00+02",
            "2024-05-31 14:30:00.123456 +02:00",
            "2024-05-31T14:30-0330",
            "2024-05-31 14:30:00 UTC",
        ],
    )
    def test_a_target_time_has_its_offset(self, value: str) -> None:
        """Then it is the same moment whatever the server's zone is."""
        assert check(lookup("recovery_target_time", 15), value) == value

    @pytest.mark.parametrize(
        "value",
        [
            "2024-05-31 14:30:00",
            "2024-05-31 14:30:00 Europe/Berlin",
            "2024-05-31 14:30:00 CEST",
            "2024-05-31 14:30:00Z",
            "2024-02-30 14:30:00+00",
            "2024-05-31 25:30:00+00",
            "2024-05-31",
            "now",
            "yesterday",
            "epoch",
        ],
    )
    def test_another_target_time_is_refused(self, value: str) -> None:
        """Recovery would stop hours from where it was meant to."""
        assert "offset from UTC" in str(refusal("recovery_target_time", value))

    def test_latest_is_no_time(self) -> None:
        """It belongs to the timeline; the server does not start with it."""
        error = refusal("recovery_target_time", "latest")
        assert "timeline" in (error.hint or "")

    @pytest.mark.parametrize(
        ("name", "value", "major"),
        [
            ("recovery_target_timeline", "newest", 15),
            ("recovery_target_timeline", "current", 11),
            ("recovery_target_timeline", "0", 15),
            ("recovery_target_xid", "2", 15),
            ("recovery_target_xid", "12a", 15),
            ("recovery_target_lsn", "16B3740", 15),
            ("recovery_target_name", "x" * 64, 15),
            ("recovery_target", "latest", 15),
            ("archive_command", "cp %x /archive", 12),
            ("archive_command", "date +100%", 12),
            ("archive_command", "cp %r /archive", 12),
            ("archive_command", "cp %p\n/archive", 12),
            ("archive_cleanup_command", "rm %p", 15),
            ("recovery_target_time", "", 11),
        ],
    )
    def test_nonsense_is_refused(self, name: str, value: str, major: int) -> None:
        """Each keeps a server from starting, or makes it recover to somewhere else."""
        refusal(name, value, major)

    @pytest.mark.parametrize(
        ("name", "value", "major"),
        [
            ("recovery_target_timeline", "latest", 11),
            ("recovery_target_timeline", "current", 12),
            ("recovery_target_timeline", "3", 9),
            ("recovery_target_lsn", "0/16B3740", 15),
            ("recovery_target", "immediate", 15),
            ("recovery_target", "", 15),
            ("archive_command", "cp %p '/archive/100%%/%f'", 15),
            ("restore_command", "pitr wal-fetch %f %p", 9),
            ("archive_command", "", 15),
            ("log_line_prefix", "%m [%p] ", 15),
        ],
    )
    def test_sense_passes_unchanged(self, name: str, value: str, major: int) -> None:
        """An empty text unsets a setting, but for recovery.conf."""
        assert check(lookup(name, major), value) == value

    def test_a_number_is_no_text(self) -> None:
        """YAML made a number of something: 0700 is 448 by now."""
        assert refusal("log_line_prefix", 5).hint == "Quote it."

    def test_what_the_server_decides_itself_cannot_be_set(self) -> None:
        """It is only shown."""
        assert "cannot be set" in str(refusal("block_size", 8192))


class TestSameness:
    """Two texts that mean the same to the server."""

    @pytest.mark.parametrize(
        ("name", "a", "b"),
        [
            ("archive_timeout", "60s", "1min"),
            ("archive_timeout", "60", "1min"),
            ("recovery_min_apply_delay", "8h", "28800000"),
            ("recovery_min_apply_delay", "1.5h", "90min"),
            ("shared_buffers", "128MB", "16384"),
            ("max_wal_size", "1GB", "1024"),
            ("max_wal_size", "30.1GB", "30822MB"),
            ("hot_standby", "on", "true"),
            ("wal_level", "REPLICA", "replica"),
            ("unix_socket_permissions", "0777", "511"),
            ("random_page_cost", "4", "4.0"),
            ("archive_command", "x", "x"),
        ],
    )
    def test_texts_are_compared_by_their_meaning(self, name: str, a: str, b: str) -> None:
        """So that a running server that shows 60 is not changed to 1min again and again."""
        assert same(lookup(name, 15), a, b)

    @pytest.mark.parametrize(
        ("name", "a", "b"),
        [
            ("archive_timeout", "60s", "61s"),
            ("archive_command", "x", "X"),
            ("hot_standby", "on", "off"),
            ("archive_timeout", "8H", "8h"),
        ],
    )
    def test_others_differ(self, name: str, a: str, b: str) -> None:
        """Commands count letter by letter."""
        assert not same(lookup(name, 15), a, b)

    @given(number=st.integers(0, 1000), major=st.sampled_from(MAJORS))
    def test_a_unit_is_its_number_of_smaller_ones(self, number: int, major: int) -> None:
        """In every version."""
        assert same(lookup("archive_timeout", major), f"{number}h", f"{number * 60}min")
        assert same(lookup("archive_timeout", major), f"{number}min", str(number * 60))
