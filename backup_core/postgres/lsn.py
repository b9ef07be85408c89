"""Log sequence numbers, in PostgreSQL's notation `X/X` (manual, section 8.20 "pg_lsn Type")."""

from __future__ import annotations

import re

from backup_core.errors import UsageError

_LSN = re.compile(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})")


class Lsn(int):
    """A byte position in the WAL: an unsigned 64-bit integer that prints as `16/B374D848`."""

    @classmethod
    def parse(cls, text: str) -> Lsn:
        """Read `X/X`; raises UsageError for anything else."""
        match = _LSN.fullmatch(text.strip())
        if match is None:
            raise UsageError(f'"{text}" is not an LSN', hint='An LSN looks like "16/B374D848".')
        return cls(int(match[1], 16) << 32 | int(match[2], 16))

    def __str__(self) -> str:
        return f"{self >> 32:X}/{self & 0xFFFFFFFF:X}"

    def __repr__(self) -> str:
        return f"Lsn({str(self)!r})"
