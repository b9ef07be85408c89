"""What can go wrong between us and a host, beyond not reaching it at all.

All are UnreachableErrors: the host did not do what it was asked, as far as anyone can tell from
here. Whoever was changing the host knows more, and says so with an error of its own.
"""

from provision.errors import UnreachableError


class CommandTimeoutError(UnreachableError):
    """A command did not end in its time; it and what it started were killed on the host."""


class ConnectionLostError(UnreachableError):
    """The connection ended before the command's exit status came."""


class SudoError(UnreachableError):
    """sudo did not let the command run; nothing was executed."""
