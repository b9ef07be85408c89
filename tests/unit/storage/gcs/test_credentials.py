"""Where tokens come from: key files and workload identity, with loopback for Google."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from backup_core.errors import ConfigError, PitrError, StorageError
from backup_core.storage.gcs import GcsStorage
from backup_core.storage.gcs.credentials import SdkTokens, token_source
from backup_core.storage.options import GcsOptions, StoreOptions
from backup_core.storage.retry import PassingError
from tests.support.environment import clean_environ
from tests.support.faults import Answer
from tests.support.gcs_stub import BUCKET, gcs_stub
from tests.support.scripted import Asked, Server, replying, serving

PUT_INTO_AN_EMULATOR = """
import sys
from backup_core.storage.options import GcsOptions, StoreOptions
from backup_core.storage.registry import open_storage
options = StoreOptions(gcs=GcsOptions(emulator=sys.argv[1]))
open_storage("gs://backups/main", options).put("key", [b"data"])
heavy = {"google.auth", "google.cloud", "urllib3", "requests", "cryptography"}
print(sorted(heavy & set(sys.modules)))
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without any of Google's settings, and without a metadata service to ask."""
    for name in [name for name in os.environ if name.startswith(("GOOGLE_", "GCE_", "CLOUDSDK_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "gcloud"))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    return tmp_path


class Tokens:
    """Answers to requests for tokens, each another token, and what was asked."""

    def __init__(self) -> None:
        self.lifetime = 3600
        self.refusals: list[tuple[int, dict[str, str]]] = []
        self.asked: list[Asked] = []
        self.given = 0

    def __call__(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        if self.refusals:
            status, document = self.refusals.pop()
            return json_answer(document, status)
        if asked.path == "/subject":
            return Answer(status=200, body=b"a token of the other cloud")
        self.given += 1
        return json_answer(
            {
                "access_token": f"token-{self.given}",
                "expires_in": self.lifetime,
                "token_type": "Bearer",
                "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
            }
        )

    def form(self, number: int) -> dict[str, list[str]]:
        """The form that came with a request."""
        return parse_qs(self.asked[number].body.decode())


def json_answer(document: dict[str, Any], status: int = 200) -> Answer:
    """An answer that is a document."""
    headers = {"Content-Type": "application/json"}
    return Answer(status=status, headers=headers, body=json.dumps(document).encode())


@pytest.fixture
def google() -> Tokens:
    """What the token server answers."""
    return Tokens()


@pytest.fixture
def server(google: Tokens) -> Iterator[Server]:
    """A token server on loopback."""
    with serving(replying(google)) as running:
        yield running


@pytest.fixture(scope="session")
def private_key() -> str:
    """A service account's key, in PEM."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.fixture
def key_file(home: Path, server: Server, private_key: str) -> Path:
    """A service account's key file, as the console makes it."""
    return written(home / "key.json", account(server.url, private_key))


@pytest.fixture
def identity_file(home: Path, server: Server) -> Path:
    """A workload identity configuration whose subject's token lies at a URL."""
    pool = "projects/1/locations/global/workloadIdentityPools/pool/providers/other"
    document = {
        "type": "external_account",
        "audience": f"//iam.googleapis.com/{pool}",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": f"{server.url}token",
        "credential_source": {"url": f"{server.url}subject", "format": {"type": "text"}},
    }
    return written(home / "identity.json", document)


def account(url: str, private_key: str) -> dict[str, Any]:
    """A service account whose tokens come from this server."""
    return {
        "type": "service_account",
        "project_id": "test",
        "private_key_id": "1",
        "private_key": private_key,
        "client_email": "robot@test.iam.gserviceaccount.com",
        "token_uri": f"{url}token",
    }


def written(path: Path, document: dict[str, Any]) -> Path:
    """Write a document."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(document))
    return path


def tokens(path: Path | None) -> SdkTokens:
    """The source that a key file leads to."""
    options = StoreOptions(gcs=GcsOptions(credentials_file=path), connect_timeout=2.0)
    source = token_source(options)
    assert isinstance(source, SdkTokens)
    return source


class TestKeyFile:
    def test_a_key_is_exchanged_for_a_token_once(self, key_file: Path, google: Tokens) -> None:
        """The key signs a request to its own token server, and the token serves for its hour."""
        source = tokens(key_file)
        assert [source.current(), source.current()] == ["token-1", "token-1"]
        assert len(google.asked) == 1
        assert google.form(0)["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]

    def test_a_token_is_renewed_before_it_expires(self, key_file: Path, google: Tokens) -> None:
        """One that has a minute left does not last for a long request."""
        google.lifetime = 60
        source = tokens(key_file)
        assert [source.current(), source.current()] == ["token-1", "token-2"]

    def test_a_refused_token_is_replaced_once(self, key_file: Path, google: Tokens) -> None:
        """Of many threads whose requests were refused with one token, the first renews it."""
        source = tokens(key_file)
        refused = source.current()
        assert [source.renewed(refused), source.renewed(refused)] == ["token-2", "token-2"]
        assert google.given == 2

    def test_a_token_that_is_still_good_survives_trouble(
        self, home: Path, private_key: str, google: Tokens
    ) -> None:
        """The token server may be away for as long as the last token lasts."""
        google.lifetime = 60
        with serving(replying(google)) as server:
            source = tokens(written(home / "key.json", account(server.url, private_key)))
            source.current()
        assert source.current() == "token-1"

    def test_a_wrong_clock_has_its_own_sentence(self, key_file: Path, google: Tokens) -> None:
        """The token server compares the request's times with its own clock."""
        said = (
            "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable "
            "timeframe. Check your iat and exp values in the JWT claim."
        )
        google.refusals = [(400, {"error": "invalid_grant", "error_description": said})]
        with pytest.raises(StorageError, match="clock is wrong") as caught:
            tokens(key_file).current()
        assert caught.value.hint is not None
        assert "NTP" in caught.value.hint

    def test_a_deleted_account_is_a_matter_of_settings(
        self, key_file: Path, google: Tokens
    ) -> None:
        """The key is refused, and would be again."""
        google.refusals = [
            (
                400,
                {"error": "invalid_grant", "error_description": "Invalid grant: account not found"},
            )
        ]
        with pytest.raises(ConfigError, match="account not found"):
            tokens(key_file).current()

    def test_a_token_server_out_of_reach_may_come_back(self, home: Path, private_key: str) -> None:
        """Nobody listens: a refusal of the network, not of the key."""
        document = account("http://127.0.0.1:1/", private_key)
        with pytest.raises(PassingError, match=r"no connection with 127\.0\.0\.1:1"):
            tokens(written(home / "key.json", document)).current()

    def test_requests_carry_the_token(self, key_file: Path) -> None:
        """The store believes who has it, and nobody else."""
        with gcs_stub() as stub:
            stub.tokens = {"token-1"}
            emulated = StoreOptions(gcs=GcsOptions(emulator=stub.url))
            GcsStorage("gs://backups", BUCKET, "", emulated, tokens(key_file)).put("key", [b"x"])
            with pytest.raises(StorageError, match="does not accept the credentials"):
                GcsStorage("gs://backups", BUCKET, "", emulated).stat("key")


class TestWorkloadIdentity:
    def test_a_subject_is_exchanged_for_a_token(self, identity_file: Path, google: Tokens) -> None:
        """Two requests and no third: nobody is asked for the project's name."""
        assert tokens(identity_file).current() == "token-1"
        assert [asked.path for asked in google.asked] == ["/subject", "/token"]
        assert google.form(1)["subject_token"] == ["a token of the other cloud"]

    def test_a_subject_in_a_file_is_read_anew(
        self, identity_file: Path, google: Tokens, home: Path
    ) -> None:
        """Kubernetes replaces the file as it likes."""
        subject = home / "subject"
        document = json.loads(identity_file.read_text())
        document["credential_source"] = {"file": str(subject)}
        google.lifetime = 60
        source = tokens(written(identity_file, document))
        for number, content in enumerate(["first", "second"]):
            subject.write_text(content)
            source.current()
            assert google.form(number)["subject_token"] == [content]


class TestDefaults:
    def test_the_place_where_gcloud_leaves_credentials(self, home: Path, key_file: Path) -> None:
        """They are found without any setting."""
        written(home / "gcloud" / "x", {}).unlink()
        key_file.rename(home / "gcloud" / "application_default_credentials.json")
        assert tokens(None).current() == "token-1"

    def test_no_credentials_at_all(self) -> None:
        """The hint names the ways to give some."""
        with pytest.raises(ConfigError, match="credentials") as caught:
            tokens(None).current()
        assert caught.value.hint is not None
        assert "GOOGLE_APPLICATION_CREDENTIALS" in caught.value.hint

    @pytest.mark.parametrize(
        "damage",
        [
            lambda path: path.unlink(),
            lambda path: path.write_text("not JSON"),
            lambda path: path.write_text("[]"),
            lambda path: path.write_text('{"type": "service_account"}'),
            lambda path: path.write_text('{"type": "no such type"}'),
        ],
        ids=["missing", "no-json", "no-object", "no-key", "unknown-type"],
    )
    def test_a_key_file_that_cannot_be_used(
        self, key_file: Path, damage: Callable[[Path], object]
    ) -> None:
        """It is a matter of settings, whatever is wrong with it."""
        damage(key_file)
        with pytest.raises(ConfigError, match="Google Cloud Storage"):
            tokens(key_file).current()

    def test_an_emulator_has_none(self) -> None:
        """No credentials are looked for, so none can be sent to it."""
        assert token_source(StoreOptions(gcs=GcsOptions(emulator="http://127.0.0.1:1"))) is None

    def test_a_put_into_an_emulator_loads_no_sdk(self) -> None:
        """A process a WAL segment pays only for what it uses."""
        with gcs_stub() as stub:
            done = subprocess.run(
                [sys.executable, "-c", PUT_INTO_AN_EMULATOR, stub.url],
                env=clean_environ(),
                capture_output=True,
                text=True,
                check=True,
            )
        assert done.stdout == "[]\n"


def test_errors_do_not_show_the_key(key_file: Path, google: Tokens, private_key: str) -> None:
    """What is refused is told without the secret that was refused."""
    google.refusals = [(401, {"error": "unauthorized_client", "error_description": "no"})]
    with pytest.raises(PitrError) as caught:
        tokens(key_file).current()
    assert private_key.splitlines()[1] not in f"{caught.value.message} {caught.value.hint}"
