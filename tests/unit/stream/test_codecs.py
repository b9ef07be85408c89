"""Others' files are read, and others read ours: the formats' own programs and real archives."""

import hashlib
import lzma
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_core.errors import CorruptError
from backup_core.stream.compress import EXTENSIONS, compress, decode, encode
from tests.support.environment import clean_environ
from tests.unit.stream.samples import (
    ADLER32_STORED,
    CONTENT,
    CRC32_CONTENT,
    CRC32_HEADER,
    EVERY_CHECKSUM,
    EXTRA_FIELD,
    LZOP_MAGIC,
    TEXT,
    WAL_E_FLAGS,
    lzop_file,
)

NAME = "wal_005/object"
WAL_E = Path(__file__).parents[2] / "fixtures" / "wal-e"
LARGE = b"".join(struct.pack(">QQ", number, number**3) for number in range(300_000))


def decoded(data: bytes, extension: str) -> bytes:
    return b"".join(decode([data], extension=extension, name=NAME))


def run(program: str, data: bytes) -> bytes:
    return subprocess.run(program.split(), input=data, capture_output=True, check=True).stdout


class TestStockPrograms:
    """The programs that everybody has are the formats' judges."""

    @pytest.mark.parametrize("content", [b"", CONTENT, LARGE], ids=["empty", "small", "large"])
    @pytest.mark.parametrize(
        "program",
        [
            *("zstd -c", "lz4 -c", "lz4 -c -9 -B4 -BD -BX", "lz4 -c --content-size"),
            *("xz --format=lzma -c -1", "brotli -c -q 4", "brotli -c -q 1 -w 24", "gzip -c"),
            *("lzop -c", "lzop -c -1", "lzop -c -9", "lzop -c --crc32", "lzop -c --no-checksum"),
        ],
    )
    def test_what_they_write_is_read(self, program: str, content: bytes) -> None:
        """Whatever their options for blocks and checksums."""
        extensions = {"zstd": "zst", "xz": "lzma", "brotli": "br", "gzip": "gz", "lzop": "lzo"}
        name = program.split()[0]
        assert decoded(run(program, content), extensions.get(name, name)) == content

    @pytest.mark.parametrize("content", [b"", CONTENT, LARGE], ids=["empty", "small", "large"])
    @pytest.mark.parametrize(
        ("method", "program"),
        [
            ("zstd", "zstd -dc"),
            ("lz4", "lz4 -dc"),
            ("brotli", "brotli -dc"),
            ("lzma", "xz --format=lzma -dc"),
        ],
    )
    def test_they_read_what_is_written(self, method: str, program: str, content: bytes) -> None:
        """A backup can be unpacked where this tool is not."""
        assert run(program, b"".join(encode([content], method=method, level=3))) == content


class TestWalGReadsIt:
    """What stock WAL-G asks of an object beyond the format (its readers stop after one frame)."""

    def test_an_lz4_object_begins_as_wal_gs_do(self) -> None:
        """Independent blocks of 4 MiB, the content's checksum, neither sizes nor a dictionary."""
        assert compress(CONTENT, method="lz4", level=3).startswith(
            bytes.fromhex("04224d18 64 70 b9")
        )

    def test_an_lzma_object_begins_as_wal_gs_do(self) -> None:
        """lc=3 lp=0 pb=2, a dictionary of 8 MiB, the size unknown."""
        stored = compress(CONTENT, method="lzma", level=3)
        assert stored.startswith(bytes.fromhex("5d 00008000 ffffffffffffffff"))


class TestLzma:
    """The old container says the size, or that the end is marked."""

    def test_a_size_in_the_header_is_honoured(self) -> None:
        """It ends the stream; a size that is not the content's is damage."""
        stored = compress(CONTENT, method="lzma", level=3)
        sized = stored[:5] + struct.pack("<Q", len(CONTENT)) + stored[13:]
        assert decoded(sized, "lzma") == CONTENT
        for wrong in (len(CONTENT) - 1, len(CONTENT) + 1):
            with pytest.raises(CorruptError):
                decoded(stored[:5] + struct.pack("<Q", wrong) + stored[13:], "lzma")

    def test_a_dictionary_that_would_fill_the_memory_is_refused(self) -> None:
        """The header may ask for 4 GiB; `xz -9` asks for 64 MiB."""
        stored = compress(CONTENT, method="lzma", level=3)
        assert decoded(stored[:1] + struct.pack("<I", 64 << 20) + stored[5:], "lzma") == CONTENT
        with pytest.raises(CorruptError, match=r"[Mm]emory"):
            decoded(stored[:1] + struct.pack("<I", 3 << 30) + stored[5:], "lzma")

    def test_an_xz_file_is_no_lzma_file(self) -> None:
        """WAL-G writes the old container and reads no other."""
        with pytest.raises(CorruptError):
            decoded(lzma.compress(CONTENT), "lzma")


class TestLzop:
    """Every field of the container that WAL-E's files may have is read or refused."""

    @pytest.mark.parametrize(
        "flags",
        [
            0,
            WAL_E_FLAGS,
            EVERY_CHECKSUM,
            CRC32_CONTENT | CRC32_HEADER,
            EXTRA_FIELD | ADLER32_STORED,
        ],
    )
    def test_every_checksum_is_read(self, flags: int) -> None:
        """A block that did not compress has none for its compressed bytes."""
        blocks = (TEXT, CONTENT[len(TEXT) :], TEXT)
        assert decoded(lzop_file(*blocks, flags=flags), "lzo") == b"".join(blocks)

    @given(data=st.data())
    def test_every_checksum_is_compared(self, data: st.DataObject) -> None:
        """With one for the stored bytes, no damage reaches the decoder."""
        stored = lzop_file(TEXT, flags=data.draw(st.sampled_from([0x2, 0x200])))
        place = data.draw(st.integers(stored.index(TEXT[:8]), len(stored) - 5))
        damaged = bytearray(stored)
        damaged[place] ^= data.draw(st.integers(1, 255))
        with pytest.raises(CorruptError, match="the checksum of a block"):
            decoded(bytes(damaged), "lzo")

    @pytest.mark.parametrize(
        ("stored", "words"),
        [
            (lzop_file(TEXT, method=128), "a kind that WAL-E never wrote"),
            (lzop_file(TEXT, version=0x0900), "a kind that WAL-E never wrote"),
            (lzop_file(TEXT, flags=0x800), "a kind that WAL-E never wrote"),
            (lzop_file(bytes((256 << 10) + 1)), "a block of 262145 bytes"),
            (lzop_file(TEXT) + b"\0", "bytes after its last block"),
            (lzop_file(TEXT)[:-4], "ends early"),
            (b"\x1f\x8b" + lzop_file(TEXT), "does not begin as lzop files do"),
            (LZOP_MAGIC + b"\x10" * 60, "the checksum of its header"),
        ],
    )
    def test_what_wal_e_never_wrote_is_refused(self, stored: bytes, words: str) -> None:
        """By what is wrong with it, naming the object."""
        with pytest.raises(CorruptError, match=f"^{NAME} .*{words}"):
            decoded(stored, "lzo")

    def test_a_block_that_decodes_to_another_size_is_corrupt(self) -> None:
        """Also where no checksum would tell."""
        stored = lzop_file(TEXT, flags=0)
        size = struct.pack(">I", len(TEXT))
        with pytest.raises(CorruptError, match=f"{len(TEXT) + 1} bytes decodes to {len(TEXT)}"):
            decoded(stored.replace(size, struct.pack(">I", len(TEXT) + 1)), "lzo")


DIGESTS = dict(
    re.findall(r"`(wal_005/\S+)` \| \d+ \| `([0-9a-f]{64})`", (WAL_E / "README.md").read_text())
)


class TestRealArchive:
    """Objects that WAL-E itself wrote, and PostgreSQL before it."""

    @pytest.mark.parametrize("key", DIGESTS)
    @pytest.mark.parametrize("size", [1, 1000, 1 << 20])
    def test_they_are_what_they_were(self, key: str, size: int) -> None:
        """A segment of several blocks and a file of one, in chunks of any size."""
        stored = (WAL_E / key).read_bytes()
        chunks = (stored[start : start + size] for start in range(0, len(stored), size))
        content = b"".join(decode(chunks, extension="lzo", name=key))
        assert hashlib.sha256(content).hexdigest() == DIGESTS[key]

    def test_every_object_is_described(self) -> None:
        """Where it comes from and what it holds."""
        objects = {str(path.relative_to(WAL_E)) for path in WAL_E.rglob("*.lzo")}
        assert objects == set(DIGESTS)


IMPORTS = """
import sys
from backup_core.stream.compress import compress, decode
method, extension = sys.argv[1:]
list(decode([compress(b"content", method=method, level=3)], extension=extension, name="object"))
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


@pytest.mark.parametrize("method", EXTENSIONS)
def test_a_codecs_library_is_imported_only_for_it(method: str) -> None:
    """A segment waits for no library that it does not need."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS, method, EXTENSIONS[method]],
        env=clean_environ(),
        capture_output=True,
        text=True,
        check=True,
    )
    libraries = {"lz4", "brotli", "lzma", "lzallright"}
    assert set(done.stdout.split()) & libraries == {method} & libraries
