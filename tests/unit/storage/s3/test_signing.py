"""Signatures, held against those of another implementation."""

import hashlib
from datetime import UTC, datetime
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from botocore import auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as SdkCredentials
from hypothesis import given
from hypothesis import strategies as st

from backup_core.storage.s3.signing import (
    EMPTY_SHA256,
    UNSIGNED,
    Credentials,
    query_string,
    quote_path,
    sign,
)

NOW = datetime(2026, 2, 28, 23, 59, 59, tzinfo=UTC)
KEY = Credentials(access_key_id="AKIDEXAMPLE", secret_access_key="wJalrXUtnFEMI/K7MDENG+bPx")
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
WORDS = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30)
NAMES = st.sampled_from(["x-amz-meta-a", "X-Amz-Storage-Class", "Content-MD5", "x-amz-acl"])


@pytest.fixture(scope="module", autouse=True)
def frozen() -> object:
    """The other implementation's clock stands still."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(auth, "get_current_datetime", lambda: NOW)
        yield


def by_botocore(
    method: str, url: str, headers: dict[str, str], body: bytes, key: Credentials, region: str
) -> str:
    """The Authorization header that botocore makes."""
    request = AWSRequest(method=method, url=url, headers=headers, data=body)
    sdk_key = SdkCredentials(key.access_key_id, key.secret_access_key, key.session_token)
    auth.S3SigV4Auth(sdk_key, "s3", region).add_auth(request)
    return str(request.headers["Authorization"])


def by_us(
    method: str, url: str, headers: dict[str, str], body: bytes, key: Credentials, region: str
) -> dict[str, str]:
    """All headers that pitr sends."""
    return sign(
        method,
        url,
        headers,
        credentials=key,
        region=region,
        payload_hash=hashlib.sha256(body).hexdigest(),
        now=NOW,
    )


@given(
    method=st.sampled_from(["GET", "PUT", "POST", "HEAD", "DELETE"]),
    key=TEXT,
    query=st.dictionaries(TEXT.filter(len), TEXT, max_size=4),
    headers=st.dictionaries(NAMES, WORDS, max_size=3),
    body=st.binary(max_size=20),
    token=st.none() | st.text("abcXYZ019/+=", min_size=1),
    region=st.sampled_from(["us-east-1", "eu-central-1", "cn-north-1"]),
)
def test_signature_is_the_one_that_botocore_makes(
    method: str,
    key: str,
    query: dict[str, str],
    headers: dict[str, str],
    body: bytes,
    token: str | None,
    region: str,
) -> None:
    """Any key, query, header, body and token, at the same moment: the same Authorization."""
    credentials = Credentials(
        access_key_id=KEY.access_key_id,
        secret_access_key=KEY.secret_access_key,
        session_token=token,
    )
    url = f"https://bucket.example:9000/{quote_path(key)}"
    if query:
        url += "?" + query_string(query)
    ours = by_us(method, url, headers, body, credentials, region)
    assert ours["authorization"] == by_botocore(method, url, headers, body, credentials, region)
    assert ours.get("x-amz-security-token") == token


@pytest.mark.parametrize(
    "key",
    ["é/日本/\U0001f418", "a b", "a+b", "a~b", "100%", "a=b&c", "a%2Fb", "a//b", "[::1]", "#?;:@"],
)
def test_odd_keys_survive_the_url(key: str) -> None:
    """What the server unquotes is the key, and what is signed is what is sent."""
    url = f"http://127.0.0.1:9000/bucket/{quote_path(key)}"
    assert unquote(urlsplit(url).path) == f"/bucket/{key}"
    ours = by_us("GET", url, {}, b"", KEY, "us-east-1")
    assert ours["authorization"] == by_botocore("GET", url, {}, b"", KEY, "us-east-1")


@given(st.dictionaries(TEXT.filter(len), TEXT, max_size=5))
def test_query_says_what_it_was_made_of(query: dict[str, str]) -> None:
    """Every name has an equals sign, an empty value too, and nothing is a plus."""
    text = query_string(query)
    assert dict(parse_qsl(text, keep_blank_values=True, strict_parsing=bool(query))) == query
    assert "+" not in text


def test_the_body_need_not_be_read_to_sign() -> None:
    """The word for an unsigned body is signed in the digest's place."""
    url = "https://bucket.example/key"
    signed = sign("PUT", url, {}, credentials=KEY, region="r", payload_hash=UNSIGNED, now=NOW)
    assert signed["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"
    whole = sign("PUT", url, {}, credentials=KEY, region="r", payload_hash=EMPTY_SHA256, now=NOW)
    assert signed["authorization"] != whole["authorization"]


def test_headers_that_a_proxy_may_change_are_sent_unsigned() -> None:
    """A header that is no business of S3's is kept, and left out of the signature."""
    plain = by_us("GET", "http://s/k", {}, b"", KEY, "r")
    more = by_us("GET", "http://s/k", {"User-Agent": "x", "Range": "bytes=1-"}, b"", KEY, "r")
    assert more["authorization"] == plain["authorization"]
    assert (more["user-agent"], more["range"]) == ("x", "bytes=1-")


def test_secrets_are_not_shown() -> None:
    """Neither a secret key nor a token appears where credentials are printed."""
    shown = repr(Credentials(access_key_id="A", secret_access_key="hush", session_token="psst"))
    assert "hush" not in shown
    assert "psst" not in shown
