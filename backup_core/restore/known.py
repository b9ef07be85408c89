"""What a backup's index says of the content of its files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from backup_core.errors import CorruptError
from backup_core.repository.index import BackupIndex, IndexedFile
from backup_core.stream.digest import Algorithm


@dataclass(frozen=True, kw_only=True)
class KnownFiles:
    """The files of an index by their paths, and the algorithm of their digests."""

    files: Mapping[str, IndexedFile]
    algorithm: Algorithm

    @staticmethod
    def of(index: BackupIndex) -> KnownFiles:
        """All files that the index names."""
        files = {file.path: file for file in index.files}
        return KnownFiles(files=files, algorithm=index.algorithm)

    def check(self, path: str, content: bytes) -> None:
        """Raise CorruptError unless this file with this content was backed up."""
        self._check_digest(path, self.algorithm.new(content).hexdigest())

    def checked(self, path: str, data: Iterable[memoryview]) -> Iterator[memoryview]:
        """Yield a file's content, and raise CorruptError at its end if it is not what it was."""
        digest = self.algorithm.new()
        for piece in data:
            digest.update(piece)
            yield piece
        self._check_digest(path, digest.hexdigest())

    def _check_digest(self, path: str, digest: str) -> None:
        expected = self.files.get(path)
        if expected is None:
            raise CorruptError(f'the backup holds "{path}", which its index does not name')
        if expected.digest != digest:
            raise CorruptError(
                f'"{path}" does not have the content that was backed up: its digest differs',
                hint="The stored backup is damaged; restore an older one.",
            )
