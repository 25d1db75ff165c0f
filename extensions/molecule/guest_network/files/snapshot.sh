#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# What the role may leave nothing behind of: links, addresses, routes, rules, namespaces, processes, units and files.
# The engine's own directory stays: it holds the lock and the modules' bytecode.
ip -o link | cut -d: -f2 | sort
ip -o address | awk '{print $2, $4}' | sort
ip route show table all
ip -6 route show table all | grep -v ' fe80::\| ff00::' | sed 's/ expires .*//'
for program in iptables ip6tables; do
    for variant in nft legacy; do
        "$program-$variant-save" | grep -e '^-A' -e '^:[^ ]* - ' | sed 's/ \[[0-9:]*\]//'
    done
done
cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/all/forwarding
find /run/netns /etc/netns -mindepth 1 2>/dev/null
pgrep -a dnsmasq
systemctl list-units --all --plain --no-legend 'hostwire-*'
find /etc /run /tmp /usr /var -xdev -name '*hostwire-*' ! -path '/var/lib/docker/*'
find /var/lib/hostwire -type f ! -name 'bytecode*' ! -name lock 2>/dev/null
true
