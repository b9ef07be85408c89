"""What the client and the server of the rig say to each other: one JSON document a line.

A connection is a host: it is made on the first request and gone when the connection ends, so a
test process that is killed leaves no host behind and nobody has to keep books.
"""

import json
from dataclasses import asdict, dataclass
from typing import IO, TypeVar

NETWORK = "10.77"
BRIDGE_ADDRESS = f"{NETWORK}.0.1"
SOCKET_VARIABLE = "PITR_TEST_RIG"


@dataclass(frozen=True, kw_only=True)
class Share:
    """A directory of the machine that a host sees at `target`."""

    source: str
    target: str
    writable: bool = True


@dataclass(frozen=True, kw_only=True)
class Request:
    """`boot` (with name, login_key, shares), `power_off`, or `run` (script, user, timeout)."""

    verb: str
    name: str = ""
    login_key: str = ""
    shares: tuple[Share, ...] = ()
    script: str = ""
    user: str = ""
    timeout: float = 0


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came of it; `error` says why nothing did. Output is text with surrogate escapes."""

    error: str = ""
    address: str = ""
    host_keys: tuple[str, ...] = ()
    status: int = 0
    stdout: str = ""
    stderr: str = ""


Message = TypeVar("Message", Request, Answer)


def send(stream: IO[str], message: Request | Answer) -> None:
    """Write one message."""
    stream.write(json.dumps(asdict(message)) + "\n")
    stream.flush()


def receive(stream: IO[str], kind: type[Message]) -> Message | None:
    """Read one message; None when the other side is gone."""
    line = stream.readline()
    if not line:
        return None
    fields = json.loads(line)
    for name, value in fields.items():
        if isinstance(value, list):
            fields[name] = tuple(Share(**item) if name == "shares" else item for item in value)
    return kind(**fields)
