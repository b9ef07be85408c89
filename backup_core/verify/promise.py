"""What the operator was promised, held against what can be recovered (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from backup_core.verify.window import Recovery


@dataclass(frozen=True, kw_only=True)
class Promise:
    """What the operator wants: how far back, and how old the newest recoverable moment may be."""

    window: timedelta | None = None
    freshness: timedelta | None = None


@dataclass(frozen=True, kw_only=True)
class Breach:
    """A promise that is not kept, in a sentence for people."""

    promise: Literal["recovery_window", "recovery_freshness"]
    message: str


def judge(found: Recovery, promise: Promise, now: datetime) -> tuple[Breach, ...]:
    """Tell which promises are not kept.

    A repository that is younger than the promised window cannot reach back so far: then everything
    since its oldest backup has to be there.
    """
    breaches = (_judge_window(found, promise.window, now), _judge_end(found, promise, now))
    return tuple(breach for breach in breaches if breach is not None)


def _judge_window(found: Recovery, length: timedelta | None, now: datetime) -> Breach | None:
    if length is None:
        return None
    begin = found.current.begin_time if found.current else None
    wanted = now - length
    if found.began is not None and found.began > wanted and found.oldest_backup is not None:
        wanted = max(wanted, found.oldest_backup)
    if begin is not None and begin <= wanted:
        return None
    message = "nothing can be recovered"
    if begin is not None:
        message = f"recovery reaches back to {_text(begin)}, it is to reach back to {_text(wanted)}"
    return Breach(promise="recovery_window", message=message)


def _judge_end(found: Recovery, promise: Promise, now: datetime) -> Breach | None:
    if promise.freshness is None:
        return None
    end = found.current.end_time if found.current else None
    if end is not None and end >= now - promise.freshness:
        return None
    message = "no moment is known to be recoverable"
    if end is not None:
        message = (
            f"the newest recoverable moment is {_text(end)}, it is to be no older than "
            f"{_text(now - promise.freshness)}"
        )
    return Breach(promise="recovery_freshness", message=message)


def _text(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S%z}"
