"""What a rule has found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A mistake: which rule, on which hosts, and what to do about it."""

    rule: str
    severity: Severity
    hosts: tuple[str, ...]
    message: str
    hint: str
