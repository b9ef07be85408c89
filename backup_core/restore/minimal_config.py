"""A configuration that a restored server starts with, where the backup holds none (pure).

WAL-E never stores the configuration files. Nothing has to be guessed and nothing is set but the
limits that pg_control records.
"""

from __future__ import annotations

from backup_core.postgres.control import ControlFile
from backup_core.postgres.limits import limits
from backup_core.postgres.recovery import quote_setting

CONFIG_FILES = ("postgresql.conf", "pg_hba.conf", "pg_ident.conf")

_HEAD = "# Written by pitr backup-fetch --minimal-config, for the backup holds no {name}.\n"


def minimal_files(content: bytes, control: ControlFile) -> dict[str, bytes]:
    """The three configuration files by name, made from pg_control's `content` and its meaning.

    Connections are allowed through the local socket, to whom the operating system says they are.
    """
    settings = [
        f"{name} = {quote_setting(value)}\n" for name, value in limits(content, control).items()
    ]
    bodies = {
        "postgresql.conf": "".join(settings),
        "pg_hba.conf": "local all all peer\n",
        "pg_ident.conf": "",
    }
    return {name: (_HEAD.format(name=name) + body).encode() for name, body in bodies.items()}
