# shellcheck shell=sh
# shellcheck disable=SC2154 # apply.sh has the rest
# The host's PostgreSQL during an apply: asked, reloaded, restarted.

# serve USER PSQL SOCKETS PORT DATA : which server the following functions speak of.
serve() { SERVER_USER=$1 PSQL=$2 SOCKETS=$3 PORT=$4 DATA=$5; }

sql() {
    runuser -u "$SERVER_USER" -- env PGCONNECT_TIMEOUT=5 PGOPTIONS='-c statement_timeout=10s' \
        "$PSQL" -X -A -t -q -v ON_ERROR_STOP=1 -h "$SOCKETS" -p "$PORT" -d postgres -c "$1" 2>&1 </dev/null
}

answers() { [ -x "$PSQL" ] && quietly sql 'select 1'; }

# check_files : what stands on disk, judged by the server before it reads it for good. A setting
# that only a restart brings into force is no error.
check_files() {
    errors=$(sql "select concat(f.sourcefile, ' line ', f.sourceline, ': ', f.name, ' ', f.error)
        from pg_file_settings f left join pg_settings s on s.name = lower(f.name)
        where f.error is not null
        and not (f.error = 'setting could not be applied' and s.context = 'postmaster')
        and not (f.name is null and f.error like '% cannot be changed without restarting the server')") ||
        fail "cannot ask the server about its files: $errors"
    [ -z "$errors" ] || fail "the server refuses its settings: $errors"
}

# reload_server : and wait until the postmaster has read its files.
reload_server() {
    before=$(sql 'select pg_conf_load_time()') && quietly sql 'select pg_reload_conf()' || return 1
    tries=0
    until [ "$(sql 'select pg_conf_load_time()')" != "$before" ]; do
        tries=$((tries + 1))
        [ "$tries" -lt 100 ] || return 1
        sleep 0.05
    done
}

# reset_settings NAME... : what somebody has set by ALTER SYSTEM no longer beats the files.
reset_settings() {
    keep_old "$DATA/postgresql.auto.conf"
    for name; do
        reason=$(sql "alter system reset $name") || fail "cannot reset $name: $reason"
    done
}

restart_server() { # WORD...
    record pending restart "$@"
    try sync "$STATE/pending"
    try "$@"
    tries=0
    until answers; do
        tries=$((tries + 1))
        [ "$tries" -lt 600 ] || fail "the server does not come back"
        sleep 0.1
    done
}

# verify_running SQL : what it prints is in our files and not in force.
verify_running() {
    left=$(sql "$1") || fail "cannot ask the server for its settings: $left"
    [ -z "$left" ] || fail "not in force after the reload: $left"
}

# reread [boot] : the server, as pending names it, goes by its files again; a server that is starting
# too. One that was being restarted is restarted, unless the whole host just was.
reread() {
    IFS=$TAB read -r _ SERVER_USER PSQL SOCKETS PORT DATA <<END
$(grep '^server' "$STATE/pending")
END
    [ -n "$DATA" ] || return 0
    restart=$(sed -n 's/^restart\t//p' "$STATE/pending")
    if [ $# -eq 0 ] && [ -n "$restart" ]; then
        # shellcheck disable=SC2086 # its words
        (set -f && IFS=$TAB && quietly $restart)
    elif answers; then
        reload_server
    else
        pid=$(head -n 1 "$DATA/postmaster.pid" 2>/dev/null) &&
            [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = postgres ] && kill -HUP "$pid"
    fi
}
