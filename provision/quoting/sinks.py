"""The sinks that quote a text piecewise, for contents in which secrets stand.

Whether a text is left bare depends on all of it, so here it is always between quotes.
"""

from collections.abc import Mapping

from provision.quoting.base import Sink
from provision.quoting.files import escape_env, escape_metric
from provision.quoting.postgresql import escape_conninfo, escape_pg_conf, escape_pgpass
from provision.quoting.schedule import escape_systemd
from provision.quoting.shell import escape_sh

SINKS: Mapping[str, Sink] = {
    sink.place: sink
    for sink in (
        Sink(place="conninfo", escape=escape_conninfo, opening="'", closing="'"),
        Sink(place="env", escape=escape_env),
        Sink(place="metric", escape=escape_metric, opening='"', closing='"'),
        Sink(place="pg_conf", escape=escape_pg_conf, opening="'", closing="'"),
        Sink(place="pgpass", escape=escape_pgpass),
        Sink(place="sh", escape=escape_sh, opening="'", closing="'"),
        Sink(place="systemd", escape=escape_systemd, opening='"', closing='"'),
    )
}
