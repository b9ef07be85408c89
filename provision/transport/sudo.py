"""What sudo is told, and what its complaints mean.

A password is typed only when sudo asks for one, by a prompt that cannot be mistaken for anything
else: sent unasked it would be the first line of the script. And only once: sudo would take the
script's lines for further attempts, and a lockout counts them.
"""

from collections.abc import Sequence

from provision.transport.errors import SudoError
from provision.transport.target import Target

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SECONDS_TO_END = 5
_ENVIRONMENT = ("env", "LC_ALL=C", f"PATH={PATH}")

# sudo's own words, in the locale C, and what to do about them
_COMPLAINTS = (
    (
        ("a password is required", "a terminal is required"),
        "sudo asks for the password of {user}",
        "Give the password with --ask-sudo-password, or allow {user} to use sudo without one.",
    ),
    (
        ("no password was provided", "incorrect password attempt"),
        "sudo refuses the password of {user}",
        "Give the password that {user} has on this host; it was tried once.",
    ),
    (
        ("is not in the sudoers file", "is not allowed to", "may not run sudo"),
        "{user} may not use sudo",
        "Allow it in a file below /etc/sudoers.d, or log in as another user.",
    ),
    (
        ("you must have a tty",),
        "sudo wants a terminal",
        "Put 'Defaults:{user} !requiretty' into a file below /etc/sudoers.d.",
    ),
    (
        ("sudo: not found", "'sudo': No such file"),
        "there is no sudo",
        "Install sudo, or log in as root.",
    ),
)


def bounded(argv: Sequence[str], seconds: float) -> list[str]:
    """Return argv in a fixed environment, killed on the host after its time (timeout(1))."""
    return [*_ENVIRONMENT, "timeout", "-k", str(SECONDS_TO_END), f"{seconds:.3f}", *argv]


def reporting(argv: Sequence[str]) -> list[str]:
    """Return argv under a shell that turns death by a signal into an exit status, 128 and more.

    SSH has a message of its own for that, which paramiko drops.
    """
    return ["sh", "-c", '"$@"; exit $?', "sh", *argv]


def shell_as(user: str, *, login: str, seconds: float, ready: str, prompt: str | None) -> list[str]:
    """Return the command that becomes `user` and reads a script from standard input.

    It prints the line `ready` first, the sign that sudo is satisfied. With `prompt` sudo asks by
    it on standard error for the password, else it fails instead of asking.
    """
    shell = bounded(["sh", "-c", f"echo {ready}; exec sh -s"], seconds)
    if user == login:
        return shell
    asking = ["-n"] if prompt is None else ["-S", "-p", prompt]
    return [*_ENVIRONMENT, "sudo", *asking, "-u", user, "--", *shell]


def refusal(target: Target, stderr: bytes) -> SudoError:
    """Return the error that says what sudo wants."""
    said = stderr.decode(errors="replace")
    for words, message, hint in _COMPLAINTS:
        if any(each in said for each in words):
            return SudoError(
                f"{target.name}: {message.format(user=target.user)}",
                hint=hint.format(user=target.user),
            )
    last_line = (said.strip().splitlines() or ["it said nothing"])[-1]
    return SudoError(
        f"{target.name}: {target.user} gets no shell for a script: {last_line}",
        hint=f"Try 'sudo -n sh -c id' as {target.user} on the host.",
    )
