"""Pasted secrets: found in every usual form, named without being repeated, and nothing else found.

The secrets here are made up in pieces, so that no scanner of this repository cries wolf.
"""

import random
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.pasted_keys import find, holds_secret
from tests.unit.provision.secrets.people import ALICE

ROOT = Path(__file__).parents[3]
RANDOM = random.Random(7)


def token(size: int, alphabet: str = string.ascii_letters + string.digits) -> str:
    return "".join(RANDOM.choices(alphabet, k=size))


KEY_ID = "AKIA" + token(16, string.ascii_uppercase + "234567")
AWS_SECRET = token(38) + "/1"

PASTED = {
    "-----BEGIN " + "RSA PRIVATE KEY-----": "a private key",
    '"private_key": "-----BEGIN ' + "PRIVATE KEY-----\\nMII": "a private key",
    "-----BEGIN PGP " + "PRIVATE KEY BLOCK-----": "a private key",
    "AGE-SECRET-" + "KEY-1" + token(58, string.ascii_uppercase): "an age identity",
    ALICE.reveal(): "an identity that opens data bags",
    f"AWS_ACCESS_KEY_ID: {KEY_ID}": "an AWS access key id",
    f"id={'ASIA' + KEY_ID[4:]}": "an AWS access key id",
    "t: ghp_" + token(36): "a GitHub token",
    "# glpat-" + token(20): "a GitLab token",
    "hook: xoxb-" + token(24, string.digits): "a Slack token",
    "postgres://bob:" + "hunter2@db.example.org/app": "a password in a URL",
    "dsn: 'postgresql://bob:" + "hun%74er2@db/app?sslmode=require'": "a password in a URL",
    "password: hunter2": "a password",
    "  PGPASSWORD: 'correct horse'": "a password",
    '{"replication_password": "hunter2"}': "a password",
    "primary_conninfo = 'host=db user=r password=hunter2'": "a password",
    "environment: {AWS_SECRET_ACCESS_KEY: " + AWS_SECRET + "}": "a secret key or token",
    "WALG_LIBSODIUM_KEY: " + token(64, "0123456789abcdef"): "a secret key or token",
    "api_token = " + token(32): "a secret key or token",
    "export CLIENT_SECRET=" + token(40): "a secret key or token",
}

HARMLESS = [
    'password: {secret: "bag:prod/replication"}',
    "password: {secret: bag:prod/replication}",
    "password: bag:prod/replication",
    "password: env:PGPASSWORD",
    'secret: "file:secrets/a-long-name-2024-production.pem"',
    "password:",
    'password: ""',
    "password: null",
    "password: ${PGPASSWORD}",
    "password: <see the data bag>",
    "password: {{ secret('bag:prod/x') }}",
    "password_encryption: scram-sha-256",
    "password_file: /etc/pitr/password",
    "passfile=/var/lib/postgresql/.pgpass",
    "require_password: true",
    "WALG_PGP_KEY_PATH: /etc/pitr/keys/production-2024-a1.asc",
    "signing_key: /etc/pitr/keys/production-2024-a1.asc",
    "AWS_ACCESS_KEY_ID: AKIAIOSFODNN7EXAMPLE",
    f"recipients: [{ALICE.recipient}]",
    f"key: {ALICE.recipient}",
    "recipient: age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p",
    "host_key: AAAAC3NzaC1lZDI1NTE5AAAAIJ4Tn0gQ1c9x2bTqYw5Jm8Zr1uVd3KfLh7Xp0sNe6AoC",
    "host_key: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ4Tn0gQ1c9x2bTqYw5Jm8Zr1uVd3KfLh7Xp0sNe6AoC",
    "  - ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBEmKSENjQEezOmxk",
    "fingerprint: SHA256:uNiVztksCsDhcc0u9e8BrwQg4XkTzB1v8nV1RfZlVqE",
    "sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "checksum: 5994471abb01112afcc18159f6cc74b4f511b99806da59b3caf5a9c173cacfc5",
    "key_id: 3AA5C34371567BD2B7D3A5C34371567BD2B7D3A5",
    "kms_key: arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    "public_key: MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=",
    "key: the_quick_brown_fox_jumps_over",
    "repository: s3://bucket/prefix",
    "url: https://example.org:8443/path?key=value",
    "url: postgres://bob@db.example.org:5432/app",
    "url: postgres://bob:${PASSWORD}@db/app",
    "description: the token is kept in the data bag production, as is the password",
    "revision: 3969bf0d1c2b4a5968778695a4b3c2d1e0f10213",
    "ghp_short",
]


@pytest.mark.parametrize(("line", "what"), PASTED.items(), ids=map(str, range(len(PASTED))))
def test_a_pasted_secret_is_found(line: str, what: str) -> None:
    """With its line, and what it seems to be."""
    (finding,) = find(f"name: base\n{line}\nport: 5432\n", "roles/base.yml")
    assert (finding.file, finding.line, finding.what) == ("roles/base.yml", 2, what)
    assert str(finding) == f"roles/base.yml:2: {what} is written here"


@pytest.mark.parametrize("line", HARMLESS)
def test_what_is_no_secret_is_left_alone(line: str) -> None:
    """References, placeholders, paths, public keys, digests, ids."""
    assert find(line, "roles/base.yml") == ()


def test_an_aws_secret_is_found_beside_its_key_id() -> None:
    """Whatever it is called; without one beside it, it might be any digest in base64."""
    assert not holds_secret(f"x: {AWS_SECRET}")
    lines = [finding.line for finding in find(f"id: {KEY_ID}\nx: {AWS_SECRET}\n", "f")]
    assert lines == [1, 2]


def test_what_to_do_is_said_with_the_items_name() -> None:
    """It can be copied."""
    (finding,) = find("environment:\n  API_TOKEN: " + token(32), "f")
    assert "provision secrets set BAG/api_token" in finding.hint
    assert '{secret: "bag:BAG/api_token"}' in finding.hint


@given(secret=st.from_regex(r"[a-z0-9]{20,40}", fullmatch=True))
def test_no_finding_repeats_the_secret(secret: str) -> None:
    """It is printed by CI."""
    (finding,) = find(f"password: x{secret}", "f")
    assert secret not in f"{finding!r} {finding} {finding.hint}"


@pytest.mark.parametrize("mark", ["# not a secret", "  // not a secret ", "-- not a secret"])
def test_a_line_can_be_excused(mark: str) -> None:
    """By somebody who looked at it."""
    assert find(f"password: hunter2 {mark}", "f") == ()


@given(text=st.text())
def test_any_text_can_be_searched(text: str) -> None:
    """Templates hold anything; each finding is of a line that is there."""
    assert all(1 <= finding.line <= text.count("\n") + 1 for finding in find(text, "f"))


def test_long_lines_take_no_long_time() -> None:
    """A certificate on one line, or a file that is not text at all."""
    for line in ("a" * 200_000, "a:" * 100_000, "a://" * 50_000, "key: '" * 30_000, "x=" * 90_000):
        find(line, "f")


@pytest.mark.parametrize("folder", ["docs", "templates", "roles"])
def test_our_own_samples_and_manuals_are_clean(folder: str) -> None:
    """Thousands of lines about keys, passwords and tokens, and not one false alarm."""
    found = [
        str(finding)
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and path.suffix != ".png"
        for finding in find(path.read_text(), str(path))
    ]
    assert found == []
