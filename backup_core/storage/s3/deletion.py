"""Deleting in batches, with what the server says of each key.

An answer of 200 lists the keys that were not deleted; those whose trouble may pass are asked for
again, the others are reported (Amazon S3 API Reference, "DeleteObjects").
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator
from itertools import islice
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from backup_core.errors import StorageError, UsageError
from backup_core.storage.keys import check_key
from backup_core.storage.retry import PassingError, retried
from backup_core.storage.s3.client import Client

_PASSING = frozenset({"InternalError", "SlowDown", "ServiceUnavailable", "OperationAborted"})


def delete_keys(
    client: Client, prefix: str, keys: Iterable[str], *, batch: int
) -> dict[str, str | None]:
    """Delete the keys below `prefix`; each maps to None or to why it was not deleted."""
    outcome: dict[str, str | None] = {}
    for group in _batches(keys, batch, outcome):
        try:
            outcome.update(_delete_group(client, prefix, group))
        except StorageError as error:
            outcome.update(dict.fromkeys(group, error.message))
    return outcome


def _batches(keys: Iterable[str], size: int, refused: dict[str, str | None]) -> Iterator[list[str]]:
    """Yield groups of possible keys; the impossible go into `refused` with the reason."""

    def possible() -> Iterator[str]:
        for key in keys:
            try:
                check_key(key)
            except UsageError as error:
                refused[key] = error.message
            else:
                yield key

    wanted = possible()
    while group := list(islice(wanted, size)):
        yield group


def _delete_group(client: Client, prefix: str, group: list[str]) -> dict[str, str | None]:
    outcome: dict[str, str | None] = dict.fromkeys(group)
    waiting = group

    def attempt() -> None:
        nonlocal waiting
        errors = _request(client, prefix, waiting)
        outcome.update(dict.fromkeys(waiting))
        outcome.update({key: f"{code}: {said}" for key, (code, said) in errors.items()})
        waiting = [key for key, (code, _) in errors.items() if code in _PASSING]
        if waiting:
            raise PassingError(f'cannot delete "{waiting[0]}": {outcome[waiting[0]]}')

    try:
        retried(attempt, client.policy)
    except StorageError:
        if not waiting or any(outcome[key] is None for key in waiting):
            raise
    return outcome


def _request(client: Client, prefix: str, keys: list[str]) -> dict[str, tuple[str, str]]:
    """Make one request; return the code and the message of each key that was not deleted."""
    objects = "".join(f"<Object><Key>{escape(prefix + key)}</Key></Object>" for key in keys)
    body = f"<Delete>{objects}<Quiet>true</Quiet></Delete>".encode()
    response = client.send(
        client.operation("delete from", "s3:DeleteObject", prefix),
        "POST",
        query={"delete": ""},
        headers={"Content-MD5": base64.b64encode(hashlib.md5(body).digest()).decode()},
        body=(body,),
    )
    try:
        root = ElementTree.fromstring(response.read())
    except ElementTree.ParseError:
        raise PassingError(f"{client.url} answered a deletion with what is no XML") from None
    return {
        (error.findtext("{*}Key") or "").removeprefix(prefix): (
            error.findtext("{*}Code") or "",
            error.findtext("{*}Message") or "",
        )
        for error in root.iterfind("{*}Error")
        if error.findtext("{*}Code") != "NoSuchKey"
    }
