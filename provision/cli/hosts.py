"""List the hosts; show one; keep others away from it by a hold; print its keys to be pinned.

A hold stands on the host itself, so that everybody's applies leave it alone. Keys are printed and
never stored: whoever compared them writes them into the inventory.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime

from provision.cli.fleet import engineer, password_of, selectors_of, target_of
from provision.cli.options import add_connection, add_project, add_selectors
from provision.compile import node_of
from provision.errors import ProvisionError, UsageError
from provision.inventory import Host
from provision.journal import JOURNAL, parse_journal
from provision.operations.hold import hold_of, plan_hold, plan_release
from provision.operations.pins import check_fingerprint, check_pinned, lines_to_pin
from provision.operations.place import Place, place_of
from provision.operations.plan import Plan, carry_out
from provision.operations.sight import Sight, see
from provision.project import Project, choose, configure, expansion_of, load
from provision.state import Journal
from provision.suggestion import did_you_mean
from provision.transport import Session, shown_keys


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="list hosts with their roles; reaches none")
    listing.add_argument("--format", choices=("text", "json"), default="text")
    add_project(listing)
    add_selectors(listing)
    _on_host(actions, "show", "what the inventory says of a host, and what it says itself")
    hold = _on_host(actions, "hold", "keep applies away from a host")
    hold.add_argument("--why", metavar="TEXT", required=True, help="for those who find it")
    hold.add_argument(
        "--until",
        metavar="TIME|SPAN",
        default="",
        help="when it ends by itself: a time with its offset from UTC, or 8h, 2d",
    )
    _on_host(actions, "release", "end a hold")
    pin = _on_host(actions, "pin", "print the keys that a host shows, to compare and to pin")
    pin.add_argument(
        "--fingerprint", metavar="SHA256:...", help="what its console says: print that key alone"
    )


def run(arguments: argparse.Namespace) -> int:
    """Do one action; raises ProvisionError for what cannot be done."""
    return _ACTIONS[arguments.action](arguments)


def host_of(project: Project, name: str) -> Host:
    """Return a host by its name; raises UsageError, never choosing one that is nearly it."""
    if name not in project.inventory.hosts:
        raise UsageError(
            f"there is no host {name}",
            hint=did_you_mean(name, project.inventory.hosts) or "provision hosts list has them.",
        )
    return project.inventory.hosts[name]


def place_in(project: Project, host: Host) -> Place:
    """Return a host as its roles have it; raises InputError."""
    configured = configure(project, host)
    return place_of(node_of(configured), configured.expansion.roles)


def _on_host(
    actions: argparse._SubParsersAction[argparse.ArgumentParser], name: str, summary: str
) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=summary)
    parser.add_argument("name", metavar="HOST", help="the host, as the inventory calls it")
    add_project(parser)
    add_connection(parser)
    return parser


# --- list, show ---


def _list(arguments: argparse.Namespace) -> int:
    project = load(arguments.project)
    hosts = choose(project, selectors_of(arguments))
    rows = [_row(project, host) for host in hosts]
    if arguments.format == "json":
        print(json.dumps({"version": 1, "hosts": rows}, indent=2))
        return 0
    heads = ("host", "roles", "environment", "cluster", "address")
    cells = [heads, *(tuple(_cell(row[head]) for head in heads) for row in rows)]
    widths = [max(len(row[n]) for row in cells) for n in range(len(heads))]
    for row in cells:
        line = "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True))
        print(line.rstrip())
    return 0


def _row(project: Project, host: Host) -> dict[str, str | list[str]]:
    return {
        "host": host.name,
        "roles": list(expansion_of(project, host).roles),
        "environment": host.environment,
        "cluster": host.cluster or host.name,
        "address": _address(host),
    }


def _address(host: Host) -> str:
    user = f"{host.user}@" if host.user else ""
    port = "" if host.port == 22 else f":{host.port}"
    address = f"[{host.address}]" if ":" in host.address else host.address
    through = f" through {host.gateways[-1].name}" if host.gateways else ""
    return f"{user}{address}{port}{through}"


def _cell(value: str | list[str]) -> str:
    return value if isinstance(value, str) else ", ".join(value)


def _show(arguments: argparse.Namespace) -> int:
    project, host, place = _named(arguments)
    facts = {name: _cell(value) for name, value in _row(project, host).items()}
    facts["repository"] = place.repository or "none"
    facts["recovery"] = place.mode
    pinned = target_of(host, arguments).host_keys
    facts["host key"] = ", ".join(f"{key.kind} {key.fingerprint}" for key in pinned) or "not pinned"
    _print(facts.items())
    with _session(host, arguments) as session:
        sight = see(session, place)
        answer = session.run_as_root(f"cat {JOURNAL} 2>/dev/null || :\n".encode())
    _print(_live(sight, parse_journal(answer.stdout.decode("utf-8", "replace"))))
    return 0


def _live(sight: Sight, journal: Journal | None) -> Iterator[tuple[str, str]]:
    server = sight.server
    if server is None:
        yield "server", "runs and does not answer" if sight.process else "not running"
    else:
        number = server.version
        minor = f"{number // 10000}.{number % 10000}" if number >= 100000 else str(number)
        state = "in recovery" if server.in_recovery else "primary"
        yield "server", f"PostgreSQL {minor}, {state}{', paused' if server.paused else ''}"
    hold = sight.hold
    until = f" until {hold.until}" if hold and hold.until else ""
    yield "hold", f"by {hold.who}{until}: {hold.why}" if hold else "none"
    if journal is None:
        yield "applied", "never"
    else:
        revision = f" from {journal.revision}" if journal.revision else ""
        yield "applied", f"{journal.applied_at} by {journal.applied_by}{revision}"


def _print(facts: Iterable[tuple[str, str]]) -> None:
    for name, value in facts:
        print(f"{name:12} {value}")


# --- hold, release ---


def _hold(arguments: argparse.Namespace) -> int:
    _, host, place = _named(arguments)
    wanted = hold_of(engineer(), arguments.why, arguments.until, datetime.now(UTC))
    with _session(host, arguments) as session:
        _do(session, plan_hold(place, see(session, place), wanted))
    return 0


def _release(arguments: argparse.Namespace) -> int:
    _, host, place = _named(arguments)
    with _session(host, arguments) as session:
        plan = plan_release(place, see(session, place))
        if plan is None:
            print(f"{host.name}: nobody holds it")
            return 0
        _do(session, plan)
    return 0


def _do(session: Session, plan: Plan) -> None:
    print(plan)
    for line in carry_out(session, plan):
        print(f"  {line}")


# --- pin ---


def _pin(arguments: argparse.Namespace) -> int:
    host = host_of(load(arguments.project), arguments.name)
    target = target_of(host, arguments)
    shown = shown_keys(target)
    if arguments.fingerprint:
        shown = check_fingerprint(host.name, shown, arguments.fingerprint)
    try:
        if check_pinned(host.name, shown, target.host_keys):
            print(f"{host.name}: the key that it shows is pinned already")
            return 0
    except ProvisionError:
        print("\n".join(lines_to_pin(host.name, target.endpoint, shown)))
        sys.stdout.flush()
        raise
    print("\n".join(lines_to_pin(host.name, target.endpoint, shown)))
    return 0


# --- reaching ---


def _named(arguments: argparse.Namespace) -> tuple[Project, Host, Place]:
    project = load(arguments.project)
    host = host_of(project, arguments.name)
    return project, host, place_in(project, host)


def _session(host: Host, arguments: argparse.Namespace) -> Session:
    return Session(target_of(host, arguments), password=password_of(arguments))


_ACTIONS: dict[str, Callable[[argparse.Namespace], int]] = {
    "list": _list,
    "show": _show,
    "hold": _hold,
    "release": _release,
    "pin": _pin,
}
