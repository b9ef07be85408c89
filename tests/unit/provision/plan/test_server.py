"""What a running server has to say about settings that are right in their file."""

import pytest

from provision.content import Content
from provision.plan.server import compare_settings, running_warnings
from provision.resources.server import PgSettings, ServerSetting
from provision.state import HostState, ServerState, SettingState
from tests.unit.provision.plan.states import ORIGIN, comparison, state_of

PATH = "/etc/postgresql/15/main/conf.d/50-pitr.conf"
OURS = SettingState(value="on", source_file=PATH)
RESOURCE = PgSettings(
    name=PATH,
    settings=(ServerSetting(name="archive_mode", value=Content.of("on")),),
    content=Content.of("archive_mode = 'on'\n"),
    owner="root",
    group="postgres",
    origin=ORIGIN,
)


def seen(setting: SettingState) -> HostState:
    """A host whose file is right and whose server says this of the setting."""
    server = ServerState(answers=True, version=150000, settings={"archive_mode": setting})
    (entry,) = RESOURCE.entries()
    return HostState(paths={PATH: state_of(entry)}, server=server)


def same(_name: str, one: str, other: str) -> bool:
    """Texts are values here."""
    return one == other


@pytest.mark.parametrize(
    ("setting", "reset", "restart"),
    [
        (OURS, (), ()),
        (SettingState(value="on", source_file=PATH, automatic="on"), (), ()),
        (SettingState(value="on", source_file=PATH, automatic="off"), ("archive_mode",), ()),
        (
            SettingState(value="off", source_file="postgresql.auto.conf", automatic="off"),
            ("archive_mode",),
            ("archive_mode",),
        ),
    ],
)
def test_what_alter_system_has_set_otherwise_is_reset(
    setting: SettingState, reset: tuple[str, ...], restart: tuple[str, ...]
) -> None:
    """Also before it is in force; a restart is needed only where it is."""
    state = comparison(seen(setting))
    change = compare_settings(RESOURCE, state, same=same, needs_restart=lambda _: True)
    assert (change.reset if change else ()) == reset
    assert (change.restart_settings if change else ()) == restart
    assert change is None or change.entries == ()
    warnings = tuple(running_warnings(RESOURCE, state, same=same))
    assert [name for name in reset if not any(name in each for each in warnings)] == []


def test_what_waits_for_a_restart_is_no_change() -> None:
    """It is said, and plan and apply have nothing to do."""
    state = comparison(seen(SettingState(value="off", source_file=PATH, pending_restart=True)))
    assert compare_settings(RESOURCE, state, same=same, needs_restart=lambda _: True) is None
    assert list(running_warnings(RESOURCE, state, same=same)) == [
        "archive_mode waits for a restart of PostgreSQL"
    ]
