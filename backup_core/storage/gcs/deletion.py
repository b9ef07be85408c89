"""Deleting one by one, several at a time.

The API's batches are a MIME format around the same single requests, bring the server no less work
and are not understood by emulators; connections that are kept do as well.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, islice

from backup_core.errors import NotFoundError, StorageError, UsageError
from backup_core.storage.gcs.client import Client
from backup_core.storage.gcs.errors import DELETE
from backup_core.storage.keys import check_key
from backup_core.storage.retry import retried


def delete_keys(
    client: Client, prefix: str, keys: Iterable[str], *, at_once: int
) -> dict[str, str | None]:
    """Delete the keys below `prefix`; each maps to None or to why it was not deleted.

    Keys are pulled as they are needed, in the caller's thread, a few ahead of the answers.
    """
    rest = iter(keys)
    first = list(islice(rest, 2))
    if len(first) < 2:  # a lock, or what an operator named: not worth a thread
        return {key: _outcome_of(client, prefix, key) for key in first}
    outcome: dict[str, str | None] = {}
    waiting: deque[tuple[str, Future[str | None]]] = deque()
    with ThreadPoolExecutor(at_once, thread_name_prefix="delete") as pool:
        for key in chain(first, rest):
            waiting.append((key, pool.submit(_outcome_of, client, prefix, key)))
            if len(waiting) > 2 * at_once:
                done, future = waiting.popleft()
                outcome[done] = future.result()
        for done, future in waiting:
            outcome[done] = future.result()
    return outcome


def _outcome_of(client: Client, prefix: str, key: str) -> str | None:
    try:
        check_key(key)
        operation = client.operation("delete", DELETE, prefix + key)
        retried(lambda: client.send(operation, "DELETE").read(), client.policy)
    except NotFoundError:
        return None
    except (StorageError, UsageError) as error:
        return error.message
    return None
