"""Whatever was promised as recoverable still is, after any policy and whatever happened before.

The promise is the window function's, read from the repository before and after. Histories have
promotions, old primaries that go on, upgrades, deltas, permanent backups and lost segments. For
thousands of them: pytest --hypothesis-profile=thorough.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from backup_core.errors import UsageError
from backup_core.repository import layout
from backup_core.repository.catalog import read_catalog
from backup_core.repository.sentinel import Backup
from backup_core.retention.apply import apply_retention
from backup_core.retention.policy import plan_retention
from backup_core.retention.request import Garbage, Request, Retain
from backup_core.retention.survey import read_holdings
from backup_core.verify.facts import read_facts
from backup_core.verify.window import RecoveryWindow, recovery
from tests.support.history import Life

HOUR = timedelta(hours=1)

policies = st.builds(
    Retain,
    count=st.none() | st.integers(1, 5),
    kind=st.sampled_from(["any", "full", "find_full"]),
    window=st.none() | st.integers(1, 60).map(lambda hours: hours * HOUR),
    daily=st.integers(0, 3),
    weekly=st.integers(0, 1),
    monthly=st.integers(0, 1),
    around=st.booleans(),
)


@dataclass(frozen=True)
class View:
    """What can be recovered at one moment."""

    windows: tuple[RecoveryWindow, ...]
    backups: tuple[Backup, ...]

    def usable(self, cluster: int) -> list[Backup]:
        """The backups of a cluster from which something can be recovered, oldest first."""
        names = {backup.name for window in self.windows for backup in window.backups}
        return [
            item
            for item in self.backups
            if item.name in names and item.system_identifier == cluster
        ]

    def reaches(self, backup: Backup) -> set[tuple[int, int]]:
        """The timelines and ends to which a backup leads."""
        return {
            (window.timeline, window.end_lsn)
            for window in self.windows
            if backup.name in {item.name for item in window.backups}
        }


class RetentionMachine(RuleBasedStateMachine):
    """A life, and policies that run in between."""

    def __init__(self) -> None:
        super().__init__()
        self.life = Life()

    @rule(segments=st.integers(1, 9))
    def archive(self, segments: int) -> None:
        """Time passes."""
        self.life.archive(segments)

    @rule(permanent=st.integers(0, 4).map(lambda n: n == 0), delta=st.booleans())
    def backup(self, *, permanent: bool, delta: bool) -> None:
        """A backup is taken."""
        self.life.backup(permanent=permanent, delta=delta)

    @rule(segments=st.integers(1, 3))
    def promote(self, segments: int) -> None:
        """A standby takes over; the old primary may go on for a while."""
        self.life.promote()
        self.life.archive_abandoned(segments)

    @rule()
    def upgrade(self) -> None:
        """Another cluster goes on in the same place."""
        self.life.upgrade()

    @rule(number=st.integers(0, 30))
    def lose(self, number: int) -> None:
        """A segment is lost."""
        self.life.lose(number)

    @rule(request=policies, promised=st.none() | st.integers(1, 60).map(lambda h: h * HOUR))
    def retain(self, request: Retain, promised: timedelta | None) -> None:
        """A policy runs."""
        self._run(request, promised)

    @rule(wal=st.booleans(), backups=st.booleans())
    def collect_garbage(self, *, wal: bool, backups: bool) -> None:
        """What no backup needs is removed."""
        self._run(Garbage(wal=wal, backups=backups), None)

    @invariant()
    def the_newest_backup_was_never_removed(self) -> None:
        """By anything; the others go by policy only."""
        if self.life.backups:
            names = {item.name for item in read_catalog(self.life.storage).backups}
            assert self.life.backups[-1].name in names

    def _view(self) -> View:
        facts = read_facts(self.life.storage)
        return View(windows=recovery(facts).windows, backups=facts.backups)

    def _run(self, request: Request, promised: timedelta | None) -> None:
        before = self._view()
        stored = {info.key: info.modified for info in self.life.storage.list(layout.WAL)}
        now = self.life.now
        held = read_holdings(self.life.storage, now=now, promised=promised)
        try:
            plan = plan_retention(request, held)
        except UsageError:
            return  # the oldest to be kept is a delta backup, which is to be said
        outcome = apply_retention(self.life.storage, plan)
        assert not outcome.failed
        after = self._view()
        names = {item.name for item in after.backups}
        self.life.backups = [item for item in self.life.backups if item.name in names]
        if not before.backups:
            assert before == after
            return
        assert held.cluster is not None
        for item in read_holdings(self.life.storage, now=now, promised=promised).facts.wal:
            _check_others(before, after, item.system_identifier, held.cluster)
        _check_kept(before, after, held.cluster)
        for length in (promised, request.window if isinstance(request, Retain) else None):
            if length is not None:
                _check_window(before, after, held.cluster, now - length, stored)
        if isinstance(request, Retain) and request.count and not request.around:
            _check_count(before, after, held.cluster, request)
        again = plan_retention(
            request, read_holdings(self.life.storage, now=now, promised=promised)
        )
        assert again.is_empty, again


def _check_others(before: View, after: View, cluster: int | None, mine: int) -> None:
    """Another cluster's windows are as they were."""
    if cluster not in (mine, None):
        assert [w for w in before.windows if w.system_identifier == cluster] == [
            w for w in after.windows if w.system_identifier == cluster
        ]


def _check_kept(before: View, after: View, cluster: int) -> None:
    """What stays can be restored as before; the last good one to the same ends."""
    names = {item.name for item in after.backups}
    usable = before.usable(cluster)
    still = after.usable(cluster)
    assert still == [item for item in usable if item.name in names]
    assert [item for item in usable if item.permanent and item not in still] == []
    if usable:
        assert usable[-1] in still
        assert after.reaches(usable[-1]) == before.reaches(usable[-1])


def _check_window(
    before: View,
    after: View,
    cluster: int,
    begin: datetime,
    stored: dict[str, datetime | None],
) -> None:
    """Every moment since then that could be recovered still can, on each timeline."""
    for window in before.windows:
        last = stored[layout.wal(window.last_segment, "")]
        if window.system_identifier != cluster or (last is None or last < begin):
            continue
        begins = max(begin, window.begin_time)
        assert any(
            (item.timeline, item.end_lsn) == (window.timeline, window.end_lsn)
            and item.begin_time <= begins
            for item in after.windows
            if item.system_identifier == cluster
        ), (window, after.windows)


def _check_count(before: View, after: View, cluster: int, request: Retain) -> None:
    """The newest of the kind lead to the same ends as before."""
    usable = before.usable(cluster)
    counted = [b for b in usable if request.kind != "full" or b.delta_from is None]
    for backup in counted[-(request.count or 0) :]:
        assert after.reaches(backup) == before.reaches(backup)


TestRetention = RetentionMachine.TestCase
TestRetention.settings = settings(max_examples=3 * settings().max_examples, stateful_step_count=20)
