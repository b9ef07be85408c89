"""known_hosts files are read as ssh reads them: names, ports, wildcards, hashes, revocations."""

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.errors import InputError
from provision.transport.known_hosts import HostKey, known_keys, parse_host_key


def key_of(kind: str, number: int) -> HostKey:
    """Return a key that differs from others by its number."""
    blob = len(kind).to_bytes(4, "big") + kind.encode() + number.to_bytes(32, "big")
    return HostKey(kind=kind, blob=blob)


ONE, TWO = key_of("ssh-ed25519", 1), key_of("ssh-rsa", 2)


def hashed(name: str) -> str:
    """Return what `ssh-keygen -H` writes for a name."""
    salt = b"twenty bytes of salt"
    digest = hmac.new(salt, name.encode(), hashlib.sha1).digest()
    return f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"


@given(st.binary(max_size=600))
def test_a_key_is_read_as_it_is_written(rest: bytes) -> None:
    """A key survives being printed, with a comment behind it."""
    key = HostKey(kind="ssh-ed25519", blob=b"\0\0\0\x0bssh-ed25519" + rest)
    assert parse_host_key(f"{key} somebody@somewhere\n") == key


@given(st.text())
def test_what_is_no_key_is_an_error(text: str) -> None:
    """No text makes the reader fail in another way."""
    try:
        parse_host_key(text)
    except InputError:
        return
    assert text.strip()


def test_a_key_whose_name_is_another_than_inside_is_an_error() -> None:
    """The kind in clear and the one in the blob have to agree."""
    with pytest.raises(InputError, match="not an SSH public key"):
        parse_host_key(str(ONE).replace("ssh-ed25519", "ssh-rsa"))


def test_the_fingerprint_is_that_of_ssh_keygen() -> None:
    """GitHub publishes this key with its fingerprint."""
    key = parse_host_key(
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
    )
    assert key.fingerprint == "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU"


@pytest.mark.parametrize(
    "patterns",
    [
        "db1.example.com",
        "other,db1.example.com",
        "DB1.Example.com",
        "*.example.com",
        "db?.example.com",
        hashed("db1.example.com"),
    ],
)
def test_a_host_is_found(patterns: str) -> None:
    """By name, in a list, in any case, by wildcard, hashed."""
    assert known_keys([f"{patterns} {ONE}\n"], ["db1.example.com"], 22).trusted == (ONE,)


@pytest.mark.parametrize(
    "patterns",
    [
        "db1.example.co",
        "db1xexample.com",
        "[db1.example.com]:22",
        "*.example.com,!db1.example.com",
        hashed("db2.example.com"),
        "|1|broken",
        "|1|!!|!!",
    ],
)
def test_another_host_is_not(patterns: str) -> None:
    """A dot is a dot, a negation wins, a broken hash matches nothing."""
    assert known_keys([f"{patterns} {ONE}\n"], ["db1.example.com"], 22).trusted == ()


def test_a_port_is_part_of_the_name() -> None:
    """`[host]:port`, in clear and hashed, and the plain name means port 22 only."""
    text = f"[db1]:2222 {ONE}\n{hashed('[db1]:2222')} {TWO}\ndb1 {key_of('ssh-rsa', 3)}\n"
    assert known_keys([text], ["db1"], 2222).trusted == (ONE, TWO)


def test_the_name_goes_before_the_address() -> None:
    """An address that was another host's once says nothing where the name is known."""
    text = f"10.0.0.5 {ONE}\ndb1 {TWO}\n"
    assert known_keys([text], ["db1", "10.0.0.5"], 22).trusted == (TWO,)
    assert known_keys([text], ["db2", "10.0.0.5"], 22).trusted == (ONE,)


def test_markers_are_kept_apart() -> None:
    """A revoked key is not trusted by its line, and an authority is not a host's key."""
    text = f"@revoked * {ONE}\n@cert-authority *.example.com {TWO}\n"
    known = known_keys([text], ["db1.example.com"], 22)
    assert (known.trusted, known.revoked, known.authorities) == ((), (ONE,), True)


def test_lines_that_cannot_be_read_are_passed_over() -> None:
    """Comments, broken lines and markers of the future hide nothing else."""
    text = f"# db1 {TWO}\n\ndb1\ndb1 ssh-rsa !!!\n@future db1 {TWO}\ndb1 {ONE} comment\n"
    assert known_keys([text, ""], ["db1"], 22).trusted == (ONE,)
