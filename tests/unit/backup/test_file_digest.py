"""A file's digest and checksum are of all its pieces."""

import os

import google_crc32c

from backup_core.backup.file_digest import FileDigest
from backup_core.stream.digest import WRITTEN


def test_both_are_of_the_whole_content() -> None:
    """However it is cut, and from memory that is written to again."""
    content = os.urandom(3 << 20)
    memory = bytearray(1 << 20)
    digest = FileDigest()
    for start in range(0, len(content), len(memory)):
        memory[:] = content[start : start + len(memory)]
        digest.update(memoryview(memory))
    assert digest.hexdigest() == WRITTEN.new(content).hexdigest()
    assert digest.checksum == google_crc32c.value(content)


def test_an_empty_file_has_them_too() -> None:
    """The checksum of nothing is 0."""
    digest = FileDigest()
    assert digest.hexdigest() == WRITTEN.new().hexdigest()
    assert digest.checksum == 0
