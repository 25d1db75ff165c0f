#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# What udhcpc calls: takes over address, routers and name servers of a lease.

# udhcpc sets these.
# shellcheck disable=SC2154
case $1 in
deconfig)
    ip link set "$interface" up
    ip -4 address flush dev "$interface"
    ;;
bound | renew)
    ip -4 address flush dev "$interface"
    ip address add "$ip/$mask" dev "$interface"
    for gateway in $router; do
        ip route add default via "$gateway" dev "$interface"
        break
    done
    for server in $dns; do
        echo "nameserver $server"
    done >/etc/resolv.conf
    ;;
esac
