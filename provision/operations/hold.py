"""Holds: somebody keeps a host as it is, says why and until when, and applies leave it alone."""

from __future__ import annotations

import re
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from provision.agent import call
from provision.errors import UsageError
from provision.journal import HOLD, dump_hold
from provision.operations.place import Place
from provision.operations.plan import Plan
from provision.operations.sight import Sight, check_hold
from provision.state import Hold
from provision.values import TIME_UNITS

_LONGEST_WHY = 500


def hold_of(who: str, why: str, until: str, now: datetime) -> Hold:
    """Return a hold from what was typed; `until` is a time, a span from now, or "".

    Raises UsageError for a reason that is none, a time without its offset, and one that is over.
    """
    why = " ".join(why.split())
    if not why or len(why) > _LONGEST_WHY:
        raise UsageError(
            "a hold needs a reason of at most 500 characters",
            hint="Say what goes on and where it is tracked.",
        )
    ends = _moment(until, now).astimezone(UTC) if until else None
    if ends is not None and ends <= now:
        raise UsageError(f"a hold until {until} would be over already")
    return Hold(who=who, why=why, until=ends.isoformat(timespec="seconds") if ends else "")


def plan_hold(place: Place, sight: Sight, hold: Hold) -> Plan:
    """Put a host on hold; one's own hold is replaced, another's raises RefusedError."""
    check_hold(place, sight, hold.who)
    until = f"until {hold.until}" if hold.until else "until it is released"
    content = b64encode(dump_hold(hold).encode()).decode()
    return Plan(
        host=place.host,
        title=f"hold {until}",
        facts=(("by", hold.who), ("why", hold.why)),
        calls=(call("hold", HOLD, _digest(sight), content),),
    )


def plan_release(place: Place, sight: Sight) -> Plan | None:
    """Release a host, whoever holds it; None if nobody does."""
    if not sight.hold_text:
        return None
    hold = sight.hold
    facts = () if hold is None else (("was held by", hold.who), ("why", hold.why))
    return Plan(
        host=place.host,
        title="release" if hold else "remove a hold that has run out",
        facts=facts,
        calls=(call("release", HOLD, _digest(sight)),),
    )


def _digest(sight: Sight) -> str:
    return sha256(sight.hold_text.encode()).hexdigest() if sight.hold_text else "-"


def _moment(text: str, now: datetime) -> datetime:
    span = re.fullmatch(rf"([1-9][0-9]{{0,5}}) ?({'|'.join(TIME_UNITS)})", text)
    if span is not None:
        return now + timedelta(seconds=int(span[1]) * TIME_UNITS[span[2]])
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f'"{text}" is neither a time nor a span of time',
            hint='Write "2026-11-24 08:00+00:00", or a span such as 8h or 2d.',
        ) from None
    if moment.tzinfo is None:
        raise UsageError(
            f'the time "{text}" has no offset from UTC', hint=f'Write "{text}+00:00" for UTC.'
        )
    return moment
