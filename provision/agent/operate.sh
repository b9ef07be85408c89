# What an operator does on one host. POSIX sh with coreutils and util-linux. The caller appends a
# function main and, on the last line, its call: an answer that is cut while it is sent runs nothing.
# A cut connection does not stop what has begun.

set -u
umask 077
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL
trap '' HUP PIPE
cd /
STATE=/var/lib/provision
changed=no
undo=:

one_line() { printf '%s' "$1" | tr '\n\t' '  '; }
say() { printf '%s\t%s\n' "$1" "$(one_line "$2")" 2>/dev/null; }
note() { say note "$1"; }

# fail MESSAGE : ends. Whoever reads it learns whether the host is as it was.
fail() {
    $undo
    if [ "$changed" = yes ]; then say broken "$1"; else say failed "$1"; fi
    exit 1
}

# What is started here does not inherit the lock: a server would hold it as long as it runs.
try() { reason=$("$@" 2>&1 </dev/null 9>&-) || fail "$* failed: $reason"; }

# serve USER PSQL SOCKETS PORT : which server the following functions speak of.
serve() { SERVER_USER=$1 PSQL=$2 SOCKETS=$3 PORT=$4; }

as_server() { runuser -u "$SERVER_USER" -- "$@" </dev/null; }

sql() {
    as_server env PGCONNECT_TIMEOUT=5 PGOPTIONS='-c statement_timeout=10s' \
        "$PSQL" -X -A -t -q -v ON_ERROR_STOP=1 -F "$(printf '\t')" \
        -h "$SOCKETS" -p "$PORT" -d postgres -c "$1" 2>&1
}

ask() { answer=$(sql "$1") || fail "the server refuses: $answer"; }

# wait_for SECONDS SQL : until the server answers t.
wait_for() {
    ends=$(($(date +%s) + $1))
    until [ "$(sql "$2")" = t ]; do
        [ "$(date +%s)" -lt "$ends" ] || return 1
        sleep 0.2
    done
}

process() { # BIN DATA : a server runs in the data directory, whether it answers or not
    as_server "$1/pg_ctl" status -D "$2" >/dev/null 2>&1
}

# --- looking ---

place_of() { # DATA
    if [ -L "$1" ]; then
        echo link
    elif [ -d "$1" ] && mountpoint -q "$1"; then
        echo mount
    elif [ -d "$1" ]; then
        if [ -n "$(ls -A "$1")" ]; then echo directory; else echo empty; fi
    elif [ -e "$1" ]; then
        echo other
    else
        echo absent
    fi
}

data() { # BIN DATA
    kind=$(place_of "$2")
    say data "$kind"
    above=$2
    until [ -d "$above" ]; do above=${above%/*}/; above=${above%/}; done
    say free "$(df -B1 --output=avail "${above:-/}" | tail -n 1 | tr -d ' ')"
    [ "$kind" = absent ] && return
    [ -e "$2/PG_VERSION" ] && say version "$(cat "$2/PG_VERSION")"
    say state "$("$1/pg_controldata" "$2" 2>/dev/null | sed -n 's/^Database cluster state: *//p')"
    process "$1" "$2" && say process yes
    for link in "$2"/pg_tblspc/*; do
        [ -L "$link" ] && say tablespace "$(readlink "$link")"
    done
}

measure() { # DATA : a large one is not waited for
    [ -d "$1" ] && say size "$(timeout 20 du -sb "$1" 2>/dev/null | cut -f 1)"
}

present() { [ -e "$2" ] && say "$1" yes; }
text_of() { [ -e "$2" ] && say "$1" "$(base64 -w 0 "$2")"; }
server() { answer=$(sql "$1") && printf 'server\t%s\n' "$answer"; }

# program USER SECONDS WORD... : what a command prints, and how it ends; it changes nothing.
program() {
    user=$1 seconds=$2
    shift 2
    said=$(runuser -u "$user" -- timeout -k 5 "$seconds" "$@" 2>&1 </dev/null)
    say status "$?"
    say output "$(printf '%s' "$said" | base64 -w 0)"
}

# lock : no apply runs beside what follows.
lock() {
    [ -d "$STATE" ] || mkdir -m 0700 "$STATE" || fail "cannot make $STATE"
    exec 9>"$STATE/lock" || fail "cannot open $STATE/lock"
    flock -w 5 9 || fail "an apply is running"
}

# --- holds ---

# unchanged FILE DIGEST : it is as it was when it was read; "-" for absent.
unchanged() {
    found=-
    [ -e "$1" ] && found=$(sha256sum <"$1" | cut -d ' ' -f 1)
    [ "$found" = "$2" ] || fail "somebody else changed $1 meanwhile"
}

hold() { # FILE DIGEST CONTENT ; the content in base64
    lock
    unchanged "$1" "$2"
    rm -f "$1.new"
    (set -C && printf '%s' "$3" | base64 -d >"$1.new") || fail "cannot write $1.new"
    try sync "$1.new"
    try mv -T "$1.new" "$1"
    try sync "$STATE"
}

release() { # FILE DIGEST
    lock
    unchanged "$1" "$2"
    rm -f "$1" || fail "cannot remove $1"
    try sync "$STATE"
}

# --- jobs ---

# job WHAT USER SCRIPT LOG : run a job as its schedule does; what it adds to its log is shown.
job() {
    before=$(stat -c %s "$4" 2>/dev/null || echo 0)
    runuser -u "$2" -- "$3" >/dev/null 2>&1 </dev/null
    status=$?
    tail -c "+$((before + 1))" "$4" 2>/dev/null | tail -n 40 | while IFS= read -r line; do
        note "$line"
    done
    case $status in
        0) ;;
        75) fail "$1 runs already" ;;
        *) fail "$1 failed with exit code $status; its log is $4" ;;
    esac
}

# --- restoring ---

# fetch USER GROUP NEW LOG WORD... : restore into a directory beside the old one, which goes on.
fetch() {
    user=$1 group=$2 NEW=$3 log=$4
    shift 4
    [ -e "$NEW" ] && fail "$NEW is there already"
    undo=forget_new
    try install -d -o "$user" -g "$group" -m 0700 "$NEW"
    : >>"$log" || fail "cannot write $log"
    try chown "$user:$group" "$log"
    runuser -u "$user" -- "$@" >>"$log" 2>&1 </dev/null ||
        fail "backup-fetch ended with $?: $(tail -n 2 "$log"); the log is $log"
    [ -e "$NEW/PG_VERSION" ] || fail "backup-fetch left no data directory in $NEW"
}

forget_new() { rm -rf "$NEW"; }

# setting USER GROUP FILE LINE : one more line, in a file of the restored directory.
setting() {
    printf '%s\n' "$4" >>"$3" || fail "cannot write $3"
    try chown "$1:$2" "$3"
    try chmod 0600 "$3"
}

# stop BIN DATA WORD... : by the command of the system, if a server runs.
stop() {
    bin=$1 data=$2
    shift 2
    process "$bin" "$data" || return 0
    try "$@"
    process "$bin" "$data" && fail "the server in $data runs on"
    changed=yes
    note "stopped the server"
}

# replace DATA OLD : the restored directory takes its place; the old one stays under a new name.
replace() {
    if [ -e "$1" ]; then
        try mv -T "$1" "$2"
        changed=yes
        note "moved $1 to $2"
    fi
    reason=$(mv -T "$NEW" "$1" 2>&1) || {
        [ -e "$2" ] && mv -T "$2" "$1"
        fail "cannot move $NEW to $1: $reason"
    }
    changed=yes
    undo=:
    sync -f "$1"
}

start() { # BIN DATA WORD... : and wait until a process is there
    bin=$1 data=$2
    shift 2
    try "$@"
    process "$bin" "$data" || fail "the server did not start; look at its log"
    note "started the server"
}
