"""PostgreSQL's settings from 9.6 to 18: which exist, what they take, what a change of them needs.

The facts stand in `settings.tsv`, read from the servers themselves (pg_settings of each major), so
that a role is checked without a server. A major version is an integer; 9 stands for 9.6.
"""

from provision.pgsettings.table import MAJORS, Effect, PgSetting, effect, label, lookup
from provision.pgsettings.values import Value, check, parsed, same

__all__ = [
    "MAJORS",
    "Effect",
    "PgSetting",
    "Value",
    "check",
    "effect",
    "label",
    "lookup",
    "parsed",
    "same",
]
