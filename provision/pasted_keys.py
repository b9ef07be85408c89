"""Finds secrets that somebody pasted into role YAML, an inventory or a template.

Two kinds of rules: what has a known shape is a secret wherever it stands, and what stands under a
name such as `password` is one unless it refers to something. Names of digests, key ids and public
keys are neither: a lint that cries wolf is switched off. What it says never repeats the secret; a
line that ends in `# not a secret` is passed over.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

_ALLOWED = re.compile(r"(?:#|//|--)\s*not a secret\s*$")

# Shapes that their issuers publish so that they can be found.
_SHAPES = tuple(
    (re.compile(pattern), what)
    for pattern, what in (
        (r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----", "a private key"),
        (r"\bAGE-SECRET-KEY-1[A-Z0-9]{20,}", "an age identity"),
        (r"\bPITR-SECRET-KEY-1[A-Z2-7]{20,}", "an identity that opens data bags"),
        (r"\b(?:AKIA|ASIA)(?!.{9}EXAMPLE)[A-Z2-7]{16}\b", "an AWS access key id"),
        (r"\bGOOG1?E?(?=\w*\d)[A-Z0-9]{20,}\b", "a Google HMAC access id"),
        (r"\bgh[oprsu]_[A-Za-z0-9]{36,}", "a GitHub token"),
        (r"\bgithub_pat_[A-Za-z0-9_]{22,}", "a GitHub token"),
        (r"\bgl(?:pat|ptt|dt|rt|cbt|ft|soat|agent)-[A-Za-z0-9_-]{20,}", "a GitLab token"),
        (r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}", "a Slack token"),
        (r"hooks\.slack\.com/services/T\w+/B\w+/\w{16,}", "a Slack webhook"),
        (r"\bhvs\.[A-Za-z0-9_-]{24,}", "a Vault token"),
    )
)
_KEY_ID = re.compile(r"\b(?:AKIA|ASIA)[A-Z2-7]{16}\b")
_AWS_SECRET = re.compile(r"(?<![A-Za-z0-9+/=])[A-Za-z0-9+/]{40}(?![A-Za-z0-9+/=])")
_NEAR = 3
_URL = re.compile(r"\b[a-z][a-z0-9+.-]{1,30}://[^\s/:@'\"]{0,200}:([^\s/@'\"]{1,500})@")

_PAIR = re.compile(
    r"(?<![\w.-])(?P<quote>[\"']?)(?P<name>[A-Za-z][\w.-]{0,80})(?P=quote)"
    r"(?:\s{0,20}[:=]\s{0,20}|\s{1,20}(?=['\"]))"
    # Only looked at, so that pairs within a quoted value, a connection string, are found too.
    r"(?=(?P<value>\"(?:[^\"\\]|\\.){0,4096}\"|'[^']{0,4096}'"
    r"|[^\s,'\"{}\[\]|>&*#][^\s,'\"{}\[\]]{0,500}))"
)
_PASSWORD = re.compile(
    r"[_.-]pass$|(?:^|[_.-])(?:passwd|password|passphrase|pwd|pgpassword)$", re.I
)
_SECRET = re.compile(
    r"(?:^|[_.-])(?:secret|token|credentials?|apikey|api_key|access_key|secret_key|private_key"
    r"|encryption_key|libsodium_key|signing_key|key)$",
    re.I,
)
_PUBLIC_NAME = re.compile(r"(?:public|host|authorized|ssh|kms|sort|primary|foreign)_?keys?$", re.I)
_REFERENCE = re.compile(
    r"(?:env|file|bag):|(?:age|pitrpub)1|ssh-|ecdsa-|sk-|SHA256:|arn:|projects/|\$|%|<|\*|\{|x+$|\.+$",
    re.I,
)
_PATH = re.compile(r"[~.]{0,2}/[a-z0-9._/-]+")
_CODE = re.compile(r"[A-Za-z_.]+\(|[a-z_][a-z0-9_]*(?:\.[a-z_][a-z0-9_]*)+$")
_WORD = re.compile(
    r"(?:true|false|on|off|yes|no|null|none|~|required|optional|prompt|changeme|replaceme"
    r"|example|redacted|password|secret|scram-sha-256|md5|reject|peer|trust)",
    re.I,
)
_SHORTEST_PASSWORD = 4
_SHORTEST_TOKEN = 20
_ENTROPY = 3.2  # bits a character: 32 random hexadecimal digits have about 3.6, words below 3


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A secret in a source text: where it is, what it is, and what to do."""

    file: str
    line: int
    what: str
    hint: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.what} is written here"


def find(text: str, file: str) -> tuple[Finding, ...]:
    """Return a finding for each line of `text` that holds a secret."""
    lines = text.split("\n")
    found = []
    for number, line in enumerate(lines, 1):
        what = next(_secrets(line, lines[max(0, number - 1 - _NEAR) : number + _NEAR]), None)
        if what is not None and not _ALLOWED.search(line):
            found.append(Finding(file=file, line=number, what=what, hint=_hint(line)))
    return tuple(found)


def holds_secret(line: str) -> bool:
    """Whether a line on its own looks as if it held a secret."""
    return next(_secrets(line, [line]), None) is not None


def _secrets(line: str, near: list[str]) -> Iterator[str]:
    yield from (what for shape, what in _SHAPES if shape.search(line))
    if any(map(_KEY_ID.search, near)) and any(map(_is_random, _AWS_SECRET.findall(line))):
        yield "an AWS secret access key"
    if any(map(_is_password, _URL.findall(line))):
        yield "a password in a URL"
    for pair in _PAIR.finditer(line):
        yield from _under_name(pair["name"], pair["value"].strip("\"'").strip())


def _under_name(name: str, value: str) -> Iterator[str]:
    if _PASSWORD.search(name) and _is_password(value):
        yield "a password"
    if _SECRET.search(name) and not _PUBLIC_NAME.search(name) and _is_token(value):
        yield "a secret key or token"


def _is_literal(value: str) -> bool:
    """Whether a value is one itself: no reference, placeholder, path, variable or keyword."""
    return not (_REFERENCE.match(value) or _PATH.fullmatch(value) or _WORD.fullmatch(value))


def _is_password(value: str) -> bool:
    return len(value) >= _SHORTEST_PASSWORD and _is_literal(value)


def _is_token(value: str) -> bool:
    return (
        len(value) >= _SHORTEST_TOKEN
        and _is_literal(value)
        and _is_random(value)
        and not _CODE.match(value)
    )


def _is_random(value: str) -> bool:
    """Whether a text is as good as random: letters and digits, and many different ones."""
    if re.search(r"\s", value) or not (re.search(r"\d", value) and re.search(r"[A-Za-z]", value)):
        return False
    counts = Counter(value).values()
    entropy = -sum(count / len(value) * math.log2(count / len(value)) for count in counts)
    return entropy >= _ENTROPY


def _hint(line: str) -> str:
    names = (pair["name"] for pair in _PAIR.finditer(line))
    item = next(
        (name.lower() for name in names if _PASSWORD.search(name) or _SECRET.search(name)), ""
    )
    place = f"BAG/{item or 'ITEM'}"
    return (
        f"Put it into a data bag with `provision secrets set {place}`, write "
        f'{{secret: "bag:{place}"}} here, and have it issued anew: git keeps what it had.'
    )
