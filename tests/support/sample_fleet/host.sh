#!/bin/sh
# host.sh ROLE PUBLIC_KEY NETWORK: as root on a database host: the account that provision uses, and
# PostgreSQL 15 as each role expects to find it. ROLE is primary, replica or drill.
set -eu
role=$1 public_key=$2 network=$3
etc=/etc/postgresql/15/main

id admin >/dev/null 2>&1 || useradd --create-home --shell /bin/bash admin
install -d -o admin -g admin -m 700 ~admin/.ssh
install -o admin -g admin -m 600 "$public_key" ~admin/.ssh/authorized_keys
echo 'admin ALL=(ALL:ALL) NOPASSWD: ALL' >/etc/sudoers.d/admin
chmod 440 /etc/sudoers.d/admin

if [ "$role" = drill ]; then # it restores into a directory of its own
    if [ -d "$etc" ]; then pg_dropcluster --stop 15 main; fi
    exit 0
fi
[ -d "$etc" ] || pg_createcluster 15 main -- --data-checksums
if [ "$role" = replica ]; then # it gets its data from the repository
    pg_ctlcluster 15 main stop 2>/dev/null || true
    rm -rf /var/lib/postgresql/15/main
    exit 0
fi
printf "listen_addresses = '*'\n" >$etc/conf.d/10-network.conf
rule="host replication replicator $network scram-sha-256"
grep -qxF "$rule" $etc/pg_hba.conf || printf '%s\n' "$rule" >>$etc/pg_hba.conf
pg_ctlcluster 15 main restart 2>/dev/null || pg_ctlcluster 15 main start
runuser -u postgres -- psql -XqAt -v ON_ERROR_STOP=1 -v password="$REPLICATION_PASSWORD" <<'END'
set client_min_messages = error;
drop role if exists replicator;
create role replicator login replication password :'password';
END
