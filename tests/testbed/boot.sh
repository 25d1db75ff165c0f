#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The first program of a test host: makes the container a host that systemd can run on and the machine is safe from.
set -eu

# systemd raises fs.file-max and the like, which are the machine's: only what belongs to the own network is writable.
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
mount --bind /proc/sys/net /proc/sys/net
mount -o remount,bind,rw /proc/sys/net

# systemd mounts controllers and remounts what it finds at /sys/fs/cgroup, so it must not be the machine's. In a cgroup
# namespace cgroup2 shows this host's own group and nothing else; machines with cgroup v1 have that hierarchy too.
umount --recursive /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup

exec /sbin/init
