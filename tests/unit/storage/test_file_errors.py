"""Refusals of the operating system, as an operator reads them."""

import errno

import pytest

from backup_core.errors import NotFoundError, StorageError
from backup_core.storage.file_errors import reported

CODES = [
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EACCES,
    errno.EROFS,
    errno.EIO,
    errno.EFBIG,
    errno.ENAMETOOLONG,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ESTALE,
    errno.ENOTCONN,
]


@pytest.mark.parametrize("code", CODES, ids=errno.errorcode.get)
def test_one_line_names_the_path_and_the_hint_says_what_to_do(code: int) -> None:
    """Message and hint name the path; the message is one line, the hint a sentence."""
    with pytest.raises(StorageError) as caught, reported("write", b"/repo/{odd} key"):
        raise OSError(code, "whatever the call said")
    message, hint = caught.value.message, caught.value.hint
    assert message.startswith("cannot write /repo/{odd} key: ")
    assert "\n" not in message
    assert hint is not None
    assert "/repo/{odd} key" in hint
    assert hint[0].isupper()
    assert hint.endswith(".")


def test_full_disk_in_the_words_of_the_system() -> None:
    """The reason is the system's, in lower case as PostgreSQL writes messages."""
    with pytest.raises(StorageError) as caught, reported("write", b"/repo/key"):
        raise OSError(errno.ENOSPC, "")
    assert str(caught.value) == "cannot write /repo/key: no space left on device"


def test_file_system_without_hard_links_is_explained() -> None:
    """Not permitted means something else for a link than for a write."""
    with pytest.raises(StorageError) as caught, reported("link", b"/repo/key"):
        raise PermissionError(errno.EPERM, "")
    assert "cannot make hard links" in (caught.value.hint or "")


def test_other_errors_pass_through() -> None:
    """What already has a meaning keeps it."""
    with pytest.raises(NotFoundError), reported("read", b"/repo/key"):
        raise NotFoundError("gone")
