"""Page checksums by numpy, for many pages at once: what is used where nothing was compiled.

PostgreSQL's algorithm (src/include/storage/checksum_impl.h) runs 32 FNV-1a hashes side by side over
one page. Here the same step runs over all pages of a batch: each 128-byte row of every page is
gathered, then four operations on whole arrays fold it in. The state stays in the processor's cache,
numpy lets go of the GIL meanwhile, and no compiler is needed where this is installed.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_PRIME = np.uint32(16777619)
_SHIFT = np.uint32(17)
_LANES = 32
_ROW = _LANES * 4
_BATCH = 1024
SEEDS = np.array(
    [
        *(0x5B1F36E9, 0xB8525960, 0x02AB50AA, 0x1DE66D2A, 0x79FF467A, 0x9BB9F8A3, 0x217E7CD2),
        *(0x83E13D2C, 0xF8D4474F, 0xE39EB970, 0x42C6AE16, 0x993216FA, 0x7B093B5D, 0x98DAFF3C),
        *(0xF718902A, 0x0B1C9CDB, 0xE58F764B, 0x187636BC, 0x5D7B3BB1, 0xE73DE7DE, 0x92BEC979),
        *(0xCCA6C0B2, 0x304A0979, 0x85AA43D4, 0x783125BB, 0x6CA8EAA2, 0xE407EAC6, 0x4B5CFC3E),
        *(0x9FBF8C76, 0x15CA20BE, 0xF2CA9FD3, 0x959BD756),
    ],
    dtype=np.uint32,
)
# The lane that holds pd_checksum in its lower half, in the first row; it counts as zero.
_CHECKSUM_LANE = 2
_WITHOUT_CHECKSUM = np.uint32(0xFFFF0000)

_Words = npt.NDArray[np.uint32]


def wrong_pages(
    data: bytes | bytearray | memoryview, first_block: int, block_size: int
) -> list[int]:
    """The numbers, from 0, of the pages in a buffer whose checksum is wrong."""
    if not data:
        return []
    headers = np.frombuffer(data, dtype=_header_type(block_size))
    rows = np.frombuffer(data, dtype=f"V{_ROW}").reshape(len(headers), -1)
    wrong: list[int] = []
    for start in range(0, len(headers), _BATCH):
        batch = headers[start : start + _BATCH]
        computed = _checksums(rows[start : start + _BATCH], first_block + start)
        found = np.flatnonzero((computed != batch["checksum"]) & (batch["upper"] != 0))
        wrong += (found + start).tolist()
    return wrong


def _header_type(block_size: int) -> np.dtype[np.void]:
    """The fields in use of PageHeaderData (src/include/storage/bufpage.h), one page apart."""
    return np.dtype(
        {
            "names": ["checksum", "upper"],
            "formats": ["<u2", "<u2"],
            "offsets": [8, 14],
            "itemsize": block_size,
        }
    )


def _checksums(rows: npt.NDArray[np.void], first_block: int) -> _Words:
    """The checksums of pages, given as arrays of their rows and numbered from `first_block`."""
    pages = len(rows)
    state = np.tile(SEEDS, pages)
    row = np.empty_like(state)
    scratch = np.empty_like(state)
    gathered = row.view(rows.dtype)
    for number in range(rows.shape[1]):
        gathered[:] = rows[:, number]
        if number == 0:
            row[_CHECKSUM_LANE::_LANES] &= _WITHOUT_CHECKSUM
        np.bitwise_xor(state, row, out=state)
        _mix(state, scratch)
    _mix(state, scratch)
    _mix(state, scratch)
    folded: _Words = np.bitwise_xor.reduce(state.reshape(pages, _LANES), axis=1)
    # block numbers are 32 bits wide, as in the server
    blocks = np.arange(first_block, first_block + pages).astype(np.uint32)
    return (folded ^ blocks) % np.uint32(65535) + np.uint32(1)


def _mix(state: _Words, scratch: _Words) -> None:
    np.right_shift(state, _SHIFT, out=scratch)
    np.multiply(state, _PRIME, out=state)
    np.bitwise_xor(state, scratch, out=state)
