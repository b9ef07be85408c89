"""A drill that ends in any way but the last has proved nothing, and says where it ended."""

from pathlib import Path

import pytest

from backup_core.drill.ledger import CODES, Ledger, Reporting
from backup_core.drill.request import DrillRequest
from backup_core.errors import DrillError, PitrError
from tests.support.backups import NOON


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """That of a drill that begins now."""
    request = DrillRequest(
        name="d",
        backup="LATEST",
        until=NOON,
        scratch=tmp_path,
        bin_directory=None,
        user="u",
        checks=None,
    )
    silent = Reporting(host="h", version="1", step=lambda _: None, warn=lambda _: None)
    return Ledger(request, silent)


def run(ledger: Ledger, *names: str) -> None:
    """Let phases pass."""
    for name in names:
        with ledger.phase(name):
            pass


def test_a_recovery_is_as_long_as_its_phases(ledger: Ledger) -> None:
    """Proofs and waiting are not counted; without one of its phases there was none."""
    run(ledger, "plan", "restore", "verify", "start", "replay")
    record = ledger.close()
    assert record.succeeded
    took = {phase.name: phase.seconds for phase in record.phases}
    assert record.recovery_seconds == pytest.approx(sum(took.values()) - took["verify"], abs=0.005)


def test_a_phase_that_fails_is_named(ledger: Ledger) -> None:
    """By the error, its exit code and the record."""
    run(ledger, "plan")
    with (
        pytest.raises(DrillError, match="in the phase restore: no") as caught,
        ledger.phase("restore"),
    ):
        raise PitrError("no", hint="Look.")
    assert (caught.value.exit_code, caught.value.hint) == (CODES["restore"], "Look.")
    record = ledger.close()
    assert (record.succeeded, record.failed_phase, record.error) == (False, "restore", "no")
    assert record.recovery_seconds is None


def test_an_interruption_between_two_phases_is_no_success(ledger: Ledger) -> None:
    """A signal arrives whenever it likes."""
    run(ledger, "plan")
    ledger.interrupt()
    record = ledger.close()
    assert (record.succeeded, record.failed_phase, record.error) == (False, "plan", "interrupted")


def test_an_interruption_within_a_phase_is_its_failure(ledger: Ledger) -> None:
    """And does not lose its own kind, for the exit code."""
    with pytest.raises(KeyboardInterrupt), ledger.phase("replay"):
        raise KeyboardInterrupt
    ledger.interrupt()
    assert ledger.close().failed_phase == "replay"
