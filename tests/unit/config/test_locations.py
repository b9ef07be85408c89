"""Repositories, endpoints and emulators: the forms in which they may be given."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from backup_core.config import load, locations
from backup_core.errors import ConfigError
from tests.unit.config.arrange import GS, REPOSITORY, S3, from_environment, refusal


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
        assert locations.repository_url(text) == "file:///var/backups/pg"

    @given(
        path=st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1)
    )
    @example(path="with space 'and' \"quotes\" %20 ?#")
    def test_normalising_twice_changes_nothing(self, path: str) -> None:
        """The normal form is a fixed point, whatever characters the path has."""
        once = locations.repository_url("/" + path)
        assert locations.repository_url(once) == once

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "the repository is empty"),
            ("backups/pg", '"backups/pg" is not an absolute path or a URL'),
            ("azure://box/path", 'no store for "azure://" in "azure://box/path"'),
            ("file://", '"file://" names no directory'),
            ("s3://", '"s3://" names no bucket'),
            ("gs:///prefix", '"gs:///prefix" names no bucket'),
            ("s3://my bucket/p", '"my bucket" in "s3://my bucket/p" cannot be a bucket'),
            ("gs://bucket/a/../b", '"gs://bucket/a/../b" has "." or ".." in its prefix'),
            ("s3:bucket", '"s3:bucket" is not an absolute path or a URL'),
            ("file://backups/pg", '"backups" in "file://backups/pg" stands where a host name does'),
            ("/a\nb", "'/a\\nb' has control characters in it"),
        ],
    )
    def test_what_is_no_repository_is_refused(self, text: str, message: str) -> None:
        """Each mistake gets its own sentence, and a hint."""
        with pytest.raises(ConfigError) as caught:
            locations.repository_url(text)
        assert caught.value.message == message
        assert caught.value.hint

    def test_an_unknown_scheme_hints_at_those_that_exist(self) -> None:
        """The hint lists the stores of this build."""
        with pytest.raises(ConfigError) as caught:
            locations.repository_url("swift://bucket")
        assert caught.value.hint == "Supported: file://, s3://, gs://."

    def test_none_at_all_names_the_ways_to_set_one(self) -> None:
        """Without a repository nothing can be done, and the hint says how to give one."""
        with pytest.raises(ConfigError, match="no repository is set") as caught:
            from_environment()
        assert "--repository" in (caught.value.hint or "")
        for name in ("WALG_S3_PREFIX", "WALG_GS_PREFIX", "WALG_FILE_PREFIX", "PITR_REPOSITORY"):
            assert name in (caught.value.hint or "")

    def test_an_empty_flag_is_an_error(self) -> None:
        """Unlike a variable, a flag that is given empty was meant to say something."""
        with pytest.raises(ConfigError, match="flag --repository: the repository is empty"):
            load(flags={"repository": ""}, environ=REPOSITORY, config_file=Path("/dev/null"))


class TestBuckets:
    """Repositories in object stores."""

    @pytest.mark.parametrize(
        ("text", "url"),
        [
            ("s3://bucket", "s3://bucket"),
            ("S3://bucket/", "s3://bucket"),
            ("s3://bucket/prefix/", "s3://bucket/prefix"),
            ("s3://bucket//a//b//", "s3://bucket/a/b"),
            ("s3://Old_Bucket.1/a%20b?c#d", "s3://Old_Bucket.1/a%20b?c#d"),
            ("gs://bucket/a/b/", "gs://bucket/a/b"),
        ],
    )
    def test_slashes_are_normalised_and_nothing_else(self, text: str, url: str) -> None:
        """A prefix has no empty parts; what would be quoting elsewhere is part of the name."""
        assert locations.repository_url(text) == url

    @given(
        scheme=st.sampled_from(["s3", "gs"]),
        prefix=st.lists(st.sampled_from(["", "a", "b c", "%2F", "é"]), max_size=6).map("/".join),
    )
    def test_normalising_twice_changes_nothing(self, scheme: str, prefix: str) -> None:
        """The normal form is a fixed point, in both forms of a gs:// prefix."""
        once = locations.repository_url(f"{scheme}://bucket/{prefix}")
        assert locations.repository_url(once) == once
        plain = locations.without_extra_slashes(once)
        assert locations.repository_url(plain) == plain
        assert "//" not in plain.partition("://")[2]

    @pytest.mark.parametrize(
        ("keep", "url"), [("false", "gs://bucket//old"), ("true", "gs://bucket/old")]
    )
    def test_the_slash_that_wal_e_wrote_stays_if_it_is_asked_to(self, keep: str, url: str) -> None:
        """WAL-E's objects begin with a slash, which is a doubled one in the URL."""
        loaded = from_environment(
            WALE_GS_PREFIX="gs://bucket//old/", WALG_GCS_NORMALIZE_PREFIX=keep
        )
        assert loaded.settings.repository == url

    def test_a_prefix_of_one_slash_survives(self) -> None:
        """WAL-E in the root of a bucket has objects that begin with a slash too."""
        loaded = from_environment(WALG_GS_PREFIX="gs://b//", GCS_NORMALIZE_PREFIX="false")
        assert loaded.settings.repository == "gs://b//"

    @pytest.mark.parametrize(
        ("name", "url"),
        [
            ("WALG_S3_PREFIX", "s3://b/p"),
            ("WALE_S3_PREFIX", "s3://b/p"),
            ("WALG_GS_PREFIX", "gs://b/p"),
            ("WALE_GS_PREFIX", "gs://b/p"),
            ("WALE_FILE_PREFIX", "file:///b/p"),
        ],
    )
    def test_every_prefix_variable_sets_the_repository(self, name: str, url: str) -> None:
        """WAL-G's and WAL-E's envdirs need no other variable."""
        assert from_environment(**{name: url}).settings.repository == url

    @pytest.mark.parametrize("other", [REPOSITORY, GS])
    def test_two_kinds_of_store_are_not_chosen_between(self, other: dict[str, str]) -> None:
        """WAL-G takes the first in its own order; a wrong guess would archive elsewhere."""
        with pytest.raises(ConfigError, match="name repositories in different stores") as caught:
            from_environment(**S3, **other)
        assert all(name in caught.value.message for name in (*S3, *other))
        assert "--repository" in (caught.value.hint or "")

    @pytest.mark.parametrize("explicit", ["s3://bucket/prefix", "gs://bucket/prefix", "/backups"])
    def test_an_explicit_repository_chooses_between_them(self, explicit: str) -> None:
        """PITR_REPOSITORY decides, and the losers are warnings."""
        loaded = from_environment(PITR_REPOSITORY=explicit, **S3, **GS, **REPOSITORY)
        assert loaded.origins["repository"] == "environment PITR_REPOSITORY"
        assert len(loaded.warnings) == 2

    def test_a_flag_chooses_between_them(self) -> None:
        """A flag decides without a word: the operator has just typed it."""
        loaded = load(
            flags={"repository": "gs://b/p"}, environ=S3 | REPOSITORY, config_file=Path("/dev/null")
        )
        assert (loaded.settings.repository, loaded.warnings) == ("gs://b/p", ())

    @pytest.mark.parametrize(
        ("name", "url"),
        [
            ("WALG_S3_PREFIX", "/backups"),
            ("WALG_FILE_PREFIX", "s3://b"),
            ("WALE_GS_PREFIX", "s3://b"),
        ],
    )
    def test_a_url_under_another_store_s_name_is_refused(self, name: str, url: str) -> None:
        """One of the two, name or URL, is a slip."""
        with pytest.raises(ConfigError, match=f"environment {name} names a repository of another"):
            from_environment(**{name: url})


class TestAddresses:
    """Endpoints of S3, and emulators of GCS."""

    @pytest.mark.parametrize(
        ("text", "url"),
        [
            ("https://store.example.com", "https://store.example.com"),
            ("HTTPS://Store.example.com:9000/", "https://store.example.com:9000"),
            ("http://127.0.0.1:8333", "http://127.0.0.1:8333"),
            ("store.example.com:9000", "https://store.example.com:9000"),
            ("http://[::1]:9000/", "http://[::1]:9000"),
            ("https+path://store:9000/", "https+path://store:9000"),
            ("http+virtualhost://store", "http+virtualhost://store"),
        ],
    )
    def test_forms_of_an_endpoint(self, text: str, url: str) -> None:
        """Scheme, host and port; WAL-E's calling format is kept."""
        assert locations.endpoint(text) == url
        assert locations.endpoint(url) == url

    @pytest.mark.parametrize(
        "text",
        [
            *("", "ftp://host", "https://", "https://user@host", "https://host?x=1", "h:99999"),
            *("https+magic://host", "https://ho st", "https://host:0", "https://host\n", "//host"),
        ],
    )
    def test_what_is_no_address_is_refused(self, text: str) -> None:
        """A wrong endpoint is found before anything is sent to it."""
        assert refusal(locations.endpoint, text)

    @pytest.mark.parametrize(
        ("text", "url"),
        [("localhost:4443", "http://localhost:4443"), ("https://gcs:443/", "https://gcs:443")],
    )
    def test_an_emulator_is_plain_http_unless_it_says_otherwise(self, text: str, url: str) -> None:
        """The variable of Google's libraries comes with and without a scheme."""
        assert locations.emulator(text) == url

    def test_an_emulator_has_no_calling_format(self) -> None:
        """That is WAL-E's way of speaking of S3."""
        assert refusal(locations.emulator, "http+path://localhost:4443")
