# shellcheck shell=sh
# In the second layer's root: users as a fleet has them, and nothing that differs between two hosts.
set -eu
if pg_lsclusters -h | grep -q .; then pg_dropcluster --stop 15 main; fi
sed -i 's/^#*create_main_cluster.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf
rm -f /etc/ssh/ssh_host_*_key /etc/ssh/ssh_host_*_key.pub
rm -rf /var/cache/apt/archives/*.deb /var/lib/apt/lists/* /etc/cron.daily/* /etc/update-motd.d/*
: >/etc/motd

# admin may do everything, operator says his password first, guest may not
for user in admin operator guest; do
    groupadd --force "$user"
    useradd --create-home --shell /bin/bash --gid "$user" "$user"
    mkdir -m 700 "/home/$user/.ssh"
    chown "$user:" "/home/$user/.ssh"
done
echo 'operator:correct horse battery staple' | chpasswd
echo 'guest:correct horse battery staple' | chpasswd
echo 'admin ALL=(ALL:ALL) NOPASSWD: ALL' >/etc/sudoers.d/admin
echo 'operator ALL=(ALL:ALL) ALL' >/etc/sudoers.d/operator
chmod 440 /etc/sudoers.d/*

cat >/etc/ssh/sshd_config.d/rig.conf <<'END'
HostKey /etc/ssh/ssh_host_ed25519_key
HostKey /etc/ssh/ssh_host_ecdsa_key
PasswordAuthentication no
PrintMotd no
END
