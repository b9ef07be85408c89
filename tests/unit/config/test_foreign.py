"""Variables of WAL-G and WAL-E that this build does not act on."""

from __future__ import annotations

import pytest

from backup_core.errors import ConfigError
from tests.unit.config.arrange import REPOSITORY, S3, from_environment, with_repository


class TestForeignNames:
    """Variables of WAL-G and WAL-E that this build does not act on."""

    @pytest.mark.parametrize(
        "name",
        [
            "WALG_CSE_KMS_ID",
            "WALG_CSE_KMS_REGION",
            "YC_CSE_KMS_KEY_ID",
            "WALG_ENVELOPE_PGP_KEY",
            "WALG_ENVELOPE_CACHE_EXPIRATION",
            "WALG_LIBSODUM_ENCRYPTION_KEY",
            "WALG_LIBSODUM_KEY",
            "WALG_PGP_KEY_PASS",
            "WALE_GPG_KEYID",
            "PITR_AGE_RECIPIENT",
            "PITR_AGE_KEY",
            "PITR_KEY_COMAND",
            "PITR_ENCRYPTION_KEY",
            "WALG_S3_SSE_KEY",
            "PITR_SSE",
        ],
    )
    def test_encryption_is_refused_rather_than_passed_over(self, name: str) -> None:
        """A variable that asks for encryption, misspelt or not, never means plaintext."""
        with pytest.raises(ConfigError, match=f"{name} asks for encryption") as caught:
            with_repository(**{name: "top-secret"})
        assert "top-secret" not in f"{caught.value.message} {caught.value.hint}"

    @pytest.mark.parametrize("name", ["WALG_AZ_PREFIX", "WALE_SWIFT_PREFIX", "WALG_SSH_PREFIX"])
    def test_a_store_that_is_not_here_is_refused_by_name(self, name: str) -> None:
        """A prefix of another store is an error even beside a file prefix: wal-g prefers it."""
        with pytest.raises(ConfigError, match=name):
            with_repository(**{name: "x://bucket/path"})

    def test_a_repository_that_is_ours_outranks_another_store(self) -> None:
        """PITR_REPOSITORY decides; the other prefix is then a warning."""
        loaded = from_environment(PITR_REPOSITORY="/copy", WALG_AZ_PREFIX="azure://container")
        assert loaded.settings.repository == "file:///copy"
        assert loaded.warnings == (
            "WALG_AZ_PREFIX has no effect: a flag or PITR_REPOSITORY names the repository.",
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
                "WALG_STATSD_ADDRESS",
                "localhost:8125",
                "WALG_STATSD_ADDRESS has no effect: pitr has no such setting.",
            ),
            (
                "WALG_AZURE_MAX_BUFFERS",
                "1",
                "WALG_AZURE_MAX_BUFFERS has no effect: pitr has no such setting.",
            ),
            (
                "WALG_S3_LOG_LEVEL",
                "DEVEL",
                "WALG_S3_LOG_LEVEL has no effect: pitr has no such setting.",
            ),
            (
                "WALG_GCS_CONTEXT_TIMEOUT",
                "60",
                "WALG_GCS_CONTEXT_TIMEOUT has no effect: PITR_RETRY_TIMEOUT bounds an operation.",
            ),
            (
                "TOTAL_BG_UPLOADED_LIMIT",
                "8",
                "TOTAL_BG_UPLOADED_LIMIT has no effect: PITR_PUSH_AHEAD_SIZE bounds that.",
            ),
            (
                "WALG_AWS_ROLE_ARN",
                "arn:aws:iam::1:role/backup",
                "WALG_AWS_ROLE_ARN has no effect: name the role in a profile and set AWS_PROFILE.",
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
            ("WALG_S3_SKIP_VALIDATION", "true"),
            ("WALG_S3_RANGE_BATCH_ENABLED", "true"),
            ("WALG_S3_ENABLE_VERSIONING", "off"),
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

    def test_a_slip_in_a_store_s_setting_is_found_out(self) -> None:
        """The names of the stores' settings are known like all others."""
        assert from_environment(**REPOSITORY, WALG_S3_STORAGE_CLAS="GLACIER").warnings == (
            'WALG_S3_STORAGE_CLAS is not a setting; the nearest is "WALG_S3_STORAGE_CLASS".',
        )

    def test_the_sdk_s_other_variables_are_none_of_our_business(self) -> None:
        """What the SDK reads by itself, or nobody does, is no warning."""
        assert from_environment(**S3, AWS_PAGER="", AWS_MAX_ATTEMPTS="3").warnings == ()

    @pytest.mark.parametrize("prefix", ["", "WALG_", "WALE_"])
    def test_an_endpoint_that_a_service_hands_out_is_refused(self, prefix: str) -> None:
        """WAL-G would look for S3 elsewhere, with or without its prefix."""
        name = f"{prefix}S3_ENDPOINT_SOURCE"
        with pytest.raises(ConfigError, match=f"environment {name} asks a service where S3 is"):
            from_environment(**S3, **{name: "http://localhost:8080/next"})

    def test_such_an_endpoint_moves_no_other_store(self) -> None:
        """For a directory it is a warning: nothing is misplaced."""
        (warning,) = from_environment(**REPOSITORY, WALG_S3_ENDPOINT_SOURCE="http://h/").warnings
        assert warning == "WALG_S3_ENDPOINT_SOURCE has no effect: the repository is not on S3."

    def test_wal_e_s_slash_on_gcs_is_left_to_the_bucket(self) -> None:
        """WAL-E and wal-g put their objects elsewhere with the same variable, unless told."""
        settings = from_environment(WALE_GS_PREFIX="gs://bucket/p").settings
        assert settings.gcs_normalize_prefix is None
        told = from_environment(WALE_GS_PREFIX="gs://b/p", GCS_NORMALIZE_PREFIX="1").settings
        assert told.gcs_normalize_prefix is True
        slashed = from_environment(WALE_GS_PREFIX="gs://b//p", GCS_NORMALIZE_PREFIX="false")
        assert (slashed.settings.repository, slashed.warnings) == ("gs://b//p", ())

    def test_wal_e_s_retries_are_followed(self) -> None:
        """By the setting that counts attempts."""
        assert with_repository(WALE_RETRIES="100").max_retries == 100
