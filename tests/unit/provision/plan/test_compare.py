"""What would change on a host: blocks in others' files, guards, orphans, effects."""

from __future__ import annotations

from dataclasses import replace

import pytest

from provision.catalog import Catalog
from provision.cli.fleet import rules_of
from provision.content import Content, SecretPart, SecretRef
from provision.plan.compare import compare_host
from provision.plan.model import Change, HostPlan
from provision.resources.base import Guard, Resource
from provision.resources.file import File
from provision.resources.schedule import CronD
from provision.resources.server import Block, PgSettings, ServerSetting
from provision.state import Applied, HostState, Journal, JournalEntry, ServerState, SettingState
from tests.unit.provision.plan.states import ORIGIN, comparison, file_state, state_of

CONF = "/etc/postgresql/15/main/postgresql.conf"
BLOCK = Block(
    name=CONF, lines=("include_dir = 'conf.d'",), notifies=("postgresql_reload",), origin=ORIGIN
)
LINES = "# BEGIN provision\ninclude_dir = 'conf.d'\n# END provision\n"


def plan(*resources: Resource, state: HostState, prune: bool = False) -> HostPlan:
    """The plan of a host."""
    catalog = Catalog.of("db1", resources)
    return compare_host(catalog, comparison(state), rules_of(15), prune=prune)


def only(plan: HostPlan) -> Change:
    """The one change that there is."""
    (change,) = plan.changes
    return change


def journal(*entries: JournalEntry) -> Journal:
    """What an earlier apply left."""
    return Journal(applied_at="", applied_by="", revision="", resources=entries)


def applied(path: str) -> Applied:
    """A file as an earlier apply left it."""
    return Applied(path=path, kind="file")


class TestBlock:
    """Lines of ours in a file that is not."""

    def test_they_come_at_the_end_and_the_rest_stays(self) -> None:
        """Owner and mode too."""
        state = HostState(paths={CONF: file_state("port = 5433\n", owner="postgres", mode="0640")})
        change = only(plan(BLOCK, state=state))
        (entry,) = change.entries
        assert str(entry.content) == f"port = 5433\n{LINES}"
        assert (entry.owner, entry.mode) == ("postgres", "0640")
        assert change.effects == ("postgresql_reload",)

    def test_they_are_put_right_where_they_are(self) -> None:
        """What follows them stays there."""
        wrong = "a = 1\n# BEGIN provision\nold\n# END provision\nb = 2\n"
        (entry,) = only(plan(BLOCK, state=HostState(paths={CONF: file_state(wrong)}))).entries
        assert str(entry.content) == f"a = 1\n{LINES}b = 2\n"

    def test_right_lines_are_no_change(self) -> None:
        """Whatever stands around them."""
        state = HostState(paths={CONF: file_state(f"a = 1\n{LINES}b = 2\n")})
        assert plan(BLOCK, state=state).changes == ()

    def test_a_file_without_a_last_newline_gets_one(self) -> None:
        """Two settings on one line are a syntax error."""
        state = HostState(paths={CONF: file_state("a = 1")})
        (entry,) = only(plan(BLOCK, state=state)).entries
        assert str(entry.content) == f"a = 1\n{LINES}"

    def test_without_a_file_nothing_is_known(self) -> None:
        """It is the server's, and not ours to make."""
        assert only(plan(BLOCK, state=HostState())).action == "unknown"

    def test_the_file_is_never_deleted(self) -> None:
        """When the block leaves the roles, its lines go with --prune, and nothing else."""
        left = journal(JournalEntry(id=BLOCK.id, objects=()))
        state = HostState(paths={CONF: file_state(f"a = 1\n{LINES}b = 2\n")}, journal=left)
        shown = plan(state=state)
        assert (shown.changes, shown.orphans) == ((), (CONF,))
        change = only(plan(state=state, prune=True))
        (entry,) = change.entries
        assert (change.action, entry.kind) == ("update", "file")
        assert str(entry.content) == "a = 1\nb = 2\n"
        assert change.effects == ("postgresql_reload",)

    def test_a_block_that_is_gone_already_is_no_orphan(self) -> None:
        """Somebody took the lines out."""
        left = journal(JournalEntry(id=BLOCK.id, objects=()))
        state = HostState(paths={CONF: file_state("a = 1\n")}, journal=left)
        assert plan(state=state).orphans == ()


class TestGuard:
    """Chef's only_if and not_if: a command that reads."""

    GUARD = Guard(argv=("test", "-e", "/x"), reason="there is no /x")

    @pytest.mark.parametrize("expect", [True, False])
    def test_what_it_holds_back_is_skipped_with_a_reason(self, expect: bool) -> None:
        """It is shown, and no change."""
        file = File(
            name="/etc/a",
            content=Content.of("a\n"),
            guards=(replace(self.GUARD, expect=expect),),
            origin=ORIGIN,
        )
        found = plan(file, state=HostState(guards={self.GUARD.argv: not expect}))
        change = only(found)
        assert (change.action, change.notes, found.pending) == ("skip", ("there is no /x",), ())
        let_through = plan(file, state=HostState(guards={self.GUARD.argv: expect}))
        assert only(let_through).action == "create"

    def test_what_would_not_change_is_not_mentioned(self) -> None:
        """A guard that holds back nothing is no news."""
        file = File(name="/etc/a", content=Content.of("a\n"), guards=(self.GUARD,), origin=ORIGIN)
        state = HostState(paths={"/etc/a": state_of(file.entries()[0])})
        assert plan(file, state=state).changes == ()


class TestOrphan:
    """What earlier roles made and no role speaks of any more."""

    STATE = HostState(
        paths={path: file_state("x\n") for path in ("/etc/cron.d/pitr-old", "/etc/a.conf")},
        journal=journal(
            JournalEntry(id="cron_d[pitr-old]", objects=(applied("/etc/cron.d/pitr-old"),)),
            JournalEntry(id="pg_settings[/etc/a.conf]", objects=(applied("/etc/a.conf"),)),
            JournalEntry(id="file[/etc/gone]", objects=(applied("/etc/gone"),)),
        ),
    )

    def test_it_is_shown_and_left_alone(self) -> None:
        """Until somebody says --prune."""
        found = plan(state=self.STATE)
        assert (found.changes, found.orphans) == ((), ("/etc/cron.d/pitr-old", "/etc/a.conf"))

    def test_pruning_deletes_it(self) -> None:
        """Settings of the server need a reload."""
        found = plan(state=self.STATE, prune=True)
        assert [(change.action, change.path) for change in found.changes] == [
            ("delete", "/etc/cron.d/pitr-old"),
            ("delete", "/etc/a.conf"),
        ]
        assert found.effects == ("postgresql_reload",)
        assert found.orphans == ()

    def test_what_is_described_again_is_none(self) -> None:
        """Whatever resource has the path now."""
        cron = CronD(name="pitr-old", content=Content.of("x\n"), origin=ORIGIN)
        assert "/etc/cron.d/pitr-old" not in plan(cron, state=self.STATE).orphans


class TestSettings:
    """Files that the server reads."""

    FILE = PgSettings(
        name="/etc/a.conf",
        settings=(
            ServerSetting(name="archive_mode", value=Content.of("on")),
            ServerSetting(name="archive_timeout", value=Content.of("1min")),
        ),
        content=Content.of("archive_mode = 'on'\narchive_timeout = '1min'\n"),
        owner="root",
        group="root",
        notifies=("postgresql_reload",),
        origin=ORIGIN,
    )

    def server(
        self, mode: str, timeout: str = "60", *, pending_restart: bool = False
    ) -> ServerState:
        """A server that runs with these values."""
        return ServerState(
            answers=True,
            version=150000,
            settings={
                "archive_mode": SettingState(
                    value=mode, source_file="/etc/a.conf", pending_restart=pending_restart
                ),
                "archive_timeout": SettingState(value=timeout, unit="s", source_file="/etc/a.conf"),
            },
        )

    def test_a_setting_that_needs_a_restart_says_so(self) -> None:
        """And the other one a reload."""
        change = only(plan(self.FILE, state=HostState(server=self.server("off"))))
        assert change.restart_settings == ("archive_mode",)
        assert change.effects == ("postgresql_reload", "postgresql_restart")

    def test_not_if_the_server_runs_with_it_already(self) -> None:
        """It was set elsewhere before."""
        change = only(plan(self.FILE, state=HostState(server=self.server("on"))))
        assert (change.restart_settings, change.effects) == ((), ("postgresql_reload",))

    @pytest.mark.parametrize(
        ("server", "warning"),
        [
            (("off", "60", True), "archive_mode waits for a restart of PostgreSQL"),
            (("on", "300", False), 'archive_timeout is "300" in the running server: reload it'),
        ],
    )
    def test_a_right_file_that_is_not_in_force_is_a_warning(
        self, server: tuple[str, str, bool], warning: str
    ) -> None:
        """By the running server's own values."""
        mode, timeout, pending = server
        state = HostState(
            paths={"/etc/a.conf": state_of(self.FILE.entries()[0])},
            server=self.server(mode, timeout, pending_restart=pending),
        )
        found = plan(self.FILE, state=state)
        assert (found.changes, found.warnings) == ((), (warning,))

    def test_a_file_that_beats_ours_is_named(self) -> None:
        """postgresql.auto.conf is read last."""
        server = self.server("on", "300")
        auto = replace(server.settings["archive_timeout"], source_file="/pg/postgresql.auto.conf")
        server = replace(server, settings={**server.settings, "archive_timeout": auto})
        state = HostState(paths={"/etc/a.conf": state_of(self.FILE.entries()[0])}, server=server)
        warnings = ("archive_timeout is overridden by /pg/postgresql.auto.conf",)
        assert plan(self.FILE, state=state).warnings == warnings

    def test_recovery_conf_is_read_at_a_start_only(self) -> None:
        """Up to 11, where its settings are in no view of the server."""
        file = replace(
            self.FILE,
            settings=(ServerSetting(name="standby_mode", value=Content.of("on")),),
            content=Content.of("standby_mode = 'on'\n"),
        )
        state = HostState(server=ServerState(answers=True, version=110000))
        found = compare_host(Catalog.of("db1", [file]), comparison(state), rules_of(11))
        assert found.restart_settings == ("standby_mode",)


def test_a_missing_secret_lets_everything_else_be_compared() -> None:
    """It is said of the file that needs it."""
    part = SecretPart(ref=SecretRef(scheme="env", name="NOT_SET"))
    secret = File(name="/etc/secret", content=Content.of(part), origin=ORIGIN)
    other = File(name="/etc/other", content=Content.of("x\n"), origin=ORIGIN)
    found = plan(secret, other, state=HostState())
    assert [(change.path, change.action) for change in found.changes][1] == ("/etc/other", "create")
    assert found.changes[0].action == "unknown"
    assert found.changes[0].notes == ("not compared: env:NOT_SET is not set",)
