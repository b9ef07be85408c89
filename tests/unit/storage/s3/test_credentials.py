"""Where access keys come from: the settings, or the SDK's chain with loopback for the cloud."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backup_core.errors import ConfigError
from backup_core.storage.options import S3Options
from backup_core.storage.s3.credentials import SdkChain, credential_source
from backup_core.storage.s3.signing import Credentials
from tests.support.environment import clean_environ
from tests.support.faults import Answer
from tests.support.scripted import Asked, replying, serving

STATIC = S3Options(access_key_id="AKIA", secret_access_key="hush", session_token="token")
PUT_BY_STATIC_KEYS = """
import sys
from backup_core.storage.options import S3Options, StoreOptions
from backup_core.storage.registry import open_storage
s3 = S3Options(endpoint=sys.argv[1], access_key_id="key", secret_access_key="secret")
store = open_storage("s3://bucket/main", StoreOptions(s3=s3))
store.put("key", [b"data"])
heavy = {"botocore", "boto3", "urllib3", "requests"}
print(sorted(heavy & set(sys.modules)))
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without any AWS setting, and without a metadata service to ask."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return tmp_path


@pytest.fixture
def profiles(home: Path) -> None:
    """Two profiles, as an operator has them."""
    (home / "credentials").write_text(
        "[default]\naws_access_key_id = AKIADEFAULT\naws_secret_access_key = one\n"
        "[backups]\naws_access_key_id = AKIABACKUPS\naws_secret_access_key = two\n"
    )
    (home / "config").write_text("[profile backups]\nregion = eu-north-1\n")


def chain(**options: str) -> SdkChain:
    """The source that settings without keys lead to."""
    source = credential_source(S3Options(**options))  # type: ignore[arg-type]
    assert isinstance(source, SdkChain)
    return source


Ask = Callable[[SdkChain], object]


def asked_for_key(source: SdkChain) -> object:
    """Ask for the key first."""
    return source.current()


def asked_for_region(source: SdkChain) -> object:
    """Ask for the region first."""
    return source.region


class TestSettings:
    def test_keys_in_the_settings_are_used(self) -> None:
        """As they are, with the token."""
        assert credential_source(STATIC).current() == Credentials(
            access_key_id="AKIA", secret_access_key="hush", session_token="token"
        )

    @pytest.mark.usefixtures("profiles")
    def test_keys_in_the_settings_are_stronger_than_a_profile(self) -> None:
        """Whatever the machine's files say."""
        options = S3Options(access_key_id="AKIA", secret_access_key="hush", profile="backups")
        assert credential_source(options).current().access_key_id == "AKIA"

    def test_keys_in_the_settings_never_load_the_sdk(self) -> None:
        """Nor anything else that a process a WAL segment cannot pay for."""
        with serving(replying(lambda _: Answer(status=200, headers={"ETag": '"0"'}))) as server:
            done = subprocess.run(
                [sys.executable, "-c", PUT_BY_STATIC_KEYS, server.url.rstrip("/")],
                env=clean_environ(),
                capture_output=True,
                text=True,
                timeout=60,
                check=True,
            )
        assert done.stdout == "[]\n"


class TestProfiles:
    @pytest.mark.usefixtures("profiles")
    def test_the_default_profile_needs_no_setting(self) -> None:
        """As with other programs."""
        assert chain().current().access_key_id == "AKIADEFAULT"

    @pytest.mark.usefixtures("profiles")
    def test_a_profile_is_chosen_by_the_settings(self) -> None:
        """With its region."""
        source = chain(profile="backups")
        assert source.region == "eu-north-1"
        assert source.current() == Credentials(access_key_id="AKIABACKUPS", secret_access_key="two")

    @pytest.mark.usefixtures("profiles")
    def test_a_profile_is_chosen_by_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """AWS_PROFILE is the SDK's own variable."""
        monkeypatch.setenv("AWS_PROFILE", "backups")
        source = chain()
        assert source.current().access_key_id == "AKIABACKUPS"
        assert source.region == "eu-north-1"

    @pytest.mark.usefixtures("profiles")
    def test_the_region_of_the_settings_is_stronger(self) -> None:
        """The token service is that of this region, and not of the profile's."""
        assert chain(profile="backups", region="cn-north-1").region == "cn-north-1"

    def test_no_region_is_no_error(self) -> None:
        """The bucket's is found out later."""
        assert chain().region is None

    @pytest.mark.parametrize("ask", [asked_for_key, asked_for_region])
    def test_a_profile_that_is_not_there_is_said(self, ask: Ask) -> None:
        """Whichever is asked for first, key or region."""
        with pytest.raises(ConfigError, match="nowhere") as raised:
            ask(chain(profile="nowhere"))
        assert "AWS_PROFILE" in (raised.value.hint or "")

    @pytest.mark.parametrize("ask", [asked_for_key, asked_for_region])
    def test_a_file_that_cannot_be_parsed_is_said(self, home: Path, ask: Ask) -> None:
        """It is named."""
        (home / "config").write_text("no section = here\n")
        with pytest.raises(ConfigError, match="config"):
            ask(chain())

    def test_no_credentials_at_all_are_said(self) -> None:
        """With the ways to have some."""
        with pytest.raises(ConfigError, match="there are no credentials for S3") as raised:
            chain().current()
        assert "AWS_ACCESS_KEY_ID" in (raised.value.hint or "")


class Cloud:
    """A loopback service that hands out keys AKIA1, AKIA2, ..."""

    def __init__(self) -> None:
        self.lifetime = timedelta(hours=6)
        self.status = 200
        self.asked: list[Asked] = []

    def reply(self, asked: Asked) -> Answer:
        """Answer as the container service or the token service."""
        self.asked.append(asked)
        return self._token_service() if asked.method == "POST" else self._container_service()

    @property
    def _key(self) -> str:
        return f"AKIA{len(self.asked)}"

    @property
    def _expiration(self) -> str:
        return (datetime.now(UTC) + self.lifetime).strftime("%Y-%m-%dT%H:%M:%SZ")

    def _container_service(self) -> Answer:
        body = {
            "AccessKeyId": self._key,
            "SecretAccessKey": "secret",
            "Token": "token",
            "Expiration": self._expiration,
        }
        return Answer(status=self.status, body=json.dumps(body).encode())

    def _token_service(self) -> Answer:
        if self.status != 200:
            body = "<Error><Code>AccessDenied</Code><Message>Not yours</Message></Error>"
            return Answer(status=403, body=f"<ErrorResponse>{body}</ErrorResponse>".encode())
        body = (
            "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>"
            f"<AccessKeyId>{self._key}</AccessKeyId><SecretAccessKey>secret</SecretAccessKey>"
            f"<SessionToken>token</SessionToken><Expiration>{self._expiration}</Expiration>"
            "</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
        )
        return Answer(status=200, body=body.encode())


@pytest.fixture
def cloud(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """A running service, which nothing leads to yet."""
    service = Cloud()
    with serving(replying(service.reply)) as server:
        monkeypatch.setenv("TEST_CLOUD", server.url)
        yield service


@pytest.fixture
def container(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """A container whose role the service knows."""
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{os.environ['TEST_CLOUD']}role")
    return cloud


@pytest.fixture
def web_identity(home: Path, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """A pod with a token that the token service takes for a role."""
    (home / "token").write_text("the token")
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/backups")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(home / "token"))
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", os.environ["TEST_CLOUD"])
    return cloud


class TestRoles:
    def test_a_container_has_the_keys_of_its_role(self, container: Cloud) -> None:
        """They are asked for once as long as they are fresh."""
        source = chain()
        assert source.current() == Credentials(
            access_key_id="AKIA1", secret_access_key="secret", session_token="token"
        )
        assert source.current().access_key_id == "AKIA1"
        assert len(container.asked) == 1

    def test_keys_are_renewed_before_they_expire(self, container: Cloud) -> None:
        """A backup may take longer than a key lives."""
        container.lifetime = timedelta(minutes=1)
        source = chain()
        source.current()
        before = len(container.asked)
        container.lifetime = timedelta(hours=6)
        assert source.current().access_key_id == f"AKIA{before + 1}"
        assert source.current().access_key_id == f"AKIA{before + 1}"

    def test_a_pod_has_the_keys_of_its_role(self, web_identity: Cloud) -> None:
        """Its token is all that it shows."""
        assert chain(region="eu-north-1").current().access_key_id == "AKIA1"
        (asked,) = web_identity.asked
        assert b"WebIdentityToken=the+token" in asked.body

    def test_a_role_that_is_refused_is_said(self, web_identity: Cloud) -> None:
        """In the token service's words."""
        web_identity.status = 403
        with pytest.raises(ConfigError, match="Not yours") as raised:
            chain(region="eu-north-1").current()
        assert "role" in (raised.value.hint or "")

    @pytest.mark.usefixtures("web_identity")
    def test_a_token_that_is_not_there_is_said(self, home: Path) -> None:
        """The file is named."""
        (home / "token").unlink()
        with pytest.raises(ConfigError, match="token"):
            chain(region="eu-north-1").current()

    def test_an_address_that_the_sdk_forbids_is_said(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Keys are asked for on this host only, or over TLS."""
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://192.0.2.1/role")
        with pytest.raises(ConfigError, match="cannot get credentials for S3"):
            chain().current()
