"""Bytes cut into chunks, since no reader may care where the borders are."""

from collections.abc import Iterator, Sequence

from hypothesis import strategies as st

SIZES = st.lists(st.integers(0, 700), min_size=1, max_size=8)
"""Sizes for `cut`, zero included: a store may yield an empty chunk."""


def cut(data: bytes, sizes: Sequence[int]) -> Iterator[bytes]:
    """Yield the data in chunks of these sizes, and the rest in one."""
    at = 0
    for size in sizes:
        yield data[at : at + size]
        at += size
    yield data[at:]
