"""Settings of the stores: under every name, checked against each other, handed over whole."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_core.config import Settings, describe, load, store_options
from backup_core.config.table_stores import STORE_ROWS
from backup_core.errors import ConfigError
from backup_core.storage.options import GcsOptions, S3Options, StoreOptions
from tests.unit.config.arrange import GS, REPOSITORY, S3, from_environment

KEY = bytes(range(32))
KEY_TEXT = b64encode(KEY).decode()
KEYS = {"PITR_S3_ACCESS_KEY_ID": "AKID", "PITR_S3_SECRET_ACCESS_KEY": "hunter2"}
KMS = {"PITR_S3_SSE": "aws:kms"}
EXAMPLES: dict[str, tuple[str, object]] = {
    "s3_endpoint": ("https://store:9000/", "https://store:9000"),
    "s3_region": ("eu-central-1", "eu-central-1"),
    "s3_path_style": ("true", True),
    "s3_dual_stack": ("true", True),
    "s3_access_key_id": ("AKIA", "AKIA"),
    "s3_secret_access_key": ("wJalr/+=", "wJalr/+="),
    "s3_session_token": ("FwoGZXIv", "FwoGZXIv"),
    "s3_profile": ("my backups", "my backups"),
    "s3_ca_cert_file": ("/etc/ssl/ca.pem", Path("/etc/ssl/ca.pem")),
    "s3_storage_class": ("STANDARD_IA", "STANDARD_IA"),
    "s3_sse": ("aes256", "AES256"),
    "s3_sse_kms_id": ("alias/backups", "alias/backups"),
    "s3_sse_c": (KEY_TEXT, KEY),
    "s3_retention_period": ("30d", 30 * 86400.0),
    "s3_retention_mode": ("compliance", "COMPLIANCE"),
    "s3_max_part_size": ("64MiB", 64 << 20),
    "s3_use_list_objects_v1": ("true", True),
    "s3_delete_batch_size": ("500", 500),
    "s3_headers": ('{"X-Purpose": "backup"}', {"X-Purpose": "backup"}),
    "gcs_emulator": ("localhost:4443", "http://localhost:4443"),
    "gcs_credentials_file": ("/etc/gcs.json", Path("/etc/gcs.json")),
    "gcs_encryption_key": (KEY_TEXT, KEY),
    "gcs_max_chunk_size": ("52428800", 52428800),
    "gcs_normalize_prefix": ("false", False),
    "upload_concurrency": ("16", 16),
    "connect_timeout": ("2s", 2.0),
    "request_timeout": ("5min", 300.0),
    "retry_timeout": ("10min", 600.0),
    "max_retries": ("3", 3),
    "https_proxy": ("http://me:pw@proxy:3128/", "http://me:pw@proxy:3128"),
    "no_proxy": (".example.com, localhost,", ("example.com", "localhost")),
}
NEEDS = {
    "s3_access_key_id": {"PITR_S3_SECRET_ACCESS_KEY": "hunter2"},
    "s3_secret_access_key": {"PITR_S3_ACCESS_KEY_ID": "AKID"},
    "s3_session_token": KEYS,
    "s3_sse_kms_id": KMS,
}
NAMES = [(name, each) for name, row in STORE_ROWS.items() for each in row.environment_names(name)]


def repository_for(name: str) -> dict[str, str]:
    return GS if name.startswith("gcs_") else S3


def options(**environ: str) -> StoreOptions:
    return store_options(from_environment(**environ).settings)


class TestNames:
    """Each setting under WAL-G's names, the SDKs' and ours."""

    @pytest.mark.parametrize(("name", "variable"), NAMES)
    def test_every_name_sets_the_setting(self, name: str, variable: str) -> None:
        """An envdir of WAL-G or WAL-E, and an SDK's environment, work as they are."""
        text, value = EXAMPLES[name]
        environ = {**repository_for(name), **NEEDS.get(name, {}), variable: text}
        loaded = from_environment(**environ)
        assert getattr(loaded.settings, name) == value
        assert loaded.origins[name] == f"environment {variable}"
        assert loaded.warnings == ()

    @pytest.mark.parametrize("name", EXAMPLES)
    def test_the_file_sets_it_too(self, name: str, tmp_path: Path) -> None:
        """pitr.toml takes the text that a variable does."""
        text, value = EXAMPLES[name]
        file = tmp_path / "pitr.toml"
        file.write_text(f"{name} = '{text}'\n", encoding="utf-8")
        environ = repository_for(name) | NEEDS.get(name, {})
        loaded = load(flags={}, environ=environ, config_file=file)
        assert getattr(loaded.settings, name) == value

    @pytest.mark.parametrize("name", [name for name, row in STORE_ROWS.items() if row.secret])
    def test_a_secret_is_neither_shown_nor_printed(self, name: str) -> None:
        """Neither `pitr config` nor a traceback gives it away."""
        text, value = EXAMPLES[name]
        environ = repository_for(name) | NEEDS.get(name, {})
        loaded = from_environment(**environ, **{f"PITR_{name.upper()}": text})
        shown = {row.name: row.value for row in describe(loaded)}
        assert shown[name] == "********"
        for printed in (repr(loaded), repr(store_options(loaded.settings))):
            assert text not in printed
            assert repr(value) not in printed

    def test_sdk_names_that_differ_are_ranked_in_silence(self) -> None:
        """The SDK has a name for all services and one for S3, which comes first."""
        loaded = from_environment(
            **S3, AWS_ENDPOINT_URL="http://all:1", AWS_ENDPOINT_URL_S3="http://s3:2"
        )
        assert (loaded.settings.s3_endpoint, loaded.warnings) == ("http://s3:2", ())

    def test_wal_g_s_name_and_the_sdk_s_that_differ_are_a_warning(self) -> None:
        """One of the two programs would go elsewhere."""
        (warning,) = from_environment(**S3, WALG_AWS_REGION="a", AWS_REGION="b").warnings
        assert warning == (
            "environment AWS_REGION differs from environment WALG_AWS_REGION, which is used."
        )

    def test_a_store_that_is_not_used_warns_of_nothing(self) -> None:
        """An environment is shared with programs that have their own use for such names."""
        loaded = from_environment(
            **REPOSITORY, WALG_AWS_REGION="a", AWS_REGION="b", AWS_ACCESS_KEY_ID="AKIA"
        )
        assert loaded.warnings == ()


class TestEncryption:
    """What asks a store to encrypt is done, or refused."""

    BY_STORE = (
        ("s3", "WALG_S3_SSE", "AES256"),
        ("s3", "S3_SSE", "aws:kms"),
        ("s3", "WALG_S3_SSE_KMS_ID", "alias/backups"),
        ("s3", "WALG_S3_SSE_C", KEY_TEXT),
        ("gs", "WALG_GCS_ENCRYPTION_KEY", KEY_TEXT),
        ("gs", "GCS_ENCRYPTION_KEY", KEY_TEXT),
    )

    @pytest.mark.parametrize(("owner", "name", "value"), BY_STORE)
    @pytest.mark.parametrize("repository", ["s3://bucket", "gs://bucket", "/backups"])
    def test_another_store_would_not_encrypt(
        self, repository: str, owner: str, name: str, value: str
    ) -> None:
        """A key of another store is refused; that of the store in use is accepted."""
        environ = {"PITR_REPOSITORY": repository, name: value}
        if repository.startswith(f"{owner}://"):
            extra = KMS if name.endswith("KMS_ID") else {}
            assert from_environment(**environ, **extra).warnings == ()
            return
        with pytest.raises(ConfigError, match=f"environment {name} asks for encryption") as caught:
            from_environment(**environ)
        assert value not in f"{caught.value.message} {caught.value.hint}"

    def test_a_flag_that_leaves_the_store_does_not_leave_its_encryption(self) -> None:
        """A copy into a directory, under the envdir of an encrypted bucket, would be plaintext."""
        with pytest.raises(ConfigError, match="asks for encryption"):
            load(
                flags={"repository": "/copy"},
                environ={**S3, "WALG_S3_SSE": "AES256"},
                config_file=Path("/dev/null"),
            )

    def test_a_key_of_ours_excludes_a_key_of_the_server(self) -> None:
        """S3 takes one or the other."""
        with pytest.raises(ConfigError, match="WALG_S3_SSE_C and environment S3_SSE exclude"):
            from_environment(**S3, WALG_S3_SSE_C=KEY_TEXT, S3_SSE="AES256")

    @pytest.mark.parametrize("mode", [{}, {"S3_SSE": "AES256"}])
    def test_a_kms_key_needs_the_kms(self, mode: dict[str, str]) -> None:
        """Otherwise the key would be ignored."""
        with pytest.raises(ConfigError, match="S3_SSE_KMS_ID names a KMS key"):
            from_environment(**S3, **mode, WALG_S3_SSE_KMS_ID="alias/backups")

    @pytest.mark.parametrize("endpoint", ["http://store:9000", "http+path://store:9000"])
    def test_a_key_is_not_sent_in_the_clear(self, endpoint: str) -> None:
        """With a key of ours every request carries it."""
        with pytest.raises(ConfigError, match="would be sent in the clear") as caught:
            from_environment(**S3, WALG_S3_SSE_C=KEY_TEXT, AWS_ENDPOINT=endpoint)
        assert KEY_TEXT not in caught.value.message

    def test_a_key_may_go_to_an_encrypted_endpoint(self) -> None:
        """https is what a key needs."""
        given = options(**S3, WALG_S3_SSE_C=KEY_TEXT, AWS_ENDPOINT="https://store:9000")
        assert given.s3.sse_c == KEY

    def test_an_unknown_mode_is_refused(self) -> None:
        """A slip must not mean the bucket's default."""
        with pytest.raises(ConfigError, match="WALG_S3_SSE"):
            from_environment(**S3, WALG_S3_SSE="AES128")

    def test_a_lock_that_the_store_does_not_know_is_a_warning(self) -> None:
        """Objects that can be deleted after all should surprise nobody."""
        (warning,) = from_environment(**GS, WALG_S3_RETENTION_PERIOD="30d").warnings
        assert warning.startswith("environment WALG_S3_RETENTION_PERIOD has no effect")


class TestCredentials:
    """Static keys come whole."""

    @pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
    def test_half_a_key_is_refused(self, name: str) -> None:
        """The SDK would pass over it and look for others, silently."""
        with pytest.raises(ConfigError, match=f"environment {name} is set without"):
            from_environment(**S3, **{name: "value"})

    def test_a_token_without_its_key_is_refused(self) -> None:
        """It belongs to a temporary key."""
        with pytest.raises(ConfigError, match="AWS_SESSION_TOKEN is set without"):
            from_environment(**S3, AWS_SESSION_TOKEN="token")

    @pytest.mark.parametrize("repository", [REPOSITORY, GS])
    def test_another_store_does_not_mind(self, repository: dict[str, str]) -> None:
        """An environment is shared."""
        assert from_environment(**repository, AWS_SECRET_ACCESS_KEY="hunter2").warnings == ()

    def test_a_secret_that_cannot_be_used_is_not_repeated(self) -> None:
        """Its error names the variable alone."""
        with pytest.raises(ConfigError) as caught:
            from_environment(**S3, AWS_ACCESS_KEY_ID="AKIA", AWS_SECRET_ACCESS_KEY="hun ter2")
        assert "environment AWS_SECRET_ACCESS_KEY" in caught.value.message
        assert "ter2" not in f"{caught.value.message} {caught.value.hint}"


class TestEndpoint:
    """How an endpoint and a way to address buckets go together."""

    @pytest.mark.parametrize(
        ("endpoint", "url", "path_style"),
        [
            ("https+path://store:9000/", "https://store:9000", True),
            ("http+virtualhost://store", "http://store", False),
            ("https+subdomain://store", "https://store", False),
            ("https://store", "https://store", None),
        ],
    )
    def test_wal_e_s_form_says_both(self, endpoint: str, url: str, path_style: bool | None) -> None:
        """The calling format becomes the style; without one the store chooses."""
        given = options(**S3, WALE_S3_ENDPOINT=endpoint).s3
        assert (given.endpoint, given.path_style) == (url, path_style)

    @pytest.mark.parametrize(("text", "style"), [("true", True), ("false", False)])
    def test_an_explicit_style_wins(self, text: str, style: bool) -> None:
        """What speaks of the style alone knows best."""
        given = options(**S3, WALE_S3_ENDPOINT="https+path://store", AWS_S3_FORCE_PATH_STYLE=text)
        assert given.s3.path_style is style

    def test_a_path_is_refused(self) -> None:
        """A request could not be signed as it arrives."""
        with pytest.raises(ConfigError, match='AWS_ENDPOINT: "https://store/s3" has a path'):
            from_environment(**S3, AWS_ENDPOINT="https://store/s3")

    def test_one_of_another_service_does_no_harm(self) -> None:
        """AWS_ENDPOINT_URL is every service's, and not our business without S3."""
        assert from_environment(**REPOSITORY, AWS_ENDPOINT_URL="http://h/path").warnings == ()


class TestOptions:
    """What the stores are handed."""

    def test_defaults_are_the_options_own(self) -> None:
        """Settings and options agree on what nobody set."""
        settings = Settings(
            repository="s3://bucket", upload_disk_concurrency=4, download_concurrency=8
        )
        assert store_options(settings) == StoreOptions()

    def test_everything_arrives(self) -> None:
        """Each S3 and GCS setting has its option; encryption has two, so they come apart."""
        names = {name for name in EXAMPLES if name not in ("s3_sse", "s3_sse_kms_id")}
        given = store_options(
            Settings(
                repository="s3://bucket",
                **{name: EXAMPLES[name][1] for name in names},  # type: ignore[arg-type]
            )
        )
        assert given.s3 == S3Options(
            endpoint="https://store:9000",
            region="eu-central-1",
            path_style=True,
            dual_stack=True,
            access_key_id="AKIA",
            secret_access_key="wJalr/+=",
            session_token="FwoGZXIv",
            profile="my backups",
            ca_cert_file=Path("/etc/ssl/ca.pem"),
            storage_class="STANDARD_IA",
            sse_c=KEY,
            retention_period=30 * 86400.0,
            retention_mode="COMPLIANCE",
            part_size=64 << 20,
            list_version=1,
            delete_batch=500,
            headers={"X-Purpose": "backup"},
        )
        assert given.gcs == GcsOptions(
            emulator="http://localhost:4443",
            credentials_file=Path("/etc/gcs.json"),
            encryption_key=KEY,
            chunk_size=50 << 20,
            normalize_prefix=False,
        )
        assert (given.upload_concurrency, given.max_retries) == (16, 3)
        assert (given.connect_timeout, given.request_timeout, given.retry_timeout) == (2, 300, 600)

    def test_the_server_s_encryption_arrives(self) -> None:
        """Mode and key are passed on."""
        given = options(**S3, WALG_S3_SSE="aws:kms:dsse", WALG_S3_SSE_KMS_ID="alias/b").s3
        assert (given.sse, given.sse_kms_id) == ("aws:kms:dsse", "alias/b")

    @given(up=st.integers(1, 256), down=st.integers(1, 256), parts=st.integers(1, 256))
    def test_no_worker_waits_for_a_connection(self, up: int, down: int, parts: int) -> None:
        """The pool holds all downloads, or all workers of an upload and their parts."""
        given = store_options(
            Settings(
                repository="s3://bucket",
                upload_disk_concurrency=up,
                download_concurrency=down,
                upload_concurrency=parts,
            )
        )
        assert given.connections >= down
        assert given.connections >= up + parts
