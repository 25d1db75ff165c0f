#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# What udhcpc does with an answer: the address, and the router where there is one.
# shellcheck disable=SC2154 # interface, ip and mask come from udhcpc
case $1 in
deconfig) ip address flush dev "$interface" scope global ;;
bound | renew)
    ip address replace "$ip/$mask" dev "$interface"
    for gateway in ${router:-}; do
        ip route replace default via "$gateway" dev "$interface"
    done
    ;;
esac
