"""Keep secrets in encrypted data bags, which stand in git beside the roles that refer to them.

A value comes on standard input or from an editor, never as an argument: arguments stand in process
lists and in shells' histories. Values are printed to a terminal only, unless --force is given.
"""

from __future__ import annotations

import argparse
import getpass
import shlex
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from provision.cli.options import add_project
from provision.errors import InputError, RefusedError, SecretError
from provision.secrets import bag, bag_file, editing, keys
from provision.secrets.bag import OpenBag
from provision.secrets.private_file import LONGEST, decode, write_private
from provision.secrets.references import split_item

_Change = Callable[[OpenBag], OpenBag]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_project(parser)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    keygen = actions.add_parser("keygen", help="make an identity and print its recipient")
    keygen.add_argument("file", metavar="FILE", type=Path, help="the new file for the identity")
    listing = actions.add_parser("list", help="list data bags and the names of their items")
    listing.add_argument("bag", metavar="BAG", nargs="?", help="this bag only")
    create = _on_bag(actions, "create", "make an empty data bag")
    create.add_argument("recipients", metavar="RECIPIENT", nargs="+", help="who can open it")
    get = _on_item(actions, "get", "print a value to the terminal")
    get.add_argument("--force", action="store_true", help="print it to wherever output goes")
    _on_item(actions, "set", "set an item to what stands on standard input")
    _on_item(actions, "remove", "remove an item")
    _on_bag(actions, "edit", "edit all items in $VISUAL or $EDITOR")
    _on_bag(actions, "rotate", "seal everything anew under a new data key")
    _on_bag(actions, "show-recipients", "list who can open a bag")
    for name, summary in (
        ("add-recipient", "let somebody else open a bag"),
        ("remove-recipient", "shut somebody out, and seal everything anew"),
    ):
        action = _on_bag(actions, name, summary)
        action.add_argument("recipient", metavar="RECIPIENT", help="what their keygen printed")
    for action in actions.choices.values():  # before the action or after it
        add_project(action, default=argparse.SUPPRESS)


def run(arguments: argparse.Namespace) -> int:
    """Do one action; returns 0, and raises ProvisionError for what cannot be done."""
    _ACTIONS[arguments.action](arguments)
    return 0


def _on_bag(
    actions: argparse._SubParsersAction[argparse.ArgumentParser], name: str, summary: str
) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=summary)
    parser.add_argument("bag", metavar="BAG", help="the data bag's name")
    return parser


def _on_item(
    actions: argparse._SubParsersAction[argparse.ArgumentParser], name: str, summary: str
) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=summary)
    parser.add_argument("item", metavar="BAG/ITEM", help="the item, as a reference names it")
    return parser


def _keygen(arguments: argparse.Namespace) -> None:
    identity = keys.generate_identity()
    text = f"# recipient: {identity.recipient}\n{identity.reveal()}\n"
    write_private(arguments.file, text)
    print(identity.recipient)
    _say(f"keep {arguments.file} to yourself, and name it in {keys.IDENTITY_FILE}")


def _list(arguments: argparse.Namespace) -> None:
    project = arguments.project
    for name in [arguments.bag] if arguments.bag else bag_file.names(project):
        for item in sorted(_load(project, name).items):
            print(f"{name}/{item}")


def _show_recipients(arguments: argparse.Namespace) -> None:
    for recipient in sorted(_load(arguments.project, arguments.bag).recipients):
        print(recipient)


def _create(arguments: argparse.Namespace) -> None:
    opened = bag.create(arguments.bag, arguments.recipients)
    path = bag_file.path_of(arguments.project, arguments.bag)
    if path.exists():
        raise RefusedError(f"there is a data bag {path} already")
    bag_file.save(path, opened.bag, replacing=None)


def _get(arguments: argparse.Namespace) -> None:
    if not (arguments.force or sys.stdout.isatty()):
        raise RefusedError(
            "standard output is not a terminal",
            hint="--force prints the value all the same.",
        )
    name, item = split_item(arguments.item)
    value = bag.read(_open(arguments, name), item)
    sys.stdout.write(value if arguments.force else f"{value}\n")


def _set(arguments: argparse.Namespace) -> None:
    name, item = split_item(arguments.item)
    opened = _open(arguments, name)
    value = _typed(arguments.item)
    _save(arguments.project, opened, bag.set_item(opened, item, value))


def _remove(arguments: argparse.Namespace) -> None:
    name, item = split_item(arguments.item)
    _change(arguments, name, lambda opened: bag.remove_item(opened, item))


def _edit(arguments: argparse.Namespace) -> None:
    environ = arguments.variables
    places = [editing.MEMORY, Path(environ.get("TMPDIR") or "/tmp")]
    editor = environ.get("VISUAL") or environ.get("EDITOR") or "vi"
    _change(
        arguments,
        arguments.bag,
        lambda opened: editing.edit(
            opened, partial(_run_editor, editor), again=_ask_again, places=places
        ),
    )


def _rotate(arguments: argparse.Namespace) -> None:
    _change(arguments, arguments.bag, bag.rotate)


def _add_recipient(arguments: argparse.Namespace) -> None:
    recipient = arguments.recipient
    _change(arguments, arguments.bag, lambda opened: bag.add_recipient(opened, recipient))


def _remove_recipient(arguments: argparse.Namespace) -> None:
    recipient = arguments.recipient
    _change(arguments, arguments.bag, lambda opened: bag.remove_recipient(opened, recipient))
    _say(
        f"warning: who holds {recipient} knew every value of {arguments.bag}, and git keeps them: "
        "have each issued anew, then set it"
    )


def _change(arguments: argparse.Namespace, name: str, change: _Change) -> None:
    opened = _open(arguments, name)
    _save(arguments.project, opened, change(opened))


def _save(project: Path, before: OpenBag, after: OpenBag) -> None:
    if after.bag == before.bag:
        _say(f"nothing changes in {after.bag.name}")
        return
    path = bag_file.path_of(project, after.bag.name)
    bag_file.save(path, after.bag, replacing=before.bag)


def _load(project: Path, name: str) -> bag.Bag:
    bag.check_name(name)
    return bag_file.load(bag_file.path_of(project, name))


def _open(arguments: argparse.Namespace, name: str) -> OpenBag:
    return bag.unlock(_load(arguments.project, name), keys.identities_from(arguments.variables))


def _typed(item: str) -> str:
    """What is typed unseen on a terminal, else standard input without its last newline."""
    if sys.stdin.isatty():
        return getpass.getpass(f"{item}: ")
    data = sys.stdin.buffer.read(LONGEST + 2)
    return decode(data, f"the value of {item}").removesuffix("\n")


def _run_editor(command: str, path: Path) -> None:
    try:
        done = subprocess.run([*shlex.split(command), path], check=False)
    except (OSError, ValueError):
        raise SecretError(
            f"cannot run the editor {command}", hint="Set EDITOR to the one you use."
        ) from None
    if done.returncode:
        raise SecretError(f"the editor {command} failed: nothing was changed")


def _ask_again(error: InputError) -> bool:
    _say(f"{error.message}\nhint: {error.hint}")
    if not sys.stdin.isatty():
        return False
    return input("Edit it again? [Y/n] ").strip().lower() in ("", "y", "yes")


def _say(text: str) -> None:
    print(text, file=sys.stderr)


_ACTIONS: dict[str, Callable[[argparse.Namespace], None]] = {
    "keygen": _keygen,
    "list": _list,
    "show-recipients": _show_recipients,
    "create": _create,
    "get": _get,
    "set": _set,
    "remove": _remove,
    "edit": _edit,
    "rotate": _rotate,
    "add-recipient": _add_recipient,
    "remove-recipient": _remove_recipient,
}
