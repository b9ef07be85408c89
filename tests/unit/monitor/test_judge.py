"""Each thing that goes wrong is found under its name, with what to do; what is well stays quiet."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from backup_core.monitor.facts import (
    Archiver,
    Facts,
    Pushing,
    ReadyFiles,
    RepositoryFacts,
    ServerFacts,
    Space,
    StoreTrial,
    Switched,
    Trouble,
)
from backup_core.monitor.judge import Limits, judge, worst
from backup_core.repository.catalog import Catalog, UnreadableBackup
from backup_core.verify.promise import Promise
from backup_core.verify.window import Recovery, RecoveryWindow, UnusableBackup
from tests.support.backups import BACKUP, NOON
from tests.support.drills import FAILED, PROVED

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
NOW = NOON + HOUR
DEFAULTS = Limits()
WINDOW = RecoveryWindow(
    timeline=1,
    system_identifier=BACKUP.system_identifier,
    backups=(BACKUP,),
    end_lsn=BACKUP.finish_lsn,
    last_segment="000000010000000000000002",
    end_time=NOW,
)
ARCHIVER = Archiver(
    archived=5,
    last_archived=NOW - MINUTE,
    failed=0,
    last_failed=None,
    last_failed_file=None,
    runs=True,
)
SERVER = ServerFacts(
    version=170002,
    in_recovery=False,
    clock=NOW,
    clock_offset=0.0,
    system_identifier=BACKUP.system_identifier or 0,
    data_directory="/srv/pg",
    settings={"archive_mode": "on", "archive_command": "pitr wal-push %p", "archive_timeout": "60"},
    pending_restart=(),
    archiver=ARCHIVER,
    replayed=None,
    caught_up=False,
)
REPOSITORY = RepositoryFacts(
    url="file:///r",
    system_identifier=BACKUP.system_identifier,
    catalog=Catalog(backups=(BACKUP,), unreadable=(), unfinished=()),
    recovery=Recovery(windows=(WINDOW,)),
    damaged=(),
    drills=(PROVED,),
    drill_proved=NOON,
)
WELL = Facts(
    now=NOW,
    server=SERVER,
    ready=ReadyFiles(count=0, oldest=None),
    pushing=Pushing(),
    repository=REPOSITORY,
    trial=StoreTrial(tried=("put",), failed={}, clock=0.0),
    switched=Switched(segment="000000010000000000000003", seconds=0.5),
    encrypted="nothing is encrypted",
    spaces=(Space(place="pg_wal", path="/srv/pg/pg_wal", free=50, total=100),),
)


FAILING = Pushing(
    failing_since=NOW - HOUR, last_failed=NOW, file="0002", message="the disk is full"
)


def bad(facts: Facts, limits: Limits = DEFAULTS) -> dict[str, str]:
    """The findings that are not well, by name, each with its level and text."""
    return {
        each.name: f"{each.level}: {each.text}"
        for each in judge(facts, limits)
        if each.level in ("warning", "critical")
    }


def with_server(**changes: object) -> Facts:
    """A host whose server differs."""
    return replace(WELL, server=replace(SERVER, **changes))  # type: ignore[arg-type]


def with_archiver(ready: ReadyFiles, **changes: object) -> Facts:
    """A host whose archiver differs, with files that wait."""
    archiver = replace(ARCHIVER, **changes)  # type: ignore[arg-type]
    return replace(with_server(archiver=archiver), ready=ready)


def with_settings(settings: Mapping[str, str]) -> Facts:
    """A host whose server has other settings."""
    return with_server(settings={**SERVER.settings, **settings})


def with_repository(**changes: object) -> Facts:
    """A host whose repository differs."""
    return replace(WELL, repository=replace(REPOSITORY, **changes))  # type: ignore[arg-type]


def test_what_is_well_is_quiet() -> None:
    """Every part is spoken of, and nothing is wrong."""
    found = judge(WELL, DEFAULTS)
    assert bad(WELL) == {}
    assert worst(found) == "ok"
    names = ["server", "settings", "archiver", "ready", "switch", "repository", "store"]
    names += ["encryption", "clock", "space", "backup", "windows", "drill"]
    assert [each.name for each in found] == names


def test_a_server_that_is_down_hides_nothing_else() -> None:
    """It is said, and the rest is judged."""
    down = replace(WELL, server=None, troubles={"server": Trouble(message="refused", hint="Look.")})
    assert bad(down) == {"server": "critical: refused"}
    assert {"backup", "windows", "space"} <= {each.name for each in judge(down, DEFAULTS)}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"archive_mode": "off"}, "critical: archive_mode is off"),
        ({"archive_command": ""}, "critical: archive_command is empty"),
        ({"archive_command": "/bin/true"}, "warning: archive_command does not push WAL: /bin/true"),
        ({"archive_timeout": "0"}, "warning: archive_timeout is 0"),
        ({"full_page_writes": "off"}, "warning: full_page_writes is off"),
    ],
)
def test_a_setting_that_endangers_archiving_is_told(settings: dict[str, str], said: str) -> None:
    """On a primary; a standby archives nothing unless it is to."""
    assert bad(with_settings(settings))["settings"].startswith(said)


def test_a_setting_that_waits_for_a_restart_is_told() -> None:
    """The file says one thing and the server does another."""
    assert "archive_mode" in bad(with_server(pending_restart=("archive_mode",)))["settings"]


def test_failures_that_are_counted_are_told() -> None:
    """The last attempt was not the last success."""
    waiting = ReadyFiles(count=3, oldest=NOW - MINUTE)
    facts = with_archiver(waiting, last_failed=NOW, last_failed_file="0001", failed=7)
    assert bad(facts) == {"archiver": "critical: fails: 0001 0 s ago, 7 times"}
    mended = with_archiver(waiting, last_failed=NOW - 2 * MINUTE)
    assert bad(mended) == {}


def test_failures_that_are_not_counted_are_told() -> None:
    """A program that is missing ends with 127, and pg_stat_archiver stays still."""
    waiting = ReadyFiles(count=3, oldest=NOW - 5 * MINUTE)
    facts = with_archiver(waiting, last_archived=NOW - 6 * MINUTE)
    assert "no failure is counted" in bad(facts)["archiver"]
    busy = with_archiver(waiting, last_archived=NOW)
    assert bad(busy) == {}


def test_why_pushing_fails_is_told_from_the_spool() -> None:
    """Before the server has counted a failure, and beside it; not once files are archived again."""
    waiting = ReadyFiles(count=3, oldest=NOW - MINUTE)
    early = replace(with_archiver(waiting), pushing=FAILING)
    told = "warning: pushing 0002 fails, first 1.0 h ago: the disk is full"
    assert bad(early) == {"archiver": told}
    counted = with_archiver(waiting, last_failed=NOW, last_failed_file="0001", failed=7)
    told = "critical: fails: 0001 0 s ago, 7 times: the disk is full"
    assert bad(replace(counted, pushing=FAILING)) == {"archiver": told}
    late = with_archiver(waiting, last_archived=NOW - DAY)
    told = "critical: archived nothing for 24.0 h, 3 wait: the disk is full"
    assert bad(replace(late, pushing=FAILING)) == {"archiver": told}
    mended = with_archiver(waiting, last_archived=NOW + MINUTE)
    assert bad(replace(mended, pushing=FAILING)) == {}


def test_an_idle_archiver_is_not_late() -> None:
    """Nothing waits, so nothing is missing, however long ago the last was."""
    idle = {"last_archived": NOW - DAY}
    assert bad(with_archiver(ReadyFiles(count=0, oldest=None), **idle)) == {}
    waiting = ReadyFiles(count=1, oldest=NOW - MINUTE)
    assert "archived nothing for 24.0 h" in bad(with_archiver(waiting, **idle))["archiver"]


@pytest.mark.parametrize(("count", "level"), [(1000, ""), (1001, "warning"), (2001, "critical")])
def test_files_that_pile_up_are_told_in_time(count: int, level: str) -> None:
    """From half of what may wait on."""
    facts = replace(WELL, ready=ReadyFiles(count=count, oldest=NOW))
    assert bad(facts).get("ready", "").partition(":")[0] == level


def test_a_standby_ends_no_segment_and_archives_none() -> None:
    """Its archiver's silence is no trouble."""
    standby = with_server(in_recovery=True, archiver=replace(ARCHIVER, last_archived=None))
    assert bad(replace(standby, switched=None, skipped={"switch": "a standby"})) == {}


def test_a_repository_of_another_cluster_is_told() -> None:
    """Before anything is archived into it."""
    assert "belongs to the cluster 7" in bad(with_repository(system_identifier=7))["repository"]


def test_a_verb_that_the_store_refuses_is_told() -> None:
    """Deleting is less urgent than the others."""
    trial = StoreTrial(tried=("put", "delete"), failed={"put": Trouble(message="no")}, clock=None)
    assert bad(replace(WELL, trial=trial)) == {"store": "critical: put: no"}
    trial = replace(trial, failed={"delete": Trouble(message="no")})
    assert bad(replace(WELL, trial=trial)) == {"store": "warning: delete: no"}


@pytest.mark.parametrize(("offset", "level"), [(29, ""), (-31, "warning"), (301, "critical")])
def test_clocks_that_differ_are_told(offset: float, level: str) -> None:
    """The store's and the server's."""
    facts = replace(WELL, trial=StoreTrial(tried=(), failed={}, clock=offset))
    assert bad(facts).get("clock", "").partition(":")[0] == level
    assert bad(with_server(clock_offset=offset)).get("clock", "").partition(":")[0] == level


@pytest.mark.parametrize(("free", "level"), [(20, ""), (19, "warning"), (9, "critical")])
def test_a_disk_that_fills_up_is_told(free: int, level: str) -> None:
    """The server stops when the disk of pg_wal is full."""
    facts = replace(WELL, spaces=(Space(place="pg_wal", path="/p", free=free, total=100),))
    assert bad(facts).get("space", "").partition(":")[0] == level


def test_backups_that_are_old_missing_or_broken_are_told() -> None:
    """With the limit of a daily backup by default."""
    assert "the newest 31.0 h old" in bad(replace(WELL, now=NOON + 31 * HOUR))["backup"]
    none = Catalog(backups=(), unreadable=(), unfinished=())
    assert bad(with_repository(catalog=none))["backup"] == "critical: there is no backup"
    broken = UnreadableBackup(name="base_1", reason="no JSON", modified=None)
    catalog = replace(REPOSITORY.catalog, unreadable=(broken,))
    assert bad(with_repository(catalog=catalog)) == {"backup": "warning: cannot be read: base_1"}


def test_what_cannot_be_recovered_is_told() -> None:
    """Nothing at all, a promise that is broken, the newest backup that lacks WAL."""
    nothing = with_repository(recovery=Recovery(windows=()))
    assert bad(nothing) == {"windows": "critical: nothing can be recovered"}
    promise = Limits(promise=Promise(freshness=MINUTE))
    assert "windows" in bad(replace(WELL, now=NOW + HOUR), promise)
    unusable = UnusableBackup(name=BACKUP.name, reason="WAL is missing")
    lacking = with_repository(recovery=Recovery(windows=(WINDOW,), unusable=(unusable,)))
    assert bad(lacking)["windows"].startswith("critical: ")


def test_drills_that_fail_or_stop_are_told() -> None:
    """One that never happened is noted, for it may not be wanted yet."""
    assert bad(with_repository(drills=(), drill_proved=None)) == {}
    failed = replace(FAILED, drill="chain", started=NOW)
    facts = with_repository(drills=(failed, PROVED))
    assert bad(facts)["drill"].startswith("critical: chain failed 0 s ago in plan: ")
    late = with_repository(drill_proved=NOW - 3 * DAY)
    assert bad(late) == {"drill": "warning: the last restore that was proved: 3 d ago"}


def test_every_finding_that_is_bad_says_what_to_do() -> None:
    """But for those whose hint is the store's own silence."""
    facts = [
        with_settings({"archive_mode": "off"}),
        with_settings({"archive_command": ""}),
        with_archiver(ReadyFiles(count=9999, oldest=NOON), last_failed=NOW),
        with_repository(system_identifier=7, recovery=Recovery(windows=()), drills=(FAILED,)),
        with_repository(catalog=Catalog(backups=(), unreadable=(), unfinished=())),
        replace(WELL, spaces=(Space(place="p", path="/p", free=1, total=100),)),
    ]
    for each in facts:
        for finding in judge(each, DEFAULTS):
            assert finding.level in ("ok", "note") or finding.hint, finding
