"""Whether the key that a host shows is one of its own.

paramiko is left knowing no keys, so that it asks here about every one: it compares only one key of
each kind, and asks hosts for kinds of keys that are not the ones that are known.
"""

from collections.abc import Sequence
from pathlib import Path

from paramiko import MissingHostKeyPolicy, PKey, SSHClient, Transport

from provision.errors import HostKeyError, InputError
from provision.transport.known_hosts import HostKey, KnownKeys, known_keys
from provision.transport.target import Target

_RSA_SIGNATURES = ("rsa-sha2-512", "rsa-sha2-256")


def keys_of(target: Target) -> KnownKeys:
    """Return the pinned keys, or what the files say; raise InputError for an unreadable file."""
    if target.host_keys:
        return KnownKeys(trusted=target.host_keys)
    names = (target.name, target.address)
    return known_keys(map(_read, target.known_hosts), names, target.port)


def preferring(trusted: Sequence[HostKey], transport: Transport) -> Transport:
    """Ask first for the kinds of keys that are known; a server has several and shows one."""
    wanted = [
        name
        for key in trusted
        for name in (_RSA_SIGNATURES if key.kind == "ssh-rsa" else (key.kind,))
    ]
    options = transport.get_security_options()
    offered = tuple(options.key_types)
    first = [name for name in offered if name in wanted]
    options.key_types = (*first, *(name for name in offered if name not in first))
    return transport


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError as error:
        raise InputError(f"known_hosts file {path} cannot be read: {error.strerror}") from error


class Judge(MissingHostKeyPolicy):
    """Accepts a key that is known, and raises HostKeyError for every other."""

    def __init__(self, target: Target, known: KnownKeys) -> None:
        self.satisfied = False
        self._target = target
        self._known = known

    def missing_host_key(self, _client: SSHClient, _hostname: str, key: PKey) -> None:
        """Judge the key that the server proved to hold; called before anything is sent to it."""
        shown = HostKey(kind=key.get_name(), blob=key.asbytes())
        if shown in self._known.revoked:
            raise HostKeyError(
                f"{self._place()} shows a revoked key, {_describe(shown)}",
                hint="Somebody has taken this key out of use: do not connect with it.",
            )
        if shown not in self._known.trusted:
            raise self._changed(shown) if self._known.trusted else self._unknown(shown)
        self.satisfied = True

    def _changed(self, shown: HostKey) -> HostKeyError:
        known = ", ".join(map(_describe, self._known.trusted))
        return HostKeyError(
            f"{self._place()} shows {_describe(shown)}, but its known key is {known}",
            hint="Either the host was installed anew or somebody stands in between: compare with "
            "'ssh-keygen -lf' on its console before you change what is known.",
        )

    def _unknown(self, shown: HostKey) -> HostKeyError:
        reason = " (certificate authorities are not supported)" if self._known.authorities else ""
        return HostKeyError(
            f"{self._place()} shows {_describe(shown)}, and no key of it is known{reason}",
            hint="Compare the fingerprint with 'ssh-keygen -lf' on its console; if it is right, "
            f"pin it in the inventory: host_keys: [{shown}]",
        )

    def _place(self) -> str:
        return f"{self._target.name}: {self._target.endpoint}"


def _describe(key: HostKey) -> str:
    return f"{key.kind} {key.fingerprint}"
