# shellcheck shell=sh
# Users, packages and virtual environments during an apply: they are made and never taken back.

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
