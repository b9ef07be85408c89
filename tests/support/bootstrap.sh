#!/usr/bin/env bash
# Run a command of this project with everything it needs:
#
#     tests/support/bootstrap.sh [--keep-user] [--rig] [--postgres "14 15 default"] [--fetch MODULE]... \
#         COMMAND [ARGUMENT...]
#
# Installs missing system packages, makes the virtual environment, provides the named PostgreSQL
# majors and what `python -m MODULE` fetches into the cache, and runs the command with that environment's programs first on PATH and with a private
# TMPDIR, which is removed at the end together with every process that still uses it (KEEP=1 keeps
# the directory).
#
# PostgreSQL refuses to run as root. As root the command therefore runs as an unprivileged user,
# PITR_TEST_USER or nobody; --keep-user runs it as root all the same. A checkout which that user
# cannot read (a clone in /root) is copied for the run. The copy's path is the same in every run,
# so that its virtual environment in the cache can be used again.
#
# --rig: the command can have hosts of its own, see tests/support/rig/. It runs in a network of its
# own then, with loopback and those hosts and without the machine's network. Only root can make
# that, or a user with sudo and no password; otherwise the tests that need hosts are skipped.
#
# PITR_TEST_CACHE: downloads and builds that outlive a run; /var/cache/pitr-tests for root,
# ~/.cache/pitr for others. PYTHON: the interpreter to use, 3.11 or later.
set -euo pipefail
umask 022

checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
keep_user=
rig=
fetch=()
postgres=()
while [[ ${1-} == --* ]]; do
    case $1 in
        --keep-user) keep_user=1; shift ;;
        --rig) rig=1; shift ;;
        --postgres) read -ra postgres <<<"$2"; shift 2 ;;
        --fetch) fetch+=("$2"); shift 2 ;;
        *) echo "bootstrap: unknown option $1" >&2; exit 2 ;;
    esac
done
if [[ $# -eq 0 ]]; then
    echo "bootstrap: no command given" >&2
    exit 2
fi

say() { printf 'bootstrap: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
is_root() { [[ $EUID -eq 0 ]]; }

# --- who runs the command, and with which PATH ---

user=$(id -un)
if is_root && [[ -z $keep_user ]]; then
    user=${PITR_TEST_USER:-nobody}
    id "$user" >/dev/null 2>&1 || die "there is no user $user; name one in PITR_TEST_USER"
fi
drop=()
if [[ $(id -u "$user") -ne $EUID ]]; then
    drop=(setpriv --reuid="$user" --regid="$(id -g "$user")" --init-groups)
fi
as_user() { ${drop[@]+"${drop[@]}"} "$@"; }

usable_path() {
    local entry entries kept=
    IFS=: read -ra entries <<<"$PATH:/usr/local/bin:/usr/bin:/bin"
    for entry in "${entries[@]}"; do
        if [[ -d $entry && :$kept: != *:$entry:* ]] && as_user test -x "$entry"; then
            kept+=${kept:+:}$entry
        fi
    done
    printf '%s' "$kept"
}

# --- hosts ---

as_root=() # what has to stand before a command that makes namespaces
is_root || as_root=(sudo -n)
can_make_hosts() {
    "${as_root[@]}" unshare --net --mount --pid --fork mount -t tmpfs tmpfs /mnt 2>/dev/null
}

# --- system packages ---

find_python() {
    local candidate made_by
    # the one that made the environment, or root and others would make it anew for each other
    made_by=$(cut -d ' ' -f 1 "$checkout/.venv/.stamp" 2>/dev/null) || made_by=
    for candidate in ${PYTHON:+"$PYTHON"} ${made_by:+"$made_by"} python3 /usr/bin/python3 \
        python3.14 python3.13 python3.12 python3.11; do
        if as_user "$candidate" -c 'import sys, venv, ensurepip; assert sys.version_info >= (3, 11)
print(sys._base_executable)' 2>/dev/null; then
            return
        fi
    done
    return 1
}

missing_packages() {
    local library package program
    find_python >/dev/null || echo python3 python3-venv
    command -v ps >/dev/null || echo procps
    command -v xz >/dev/null || echo xz-utils
    command -v gpg >/dev/null || echo gnupg
    if [[ -n $rig ]]; then
        [[ -e /usr/sbin/debootstrap ]] || echo debootstrap debian-archive-keyring
        command -v ip >/dev/null || [[ -e /usr/sbin/ip ]] || echo iproute2
        command -v ssh-keygen >/dev/null || echo openssh-client
    fi
    if [[ -n $judges ]]; then
        command -v envdir >/dev/null || echo daemontools
        command -v systemd-analyze >/dev/null || echo systemd
        [[ -e /usr/sbin/logrotate ]] || echo logrotate
        command -v chromium >/dev/null || echo chromium
        for program in curl git shellcheck vagrant; do
            command -v "$program" >/dev/null || echo "$program"
        done
    fi
    for program in age b3sum brotli lz4 lzop openssl zstd; do
        command -v "$program" >/dev/null || echo "$program"
    done
    while read -r library package; do
        [[ $libraries == *"$library "* ]] || echo "$package"
    done <<'END'
libgssapi_krb5.so.2 libgssapi-krb5-2
liblz4.so.1 liblz4-1
libreadline.so.8 libreadline8
libssl.so.3 libssl3
libxml2.so.2 libxml2
libzstd.so.1 libzstd1
END
}

install_packages() {
    local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -qq)
    is_root || apt=(sudo "${apt[@]}")
    local needed
    for needed in "${apt[0]}" apt-get; do
        command -v "$needed" >/dev/null || die "please install: $*"
    done
    say "installing $*"
    "${apt[@]}" update </dev/null >&2
    "${apt[@]}" install -y --no-install-recommends "$@" </dev/null >&2
}

# --- directories ---

choose_cache() {
    if is_root; then
        echo /var/cache/pitr-tests
    elif [[ -n ${HOME-} && -w $HOME ]]; then
        echo "$HOME/.cache/pitr"
    else
        echo "/var/tmp/pitr-cache-$EUID"
    fi
}

must_copy() {
    [[ -z $keep_user ]] || return 1
    [[ -w $checkout ]] || return 0
    local unreadable
    unreadable=$(as_user find "$checkout" -mindepth 1 \
        \( -name .git -o -name .venv -o -name .hypothesis -o -name '.*_cache' \) -prune \
        -o ! -readable -print -quit 2>/dev/null) || return 0
    [[ -n $unreadable ]]
}

copy_checkout() {
    local private origin
    for origin in "$cache"/private/*/origin; do
        [[ ! -e $origin || -e $(<"$origin") ]] || rm -rf "$(dirname "$origin")"
    done
    private=$cache/private/$(printf %s "$checkout" | sha256sum | cut -c1-16)
    work=$private/checkout
    venv=$private/venv
    rm -rf "$work"
    mkdir -p "$work"
    printf %s "$checkout" >"$private/origin"
    chmod 750 "$private"
    if is_root; then chgrp "$(id -g "$user")" "$private"; fi
    tar -C "$checkout" --exclude=./.git --exclude=./.venv --exclude='./.*_cache' \
        --exclude=./.hypothesis --exclude=__pycache__ --exclude='*.egg-info' --exclude='*.so' -cf - . | tar -C "$work" --no-same-owner -xf -
    chmod -R u+rwX,go+rX "$work"
}

make_venv() {
    local stamp base
    base="$python $("$python" -V) $work"
    stamp="$base $(cd "$work" && cat setup.cfg setup.py pyproject.toml backup_core/postgres/*.c | sha256sum)"
    if [[ $(cat "$venv/.stamp" 2>/dev/null) == "$stamp" ]]; then
        build_extension
        return 0
    fi
    say "making $venv"
    [[ $(cat "$venv/.stamp" 2>/dev/null) == "$base "* ]] || rm -rf "$venv"
    rm -f "$venv/.stamp"
    "$python" -m venv "$venv"
    "$venv/bin/python" -m pip --disable-pip-version-check install -q -e "${work}[dev]" </dev/null >&2
    printf %s "$stamp" >"$venv/.stamp"
}

# A copied checkout comes without what was compiled.
build_extension() {
    compgen -G "$work/backup_core/postgres/*.so" >/dev/null || ! command -v cc >/dev/null ||
        "$venv/bin/python" -m pip --disable-pip-version-check install -q --no-deps -e "$work" </dev/null >&2
}

# --- the end ---

run_dir=
child=
cleanup() {
    local deadline=$((SECONDS + 5))
    if [[ -n $run_dir ]]; then
        export -n TMPDIR # or still_running would find its own grep
        # servers and workers end by themselves when the command does: give them time to
        while [[ -n $(still_running) && $SECONDS -lt $deadline ]]; do sleep 0.1; done
        # shellcheck disable=SC2046
        kill -KILL $(still_running) 2>/dev/null || true
        if [[ -n ${KEEP-} ]]; then say "kept $run_dir"; else rm -rf "$run_dir"; fi
    fi
    if [[ $work != "$checkout" ]]; then rm -rf "$work"; fi
}

still_running() {
    { grep -lsazF "TMPDIR=$run_dir" /proc/[0-9]*/environ || true; } | cut -d/ -f3
}

# --- do it ---

PATH=$(usable_path)
judges=$rig # what reads what is rendered: parsers of hosts' files, a browser; they need no root
if [[ -n $rig ]] && ! can_make_hosts; then
    say "no hosts can be made here (root, or sudo without a password): their tests are skipped"
    rig=
fi
libraries=$(PATH=$PATH:/usr/sbin:/sbin ldconfig -p)
mapfile -t packages < <(missing_packages | tr ' ' '\n')
if [[ ${#packages[@]} -gt 0 ]]; then install_packages "${packages[@]}"; fi
python=$(find_python) ||
    die "no Python 3.11 or later that user $user can run; name one in PYTHON"

cache=${PITR_TEST_CACHE:-$(choose_cache)}
mkdir -p "$cache"
as_user test -x "$cache" || die "user $user cannot enter $cache; choose another PITR_TEST_CACHE"
export PITR_TEST_CACHE=$cache PIP_CACHE_DIR=${PIP_CACHE_DIR:-$cache/pip} PYTHONDONTWRITEBYTECODE=1

work=$checkout
venv=$checkout/.venv
trap cleanup EXIT
trap '[[ -z $child ]] || kill -TERM "$child"' TERM HUP
trap : INT # a terminal's Ctrl-C reaches the command itself

# one run at a time makes the environment, and one at a time has the copy
exec 9<"$checkout"
flock 9
if must_copy; then copy_checkout; fi
make_venv
cd "$work"
PATH=$venv/bin:$PATH
if [[ ${#postgres[@]} -gt 0 ]]; then
    python -m tests.support.postgres "${postgres[@]}" >/dev/null
fi
for module in ${fetch[@]+"${fetch[@]}"}; do python -m "$module" >/dev/null; done
is_root || as_root=(sudo -n --preserve-env env "PATH=$PATH")
if [[ -n $rig ]]; then "${as_root[@]}" python -m tests.support.rig; fi
if [[ $work == "$checkout" ]]; then flock -u 9; fi

run_dir=$(mktemp -d /var/tmp/pitr-run.XXXXXX)
chown "$user" "$run_dir"
export TMPDIR=$run_dir HYPOTHESIS_STORAGE_DIRECTORY=$run_dir/hypothesis
export PYTEST_ADDOPTS="-o cache_dir=$run_dir/pytest ${PYTEST_ADDOPTS-}"
if [[ ${#drop[@]} -gt 0 ]]; then export HOME=$run_dir USER=$user LOGNAME=$user; fi
say "ready after $SECONDS s"

# the rig drops root for the command itself
start=("${drop[@]:-setpriv}" --pdeathsig=TERM env --default-signal=INT,QUIT)
if [[ -n $rig ]]; then
    start=(setpriv --pdeathsig=TERM env --default-signal=INT,QUIT
        "${as_root[@]}" python -m tests.support.rig --user "$user" --)
fi

# in the background, so that a signal to this script reaches the command at once, SIGKILL included
(exec 9<&- && exec "${start[@]}" "$@") <&0 &
child=$!
status=0
while wait "$child" && status=0 || status=$?; kill -0 "$child" 2>/dev/null; do :; done
exit "$status"
