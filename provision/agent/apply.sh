# Makes a host what a plan says, or leaves it as it was. POSIX sh with coreutils and util-linux.
# The caller appends a function main and, on the last line, its call: an answer that is cut while
# it is sent runs nothing. A cut connection does not stop what has begun.
#
# What is on disk in $STATE tells whoever comes next what to do: `staged` lists what waits beside its
# place and is removed; `pending`, there before the first object is switched, is the way back and is
# gone; its renaming to `committed` is the commit, after which what was replaced is removed. After a power
# cut cron comes first: it finds the way back in /etc/cron.d before anything else is asked for.

set -u
umask 077
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL
trap '' HUP PIPE
STATE=/var/lib/provision
HOOK=/etc/cron.d/provision-recover
TAB=$(printf '\t')
locked=no
switched=no
step=begin

say() { printf '%s\t%s\n' "$1" "$2" 2>/dev/null; }
at() { step=$1; say step "$1"; }

# fail MESSAGE : ends; before the switch nothing has changed, after it everything goes back.
fail() {
    trap - EXIT
    trap '' INT TERM
    if [ "$switched" = yes ]; then
        undo
        ending=rolled_back
    else
        [ "$locked" = no ] || sweep
        ending=failed
    fi
    finally "$ending" "$1"
}

# refuse MESSAGE : ends, because the host is not as it was when it was looked at.
refuse() {
    trap - EXIT
    [ "$locked" = no ] || sweep
    finally refused "$1"
}

finally() { # ENDING MESSAGE
    say "$1" "$step: $(printf '%s' "$2" | tr '\n\t' '  ')"
    exit 1
}

# What is started here does not inherit the lock: a server would hold it as long as it runs.
try() { reason=$("$@" 2>&1 9>&-) || fail "$* failed: $reason"; }
quietly() { "$@" >/dev/null 2>&1 9>&-; }

# begin ID : one apply at a time. A lock that is held for a moment is whoever looks at the host.
begin() {
    ID=$1
    [ -d "$STATE" ] || mkdir -m 0700 "$STATE" || fail "cannot make $STATE"
    # a redirection that fails ends the shell where exec, or a colon, is its command
    true 2>/dev/null >>"$STATE/lock" || fail "cannot write below $STATE"
    exec 9>"$STATE/lock"
    flock -w 2 9 || refuse "another apply is running"
    for left in pending committed staged; do
        [ ! -e "$STATE/$left" ] || refuse "an earlier apply was interrupted; its way back comes first"
    done
    true >"$STATE/staged" || fail "cannot write below $STATE"
    true >"$STATE/owners" || fail "cannot write below $STATE"
    locked=yes
    unhook
    true >"$STATE/undo.new" || fail "cannot write below $STATE"
    trap 'fail "ended unexpectedly"' EXIT
    trap 'fail "stopped by a signal"' INT TERM
}

# not_held : nobody has put the host on hold since it was looked at.
not_held() { [ ! -e "$STATE/hold.json" ] || refuse "the host is on hold"; }

# forget_hold SHA256 : the one that was seen has run out.
forget_hold() {
    echo "$1  $STATE/hold.json" | sha256sum --status -c - && rm -f "$STATE/hold.json"
}

# unchanged : stdin has lines of sha256sum, for every file that will be replaced.
unchanged() {
    sha256sum --status --strict -c - || refuse "a file has changed since the plan was made"
}
still_absent() {
    if [ -e "$1" ] || [ -L "$1" ]; then refuse "$1 has appeared since the plan was made"; fi
}

# record FILE FIELD... : a line for whoever comes next; what it speaks of happens after it stands there.
record() {
    file=$STATE/$1 line=$2
    shift 2
    for field; do line=$line$TAB$field; done
    printf '%s\n' "$line" 2>/dev/null >>"$file" || fail "cannot write $file"
}

# beside PATH WORD : the name under which something waits beside its place, hidden from all readers.
beside() { printf '%s/.provision-%s-%s.%s' "${1%/*}" "$2" "$ID" "${1##*/}"; }

# parents PATH : the directories above a directory of ours that nobody has made yet.
parents() {
    if [ -z "$1" ] || [ -d "$1" ]; then return; fi
    parents "${1%/*}"
    record staged d "$1"
    try mkdir -m 0755 "$1"
}

# directory PATH OWNER GROUP MODE : what is in it may be staged from now on, and be read by a probe.
directory() {
    if [ -d "$1" ]; then
        record staged m "$1" "$(stat -c %u:%g "$1")" "$(stat -c %04a "$1")"
    else
        parents "${1%/*}"
        record staged d "$1"
        try mkdir -m 0700 "$1"
    fi
    try chown "$2:$3" "$1"
    try chmod "$4" "$1"
}

# stage PATH OWNER GROUP MODE : stdin is the content in base64. Created exclusively, with no bits
# for others before the first byte.
stage() {
    new=$(beside "$1" new)
    place "$new" "$2" "$3" "$4"
}

# place FILE OWNER GROUP MODE : write a file that nobody reads yet; it is root's alone until `hand_over`.
place() {
    record staged f "$1"
    (set -C && base64 -d >"$1") 2>/dev/null || fail "cannot write $1"
    printf '%s\t%s\t%s\n' "$2:$3" "$4" "$1" 2>/dev/null >>"$STATE/owners" ||
        fail "cannot write $STATE/owners"
}

# hand_over : all that was placed gets its owner and its mode, and is on disk. Many files at a time:
# starting a program costs more than what it does to one of them.
hand_over() {
    of_each chown "$(cut -f 1 "$STATE/owners" | sort -u)"
    of_each chmod "$(cut -f 2 "$STATE/owners" | sort -u)"
    of_each sync ''
    rm -f "$STATE/owners"
}

# of_each PROGRAM VALUES : run it once for each value with the files that have it, or on all files.
of_each() {
    program=$1
    for value in ${2:-all}; do
        set -- "$program"
        [ "$value" = all ] || set -- "$program" "$value"
        words=$#
        while IFS=$TAB read -r owner mode path; do
            case $value in "$owner" | "$mode" | all) set -- "$@" "$path" ;; esac
        done <"$STATE/owners"
        [ $# -eq "$words" ] || reason=$("$@" 2>&1 9>&-) || fail "cannot $program: $reason"
    done
}

# hook FILE MODE : stdin is a part of what takes this apply back should the power fail.
hook() {
    base64 -d 2>/dev/null >"$1" || fail "cannot write $1"
    try chmod "$2" "$1"
    try sync "$1"
}

unhook() { rm -f "$STATE/recover" "$HOOK"; }

stage_link() { # PATH TARGET
    new=$(beside "$1" new)
    record staged f "$new"
    try ln -s "$2" "$new"
}

# verify PATH WORD... : a checker of this kind of file takes what is staged.
verify() {
    new=$(beside "$1" new)
    shift
    reason=$(timeout -k 5 60 "$@" "$new" 2>&1 </dev/null) || fail "$* refuses $new: $reason"
}

# probe USER SECONDS WORD... : what will run in production works, as the user that will run it.
probe() {
    user=$1 seconds=$2
    shift 2
    reason=$(runuser -u "$user" -- timeout -k 5 "$seconds" "$@" 2>&1 >/dev/null </dev/null) ||
        fail "as $user: $* failed: $reason"
}

# will_replace PATH : how to undo it goes to disk before anything is switched.
will_replace() {
    if [ -e "$1" ] || [ -L "$1" ]; then
        record undo.new restore "$1" "$(beside "$1" old)"
    else
        record undo.new remove "$1"
    fi
}

will_set_metadata() { # PATH
    record undo.new metadata "$1" "$(stat -c %u:%g "$1")" "$(stat -c %04a "$1")"
}

# will_reread : the server goes by its files again after they went back.
will_reread() { record undo.new server "$SERVER_USER" "$PSQL" "$SOCKETS" "$PORT" "$DATA"; }

# settle FILE : the names in the directories of its paths are on disk too, and not only the bytes.
settle() {
    cut -f 2 "$1" | sed 's|/[^/]*$||' | sort -u | while read -r directory; do
        [ ! -d "$directory" ] || sync "$directory"
    done
}

# commence : from here on a failure means going back.
commence() {
    settle "$STATE/staged"
    try sync "$STATE/undo.new"
    try mv -T "$STATE/undo.new" "$STATE/pending"
    try sync "$STATE"
    switched=yes
}

keep_old() {
    [ -e "$1" ] || [ -L "$1" ] || return 0
    old=$(beside "$1" old)
    if [ -d "$1" ] && [ ! -L "$1" ]; then
        try mv -T "$1" "$old"
    else
        try ln -P "$1" "$old"
    fi
}

switch() { # PATH
    keep_old "$1"
    try mv -T "$(beside "$1" new)" "$1"
}

metadata() { # PATH OWNER GROUP MODE
    try chown "$2:$3" "$1"
    try chmod "$4" "$1"
}

remove() { # PATH
    keep_old "$1"
    try rm -f "$1"
}

# undo [boot] : the lines of pending in reverse; each may have been done already, or never have been
# needed.
undo() {
    tac "$STATE/pending" | while IFS=$TAB read -r what path old mode; do
        case $what in
            restore) put_back "$old" "$path" ;;
            remove) rm -f "$path" ;;
            metadata) chown "$old" "$path" && chmod "$mode" "$path" ;;
        esac
    done
    settle "$STATE/pending"
    sweep
    reread "$@"
    rm -f "$STATE/pending"
    unhook
}

put_back() { # OLD PATH
    [ -e "$1" ] || [ -L "$1" ] || return 0
    # a directory takes no link's place
    if [ -d "$1" ] && [ ! -L "$1" ] && [ -L "$2" ]; then rm -f "$2"; fi
    # not switched yet: two names of one file, of which mv would leave both
    if [ "$(stat -c %d:%i "$1")" = "$(stat -c %d:%i "$2" 2>/dev/null)" ]; then
        rm -f "$1"
    else
        mv -fT "$1" "$2"
    fi
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

# sweep : remove what was staged, directories only if they are empty; others are as they were.
sweep() {
    [ ! -e "$STATE/staged" ] || tac "$STATE/staged" | while IFS=$TAB read -r what path owner mode; do
        case $what in
            f) rm -f "$path" ;;
            d) rmdir "$path" 2>/dev/null ;;
            m) chown "$owner" "$path" && chmod "$mode" "$path" ;;
        esac
    done
    rm -f "$STATE/staged" "$STATE/owners" "$STATE/undo.new"
    [ -e "$STATE/pending" ] || unhook
}

# recover [boot] : what an apply that ended in the middle left is taken back, or away.
recover() {
    exec 9>"$STATE/lock" || exit 1
    flock -w 2 9 || refuse "another apply is running"
    if [ -e "$STATE/pending" ]; then
        undo "$@"
    elif [ -e "$STATE/committed" ]; then
        finish
    else
        sweep
    fi
    say ok recovered
}

# commit : nothing goes back any more.
commit() {
    settle "$STATE/pending"
    trap '' INT TERM
    try mv -T "$STATE/pending" "$STATE/committed"
    trap - EXIT
    switched=no
    sync "$STATE"
    finish
    say ok applied
}

# finish : what was replaced is needed no more.
finish() {
    cut -f 3 -s "$STATE/committed" | while read -r old; do
        case $old in */.provision-old-*) rm -rf "$old" ;; esac
    done
    rm -f "$STATE/staged" "$STATE/committed"
    unhook
}

user() { # NAME GROUP HOME SHELL
    getent group "$2" >/dev/null || try groupadd --system "$2"
    try useradd --system --gid "$2" --home-dir "$3" --shell "$4" "$1"
}

package() { # NAME...
    if command -v apt-get >/dev/null 2>&1; then
        quietly env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends \
            "$@" || { quietly apt-get -qq update && try env DEBIAN_FRONTEND=noninteractive \
            apt-get -qq install -y --no-install-recommends "$@"; }
    else
        try dnf -q -y install "$@"
    fi
}

# install_venv PATH REQUIREMENT FIND_LINKS
install_venv() {
    [ -x "$1/bin/python" ] || try python3 -m venv "$1"
    if [ -n "$3" ]; then
        try "$1/bin/pip" -q --disable-pip-version-check install --no-index --find-links "$3" "$2"
    else
        try "$1/bin/pip" -q --disable-pip-version-check install "$2"
    fi
    try chmod -R go+rX "$1"
}

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

start_timer() {
    try systemctl daemon-reload
    try systemctl enable --now "$1.timer"
}

# tidy PATH... : directories that are no longer ours go if nothing of anybody's is in them.
tidy() { rmdir "$@" 2>/dev/null; }

# old_generations STORE CURRENT KEEP : the newest KEEP stay, and what is in force.
old_generations() {
    find "$1" -mindepth 1 -maxdepth 1 -type d -name '[0-9]*' ! -name "$2" | sort -r |
        tail -n "+$3" | while read -r path; do rm -rf "$path"; done
}
