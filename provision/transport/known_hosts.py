"""Which keys a host may show: pinned ones, or what known_hosts files say (sshd(8)).

Written out instead of using paramiko's reader, which passes over `@revoked` silently, so that a
key that was withdrawn stays good when it is also listed, and does not know wildcards with ports.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from provision.errors import InputError

_MARKERS = ("@revoked", "@cert-authority")
_STANDARD_PORT = 22


@dataclass(frozen=True, kw_only=True, order=True)
class HostKey:
    """A public key as the SSH protocol sends it, RFC 4253 section 6.6."""

    kind: str
    blob: bytes

    @property
    def fingerprint(self) -> str:
        """What `ssh-keygen -l` prints: SHA256 and 43 characters."""
        digest = base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip("=")
        return f"SHA256:{digest}"

    def __str__(self) -> str:
        return f"{self.kind} {base64.b64encode(self.blob).decode()}"


@dataclass(frozen=True, kw_only=True)
class KnownKeys:
    """What is known of one host; with `authorities` some of its entries name a CA instead."""

    trusted: tuple[HostKey, ...] = ()
    revoked: tuple[HostKey, ...] = ()
    authorities: bool = False


@dataclass(frozen=True, kw_only=True)
class _Entry:
    marker: str
    patterns: tuple[str, ...]
    key: HostKey


def parse_host_key(text: str) -> HostKey:
    """Read `ssh-ed25519 AAAA... [comment]`, a line of an `ssh_host_*_key.pub` file.

    Raise InputError when it is something else.
    """
    kind, _, rest = text.strip().partition(" ")
    try:
        blob = base64.b64decode(rest.split()[0], validate=True)
    except (IndexError, ValueError):
        blob = b""
    if (
        not kind
        or blob[4 : 4 + len(kind)] != kind.encode()
        or int.from_bytes(blob[:4], "big") != len(kind)
    ):
        raise InputError(
            f"{text.strip()[:40]!r} is not an SSH public key",
            hint="Copy the line from /etc/ssh/ssh_host_ed25519_key.pub on the host.",
        )
    return HostKey(kind=kind, blob=blob)


def known_keys(files: Iterable[str], names: Sequence[str], port: int) -> KnownKeys:
    """Return what the texts of known_hosts files say of the first of `names` that they know.

    Lines that cannot be read are passed over, as OpenSSH does.
    """
    entries = [entry for text in files for entry in _entries(text)]
    for name in names:
        looked_up = name if port == _STANDARD_PORT else f"[{name}]:{port}"
        found = [entry for entry in entries if _matches(entry.patterns, looked_up)]
        if found:
            return KnownKeys(
                trusted=tuple(entry.key for entry in found if not entry.marker),
                revoked=tuple(entry.key for entry in found if entry.marker == "@revoked"),
                authorities=any(entry.marker == "@cert-authority" for entry in found),
            )
    return KnownKeys()


def _entries(text: str) -> Iterator[_Entry]:
    for line in text.splitlines():
        fields = line.split()
        marker = fields.pop(0) if fields and fields[0] in _MARKERS else ""
        if len(fields) < 3 or fields[0].startswith(("#", "@")):
            continue
        try:
            key = parse_host_key(" ".join(fields[1:3]))
        except InputError:
            continue
        yield _Entry(marker=marker, patterns=tuple(fields[0].split(",")), key=key)


def _matches(patterns: Iterable[str], name: str) -> bool:
    found = False
    for pattern in patterns:
        if pattern.startswith("!") and _like(pattern[1:], name):
            return False
        found = found or _like(pattern, name)
    return found


def _like(pattern: str, name: str) -> bool:
    if pattern.startswith("|1|"):
        return _hashes_to(pattern, name)
    shape = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(shape, name, re.IGNORECASE) is not None


def _hashes_to(pattern: str, name: str) -> bool:
    """`|1|SALT|HASH`, what HashKnownHosts writes: HMAC-SHA1 of the name."""
    try:
        salt, wanted = (base64.b64decode(part, validate=True) for part in pattern[3:].split("|"))
    except ValueError:
        return False
    return hmac.compare_digest(hmac.new(salt, name.lower().encode(), hashlib.sha1).digest(), wanted)
