"""The keys that a host shows, for people to compare: nothing is trusted here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from provision.errors import HostKeyError
from provision.transport import HostKey


def lines_to_pin(host: str, endpoint: str, shown: Sequence[HostKey]) -> Iterator[str]:
    """Return the fingerprints, what to compare them with, and the lines for the inventory."""
    yield f"{host}: {endpoint} shows, unproved:"
    for key in shown:
        yield f"  {key.kind:19} {key.fingerprint}"
    yield "Compare with what the host's console says:"
    yield "  for key in /etc/ssh/ssh_host_*_key.pub; do ssh-keygen -lf $key; done"
    yield "If a fingerprint is the same there, pin that key in roles/inventory.yml:"
    yield "hosts:"
    yield f"  {host}:"
    yield "    host_key:"
    for key in shown:
        yield f"      - {key}"


def check_pinned(host: str, shown: Sequence[HostKey], pinned: Sequence[HostKey]) -> bool:
    """Whether what is shown is pinned already; raises HostKeyError if something else is."""
    if not pinned:
        return False
    if set(shown) & set(pinned):
        return True
    known = ", ".join(f"{key.kind} {key.fingerprint}" for key in pinned)
    raise HostKeyError(
        f"{host} shows none of the keys that are pinned: {known}",
        hint="Either the host was installed anew or somebody stands in between: compare on its "
        "console before you change what is pinned.",
    )


def check_fingerprint(host: str, shown: Sequence[HostKey], wanted: str) -> tuple[HostKey, ...]:
    """Return the key with that fingerprint; raises HostKeyError if the host shows no such key."""
    found = tuple(key for key in shown if key.fingerprint == wanted)
    if not found:
        raise HostKeyError(
            f"{host} shows no key with the fingerprint {wanted}",
            hint="Compare it with 'ssh-keygen -lf' on the host's console.",
        )
    return found
