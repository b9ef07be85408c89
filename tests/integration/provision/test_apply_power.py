"""An apply that ends in the middle: the host is what it was or what it should be, in all its parts.

A program on the host that stands before coreutils in the agent's PATH stops it at a chosen command,
so that the power is cut, the connection lost, or another engineer there at exactly that moment.
"""

import subprocess
from collections.abc import Iterator

import pytest

from tests.integration.provision.editions import ENVDIR, Database
from tests.support.provisioning import host_lines, wait_for
from tests.support.rig.client import Rig
from tests.support.rig.forward import Forwarder

STOPPED_PROGRAMS = ("mv", "rm", "sync", "flock")
STATE = "/var/lib/provision"
FINISHED = f"! ls {STATE} | grep -xE 'pending|staged|committed'"
STOPPING = """#!/bin/sh
# waits at the command that matches the pattern in /run/stop-at, until /run/go is there
if [ -e /run/stop-at ] && [ ! -e /run/go ]; then
    pattern=$(cat /run/stop-at)
    case "{program} $*" in
        $pattern)
            touch /run/reached
            until [ -e /run/go ]; do sleep 0.05; done
            ;;
    esac
fi
exec /usr/bin/{program} "$@"
"""
# where the power is cut, before the command; and which edition the host has afterwards
BEFORE_THE_COMMIT = {
    "while files are staged": "sync */conf.d/.provision-new-*",
    "when the way back is about to be on disk": f"mv *{STATE}/undo.new {STATE}/pending",
    "before the environment is switched": f"mv * {ENVDIR}",
    "between environment and settings": "mv */conf.d/50-pitr.conf",
    "after the reload, before the schedule": "mv */cron.d/pitr-base-backup",
    "before the journal": "mv */journal.json",
    "before the commit": f"mv *{STATE}/pending {STATE}/committed",
}
AFTER_THE_COMMIT = {
    "while the old files are removed": "rm *.provision-old-*.50-pitr.conf",
    "when nothing but the notes is left": f"rm *{STATE}/committed",
}


@pytest.fixture(scope="module")
def database(rig: Rig, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A host in its first edition, on which an apply can be stopped."""
    with rig.part() as part:
        database = Database(part.start("db1"), tmp_path_factory.mktemp("power"))
        for program in STOPPED_PROGRAMS:
            path = f"/usr/local/sbin/{program}"
            database.host.write(path, STOPPING.format(program=program), mode="755")
        database.edition(1)
        database.project.run("apply", "--yes", "--allow-restart", "db1")
        yield database


@pytest.fixture(autouse=True)
def first_edition(database: Database) -> Iterator[None]:
    """Each test begins and ends with the first edition and nothing that is stopped."""
    yield
    database.host.sh("touch /run/go")
    wait_for(database.host, f"flock -n {STATE}/lock true")
    database.host.sh("rm -f /run/stop-at /run/reached /run/go")
    database.inventory()
    database.edition(1)
    database.project.run("apply", "--yes")
    assert database.editions() == [1, 1, 1]
    assert database.leftovers() == ""


def stopped_at(database: Database, pattern: str, *words: str) -> subprocess.Popen[str]:
    """Start an apply of the second edition and wait until it is stopped at a command."""
    database.edition(2)
    database.host.sh(f"rm -f /run/reached /run/go; echo '{pattern}' >/run/stop-at")
    process = database.project.start("apply", "--yes", *words)
    try:
        wait_for(database.host, "test -e /run/reached")
    except BaseException:
        process.kill()
        print(process.communicate()[0])
        raise
    return process


def cut_power(database: Database, process: subprocess.Popen[str]) -> None:
    """Kill everything on the host and start it again; the engineer has gone home."""
    database.host.kill()
    process.kill()
    process.communicate()
    database.host.start()
    wait_for(database.host, "pg_lsclusters -h | grep -q online")
    wait_for(database.host, FINISHED)


@pytest.mark.parametrize("moment", BEFORE_THE_COMMIT)
def test_a_host_that_loses_its_power_comes_back_as_it_was(database: Database, moment: str) -> None:
    """By itself, before anybody looks at it, files and running server alike; then apply goes on."""
    before = database.contents()
    cut_power(database, stopped_at(database, BEFORE_THE_COMMIT[moment]))
    assert database.editions() == [1, 1, 1]
    assert database.running() == "1MB"
    assert database.leftovers() == ""
    assert database.contents() == before
    assert "db1: applied" in database.project.run("apply", "--yes")
    assert (database.editions(), database.running()) == ([2, 2, 2], "2MB")


@pytest.mark.parametrize("moment", AFTER_THE_COMMIT)
def test_a_host_that_loses_its_power_after_the_commit_stays_new(
    database: Database, moment: str
) -> None:
    """Removing what was replaced cannot bring half of it back."""
    cut_power(database, stopped_at(database, AFTER_THE_COMMIT[moment]))
    assert (database.editions(), database.running()) == ([2, 2, 2], "2MB")
    assert database.leftovers() == ""
    assert "no changes on 1 host" in database.project.run("plan")


def test_the_next_apply_takes_back_what_a_killed_one_began(database: Database) -> None:
    """Where the host did not restart, also in the running server, and though the roles are old."""
    process = stopped_at(database, BEFORE_THE_COMMIT["after the reload, before the schedule"])
    database.host.sh("pkill -KILL -f '^sh -s'; pkill -KILL -f '^/bin/sh /usr/local/sbin/mv'")
    said, _ = process.communicate()
    assert process.returncode == 5, said
    assert "an apply was interrupted here" in database.project.run("plan", code=2)
    assert (database.editions(), database.running()) == ([2, 2, 1], "2MB")
    assert "db1: interrupted: an apply ended in the middle" in database.project.run("drift", code=2)
    database.edition(1)
    database.host.sh("rm /run/stop-at")
    said = database.project.run("apply", "--yes")
    assert "took back an interrupted apply" in said
    assert "no changes on 1 host" in said
    assert (database.editions(), database.running()) == ([1, 1, 1], "1MB")


@pytest.mark.parametrize("use_pty", [False, True])
def test_an_apply_whose_connection_is_cut_goes_on_to_its_end(
    database: Database, use_pty: bool
) -> None:
    """The engineer is told that nobody knows, and looks again; also where sudo makes a terminal."""
    host = database.host
    if use_pty:
        host.write("/etc/sudoers.d/pty", "Defaults use_pty", mode="440")
    with Forwarder(at=("127.0.0.1", 0), to=(host.address, 22)) as wire:
        address, port = wire.address
        database.inventory(text=host_lines(host, role="database", address=address, port=port))
        process = stopped_at(database, "mv */conf.d/50-pitr.conf")
    said, _ = process.communicate()
    host.sh("rm -f /etc/sudoers.d/pty")
    assert process.returncode == 5, said
    assert "the connection ended during the apply" in said
    database.inventory()
    assert "an apply is running here at this moment" in database.project.run("plan", code=2)
    host.sh("touch /run/go")
    wait_for(host, FINISHED)
    assert (database.editions(), database.running()) == ([2, 2, 2], "2MB")
    assert "no changes on 1 host" in database.project.run("apply", "--yes")


def test_a_second_apply_at_the_same_time_is_refused(database: Database) -> None:
    """And takes nothing away from the first."""
    process = stopped_at(database, BEFORE_THE_COMMIT["while files are staged"])
    said = database.project.run("apply", "--yes", code=3)
    assert "another apply is running; nothing was changed" in said
    database.host.sh("touch /run/go")
    said, _ = process.communicate()
    assert process.returncode == 0, said
    assert database.editions() == [2, 2, 2]


def test_a_file_that_changes_at_the_last_moment_is_not_overwritten(database: Database) -> None:
    """After the host was looked at for the last time, and before anything is staged."""
    process = stopped_at(database, "flock -w 2 9")
    database.host.sh(f"echo '# mine' >>{database_conf()}; touch /run/go")
    said, _ = process.communicate()
    assert process.returncode == 3, said
    assert "a file has changed since the plan was made; nothing was changed" in said
    assert database.editions() == [1, 1, 1]
    assert database.host.sh(f"tail -n 1 {database_conf()}") == "# mine"
    assert database.leftovers() == ""


def database_conf() -> str:
    """The file of settings that is changed by hand."""
    return "/etc/postgresql/15/main/conf.d/50-pitr.conf"
