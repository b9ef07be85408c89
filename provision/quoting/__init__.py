"""Typed quoting: a text is quoted for one place, and no other place takes it.

Each kind of place (a sink) has a function that makes a `Quoted` of a text or refuses it with
QuotingError. What is quoted for one place enters another one only where a function says so: a shell
command in postgresql.conf, in a cron line, in another shell command. A plain `str` never counts as
quoted, so forgetting is an error and not an injection.
"""

from provision.quoting.base import Place, Quoted, Sink, join
from provision.quoting.files import (
    comment,
    env_name,
    env_value,
    logrotate_path,
    logrotate_word,
    metric_label,
    toml_text,
    yaml_text,
)
from provision.quoting.postgresql import (
    PGPASS_ANY,
    conninfo,
    conninfo_value,
    pg_command,
    pg_conf,
    pg_name,
    pg_percent,
    pgpass_field,
    pgpass_line,
    sql_ident,
)
from provision.quoting.schedule import (
    cron_command,
    cron_fields,
    cron_variable,
    systemd_command,
    systemd_value,
    systemd_word,
)
from provision.quoting.shell import sh, sh_command
from provision.quoting.sinks import SINKS

__all__ = [
    "PGPASS_ANY",
    "SINKS",
    "Place",
    "Quoted",
    "Sink",
    "comment",
    "conninfo",
    "conninfo_value",
    "cron_command",
    "cron_fields",
    "cron_variable",
    "env_name",
    "env_value",
    "join",
    "logrotate_path",
    "logrotate_word",
    "metric_label",
    "pg_command",
    "pg_conf",
    "pg_name",
    "pg_percent",
    "pgpass_field",
    "pgpass_line",
    "sh",
    "sh_command",
    "sql_ident",
    "systemd_command",
    "systemd_value",
    "systemd_word",
    "toml_text",
    "yaml_text",
]
