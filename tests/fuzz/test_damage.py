"""One damaged bit or a cut anywhere in an encrypted object: an error of ours, never other bytes."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backup_core.errors import PitrError
from backup_core.stream.encrypt import age, libsodium, openpgp
from backup_core.stream.encrypt.gpg import Gpg
from tests.fuzz.keys import IDENTITY, PLAINTEXT, SODIUM_KEY
from tests.fuzz.seeds import SEEDS
from tests.unit.stream.encrypt.keys import pgp_key

NAME = "object"
AGE, LIBSODIUM = SEEDS["age"](), SEEDS["libsodium"]()
READERS: dict[str, Callable[[bytes], bytes]] = {
    "age": lambda data: b"".join(age.unseal([data], [IDENTITY], name=NAME)),
    "libsodium": lambda data: b"".join(libsodium.unseal([data], SODIUM_KEY, name=NAME)),
}
OBJECTS = {"age": AGE, "libsodium": LIBSODIUM}


def flipped(data: bytes, bit: int) -> bytes:
    """The object with one bit changed; `bit` counts from its beginning, and around."""
    changed = bytearray(data)
    changed[bit // 8 % len(data)] ^= 1 << bit % 8
    return bytes(changed)


@pytest.mark.parametrize("scheme", OBJECTS)
@settings(max_examples=300)
@given(bit=st.integers(min_value=0, max_value=8 * max(map(len, OBJECTS.values()))))
def test_a_flipped_bit(scheme: str, bit: int) -> None:
    """No bit of an object is without a meaning: a change of each is seen."""
    with pytest.raises(PitrError):
        READERS[scheme](flipped(OBJECTS[scheme], bit))


@pytest.mark.parametrize("scheme", OBJECTS)
def test_a_cut(scheme: str) -> None:
    """At every byte."""
    for size in range(len(OBJECTS[scheme])):
        with pytest.raises(PitrError):
            READERS[scheme](OBJECTS[scheme][:size])


@pytest.mark.parametrize("scheme", OBJECTS)
@given(more=st.binary(min_size=1, max_size=9000))
def test_more_than_there_was(scheme: str, more: bytes) -> None:
    """Bytes after the end, the object's own included."""
    for added in (more, OBJECTS[scheme]):
        with pytest.raises(PitrError):
            READERS[scheme](OBJECTS[scheme] + added)


@pytest.fixture(scope="module")
def message() -> bytes:
    """A message for the secret key that `gpg` has."""
    sealer = openpgp.OpenPgpSealer(gpg=Gpg(key=pgp_key().public))
    return b"".join(sealer.seal([PLAINTEXT], name=NAME))


@pytest.fixture(scope="module")
def gpg() -> Gpg:
    """gpg with the secret key."""
    return Gpg(key=pgp_key().secret)


@settings(max_examples=20)
@given(bit=st.integers(0, 1 << 20), size=st.integers(0, 1 << 20))
def test_a_damaged_message(message: bytes, gpg: Gpg, bit: int, size: int) -> None:
    """OpenPGP has bits that mean nothing, such as the key's id: then the content is the same."""
    cut = message[: size % len(message)]
    with pytest.raises(PitrError):
        b"".join(openpgp.unseal([cut], gpg, name=NAME))
    try:
        content = b"".join(openpgp.unseal([flipped(message, bit)], gpg, name=NAME))
    except PitrError:
        return
    assert content == PLAINTEXT
