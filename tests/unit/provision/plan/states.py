"""What hosts have, for tests of the plan."""

from hashlib import sha256

from provision.content import Content, SecretRef
from provision.errors import SecretError
from provision.plan.paths import Comparison
from provision.plan.trees import unified
from provision.resources.base import Entry, Origin
from provision.state import HostState, PathState

ORIGIN = Origin(recipe="tooling")
SECRETS = {"env:KEY": "old-secret"}


def resolve(ref: SecretRef) -> str:
    """The secrets that the tests have."""
    if str(ref) not in SECRETS:
        raise SecretError(f"{ref} is not set")
    return SECRETS[str(ref)]


def diff(before: str | None, after: Content, private: bool) -> tuple[str, ...]:
    """A diff that shows references, and of private files nothing."""
    return ("private",) if private else unified(before, str(after))


def comparison(state: HostState) -> Comparison:
    """A comparison with that state."""
    return Comparison(state=state, resolve=resolve, diff=diff)


def file_state(
    text: str, *, owner: str = "root", group: str = "root", mode: str = "0644"
) -> PathState:
    """A file as a host reports it."""
    data = text.encode()
    return PathState(
        kind="file",
        owner=owner,
        group=group,
        mode=mode,
        digest=sha256(data).hexdigest(),
        content=data,
    )


def state_of(entry: Entry) -> PathState:
    """What a host has after the entry was applied."""
    if entry.kind == "link":
        return PathState(kind="link", owner="root", group="root", target=entry.target)
    if entry.kind == "directory":
        return PathState(kind="directory", owner=entry.owner, group=entry.group, mode=entry.mode)
    assert entry.content is not None
    text = entry.content.reveal(resolve).decode()
    return file_state(text, owner=entry.owner, group=entry.group, mode=entry.mode)
