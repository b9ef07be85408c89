"""Digests are what their names say."""

import hashlib

import pytest

from backup_core.stream.digest import SIZE, Algorithm

# BLAKE3: the first 32 bytes for input_len 0 in its test_vectors.json; SHA-256: NIST's vector
EMPTY = {
    Algorithm.BLAKE3: "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
    Algorithm.SHA256: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
}


@pytest.mark.parametrize("algorithm", Algorithm)
def test_the_digest_of_nothing_is_the_published_one(algorithm: Algorithm) -> None:
    """So other programs, such as b3sum, tell the same."""
    assert algorithm.new().hexdigest() == EMPTY[algorithm]


@pytest.mark.parametrize("algorithm", Algorithm)
def test_pieces_make_the_digest_of_the_whole(algorithm: Algorithm) -> None:
    """Given at the beginning or later, in memory of any kind."""
    digest = algorithm.new(b"one")
    digest.update(memoryview(bytearray(b"two")))
    assert digest.digest() == algorithm.new(memoryview(b"onetwo")).digest()
    assert len(digest.digest()) == SIZE
    assert digest.hexdigest() == digest.digest().hex()


def test_the_algorithms_differ() -> None:
    """SHA-256 is the standard library's."""
    assert Algorithm.SHA256.new(b"x").hexdigest() == hashlib.sha256(b"x").hexdigest()
    assert Algorithm.BLAKE3.new(b"x").digest() != Algorithm.SHA256.new(b"x").digest()
