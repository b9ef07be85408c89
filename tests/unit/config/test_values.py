"""Single values: what is read, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from backup_core.config import values
from backup_core.errors import ConfigError
from backup_core.stream.compress import EXTENSIONS
from tests.unit.config.arrange import refusal, with_repository


class TestCompression:
    """Codecs are those that can be written, which are WAL-G's."""

    @pytest.mark.parametrize("name", EXTENSIONS)
    def test_each_codec_for_writing_can_be_chosen(self, name: str) -> None:
        """An envdir that names one of WAL-G's goes on working."""
        assert with_repository(WALG_COMPRESSION_METHOD=name.upper()).compression_method == name

    @pytest.mark.parametrize("name", ["zip", "gzip", "lzo", ""])
    def test_another_codec_is_refused(self, name: str) -> None:
        """Also those that are only read; the hint names all that are written."""
        with pytest.raises(ConfigError, match=f'no codec for writing is named "{name}"') as caught:
            values.compression_method(name)
        assert all(codec in (caught.value.hint or "") for codec in EXTENSIONS)

    @pytest.mark.parametrize(
        ("text", "level"),
        [("fastest", 1), ("default", 3), ("better", 7), ("BEST", 11), ("1", 1), ("19", 19)],
    )
    def test_zstd_has_levels_by_number_and_by_wal_gs_names(self, text: str, level: int) -> None:
        """Those of WAL-G's encoder, as the levels of zstd that they come nearest to."""
        assert with_repository(WALG_ZSTD_LEVEL=text).zstd_level == level

    @pytest.mark.parametrize("text", ["0", "20", "fast", "3.5"])
    def test_another_level_is_refused(self, text: str) -> None:
        """A level out of range is not cut to the nearest."""
        with pytest.raises(ConfigError, match="whole number from 1 to 19"):
            with_repository(WALG_ZSTD_LEVEL=text)


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
