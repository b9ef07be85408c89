"""What an operator may set, where, and what wins."""

from __future__ import annotations

import string
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from backup_core.config import Loaded, Settings, describe, load, values
from backup_core.config import file as config_file
from backup_core.config.settings import TABLE, Row
from backup_core.errors import ConfigError

ROOT = Path(__file__).parents[2]
REPOSITORY = {"WALG_FILE_PREFIX": "/backups"}


def from_environment(**environ: str) -> Loaded:
    """Load from variables alone: an empty file stands for every configuration file."""
    return load(flags={}, environ={"PITR_CONFIG": "/dev/null", **environ}, config_file=None)


def with_repository(**environ: str) -> Settings:
    return from_environment(**REPOSITORY, **environ).settings


def written(directory: Path, text: str) -> Path:
    file = directory / "pitr.toml"
    file.write_text(text, encoding="utf-8")
    return file


def from_file(directory: Path, text: str, **environ: str) -> Loaded:
    return load(flags={}, environ={**REPOSITORY, **environ}, config_file=written(directory, text))


def refusal(parse: Callable[[str], object], text: str) -> str | None:
    """Return the hint with which a text is refused; None if it is read."""
    try:
        parse(text)
    except ConfigError as error:
        return error.hint or ""
    return None


class TestPrecedence:
    """Flags over environment over file over defaults; PITR_ over WALG_ over WALE_."""

    SOURCES = ("flag", "PITR_ZSTD_LEVEL", "WALG_ZSTD_LEVEL", "WALE_ZSTD_LEVEL", "file")

    @given(given=st.dictionaries(st.sampled_from(SOURCES), st.integers(1, 19)))
    def test_the_strongest_source_wins(
        self, given: dict[str, int], tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        """Whatever the combination of sources, the strongest present decides."""
        toml = f"zstd_level = {given['file']}\n" if "file" in given else ""
        loaded = load(
            flags={"zstd_level": str(given["flag"]) if "flag" in given else None},
            environ=REPOSITORY | {k: str(v) for k, v in given.items() if k.isupper()},
            config_file=written(tmp_path_factory.getbasetemp(), toml),
        )
        strongest = next((source for source in self.SOURCES if source in given), None)
        assert loaded.settings.zstd_level == (given[strongest] if strongest else 3)

    def test_origin_of_a_flag(self) -> None:
        """A flag's origin is the flag as typed."""
        loaded = load(
            flags={"repository": "/x"}, environ={"PITR_CONFIG": "/dev/null"}, config_file=None
        )
        assert loaded.origins["repository"] == "flag --repository"

    def test_origin_of_a_variable(self) -> None:
        """A variable's origin is its name."""
        assert from_environment(**REPOSITORY).origins["repository"] == (
            "environment WALG_FILE_PREFIX"
        )

    def test_origin_of_a_file_is_file_and_line(self, tmp_path: Path) -> None:
        """A value from the file points at its line."""
        loaded = from_file(tmp_path, '\n# comment\nlog_level = "debug"\n')
        assert loaded.origins["log_level"] == f"{tmp_path}/pitr.toml:3"

    def test_origin_of_a_default(self) -> None:
        """What nobody set says so."""
        assert from_environment(**REPOSITORY).origins["zstd_level"] == "default"

    def test_two_names_that_differ_are_a_warning(self) -> None:
        """The loser of two names of one setting is named."""
        loaded = from_environment(WALE_FILE_PREFIX="/old", WALG_FILE_PREFIX="/new")
        (warning,) = loaded.warnings
        assert loaded.settings.repository == "file:///new"
        assert warning.startswith("environment WALE_FILE_PREFIX differs from environment WALG_")

    def test_two_spellings_of_one_value_are_no_warning(self) -> None:
        """Names that mean the same value agree, however it is written."""
        loaded = from_environment(WALE_FILE_PREFIX="file://localhost/b/", PITR_REPOSITORY="/b")
        assert loaded.warnings == ()

    def test_a_bad_value_that_is_overridden_does_no_harm(self) -> None:
        """Only the value that is used has to be right."""
        assert with_repository(PITR_ZSTD_LEVEL="5", WALG_ZSTD_LEVEL="high").zstd_level == 5


class TestEnvironment:
    """Variables as an envdir hands them over."""

    @given(tail=st.text(alphabet=" \t\r\n", max_size=5))
    def test_trailing_blanks_are_not_part_of_a_value(self, tail: str) -> None:
        """Trailing blanks and newlines fall away, as envdir drops them."""
        assert from_environment(WALG_FILE_PREFIX="/b" + tail).settings.repository == "file:///b"

    def test_an_empty_variable_is_not_set(self) -> None:
        """An empty value neither wins nor fails."""
        assert with_repository(PITR_ZSTD_LEVEL="", WALG_ZSTD_LEVEL="7").zstd_level == 7

    @pytest.mark.parametrize("prefix", ["WALG_", "WALE_"])
    @pytest.mark.parametrize("name", [name for name, row in TABLE.items() if row.walg])
    def test_both_prefixes_reach_every_setting_of_wal_g(self, name: str, prefix: str) -> None:
        """Each of WAL-G's names works as WALG_ and as WALE_."""
        settings = {"repository": "/x", "sentinel_user_data": "{}", "log_level": "error"}
        value = settings.get(name) or TABLE[name].show(
            getattr(Settings(repository="file:///x"), name) or 9.0
        )
        variable = prefix + TABLE[name].walg
        loaded = from_environment(
            **({**REPOSITORY} if name != "repository" else {}), **{variable: value}
        )
        assert loaded.origins[name] == f"environment {variable}"

    def test_pgdata_comes_from_postgresql_s_own_variable(self) -> None:
        """PGDATA is read as every PostgreSQL tool reads it."""
        assert with_repository(PGDATA="/var/lib/pg").pgdata == Path("/var/lib/pg")

    def test_an_error_names_the_variable(self) -> None:
        """The operator learns which variable is wrong, and what would be right."""
        with pytest.raises(ConfigError) as caught:
            with_repository(WALG_ZSTD_LEVEL="99")
        assert caught.value.message == (
            'environment WALG_ZSTD_LEVEL: "99" is not a whole number from 1 to 19'
        )
        assert caught.value.hint == "Use a number from 1 to 19."


class TestForeignNames:
    """Variables of WAL-G and WAL-E that this build does not act on."""

    @pytest.mark.parametrize(
        "name",
        [
            "WALG_PGP_KEY",
            "WALG_PGP_KEY_PATH",
            "WALG_LIBSODIUM_KEY",
            "WALG_LIBSODIUM_KEY_PATH",
            "WALG_GPG_KEY_ID",
            "WALE_GPG_KEY_ID",
            "WALG_CSE_KMS_ID",
            "YC_CSE_KMS_KEY_ID",
            "WALG_ENVELOPE_PGP_KEY",
            "WALG_S3_SSE",
            "WALG_LIBSODUM_ENCRYPTION_KEY",
            "PITR_ENCRYPTION_KEY",
        ],
    )
    def test_encryption_is_refused_rather_than_passed_over(self, name: str) -> None:
        """A variable that asks for encryption, misspelt or not, never means plaintext."""
        with pytest.raises(ConfigError, match=f"{name} asks for encryption") as caught:
            with_repository(**{name: "top-secret"})
        assert "top-secret" not in f"{caught.value.message} {caught.value.hint}"

    @pytest.mark.parametrize("name", ["WALG_S3_PREFIX", "WALE_S3_PREFIX", "WALG_GS_PREFIX"])
    def test_a_store_that_is_not_here_is_refused_by_name(self, name: str) -> None:
        """A prefix of another store is an error even beside a file prefix: wal-g prefers it."""
        with pytest.raises(ConfigError, match=name):
            with_repository(**{name: "x://bucket/path"})

    def test_a_repository_that_is_ours_outranks_another_store(self) -> None:
        """PITR_REPOSITORY decides; the other prefix is then a warning."""
        loaded = from_environment(PITR_REPOSITORY="/copy", WALG_S3_PREFIX="s3://bucket")
        assert loaded.settings.repository == "file:///copy"
        assert loaded.warnings == (
            "WALG_S3_PREFIX has no effect: a flag or PITR_REPOSITORY names the repository.",
        )

    @pytest.mark.parametrize("name", ["WALG_STORAGE_PREFIX", "WALG_CONFIG_PATH"])
    def test_a_variable_that_moves_the_repository_is_refused(self, name: str) -> None:
        """What would make wal-g look elsewhere is not passed over."""
        with pytest.raises(ConfigError, match=name):
            with_repository(**{name: "elsewhere"})

    @pytest.mark.parametrize(
        ("name", "value", "warning"),
        [
            (
                "WALG_PG_WAL_SIZE",
                "64",
                "WALG_PG_WAL_SIZE has no effect: the segment size is read from the WAL itself.",
            ),
            (
                "WALG_DELTA_MAX_STEPS",
                "6",
                "WALG_DELTA_MAX_STEPS has no effect: every backup is a full one.",
            ),
            (
                "WALG_NETWORK_RATE_LIMIT",
                "1048576",
                "WALG_NETWORK_RATE_LIMIT has no effect: pitr does not limit rates yet.",
            ),
            (
                "WALG_UPLOAD_QUEUE",
                "2",
                "WALG_UPLOAD_QUEUE has no effect: pitr has no such setting.",
            ),
            (
                "WALG_S3_MAX_PART_SIZE",
                "1",
                "WALG_S3_MAX_PART_SIZE has no effect: pitr has no such setting.",
            ),
        ],
    )
    def test_what_only_tunes_wal_g_is_a_warning(self, name: str, value: str, warning: str) -> None:
        """A harmless variable without effect says so, and why."""
        assert from_environment(**REPOSITORY, **{name: value}).warnings == (warning,)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("WALG_DELTA_MAX_STEPS", "0"),
            ("WALG_PREVENT_WAL_OVERWRITE", "true"),
            ("WALE_LOG_DESTINATION", "stderr"),
        ],
    )
    def test_what_is_so_anyway_is_no_warning(self, name: str, value: str) -> None:
        """A variable that asks for what pitr does in any case is left alone."""
        assert from_environment(**REPOSITORY, **{name: value}).warnings == ()

    def test_an_unknown_name_is_a_warning_with_the_nearest(self) -> None:
        """A slip of the pen is found out."""
        assert from_environment(**REPOSITORY, WALG_ZSTD_LEVL="9").warnings == (
            'WALG_ZSTD_LEVL is not a setting; the nearest is "WALG_ZSTD_LEVEL".',
        )

    def test_libpq_s_variables_are_none_of_our_business(self) -> None:
        """PGHOST and its like are libpq's, and no warning."""
        assert from_environment(**REPOSITORY, PGHOST="db", PATH="/bin").warnings == ()


class TestRepository:
    """The forms in which a repository may be given."""

    @pytest.mark.parametrize(
        "text",
        [
            "/var/backups/pg",
            "/var/backups/pg/",
            "file:///var/backups/pg",
            "file://localhost/var/backups/pg",
            "FILE:///var/backups/pg//",
        ],
    )
    def test_all_forms_of_a_path_mean_the_same(self, text: str) -> None:
        """A bare path, WAL-E's URL and a plain URL are one repository."""
        assert values.repository_url(text) == "file:///var/backups/pg"

    @given(
        path=st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1)
    )
    @example(path="with space 'and' \"quotes\" %20 ?#")
    def test_normalising_twice_changes_nothing(self, path: str) -> None:
        """The normal form is a fixed point, whatever characters the path has."""
        once = values.repository_url("/" + path)
        assert values.repository_url(once) == once

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "the repository is empty"),
            ("backups/pg", '"backups/pg" is not an absolute path or a URL'),
            ("s3://bucket/path", 'no store for "s3://" in "s3://bucket/path"'),
            ("file://backups/pg", '"backups" in "file://backups/pg" stands where a host name does'),
            ("/a\nb", "'/a\\nb' has control characters in it"),
        ],
    )
    def test_what_is_no_repository_is_refused(self, text: str, message: str) -> None:
        """Each mistake gets its own sentence, and a hint."""
        with pytest.raises(ConfigError) as caught:
            values.repository_url(text)
        assert caught.value.message == message
        assert caught.value.hint

    def test_an_unknown_scheme_hints_at_those_that_exist(self) -> None:
        """The hint lists the stores of this build."""
        with pytest.raises(ConfigError) as caught:
            values.repository_url("s3://bucket")
        assert caught.value.hint == "Supported: file://."

    def test_none_at_all_names_the_ways_to_set_one(self) -> None:
        """Without a repository nothing can be done, and the hint says how to give one."""
        with pytest.raises(ConfigError, match="no repository is set") as caught:
            from_environment()
        assert "--repository" in (caught.value.hint or "")
        assert "WALG_FILE_PREFIX" in (caught.value.hint or "")

    def test_an_empty_flag_is_an_error(self) -> None:
        """Unlike a variable, a flag that is given empty was meant to say something."""
        with pytest.raises(ConfigError, match="flag --repository: the repository is empty"):
            load(flags={"repository": ""}, environ=REPOSITORY, config_file=Path("/dev/null"))


class TestCompression:
    """Codecs are those that this build can write."""

    @pytest.mark.parametrize("name", ["lz4", "lzma", "brotli"])
    def test_a_codec_of_wal_g_that_we_lack_is_refused_by_name(self, name: str) -> None:
        """An envdir with another codec learns that it has to change, and to what."""
        with pytest.raises(ConfigError, match=f"cannot write {name}") as caught:
            with_repository(WALG_COMPRESSION_METHOD=name)
        assert "WALG_COMPRESSION_METHOD=zstd" in (caught.value.hint or "")

    def test_none_is_a_codec(self) -> None:
        """Compression can be turned off."""
        assert with_repository(WALG_COMPRESSION_METHOD="none").compression_method == "none"

    def test_an_unknown_codec_is_refused(self) -> None:
        """A name that nobody knows is not taken for another."""
        with pytest.raises(ConfigError, match='no codec is named "zip"'):
            with_repository(WALG_COMPRESSION_METHOD="zip")


UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


class TestDurations:
    """Times as PostgreSQL and Go write them."""

    @given(parts=st.dictionaries(st.sampled_from(list(UNITS)), st.integers(1, 999), min_size=1))
    def test_parts_add_up(self, parts: dict[str, int]) -> None:
        """A duration is the sum of its parts."""
        text = "".join(f"{number}{unit}" for unit, number in parts.items())
        total = sum(number * UNITS[unit] for unit, number in parts.items())
        assert values.duration(text) == pytest.approx(total)

    @pytest.mark.parametrize(
        ("text", "seconds"),
        [("90", 90), ("30s", 30), ("5min", 300), ("1m30s", 90), ("1.5h", 5400), ("2d", 172800)],
    )
    def test_common_spellings(self, text: str, seconds: float) -> None:
        """A bare number is seconds; min is PostgreSQL's minute, m is Go's."""
        assert values.duration(text) == seconds

    @given(text=st.text(alphabet="0123456789.smhd -+e", max_size=12))
    @example(text="9" * 5000)
    @example(text="1m30")
    @example(text="367d")
    def test_anything_else_is_a_configuration_error(self, text: str) -> None:
        """No text is misread: it is a positive time of at most 366 days, or refused."""
        if refusal(values.duration, text) is None:
            assert 0 < values.duration(text) <= 366 * 86400

    def test_a_number_without_unit_after_a_part_is_refused(self) -> None:
        """`1m30` could be thirty of anything."""
        with pytest.raises(ConfigError, match="not a duration"):
            values.duration("1m30")

    @pytest.mark.parametrize("text", ["0", "0s", "none"])
    def test_no_limit_is_none(self, text: str) -> None:
        """Zero turns off what can be turned off."""
        assert with_repository(WALG_STOP_BACKUP_TIMEOUT=text).stop_backup_timeout is None

    def test_a_wait_of_nothing_is_refused(self) -> None:
        """Waiting zero seconds for the archive would fail every backup."""
        with pytest.raises(ConfigError, match="PITR_ARCHIVE_TIMEOUT"):
            with_repository(PITR_ARCHIVE_TIMEOUT="0")


class TestSizes:
    """Sizes in bytes or with PostgreSQL's units."""

    @given(
        number=st.integers(1, 10**6),
        unit=st.sampled_from([("", 0), ("B", 0), ("kB", 1), ("MB", 2), ("GiB", 3), ("t", 4)]),
    )
    def test_units_are_powers_of_1024(self, number: int, unit: tuple[str, int]) -> None:
        """MB is 1024 times 1024 bytes, as in postgresql.conf."""
        assert values.size(f"{number}{unit[0]}") == number * 1024 ** unit[1]

    @pytest.mark.parametrize("text", ["0", "-1", "1.5GB", "MB", "1XB", "512 MB MB", "٣"])
    def test_anything_else_is_refused(self, text: str) -> None:
        """What is no size is an error that shows the text."""
        with pytest.raises(ConfigError, match="is not a size"):
            values.size(text)


class TestOtherValues:
    """Booleans, keywords and JSON."""

    @pytest.mark.parametrize(("text", "meaning"), [("TRUE", True), ("on", True), ("0", False)])
    def test_booleans_of_postgresql_and_go(self, text: str, meaning: bool) -> None:
        """Both programs' spellings are read."""
        assert with_repository(WALG_VERIFY_PAGE_CHECKSUMS=text).verify_page_checksums is meaning

    def test_maybe_is_not_a_boolean(self) -> None:
        """A word in between is an error, not false."""
        with pytest.raises(ConfigError, match='"maybe" is not true or false'):
            with_repository(PITR_FAIL_ON_CORRUPT_PAGE="maybe")

    @pytest.mark.parametrize(
        ("text", "level"), [("NORMAL", "info"), ("DEVEL", "debug"), ("ERROR", "error")]
    )
    def test_log_levels_of_wal_g(self, text: str, level: str) -> None:
        """WAL-G's three levels have a meaning here."""
        assert with_repository(WALG_LOG_LEVEL=text).log_level == level

    @pytest.mark.parametrize("text", ["{", "nightly", "NaN", "[" * 100_000])
    def test_user_data_that_is_no_json_is_refused(self, text: str) -> None:
        """It would make the sentinel unreadable."""
        with pytest.raises(ConfigError, match=r"WALG_SENTINEL_USER_DATA: .* is not JSON"):
            with_repository(WALG_SENTINEL_USER_DATA=text)

    def test_user_data_is_kept_as_written(self) -> None:
        """The JSON text is not rewritten."""
        assert with_repository(WALG_SENTINEL_USER_DATA='{"a": 1}').sentinel_user_data == '{"a": 1}'


class TestFile:
    """pitr.toml, and what is said about its mistakes."""

    def test_values_have_toml_s_types(self, tmp_path: Path) -> None:
        """Numbers, booleans and strings are written as TOML has them."""
        settings = from_file(
            tmp_path, 'zstd_level = 9\nfail_on_corrupt_page = true\narchive_timeout = "5min"\n'
        ).settings
        assert (settings.zstd_level, settings.fail_on_corrupt_page, settings.archive_timeout) == (
            9,
            True,
            300.0,
        )

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("\nzstd_level = true\n", ':2: "true" is not a whole number from 1 to 19'),
            ("zstd_level = [1]\n", ":1: zstd_level must be a string, a number or a boolean"),
            ("\n\nzstd_levl = 3\n", ':3: "zstd_levl" is not a setting'),
            ("# x\n[storage]\na = 1\n", ':2: "storage" is not a setting'),
            ("a = \n", ":1: invalid value"),
            ('zstd_level = 3\npgdata = "', ":2: "),
        ],
    )
    def test_a_mistake_is_one_line_with_file_and_line(
        self, tmp_path: Path, text: str, message: str
    ) -> None:
        """The operator can go straight to the place."""
        with pytest.raises(ConfigError) as caught:
            from_file(tmp_path, text)
        assert f"{tmp_path}/pitr.toml{message}" in caught.value.message
        assert "\n" not in caught.value.message

    def test_an_unknown_key_hints_at_the_nearest(self, tmp_path: Path) -> None:
        """A slip of the pen is found out."""
        with pytest.raises(ConfigError) as caught:
            from_file(tmp_path, "zstd_levl = 3\n")
        assert caught.value.hint == 'The nearest is "zstd_level".'

    def test_bytes_that_are_not_utf8_are_refused_with_their_line(self, tmp_path: Path) -> None:
        """TOML is UTF-8; the line with the wrong byte is named."""
        file = tmp_path / "pitr.toml"
        file.write_bytes(b"zstd_level = 3\n# caf\xe9\n")
        with pytest.raises(ConfigError, match=r"pitr.toml:2: not UTF-8"):
            load(flags={}, environ=REPOSITORY, config_file=file)

    def test_a_file_that_was_asked_for_must_exist(self, tmp_path: Path) -> None:
        """A wrong --config is not the same as none."""
        with pytest.raises(ConfigError, match=r"cannot read configuration file .*No such file"):
            load(flags={}, environ=REPOSITORY, config_file=tmp_path / "absent.toml")

    def test_pitr_config_names_the_file(self, tmp_path: Path) -> None:
        """Without --config, PITR_CONFIG decides."""
        file = written(tmp_path, "zstd_level = 11\n")
        assert with_repository(PITR_CONFIG=str(file)).zstd_level == 11

    def test_the_file_in_the_home_directory_is_found(self, tmp_path: Path) -> None:
        """An ordinary user keeps settings under ~/.config."""
        (tmp_path / ".config/pitr").mkdir(parents=True)
        file = written(tmp_path / ".config/pitr", "")
        assert config_file.find(None, {"HOME": str(tmp_path)}, system_file=tmp_path / "no") == file

    def test_the_system_s_file_comes_before_the_user_s(self, tmp_path: Path) -> None:
        """What the host's administrator set is not changed by whose home is used."""
        (tmp_path / ".config/pitr").mkdir(parents=True)
        written(tmp_path / ".config/pitr", "")
        system = written(tmp_path, "")
        assert config_file.find(None, {"HOME": str(tmp_path)}, system_file=system) == system

    def test_no_file_is_fine(self, tmp_path: Path) -> None:
        """The file is optional."""
        assert config_file.find(None, {"HOME": str(tmp_path)}, system_file=tmp_path / "no") is None


class TestDescription:
    """What `pitr config` and the manual say of the table."""

    def test_every_setting_has_a_row_and_every_row_a_setting(self) -> None:
        """The table and the dataclass go together."""
        assert [item.name for item in fields(Settings)] == list(TABLE)

    def test_defaults_pass_their_own_parsers(self) -> None:
        """What is shown for a setting can be set again."""
        for shown in describe(from_environment(**REPOSITORY)):
            if shown.value:
                value = getattr(from_environment(**REPOSITORY).settings, shown.name)
                assert TABLE[shown.name].parse(shown.value) == value

    def test_it_shows_value_and_origin(self) -> None:
        """One row tells what is in force and since where."""
        shown = {row.name: row for row in describe(from_environment(**REPOSITORY))}
        assert (shown["repository"].value, shown["repository"].origin) == (
            "file:///backups",
            "environment WALG_FILE_PREFIX",
        )

    @pytest.mark.parametrize("name", TABLE)
    def test_the_manual_lists_every_setting(self, name: str) -> None:
        """docs/settings.md has each setting with its variables, its default and its meaning."""
        row = TABLE[name]
        default = row.default or row.show(getattr(Settings(repository="file:///x"), name))
        variables = ", ".join(f"`{variable}`" for variable in row.environment_names(name))
        line = f"| `{name}` | {variables} | {default} | {row.about} |"
        assert line in (ROOT / "docs/settings.md").read_text(encoding="utf-8").splitlines()


class TestSecrets:
    """A row that is marked secret."""

    ROW = Row(parse=values.integer(0, 9), about="A secret number.", secret=True)

    def test_its_value_is_masked(self) -> None:
        """It shows that it is set, not what it is set to."""
        assert self.ROW.show(7) == "********"

    def test_its_error_does_not_repeat_it(self) -> None:
        """A secret that is wrong is still a secret."""
        with pytest.raises(ConfigError) as caught:
            self.ROW.read("hunter2", "environment PITR_PIN")
        assert caught.value.message == "environment PITR_PIN: the value cannot be used"
        assert "hunter2" not in (caught.value.hint or "")


@given(text=st.text(alphabet=string.printable, max_size=20))
@pytest.mark.parametrize("name", TABLE)
def test_a_value_is_read_or_refused_with_a_hint(name: str, text: str) -> None:
    """Bad input of any kind is one clear error that says what to do."""
    assert refusal(TABLE[name].parse, text) != ""
