#!/bin/sh
# fleet.sh IDENTITY: in the directory of the project, with its secrets in the environment: from hosts
# with PostgreSQL to a fleet that archives, follows and is watched. IDENTITY is the private key.
set -eux
provision validate
provision apply --yes --allow-restart db1 --identity "$1"
fab -i "$1" backup db1
for host in db2 db3 db4; do
    echo "$host" | fab -i "$1" restore "$host" --start
done
provision plan --identity "$1"
fab -i "$1" check
