"""What an apply refuses, what it leaves as it was, and what it takes back."""

from collections.abc import Iterator

import pytest

from tests.integration.provision.editions import (
    CONF,
    CRON,
    Database,
    database_in_first_edition,
    read_only,
)
from tests.support.rig.client import Rig

STATE = "/var/lib/provision"


@pytest.fixture(scope="module")
def database(rig: Rig, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A host in its first edition."""
    with database_in_first_edition(rig, tmp_path_factory.mktemp("faults")) as database:
        yield database


@pytest.fixture(autouse=True)
def first_edition(database: Database) -> Iterator[None]:
    """Each test begins with the first edition, and leaves nothing behind."""
    yield
    assert database.leftovers() == ""
    database.edition(1)
    database.project.run("apply", "--yes", "--prune", "--allow-restart", "db1")
    assert (database.editions(), database.running()) == ([1, 1, 1], "1MB")


def refused(database: Database, *words: str, code: int) -> str:
    """Apply what cannot be applied, and see that the host is as it was; return what was said."""
    before, started = database.contents(), database.sql("select pg_postmaster_start_time()")
    said = database.project.run("apply", "--yes", *words, code=code)
    assert database.contents() == before
    assert (database.editions(), database.running()) == ([1, 1, 1], "1MB")
    assert database.sql("select pg_postmaster_start_time()") == started
    return said


def test_a_second_apply_touches_nothing(database: Database) -> None:
    """Not a file is written, not even with the same content, and the server is not reloaded."""
    before, loaded = database.touched(), database.sql("select pg_conf_load_time()")
    assert "no changes on 1 host" in database.project.run("apply", "--yes")
    assert "no changes on 1 host" in database.project.run("plan")
    assert "0 of 1 hosts have drifted" in database.project.run("drift")
    assert database.touched() == before
    assert database.sql("select pg_conf_load_time()") == loaded


# --- drift ---

LOGROTATE = "/etc/logrotate.d/pitr"
DRIFT = (
    (f"sed -i s/1MB/3MB/ {CONF}", f"changed {CONF}: content changed"),
    (f"chmod 600 {LOGROTATE}", f"changed {LOGROTATE}: mode 0644 -> 0600"),
    ("chown root /var/log/pitr", "changed /var/log/pitr: owner postgres -> root"),
    ("rm /opt/pitr/jobs/base-backup", "missing /opt/pitr/jobs/base-backup"),
    (f"sed -i 's/^0 1/5 1/' {CRON}", f"changed {CRON}: content changed"),
    ("echo x >$(readlink -f /etc/pitr.d/env)/AWS_REGION", "/AWS_REGION: content changed"),
    ("chmod 700 /etc/pitr.d", "changed /etc/pitr.d: mode 0750 -> 0700"),
)


def test_what_was_changed_by_hand_is_found_and_mended(database: Database) -> None:
    """All of it at once, by drift and by plan, which change nothing."""
    before = database.contents()
    for command, _ in DRIFT:
        database.host.sh(command)
    changed = database.touched()
    drift = database.project.run("drift", code=2)
    assert [said for _, said in DRIFT if said not in drift] == []
    plan = database.project.run("plan", code=2)
    assert "-work_mem = '3MB'" in plan
    assert "-5 1 * * * postgres" in plan
    assert database.touched() == changed
    database.project.run("apply", "--yes")
    assert "0 of 1 hosts have drifted" in database.project.run("drift")
    assert without_generations(database.contents()) == without_generations(before)


def without_generations(contents: str) -> str:
    """What stands outside the environment's generations, and outside the journal."""
    lines = contents.partition("\n{")[0].splitlines()
    return "\n".join(line for line in lines if "/etc/pitr.d/env" not in line)


def test_a_variable_that_is_not_ours_goes(database: Database) -> None:
    """With a new generation, and not by a change of the one that is in force."""
    before = database.host.sh("readlink /etc/pitr.d/env")
    database.host.sh("echo x >$(readlink -f /etc/pitr.d/env)/EXTRA")
    assert "EXTRA is not ours" in database.project.run("plan", code=2)
    database.project.run("apply", "--yes")
    assert database.host.sh("readlink /etc/pitr.d/env") != before
    assert database.host.run("test -e /etc/pitr.d/env/EXTRA").returncode == 1


@pytest.mark.parametrize(
    ("setting", "value", "reload"),
    [
        ("archive_command", "true", True),
        ("archive_timeout", "0", False),
        ("archive_mode", "off", False),
    ],
)
def test_what_alter_system_hides_is_found_and_mended(
    database: Database, setting: str, value: str, reload: bool
) -> None:
    """A command that throws WAL away is found, also one that waits for a reload or a restart."""
    right = database.running(setting)
    database.sql(f"alter system set {setting} = '{value}'")
    if reload:
        database.sql("select pg_reload_conf()")
    said = f"{setting} is overridden by postgresql.auto.conf"
    assert said in database.project.run("drift", code=2)
    assert f"{setting}: ALTER SYSTEM has set it otherwise" in database.project.run("plan", code=2)
    database.project.run("apply", "--yes")
    assert database.running(setting) == right
    assert database.sql("select count(*) from pg_file_settings where not applied") == "0"
    assert "0 of 1 hosts have drifted" in database.project.run("drift")


def test_a_reset_is_taken_back_with_everything_else(database: Database) -> None:
    """What somebody set by ALTER SYSTEM is there again if the apply fails."""
    database.sql("alter system set archive_timeout = '7min'")
    database.edition(2, log_timezone="Nowhere/City")
    refused(database, code=5)
    assert database.host.sh("grep -c 7min /var/lib/postgresql/15/main/postgresql.auto.conf") == "1"


# --- before the switch, and after it ---


def test_a_probe_that_fails_changes_nothing(database: Database) -> None:
    """The repository is asked as the user that will archive, who may not read that one."""
    database.host.sh("install -d -m 700 /srv/closed")
    database.edition(2, repository="file:///srv/closed/main")
    said = refused(database, code=5)
    assert "at probe: as postgres: " in said
    assert "nothing was changed" in said


def test_a_setting_that_the_server_refuses_is_taken_back(database: Database) -> None:
    """It is asked before it reads its files for good, and says which line it is."""
    database.edition(2, log_timezone="Nowhere/City")
    loaded = database.sql("select pg_conf_load_time()")
    said = refused(database, code=5)
    assert "at check: the server refuses its settings" in said
    assert f"{CONF} line" in said
    assert "log_timezone" in said
    assert "everything was taken back" in said
    assert loaded <= database.sql("select pg_conf_load_time()")


def test_a_real_directory_in_the_environments_place_is_taken_over_or_put_back(
    database: Database,
) -> None:
    """The first migration of a host that had an envdir of its own."""
    database.host.sh(
        "cd /etc/pitr.d && cp -aL env env.real && rm env && mv env.real env && echo x >env/OWN"
    )
    database.edition(2, log_timezone="Nowhere/City")
    database.project.run("apply", "--yes", code=5)
    assert database.host.sh("stat -c %F /etc/pitr.d/env; cat /etc/pitr.d/env/OWN") == "directory\nx"
    database.edition(2)
    database.project.run("apply", "--yes")
    assert database.editions() == [2, 2, 2]


FULL = ("/etc/pitr.d", "/etc/cron.d", "/etc/postgresql/15/main/conf.d", STATE)


@pytest.mark.parametrize("place", FULL)
def test_a_full_disk_changes_nothing(database: Database, place: str) -> None:
    """Wherever it is full: what is switched needs no room any more."""
    database.host.sh(
        f"cp -a {place} /root/kept && mount -t tmpfs -o size=512k tmpfs {place} &&"
        f" cp -a /root/kept/. {place}/ && chmod --reference=/root/kept {place} &&"
        f" chown --reference=/root/kept {place}; cat /dev/zero >{place}/.full",
        check=False,
    )
    database.edition(2)
    try:
        said = refused(database, code=5)
    finally:
        database.host.sh(f"umount {place}; rm -rf /root/kept")
    assert "cannot write" in said
    assert "nothing was changed" in said


@pytest.mark.parametrize("place", FULL)
def test_a_read_only_target_changes_nothing(database: Database, place: str) -> None:
    """It is found when the files are put beside their places."""
    database.edition(2)
    with read_only(database.host, place):
        said = refused(database, code=5)
    assert "db1: failed" in said
    assert "nothing was changed" in said


@pytest.mark.parametrize("place", [CONF, CRON])
def test_a_file_that_cannot_be_replaced_takes_everything_back(
    database: Database, place: str
) -> None:
    """It is found in the middle of the switch; the schedule's when the server is reloaded."""
    database.edition(2)
    with read_only(database.host, place):
        said = refused(database, code=5)
    assert "db1: rolled back" in said
    assert f"at {'schedule' if place == CRON else 'switch'}: " in said


# --- restarts ---


def test_a_restart_is_never_implicit(database: Database) -> None:
    """A setting that needs one waits, and says so, until the host is named."""
    started = database.sql("select pg_postmaster_start_time()")
    database.edition(1, max_connections="50")
    said = database.project.run("apply", "--yes")
    assert "restart of PostgreSQL required on db1 for max_connections" in said
    assert database.sql("select pg_postmaster_start_time()") == started
    said = database.project.run("apply", "--yes")
    assert "max_connections waits for a restart of PostgreSQL" in said
    assert database.sql("select pg_postmaster_start_time()") == started
    database.project.run("apply", "--yes", "--allow-restart", "db1")
    assert database.sql("select pg_postmaster_start_time()") > started
    assert database.running("max_connections") == "50"
    assert "no changes on 1 host" in database.project.run("plan")


def test_a_server_that_does_not_start_is_started_as_it_was(database: Database) -> None:
    """Its own check of the files cannot know that a library is not there."""
    database.edition(2, shared_preload_libraries="nowhere")
    before = database.contents()
    said = database.project.run("apply", "--yes", "--allow-restart", "db1", code=5)
    assert "at restart: " in said
    assert database.contents() == before
    assert (database.editions(), database.running()) == ([1, 1, 1], "1MB")
    assert database.running("shared_preload_libraries") == ""


def test_a_host_that_is_not_applied_cannot_be_restarted(database: Database) -> None:
    """A name that is not among them is a mistake, and found before anything is done."""
    said = database.project.run("apply", "--yes", "--allow-restart", "db9", code=1)
    assert "db9: that host is not among those that are applied" in said


# --- plans that are no longer true, holds, and what left the roles ---


QUESTION = "Only 'yes' does"


def test_a_plan_is_confirmed_with_yes_and_nothing_else(database: Database) -> None:
    """And not at all where nobody can be asked."""
    database.edition(2)
    said = database.project.talk("apply", question=QUESTION, answer=lambda: "y", code=3)
    assert "not confirmed; nothing was changed" in said
    assert "nobody can be asked" in database.project.run("apply", code=3)
    assert database.editions() == [1, 1, 1]


def test_a_plan_that_is_no_longer_true_is_refused(database: Database) -> None:
    """Who confirms it has seen another host; what somebody did meanwhile stays."""
    database.edition(2)

    def yes() -> str:
        database.host.sh(f"sed -i s/1MB/3MB/ {CONF}")
        return "yes"

    said = database.project.talk("apply", question=QUESTION, answer=yes, code=3)
    assert "db1 has changed since the plan was made" in said
    assert database.editions() == [1, 3, 1]


def test_a_hold_is_honoured(database: Database) -> None:
    """With who and why, whatever else would change; afterwards it goes on."""
    database.edition(2)
    database.project.run("hosts", "hold", "db1", "--why", "a page is looked at")
    try:
        said = refused(database, code=3)
        assert "a page is looked at" in said
        assert "a page is looked at" in database.project.run("plan", code=3)
    finally:
        database.project.run("hosts", "release", "db1")
    assert "db1: applied" in database.project.run("apply", "--yes")


def test_a_hold_that_has_run_out_holds_nobody(database: Database) -> None:
    """Its time is the end of it, without a release."""
    hold = '{"format": 1, "who": "alice", "why": "old", "until": "2020-01-01T00:00:00+00:00"}'
    database.host.write(f"{STATE}/hold.json", hold, mode="600")
    database.edition(2)
    assert "db1: applied" in database.project.run("apply", "--yes")
    database.host.sh(f"rm -f {STATE}/hold.json")


def test_what_left_the_roles_is_shown_and_pruned_on_demand(database: Database) -> None:
    """Files go, and the server no longer runs with settings that nobody asks for."""
    database.edition(1)
    role = (database.project.directory / "roles/database.yml").read_text()
    less = role.replace("  - recipe[pitr::archiving]\n  - recipe[pitr::base_backup]\n", "")
    database.project.write("database.yml", less)
    said = database.project.run("apply", "--yes")
    assert f"no longer in the roles, and there: /opt/pitr/jobs/base-backup, {CONF}" in said
    assert "--prune removes them" in said
    assert database.editions() == [1, 1, 1]
    said = database.project.run("plan", "--prune", code=2)
    assert f"- cron_d[pitr-base-backup] {CRON}" in said
    assert "reload PostgreSQL on db1" in said
    database.project.run("apply", "--yes", "--prune")
    assert database.host.run(f"ls {CONF} {CRON} /opt/pitr/jobs/base-backup").stdout == ""
    assert database.running() == "4MB"
    assert "no changes on 1 host" in database.project.run("plan", "--prune")
