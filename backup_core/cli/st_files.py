"""`pitr st cat`, `get` and `put`: bytes between the repository and here."""

from __future__ import annotations

import argparse
import codecs
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import BinaryIO

from backup_core import log
from backup_core.cli.output import moment, size
from backup_core.config import Settings
from backup_core.errors import (
    AlreadyExistsError,
    NotFoundError,
    PitrError,
    RefusedError,
    UsageError,
)
from backup_core.repository import layout
from backup_core.repository.sealed import is_confidential
from backup_core.storage.base import Storage
from backup_core.stream.chunks import CHUNK_SIZE
from backup_core.stream.compress import EXTENSIONS, decode, encode

_TEXT_CONTROLS = "\t\n\r\f"


def cat(storage: Storage, settings: Settings, args: argparse.Namespace) -> int:
    """Write an object to standard output; a terminal gets only text."""
    del settings
    chunks = _opened(storage, args.key, decoded=args.decompress)
    first = next(chunks, b"")
    if sys.stdout.isatty() and not is_text(first):
        raise UsageError(
            f"{args.key} is not text and would garble the terminal",
            hint="Redirect the output to a file, or use --decompress if it is compressed text.",
        )
    output = sys.stdout.buffer
    output.write(first)
    for chunk in chunks:
        output.write(chunk)
    output.flush()
    return 0


def _opened(storage: Storage, key: str, *, decoded: bool) -> Iterator[bytes]:
    """The object's bytes, as stored or as they were before they were stored."""
    chunks = storage.get(key)
    return decode(chunks, extension=layout.extension_of(key), name=key) if decoded else chunks


def is_text(beginning: bytes) -> bool:
    """Tell whether these bytes, perhaps cut within a character, are printable UTF-8."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(beginning)
    except UnicodeDecodeError:
        return False
    return all(character.isprintable() or character in _TEXT_CONTROLS for character in text)


def get(storage: Storage, settings: Settings, args: argparse.Namespace) -> int:
    """Fetch an object into a file that does not exist yet; it appears whole or not at all."""
    del settings
    decoded = not (args.no_decompress or args.no_decrypt)
    destination: Path = args.destination
    try:
        if destination.is_dir():
            destination /= _local_name(args.key, decoded=decoded)
        _check_absent(destination)
        chunks = _opened(storage, args.key, decoded=decoded)
        length = _write_new(destination, chunks)
    except OSError as error:
        raise PitrError(
            f"cannot write {destination}: {error.strerror}",
            hint="Check the space and the permissions of that directory.",
        ) from None
    log.event(
        log.get("st"),
        log.INFO,
        "fetched",
        action="get",
        key=args.key,
        prefix=storage.url,
        file=destination,
        size=size(length),
    )
    return 0


def _local_name(key: str, *, decoded: bool) -> str:
    name = key.rpartition("/")[2]
    extension = layout.extension_of(key)
    return name.removesuffix(f".{extension}") if decoded and extension else name


def _check_absent(path: Path) -> None:
    if os.path.lexists(path):
        raise RefusedError(
            f"{path} exists already; nothing was written", hint="Name a new file, or move it away."
        )


def _write_new(destination: Path, chunks: Iterator[bytes]) -> int:
    temporary = destination.with_name(f".{destination.name}.{secrets.token_hex(4)}.pitr-tmp")
    try:
        with temporary.open("xb") as file:
            for chunk in chunks:
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
            length = file.tell()
        _check_absent(destination)
        temporary.rename(destination)
        return length
    finally:
        temporary.unlink(missing_ok=True)


def _check_encrypted(key: str, settings: Settings) -> None:
    """Say that a key outside of WAL and backups is stored as it is, or refuse that."""
    if settings.encryption == "none" or is_confidential(key):
        return
    if settings.require_encryption:
        raise RefusedError(
            f"{key} would be stored in plain text: only WAL and backups are encrypted",
            hint="Encrypt it yourself, or unset PITR_REQUIRE_ENCRYPTION for this command.",
        )
    message = f"{key} is stored in plain text: only WAL and backups are encrypted"
    log.event(log.get("st"), log.WARNING, message, action="put")


def put(storage: Storage, settings: Settings, args: argparse.Namespace) -> int:
    """Store a file or standard input; what is there already stays unless --force is given."""
    method = "none" if args.no_compress else settings.compression_method
    key = _stored_key(args.key, EXTENSIONS[method], compress=not args.no_compress)
    if not args.no_encrypt:
        _check_encrypted(key, settings)
    if args.force:
        _warn_of_replacing(storage, key)
    if key.startswith((layout.WAL, layout.BACKUPS)):
        message = f"{key} is stored unchecked; pitr wal-push checks WAL, pitr copy backups"
        log.event(log.get("st"), log.WARNING, message, action="put", prefix=storage.url)
    with _open(args.file) as file:
        chunks = encode(_read(file, args.file), method=method, level=settings.zstd_level)
        try:
            info = storage.put(key, chunks, if_absent=not args.force)
        except AlreadyExistsError:
            raise RefusedError(
                f"{key} is in {storage.url} already; nothing was written",
                hint="pitr st stat shows it; -f replaces it.",
            ) from None
    log.event(
        log.get("st"),
        log.INFO,
        "stored",
        action="put",
        key=key,
        prefix=storage.url,
        size=size(info.size),
    )
    return 0


def _stored_key(key: str, extension: str, *, compress: bool) -> str:
    if compress and layout.extension_of(key):
        raise UsageError(
            f"{key} ends in a codec's extension, which put adds itself",
            hint="Leave the extension out, or use --no-compress for a file that is compressed.",
        )
    return layout.with_extension(key, extension)


def _warn_of_replacing(storage: Storage, key: str) -> None:
    try:
        old = storage.stat(key)
    except NotFoundError:
        return
    age = moment(old.modified) if old.modified else "unknown age"
    message = f"replacing {key}, which has {size(old.size)} of {age}"
    log.event(log.get("st"), log.WARNING, message, action="put", key=key, prefix=storage.url)


def _open(name: str) -> AbstractContextManager[BinaryIO]:
    if name == "-":
        return nullcontext(sys.stdin.buffer)
    try:
        return Path(name).open("rb")
    except FileNotFoundError:
        raise NotFoundError(f"there is no file {name}") from None
    except OSError as error:
        raise PitrError(f"cannot read {name}: {error.strerror}") from None


def _read(file: BinaryIO, name: str) -> Iterator[bytes]:
    try:
        while chunk := file.read(CHUNK_SIZE):
            yield chunk
    except OSError as error:
        raise PitrError(f"cannot read {name}: {error.strerror}") from None
