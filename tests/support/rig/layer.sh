#!/bin/sh
# layer.sh SCRIPT DIRECTORY LOWER...: run SCRIPT in the root that DIRECTORY makes over the LOWERs
# and copy what it writes into DIRECTORY. In a mount namespace of its own. The writable part is a
# tmpfs: overlayfs does not accept itself there, and a cache may well stand on one.
set -eu
script=$1 directory=$2
shift 2
lowers=$directory
for lower; do lowers=$lowers:$lower; done
scratch=$directory/.scratch
root=$scratch/root
mkdir "$scratch"
mount -t tmpfs tmpfs "$scratch"
mkdir "$scratch/upper" "$scratch/work" "$root"
mount -t overlay overlay -o "lowerdir=$lowers,upperdir=$scratch/upper,workdir=$scratch/work" "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 chroot "$root" /bin/sh -s <"$script"
umount -l "$root/dev"
umount "$root/proc" "$root"
cp -a "$scratch/upper/." "$directory/"
umount "$scratch"
rmdir "$scratch"
