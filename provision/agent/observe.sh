# What a host has, in one answer. Reads only. POSIX sh with coreutils, findutils and tar.
# The caller appends the calls; the answer ends with "== end", or it was cut.

set -u
umask 077
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL

section() { printf '== %s\n' "$1"; }

# files LARGEST PATH... : what is at each path, with content, as an archive; directories bare.
files() {
    largest=$1
    shift
    section large
    find "$@" -maxdepth 0 -type f -size "+${largest}c" -print 2>/dev/null
    section files
    # shellcheck disable=SC2185 # the paths are the arguments
    find "$@" -maxdepth 0 ! \( -type f -size "+${largest}c" \) ! -type s -print0 2>/dev/null |
        sort -zu |
        tar --null --files-from=- --no-recursion --create --format=gnu -P --warning=none \
            --hard-dereference --blocking-factor=1 2>/dev/null | base64
}

# generations ENVDIR : the paths that an envdir consists of, one a line.
generations() {
    find "$1" "$1.d" -maxdepth 0 2>/dev/null
    find "$1.d" -mindepth 1 -maxdepth 1 2>/dev/null
    find "$1/" -mindepth 1 -maxdepth 1 2>/dev/null
    current=$(readlink -f "$1" 2>/dev/null) && find "$current" -mindepth 1 -maxdepth 1 2>/dev/null
}

# known FILE : the paths that an earlier apply noted, one a line.
known() { cat "$1" 2>/dev/null; }

# busy LOCK : whether an apply runs at this moment.
busy() {
    section busy
    [ ! -e "$1" ] || flock -n -s "$1" true || echo yes
}

users() {
    section users
    for name; do getent passwd "$name" >/dev/null 2>&1 && printf '%s\n' "$name"; done
}

packages() {
    section packages
    for name; do
        if command -v dpkg-query >/dev/null 2>&1; then
            status=$(dpkg-query -W -f '${Status}' "$name" 2>/dev/null)
            [ "$status" = 'install ok installed' ] && printf '%s\n' "$name"
        else
            rpm -q --quiet "$name" 2>/dev/null && printf '%s\n' "$name"
        fi
    done
}

# venv PATH DISTRIBUTION : the installed version, without starting the interpreter.
venv() {
    [ -x "$1/bin/python" ] || return 0
    for found in "$1"/lib/python*/site-packages/"$2"-*.dist-info; do
        [ -d "$found" ] || continue
        version=${found##*/"$2"-}
        printf '%s\t%s\n' "$1" "${version%.dist-info}"
    done
}

# guard NUMBER WORD... : whether a command that only reads succeeds.
guard() {
    number=$1
    shift
    timeout -k 1 10 "$@" >/dev/null 2>&1 </dev/null
    printf '%s\t%s\n' "$number" "$?"
}

timer() {
    systemctl is-enabled --quiet "$1.timer" 2>/dev/null &&
        systemctl is-active --quiet "$1.timer" 2>/dev/null && printf '%s\n' "$1"
}

# server USER PSQL SOCKETS PORT SQL : what a running PostgreSQL says; nothing if it does not answer.
server() {
    section server
    [ -x "$2" ] || return 0
    runuser -u "$1" -- env PGCONNECT_TIMEOUT=5 PGOPTIONS='-c statement_timeout=10s' \
        "$2" -X -A -t -q -F "$(printf '\t')" -h "$3" -p "$4" -d postgres -c "$5" 2>/dev/null </dev/null
}
