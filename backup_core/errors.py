"""Every error that pitr raises on purpose.

    PitrError                       1  the operation failed
    ├── UsageError                  2  the command line makes no sense
    ├── ConfigError                 2  a setting is missing or wrong
    ├── RefusedError                3  a precondition does not hold; nothing was changed
    │   ├── ClusterMismatchError    3  the repository belongs to another cluster
    │   ├── WalConflictError        3  another file of this name is archived already
    │   └── LockHeldError           3  another backup is running
    ├── NotFoundError               5  no such object or backup
    ├── CorruptError                6  bytes are not what they should be
    │   ├── CorruptPagesError       4  the backup was refused for corrupt pages
    │   └── WalHeaderError          6  a file is not the WAL its name says
    ├── StorageError                7  the repository cannot be reached or refuses
    │   └── AlreadyExistsError      7  conditional creation lost: the object is there
    ├── ServerError                 8  the PostgreSQL server cannot be reached or refuses
    ├── EncryptionError             9  an object cannot be encrypted or decrypted as configured
    │   └── MissingKeyError         9  the key that it needs is not among those at hand
    └── DrillError                20-29  a restore drill failed; the number is that of its phase

The number is the exit code of every command but wal-fetch (see docs/exit-codes.md).
Messages follow PostgreSQL's style: lower case, no full stop; the hint is a sentence.
"""


class PitrError(Exception):
    """An operation failed; `hint` says what the operator can do about it."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(PitrError):
    """The command line cannot be understood."""

    exit_code = 2


class ConfigError(PitrError):
    """A setting is missing, unknown where that is fatal, or has an impossible value."""

    exit_code = 2


class RefusedError(PitrError):
    """A precondition does not hold; nothing was changed."""

    exit_code = 3


class ClusterMismatchError(RefusedError):
    """A file or server belongs to another cluster than the repository."""


class WalConflictError(RefusedError):
    """A different file of the same name is archived already; nothing was overwritten."""


class LockHeldError(RefusedError):
    """Another process holds the repository's backup lock."""


class NotFoundError(PitrError):
    """An object or a backup does not exist in the repository."""

    exit_code = 5


class CorruptError(PitrError):
    """Stored or local bytes are not what their name, digest or format says."""

    exit_code = 6


class CorruptPagesError(CorruptError):
    """Data pages of the cluster fail their checksums and the operator asked to refuse that."""

    exit_code = 4


class WalHeaderError(CorruptError):
    """A file is not the WAL file that its name says."""


class StorageError(PitrError):
    """The repository cannot be reached, or refuses the operation."""

    exit_code = 7


class AlreadyExistsError(StorageError):
    """Conditional creation lost: an object of this name exists."""


class ServerError(PitrError):
    """The PostgreSQL server cannot be reached, or refuses the operation."""

    exit_code = 8


class EncryptionError(PitrError):
    """An object cannot be encrypted or decrypted: a key is missing or wrong, or it is plain."""

    exit_code = 9


class MissingKeyError(EncryptionError):
    """An object cannot be decrypted, because the key that it needs is not at hand."""


class DrillError(PitrError):
    """A restore drill failed, in the phase named."""

    exit_code = 20

    def __init__(
        self, message: str, *, phase: str, exit_code: int, hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.phase = phase
        self.exit_code = exit_code
