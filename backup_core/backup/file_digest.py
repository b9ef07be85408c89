"""What a backup says of a file's content: a digest in the index, a CRC-32C in the manifest.

Both are made of the same pieces, while these are read. Why two: docs/decisions/digests.md.
"""

from __future__ import annotations

from backup_core.storage.checksum import crc32c
from backup_core.stream.digest import WRITTEN


class FileDigest:
    """The digest and the checksum of a file whose pieces pass by."""

    def __init__(self) -> None:
        self._hasher = WRITTEN.new()
        self.checksum = 0

    def update(self, piece: bytes | memoryview) -> None:
        """Let a piece of at most some MiB count."""
        self._hasher.update(piece)
        # the library takes nothing but bytes; a copy is cheap while the piece is in the cache
        self.checksum = crc32c([bytes(piece)], self.checksum)

    def hexdigest(self) -> str:
        """The digest of all pieces so far."""
        return self._hasher.hexdigest()
