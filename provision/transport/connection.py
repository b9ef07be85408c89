"""Opening a connection: the host proves who it is first, then we do.

fabric's Connection is made with an explicit, empty configuration (no ~/.fabric.yaml, no ssh_config,
no environment), keyword arguments of its own, and a socket of ours, on which small packets leave at
once: paramiko leaves Nagle's algorithm on, which costs 40 ms a command.
"""

import logging
import random
import socket
import time
from contextlib import suppress
from dataclasses import dataclass

from fabric import Config, Connection
from paramiko import (
    AuthenticationException,
    ChannelException,
    SSHException,
    Transport,
)
from paramiko.config import SSHConfig
from paramiko.ssh_exception import IncompatiblePeer

from provision.errors import InputError, UnreachableError
from provision.transport.host_keys import Judge, keys_of, preferring
from provision.transport.known_hosts import KnownKeys
from provision.transport.target import Target

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0

# what it would print about threads, dropped connections and banners is in our errors
logging.getLogger("paramiko").setLevel(logging.CRITICAL)


@dataclass(frozen=True, kw_only=True)
class Link:
    """An open connection, after login."""

    transport: Transport
    _connection: Connection
    _wire: socket.socket

    def close(self) -> None:
        """End it, from any thread."""
        _close(self._connection, self._wire)


class DroppedError(Exception):
    """The server ended the connection before it had shown its key, as a busy sshd does."""


def connect(target: Target, gateway: Transport | None, *, deadline: float) -> Link:
    """Open a connection and log in; `gateway` is an open connection to the target's gateway.

    A server that drops connections before it says who it is gets asked again for a while, with
    pauses of random length; nothing is repeated once a login has begun. Raise HostKeyError for a
    key that is unknown, revoked or another, UnreachableError for everything else.
    """
    known = keys_of(target)
    _check_identities(target)
    give_up = min(deadline, time.monotonic() + target.timeouts.busy)
    longest = FIRST_PAUSE
    while True:
        try:
            return _connect_once(target, gateway, known)
        except DroppedError as error:
            pause = random.uniform(FIRST_PAUSE / 2, longest)
            if time.monotonic() + pause > give_up:
                raise UnreachableError(
                    f"{target.name}: {target.endpoint} ends every connection: {error}",
                    hint="Raise MaxStartups in its sshd_config, or work on fewer hosts at once.",
                ) from error
            longest = min(LONGEST_PAUSE, longest * 2)
            time.sleep(pause)


def _connect_once(target: Target, gateway: Transport | None, known: KnownKeys) -> Link:
    started = time.monotonic()
    wire = open_wire(target, gateway)
    judge = Judge(target, known)
    connection = _prepared(target, judge, wire, known)
    try:
        connection.open()
        connection.transport.set_keepalive(target.timeouts.keepalive)
        return Link(transport=connection.transport, _connection=connection, _wire=wire)
    except UnreachableError:
        _close(connection, wire)
        raise
    except (SSHException, OSError, EOFError) as error:
        _close(connection, wire)
        patient = time.monotonic() - started >= target.timeouts.banner
        if not judge.satisfied and not patient and not isinstance(error, IncompatiblePeer):
            raise DroppedError(str(error) or type(error).__name__) from error
        raise _login_error(target, error, judge.satisfied) from error
    except BaseException:
        _close(connection, wire)
        raise


def open_wire(target: Target, gateway: Transport | None) -> socket.socket:
    """Open a TCP connection, from here or from the gateway."""
    endpoint = (target.address, target.port)
    try:
        if gateway is not None:
            # a channel stands in for a socket, as paramiko's ProxyJump does
            return gateway.open_channel(  # type: ignore[return-value]
                "direct-tcpip", endpoint, ("127.0.0.1", 0), timeout=target.timeouts.connect
            )
        wire = socket.create_connection(endpoint, timeout=target.timeouts.connect)
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return wire
    except ConnectionResetError as error:
        raise DroppedError(str(error)) from error
    except (OSError, ChannelException, SSHException) as error:
        through = f" through {target.gateway.name}" if target.gateway else ""
        raise UnreachableError(
            f"{target.name}: {target.endpoint} does not answer{through}: {error}",
            hint="Look at the address and port in the inventory, and whether sshd runs there.",
        ) from error


def _prepared(target: Target, judge: Judge, wire: socket.socket, known: KnownKeys) -> Connection:
    timeouts = target.timeouts
    connection = Connection(
        host=target.address,
        user=target.user,
        port=target.port,
        config=Config(lazy=True, ssh_config=SSHConfig()),
        gateway=False,
        forward_agent=False,
        connect_kwargs={
            "sock": wire,
            "timeout": timeouts.connect,
            "banner_timeout": timeouts.banner,
            "auth_timeout": timeouts.login,
            "channel_timeout": timeouts.channel,
            "key_filename": [str(path) for path in target.identities],
            "look_for_keys": False,
            "allow_agent": target.use_agent,
            "transport_factory": lambda *args, **kwargs: preferring(
                known.trusted, Transport(*args, **kwargs)
            ),
        },
    )
    connection.client.set_missing_host_key_policy(judge)
    return connection


def _check_identities(target: Target) -> None:
    for path in target.identities:
        try:
            path.read_bytes()
        except OSError as error:
            raise InputError(f"the identity {path} cannot be read: {error.strerror}") from error


def _login_error(target: Target, error: Exception, knows_host: bool) -> UnreachableError:
    refused = isinstance(error, AuthenticationException) or "authentication" in str(error).lower()
    if knows_host and refused:
        keys = ", ".join(map(str, target.identities)) or "none"
        agent = " and those of the agent" if target.use_agent else ""
        return UnreachableError(
            f"{target.name}: {target.user} may not log in at {target.endpoint}: {error}",
            hint=f"Keys that were offered: {keys}{agent}; one must be in its authorized_keys.",
        )
    return UnreachableError(
        f"{target.name}: no session with {target.endpoint}: {error or type(error).__name__}",
        hint="Try 'ssh -v' to the same address, and look into the log of its sshd.",
    )


def _close(connection: Connection, wire: socket.socket) -> None:
    # at once, and not when whoever reads from it wakes up
    with suppress(OSError, EOFError):
        wire.shutdown(socket.SHUT_RDWR)
    connection.close()
    if connection.client is not None:
        connection.client.close()
    wire.close()
