"""From repository and encryption attributes to the engine's variables.

The names are those that every profile's engine reads, so that an envdir of WAL-E or WAL-G stays
one.
"""

from __future__ import annotations

from collections.abc import Iterator

from provision.content import Content, SecretPart
from provision.errors import InputError
from provision.layout import Layout
from provision.node import Node

_PREFIX_VARIABLES = {
    "wal-e": {"s3": "WALE_S3_PREFIX", "gs": "WALE_GS_PREFIX", "file": "WALE_FILE_PREFIX"},
    "wal-g": {"s3": "WALG_S3_PREFIX", "gs": "WALG_GS_PREFIX", "file": "WALG_FILE_PREFIX"},
}
# Where the engine looks for the private key of each scheme.
_KEY_VARIABLES = {
    "age": "PITR_AGE_IDENTITY",
    "libsodium": "WALG_LIBSODIUM_KEY",
    "openpgp": "WALG_PGP_KEY",
}


def environment_of(node: Node, layout: Layout) -> Iterator[tuple[str, Content]]:
    """The variables that say where the repository is, how to encrypt, reach the server, and judge.

    Raises InputError for an encryption scheme whose keys are missing.
    """
    yield from _repository(node, layout)
    yield from _encryption(node)
    if layout.spool is not None:
        yield "PITR_SPOOL_DIR", Content.of(layout.spool)
    yield "PGHOST", Content.of(layout.sockets)
    yield "PGPORT", Content.of(str(layout.port))
    yield "PGUSER", Content.of(node.attributes.postgresql.user)
    yield "PGDATABASE", Content.of("postgres")
    yield from _limits(node, layout)


def _repository(node: Node, layout: Layout) -> Iterator[tuple[str, Content]]:
    url = node.attributes.pitr.repository
    if not url:
        return
    if layout.profile == "pitr":
        yield "PITR_REPOSITORY", Content.of(url)
        return
    scheme, _, path = url.partition("://")
    name = _PREFIX_VARIABLES[layout.profile][scheme]
    yield name, Content.of(path if scheme == "file" else url)


def _encryption(node: Node) -> Iterator[tuple[str, Content]]:
    wanted = node.attributes.pitr.encryption
    if wanted.scheme == "age":
        _require(node, "recipients", wanted.recipients)
        yield "PITR_AGE_RECIPIENTS", Content.of(",".join(wanted.recipients))
    elif wanted.scheme == "openpgp":
        _require(node, "key_id", wanted.key_id or wanted.identity)
        if wanted.key_id:
            yield "WALE_GPG_KEY_ID", Content.of(wanted.key_id)
    elif wanted.scheme == "libsodium":
        _require(node, "identity", wanted.identity)
    if wanted.scheme != "none" and wanted.identity is not None:
        part = SecretPart(ref=wanted.identity, quote=one_line)
        yield _KEY_VARIABLES[wanted.scheme], Content.of(part)


def one_line(key: str) -> str:
    """Write a key in ASCII armour on one line, as the engine and WAL-G read it from a variable."""
    return key.strip().replace("\r\n", "\n").replace("\n", r"\n")


def _limits(node: Node, layout: Layout) -> Iterator[tuple[str, Content]]:
    """What `pitr check` judges by: the limits that the alerts are made of."""
    pitr = node.attributes.pitr
    wanted = pitr.monitoring
    yield "PITR_MAX_WAL_AGE", Content.of(f"{wanted.wal_age.seconds}s")
    yield "PITR_MAX_BACKUP_AGE", Content.of(f"{wanted.backup_age.seconds}s")
    yield "PITR_MAX_READY_FILES", Content.of(str(wanted.pending_wal))
    yield "PITR_MAX_DRILL_AGE", Content.of(f"{wanted.drill_age.seconds}s")
    deletes = {"retention": pitr.retention.enabled, "base_backup": pitr.base_backup.enabled}
    if not any(name in node.recipes and enabled for name, enabled in deletes.items()):
        yield "PITR_MAY_DELETE", Content.of("false")
    if pitr.retention.window is not None:
        yield "PITR_RECOVERY_WINDOW", Content.of(f"{pitr.retention.window.seconds}s")
    if "archiving" in node.recipes or "recovery" in node.recipes:
        yield "PITR_PGDATA", Content.of(layout.data_directory)
    if "drill" in node.recipes and pitr.drill.signing_key is not None:
        yield "PITR_DRILL_SIGNING_KEY_FILE", Content.of(layout.drill_key)


def _require(node: Node, name: str, value: object) -> None:
    if not value:
        raise InputError(
            f"host {node.name}: pitr.encryption.scheme is {node.attributes.pitr.encryption.scheme},"
            f" but pitr.encryption.{name} is not set",
            hint="Nothing is stored in plain text because a key is missing; set it, or set the "
            "scheme to none.",
        )
