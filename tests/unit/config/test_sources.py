"""Flags, variables and the file: what wins, and what is said about mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_core.config import file as config_file
from backup_core.config import load
from backup_core.errors import ConfigError
from tests.unit.config.arrange import (
    REPOSITORY,
    from_environment,
    from_file,
    with_repository,
    written,
)


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
