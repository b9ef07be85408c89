"""SSH to hosts: the only place that knows fabric and paramiko, and everything they leave open.

Stock fabric trusts every host key, on gateways too; waits for ever; reads settings from the
user's home, and types into sudo prompts whether asked or not. So what is used of it here is a
connection and raw channels on it: keys are judged by `host_keys`, commands are argument lists,
input goes to standard input and nowhere else, and everything has a deadline.

    target       who and where: values that come from the inventory
    known_hosts  which keys a host may show (pure)
    host_keys    whether the key that is shown is one of them
    connection   opening a connection
    remote       one command on it
    sudo         what sudo is told, and what its complaints mean (pure)
    session      what others use: `Session(target).run(...)`, `.run_as_root(script)`
    pool         the same on many hosts at once
    shown_keys   what a host shows, for people to compare
"""

from provision.transport.errors import CommandTimeoutError, ConnectionLostError, SudoError
from provision.transport.known_hosts import HostKey, parse_host_key
from provision.transport.pool import Outcome, run_on
from provision.transport.session import AskPassword, Session
from provision.transport.shown_keys import shown_keys
from provision.transport.target import Result, Target, Timeouts

__all__ = [
    "AskPassword",
    "CommandTimeoutError",
    "ConnectionLostError",
    "HostKey",
    "Outcome",
    "Result",
    "Session",
    "SudoError",
    "Target",
    "Timeouts",
    "parse_host_key",
    "run_on",
    "shown_keys",
]
