"""Valid inputs, from which the fuzzer finds its way into the parsers."""

from __future__ import annotations

import gzip
import json
import struct
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

from backup_core.stream.compress import compress
from backup_core.stream.encrypt.age import AgeSealer, format_identity, format_recipient
from backup_core.stream.encrypt.libsodium import LibsodiumSealer
from backup_core.stream.tar import END_OF_ARCHIVE, TarMember, header, padding
from tests.fuzz.keys import IDENTITY, PLAINTEXT, RECIPIENT, SODIUM_KEY

_FIXTURES = Path(__file__).parent.parent / "fixtures"
_TEXT = b"The quick brown fox jumps over the lazy dog. " * 40


def _tar() -> bytes:
    long = TarMember(name="/base/5/" + "x" * 120, size=len(_TEXT), mode=0o600)
    directory = TarMember(name="/base", mode=0o700, is_directory=True)
    link = TarMember(name="/pg_tblspc/16384", link="/srv/ssd")
    odd = TarMember(name="/pg_tblspc/16385", link="/srv/\udcff" + "x" * 120, mtime=-1)
    directories = header(directory) + header(link) + header(odd)
    return directories + header(long) + _TEXT + padding(len(_TEXT)) + END_OF_ARCHIVE


def _sentinel() -> bytes:
    document = {
        "LSN": 83886120,
        "FinishLSN": 83886336,
        "PgVersion": 150018,
        "SystemIdentifier": 7711150952680696568,
        "Spec": {"base_prefix": "/p", "tablespaces": ["1"], "1": {"loc": "/t", "link": "x"}},
        "StartTime": "2026-11-23T00:04:04.853200Z",
        "DeltaFrom": "base_000000010000000000000001",
        "DeltaFullName": "base_000000010000000000000001",
        "DeltaLSN": 16777256,
        "DeltaCount": 1,
        "Files": {"/base/1/2": {"IsSkipped": True, "IsIncremented": False}},
    }
    return json.dumps(document).encode() + b'\0{"start_time": "2026-11-23T00:04:04Z"}'


def _wal_e_sentinel() -> bytes:
    document = {
        "wal_segment_backup_stop": "000000010000000000000002",
        "wal_segment_offset_backup_stop": "00000256",
        "expanded_size_bytes": 16535099,
        "spec": {
            "base_prefix": "/p/",
            "tablespaces": ["16384"],
            "16384": {"loc": "/t/", "link": "pg_tblspc/16384"},
        },
    }
    return json.dumps(document).encode() + b"\0PostgreSQL 14.1 on x86_64-pc-linux-gnu"


def _files_metadata() -> bytes:
    files = {
        "/base/1/2": {"IsIncremented": True, "IsSkipped": False, "MTime": "2026-11-23T00:04:04Z"},
        "/base/1/\udcff": {"IsSkipped": True},
    }
    sets = {"part_001.tar.lz4": ["/base/1/2"]}
    names = {"postgres": {"oid": 5, "tables_new": {}}}
    document = {"Files": files, "TarFileSets": sets, "DatabasesByNames": names}
    return json.dumps(document).encode()


def _increment() -> bytes:
    return struct.pack("<4sQIII", b"wi1U", 256, 2, 1, 3) + bytes(128)


def _index() -> bytes:
    document = {
        "version": 2,
        "wal_segment_size": 16777216,
        "digest_algorithm": "blake3",
        "parts": [["part_001.tar.zst", 10, 20, "00", [[0, 0]]]],
        "directories": ["base"],
        "files": [["base/1/2", "part_001.tar.zst", 0, 5, 384, 0, "00"]],
    }
    return json.dumps(document).encode()


def _age() -> bytes:
    sealer = AgeSealer(recipients=(RECIPIENT,))
    return b"".join(sealer.seal([PLAINTEXT], name="x", digest=bytes(32)))


def _libsodium() -> bytes:
    return b"".join(LibsodiumSealer(key=SODIUM_KEY).seal([PLAINTEXT], name="x"))


def _openpgp_packets() -> bytes:
    literal = b"\xcb\xe9" + (b"b\0" + bytes(4) + _TEXT)[:512] + b"\x05" + _TEXT[:5]
    return b"\xca\x03PGP" + b"\xa3\x02" + zlib.compress(literal)


def _openpgp_head() -> bytes:
    session_key = b"\x03" + bytes(range(8)) + b"\x01" + bytes(256)
    old, new = b"\x85\x01\x0a", b"\xc1\xc0\x4a"
    return old + session_key + new + session_key + b"\xd2\xff" + bytes(4)


def _keys() -> bytes:
    lines = ["# made by age-keygen", format_identity(IDENTITY), "\0", format_recipient(RECIPIENT)]
    return "\n".join(lines).encode()


def _lzo() -> bytes:
    return next(iter(sorted(_FIXTURES.rglob("*.lzo")))).read_bytes()


def _coded(method: str) -> Callable[[], bytes]:
    return lambda: compress(_TEXT, method=method, level=3)


SEEDS: Mapping[str, Callable[[], bytes]] = {
    "tar": _tar,
    "history": lambda: b"\x021\t0/5000000\tno recovery target specified\n",
    "sentinel": _sentinel,
    "wal-e-sentinel": _wal_e_sentinel,
    "files-metadata": _files_metadata,
    "increment": _increment,
    "index": _index,
    "age": _age,
    "age-header": _age,
    "age-keys": _keys,
    "libsodium": _libsodium,
    "openpgp-packets": _openpgp_packets,
    "openpgp-head": _openpgp_head,
    "sealed-range": lambda: b"\x00\x10\x11\x00" + _age(),
    "segment-header": lambda: bytes.fromhex("10d1060001000000000000010000000000000000"),
    "codec-zst": _coded("zstd"),
    "codec-lz4": _coded("lz4"),
    "codec-br": _coded("brotli"),
    "codec-lzma": _coded("lzma"),
    "codec-gz": lambda: gzip.compress(_TEXT),
    "codec-lzo": _lzo,
}
