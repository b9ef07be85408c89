"""What can go wrong between a client and a store, as values, and when it does.

A schedule is a plain callable: it sees each request's head and says what becomes of it, None for
nothing. The proxy asks it for one request at a time, so a schedule may count.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from random import Random


@dataclass(frozen=True, kw_only=True)
class SeenRequest:
    """The head of a request as it arrived; `path` with its query, header names in lower case."""

    number: int
    method: str
    path: str
    headers: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Answer instead of the server, which never sees the request.

    Without `read_body` the answer comes while the client still sends, and the connection ends.
    """

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    read_body: bool = True


@dataclass(frozen=True, kw_only=True)
class Drop:
    """Reset the connection after so many bytes of the request's or the answer's body.

    With neither, the server has the whole request and has answered, but the client never hears
    it: it cannot know whether the thing was done.
    """

    after_request_bytes: int | None = None
    after_response_bytes: int | None = None


@dataclass(frozen=True, kw_only=True)
class Delay:
    """Hold the server's answer back for so many seconds."""

    seconds: float


@dataclass(frozen=True, kw_only=True)
class Truncate:
    """End the connection in good order after so many bytes of the answer's body."""

    after_response_bytes: int


@dataclass(frozen=True, kw_only=True)
class Corrupt:
    """Flip the bits of one byte of the request's or the answer's body, if it is that long."""

    request_offset: int | None = None
    response_offset: int | None = None


@dataclass(frozen=True, kw_only=True)
class Throttle:
    """Pass the bodies, either way, at this many bytes a second."""

    bytes_per_second: int


@dataclass(frozen=True, kw_only=True)
class StripHeader:
    """Keep a header from the server, to play one that does not know it."""

    name: str


Fault = Answer | Drop | Delay | Truncate | Corrupt | Throttle | StripHeader
Schedule = Callable[[SeenRequest], Fault | None]


def never(_request: SeenRequest) -> None:
    """A network without faults."""


def always(fault: Fault) -> Schedule:
    """Harm every request."""
    return lambda _request: fault


def first(n: int, fault: Fault) -> Schedule:
    """Harm the first `n` requests."""
    return lambda request: fault if request.number < n else None


def every(n: int, fault: Fault) -> Schedule:
    """Harm each `n`th request: with 3 the third, the sixth, ..."""
    return lambda request: fault if request.number % n == n - 1 else None


def often(share: float, fault: Fault) -> Schedule:
    """Harm this share of the requests by a fixed sequence that no client's rhythm falls in with."""
    chance = Random(1)
    return lambda _request: fault if chance.random() < share else None


def only(predicate: Callable[[SeenRequest], bool], fault: Fault) -> Schedule:
    """Harm the requests for which the predicate holds."""
    return lambda request: fault if predicate(request) else None


def at_most(n: int, schedule: Schedule) -> Schedule:
    """Stop after `n` faults of another schedule, as in `at_most(2, only(is_put, fault))`."""
    faults = count()

    def limited(request: SeenRequest) -> Fault | None:
        fault = schedule(request)
        return fault if fault is not None and next(faults) < n else None

    return limited
