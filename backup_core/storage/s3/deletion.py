"""Deleting in batches, with what the server says of each key.

An answer of 200 lists the keys that were not deleted; those whose trouble may pass are asked for
again, the others are reported (Amazon S3 API Reference, "DeleteObjects"). A batch is mostly waiting
for its answer, so a few are on their way at once; no more, because S3 counts every key of a batch
against what it accepts a second below one prefix.
"""

from __future__ import annotations

import base64
import hashlib
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, islice
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from backup_core.errors import StorageError, UsageError
from backup_core.storage.keys import check_key
from backup_core.storage.retry import PassingError, retried
from backup_core.storage.s3.client import Client

_PASSING = frozenset({"InternalError", "SlowDown", "ServiceUnavailable", "OperationAborted"})
_AT_ONCE = 4


def delete_keys(
    client: Client, prefix: str, keys: Iterable[str], *, batch: int
) -> dict[str, str | None]:
    """Delete the keys below `prefix`; each maps to None or to why it was not deleted.

    Keys are pulled as they are needed, in the caller's thread, a few batches ahead of the answers.
    """
    outcome: dict[str, str | None] = {}
    groups = _batches(keys, batch, outcome)
    first = next(groups, [])
    if len(first) < batch:  # the rest of a lock, or what an operator named: not worth a thread
        outcome.update(_outcome_of(client, prefix, first) if first else {})
        return outcome
    waiting: deque[Future[dict[str, str | None]]] = deque()
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="delete") as pool:
        for group in chain([first], groups):
            waiting.append(pool.submit(_outcome_of, client, prefix, group))
            if len(waiting) >= _AT_ONCE:
                outcome.update(waiting.popleft().result())
        for future in waiting:
            outcome.update(future.result())
    return outcome


def _outcome_of(client: Client, prefix: str, group: list[str]) -> dict[str, str | None]:
    try:
        return _delete_group(client, prefix, group)
    except StorageError as error:
        return dict.fromkeys(group, error.message)


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
    objects = "".join(f"<Object><Key>{_quoted(prefix + key)}</Key></Object>" for key in keys)
    body = f"<Delete>{objects}<Quiet>true</Quiet></Delete>".encode()
    digest = hashlib.md5(body, usedforsecurity=False).digest()
    response = client.send(
        client.operation("delete from", "s3:DeleteObject", prefix),
        "POST",
        query={"delete": ""},
        headers={"Content-MD5": base64.b64encode(digest).decode()},
        body=(body,),
    )
    errors = {
        (error.findtext("{*}Key") or "").removeprefix(prefix): (
            error.findtext("{*}Code") or "",
            error.findtext("{*}Message") or "",
        )
        for error in _result(client, response.read()).iterfind("{*}Error")
        if error.findtext("{*}Code") != "NoSuchKey"
    }
    for key in errors.keys() - set(keys):
        raise StorageError(f'{client.url} did not delete "{key}", which it was not asked to')
    return errors


def _result(client: Client, document: bytes) -> ElementTree.Element:
    """Parse the answer; whoever answers something else has deleted nothing."""
    try:
        root = ElementTree.fromstring(document)
    except ElementTree.ParseError:
        raise PassingError(f"{client.url} answered a deletion with what is no XML") from None
    if not root.tag.endswith("DeleteResult"):
        raise PassingError(f"{client.url} answered a deletion with <{root.tag}>")
    return root


def _quoted(key: str) -> str:
    """Write a key into XML, where a bare carriage return would be read as a line feed."""
    return escape(key, {"\r": "&#13;"})
