# shellcheck shell=sh
# The first process of a host: starts what listens, then waits for its children, own and adopted.
mkdir -p /run/postgresql
chown postgres:postgres /run/postgresql
/usr/sbin/sshd
/usr/sbin/cron
# clusters that `pg_createcluster` made before the host lost its power
pg_lsclusters -h 2>/dev/null | while read -r version cluster rest; do
    pg_ctlcluster "$version" "$cluster" start </dev/null
done >/var/log/rig-init.log 2>&1
while :; do
    sleep 3600 &
    wait
done
