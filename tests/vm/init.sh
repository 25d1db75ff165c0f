#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The first process of a virtual machine: modules, lo, and then a loop that runs what comes over a virtio port.
#
# A request is a line "NUMBER SCRIPT", an answer a line "NUMBER STATUS OUTPUT", script and output in base64.

mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
# IPv6 addresses serve at once. With dad_transmits 0 each would still wait for up to a second, and what is sent
# meanwhile has the source ::1.
for interfaces in all default; do
    echo 0 >/proc/sys/net/ipv6/conf/$interfaces/accept_dad
done
export PATH=/bin:/usr/bin HOME=/root
for module in /modules/*; do
    insmod "$module"
done
ip link set lo up

until [ -e /dev/vport0p1 ]; do sleep 0.1; done
exec <>/dev/vport0p1 >&0
echo ready
while read -r number script; do
    echo "$script" | base64 -d >/tmp/script
    sh /tmp/script >/tmp/output 2>&1 </dev/null
    status=$?
    echo "$number $status $(base64 -w 0 /tmp/output)"
done
poweroff -f
