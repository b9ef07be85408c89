"""What a drill has found so far: the phases as they end, and the facts as they become known."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from backup_core.drill.request import DrillRequest, describe
from backup_core.errors import DrillError, PitrError
from backup_core.repository.drills import CheckOutcome, DrillRecord, Phase

CODES = {
    "prepare": 20,
    "plan": 21,
    "restore": 22,
    "verify": 23,
    "archive": 24,
    "start": 25,
    "replay": 26,
    "amcheck": 27,
    "checks": 28,
    "cleanup": 29,
    "record": 29,
}
"""The phases in their order, and the exit code of a drill that fails in each."""
_OF_A_RECOVERY = ("plan", "restore", "start", "replay")


@dataclass(frozen=True, kw_only=True)
class Reporting:
    """Who drills, and how it is told: a step, a warning."""

    host: str
    version: str
    step: Callable[[str], None]
    warn: Callable[[str], None]


class Ledger:
    """The record in the making."""

    def __init__(self, request: DrillRequest, reporting: Reporting) -> None:
        now = datetime.now(UTC)
        self.started = now
        self._phase = next(iter(CODES))
        self._reporting = reporting
        self._record = DrillRecord(
            drill=request.name,
            host=reporting.host,
            pitr_version=reporting.version,
            started=now,
            finished=now,
            until=describe(request.until),
            succeeded=False,
        )

    @property
    def failed(self) -> bool:
        """Whether a phase has failed."""
        return self._record.failed_phase is not None

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time a phase; a PitrError in it becomes a DrillError that names it."""
        self._phase = name
        began = time.monotonic()
        try:
            self._reporting.step(f"drill: {name}")
            yield
        except BaseException as error:
            self._end(name, began, failed=True)
            message = error.message if isinstance(error, PitrError) else "interrupted"
            if isinstance(error, Exception) and not isinstance(error, PitrError):
                message = f"unexpected {type(error).__name__}: {error}"
            self._record = replace(self._record, failed_phase=name, error=self._said(message))
            if isinstance(error, PitrError):
                raise failure(name, error) from error
            raise
        self._end(name, began, failed=False)

    def _said(self, message: str) -> str:
        """What the record says of a failure; answers of the cluster's are not for it."""
        failed = [check.name for check in self._record.checks if not check.passed]
        return f"these checks do not hold: {', '.join(failed)}" if failed else message

    def _end(self, name: str, began: float, *, failed: bool) -> None:
        seconds = round(time.monotonic() - began, 3)
        self._add(Phase(name=name, state="failed" if failed else "passed", seconds=seconds))

    def skip(self, name: str, why: str) -> None:
        """Note that a phase is left out."""
        self._add(Phase(name=name, state="skipped", seconds=0.0, note=why))

    def _add(self, phase: Phase) -> None:
        self._record = replace(self._record, phases=(*self._record.phases, phase))

    def learn(self, **facts: object) -> None:
        """Take down facts by the names of the record's fields."""
        self._record = replace(self._record, **facts)  # type: ignore[arg-type]

    def checked(self, outcome: CheckOutcome) -> None:
        """Take down the outcome of a check."""
        self._record = replace(self._record, checks=(*self._record.checks, outcome))

    def age(self, moment: datetime) -> float:
        """How old a moment was when the drill began, in seconds."""
        return max(0.0, round((self.started - moment).total_seconds(), 3))

    def interrupt(self) -> None:
        """Note that the drill ended between two phases, if it did: it has proved nothing."""
        if not self.failed:
            self._record = replace(self._record, failed_phase=self._phase, error="interrupted")

    def close(self) -> DrillRecord:
        """The record as it stands, finished now."""
        record = self._record
        passed = record.failed_phase is None
        took = {phase.name: phase.seconds for phase in record.phases if phase.state == "passed"}
        whole = all(name in took for name in _OF_A_RECOVERY)
        seconds = round(sum(took[name] for name in _OF_A_RECOVERY), 3) if whole else None
        return replace(
            record, finished=datetime.now(UTC), succeeded=passed, recovery_seconds=seconds
        )


def failure(phase: str, error: PitrError) -> DrillError:
    """The error as that of a drill's phase."""
    return DrillError(
        f"the drill failed in the phase {phase}: {error.message}",
        phase=phase,
        exit_code=CODES[phase],
        hint=error.hint,
    )
