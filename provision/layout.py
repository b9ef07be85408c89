"""Where everything stands on a host, and how its commands are called; pure.

A profile keeps the paths that operators of WAL-E and WAL-G know (/etc/wal-e.d/env, /opt/wal-e),
with the same engine behind them. Attributes that are given win; what is left out is derived here
and nowhere else, so that a path has one home.
"""

from __future__ import annotations

from dataclasses import dataclass

from backup_core.postgres.recovery import restore_command
from provision.node import Node
from provision.quoting import Quoted, pg_command, sh, sh_command

FIRST_WITH_SIGNAL_FILES = 12


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The paths and commands of one host."""

    profile: str
    prefix: str
    program: str
    config_directory: str
    log_directory: str
    state_directory: str
    spool: str | None
    user: str
    group: str
    major: int
    port: int
    sockets: str
    bin_directory: str
    data_directory: str
    config_files: str

    @property
    def envdir(self) -> str:
        """The environment that every command runs in."""
        return f"{self.config_directory}/env"

    @property
    def jobs(self) -> str:
        """Where the scripts stand that run at their times."""
        return f"{self.prefix}/jobs"

    @property
    def drill_key(self) -> str:
        """The key that signs the records of drills."""
        return f"{self.config_directory}/drill.key"

    @property
    def psql(self) -> str:
        """The client of the server's own version."""
        return f"{self.bin_directory}/psql"

    @property
    def has_signal_files(self) -> bool:
        """Whether recovery settings are ordinary settings, since 12."""
        return self.major >= FIRST_WITH_SIGNAL_FILES

    def command(self, name: str, *arguments: str) -> tuple[str, ...]:
        """The words that run a command in the host's environment."""
        if self.profile == "pitr":
            return self.engine(name, *arguments)
        return ("envdir", self.envdir, self.program, name, *arguments)

    def engine(self, name: str, *arguments: str) -> tuple[str, ...]:
        """The words of a command in our own form, whatever the profile."""
        return (f"{self.prefix}/bin/pitr", name, *arguments, "--envdir", self.envdir)

    def archive_command(self) -> Quoted:
        """What archives a segment; with a spool, one that was pushed ahead costs the shell a test.

        The spool is bound to the directory in which the server runs this, and the markers of a
        segment are a nanosecond younger and older than the file that was pushed.
        """
        push = sh_command(self.command("wal-push", *self._spooling()))
        if self.spool is None:
            return pg_command("exec {push} %p", push=push)
        return pg_command(
            "[ {pgdata} -ef . ] && [ {ok}/%f -nt %p ] && [ {at}/%f -ot %p ] || exec {push} %p",
            **{name: sh(f"{self.spool}/{name}") for name in ("pgdata", "ok", "at")},
            push=push,
        )

    def restore_command(self) -> Quoted:
        """What fetches a segment; any exit code that was not chosen for the server becomes 200.

        With a spool, what was prefetched since the server's start is moved by the shell.
        """
        if self.profile == "pitr":
            arguments = ["--envdir", self.envdir, *self._spooling()]
            text = restore_command([self.program], extra_arguments=arguments)
        else:
            text = restore_command(["envdir", self.envdir, self.program])
        if self.spool is None:
            return Quoted("pg_command", text)
        fast = pg_command(
            "[ {pgdata} -ef . ] && [ {fetched}/%f -nt postmaster.pid ] && "
            'mv -f {fetched}/%f "%p" && exit 0; ',
            **{name: sh(f"{self.spool}/{name}") for name in ("pgdata", "fetched")},
        )
        return Quoted("pg_command", fast.text + text)

    def _spooling(self) -> tuple[str, ...]:
        """Other profiles' commands know the spool from the environment alone."""
        return ("--spool-dir", self.spool) if self.spool and self.profile == "pitr" else ()


def layout_of(node: Node) -> Layout:
    """Return the layout of a node; what its attributes leave out is derived."""
    server, pitr = node.attributes.postgresql, node.attributes.pitr
    profile = pitr.profile
    prefix = pitr.prefix or f"/opt/{profile}"
    label = str(server.version)
    return Layout(
        profile=profile,
        prefix=prefix,
        program=f"{prefix}/bin/{profile}",
        config_directory=pitr.config_directory or f"/etc/{profile}.d",
        log_directory=pitr.log_directory or f"/var/log/{profile}",
        state_directory=pitr.state_directory or f"/var/lib/{profile}",
        spool=pitr.spool_directory,
        user=server.user,
        group=server.group,
        major=server.version.major,
        port=server.port,
        sockets=server.socket_directory,
        bin_directory=server.bin_directory or f"/usr/lib/postgresql/{label}/bin",
        data_directory=server.data_directory or f"/var/lib/postgresql/{label}/{server.cluster}",
        config_files=server.config_directory or f"/etc/postgresql/{label}/{server.cluster}",
    )
