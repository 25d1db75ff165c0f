#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# engine.sh DIRECTORY CGROUP: dockerd as the first process's child of a namespace set made for it alone (see engine.py).
# This shell is process 1 there: it collects orphans, and its end is the end of everything inside.
set -eu
directory=$1
cgroup=$2

# An empty /run: no containerd, firewall lock or namespace of the machine's can be mistaken for ours.
mount -t tmpfs tmpfs /run
ip link set lo up
# The containers' network stands for a LAN; it keeps away from 172.17.0.0/16, which the engines inside take for theirs.
NOTIFY_SOCKET=$directory/notify dockerd \
    --host "unix://$directory/docker.sock" \
    --config-file "$directory/daemon.json" \
    --data-root "$directory/data" \
    --exec-root "$directory/exec" \
    --pidfile "$directory/docker.pid" \
    --bip 198.51.100.254/24 \
    --ipv6 --fixed-cidr-v6 2001:db8:100::/64 \
    --cgroup-parent "$cgroup" \
    --exec-opt native.cgroupdriver=cgroupfs \
    --log-level warn &
wait "$!"
