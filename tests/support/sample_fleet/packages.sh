#!/bin/sh
# packages.sh CHECKOUT: as root on a fresh Debian 12: PostgreSQL, what jobs need, and wheels of pitr
# and of everything that it depends on, from which provision installs it.
set -eu
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
apt-get -qq install -y --no-install-recommends \
    postgresql postgresql-contrib python3 python3-venv sudo cron daemontools logrotate gnupg age
python3 -m venv /opt/build
/opt/build/bin/pip -q --disable-pip-version-check wheel --wheel-dir /opt/wheels "$1"
