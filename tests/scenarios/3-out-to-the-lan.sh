#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Scenario 2 plus a LAN (192.168.1.0/24) with another machine on it. "lan" is the namespace that plays that machine;
# it has no route back to 192.168.15.0/24, so it can answer only what was masqueraded.
set -e
sh "$(dirname "$0")/2-switch.sh"
ip netns add lan
ip link add eth0 type veth peer name eth0 netns lan
ip addr add 192.168.1.2/24 dev eth0
ip link set eth0 up
ip -n lan addr add 192.168.1.3/24 dev eth0
ip -n lan link set lo up
ip -n lan link set eth0 up
for room in red blue green; do
  ip -n $room route add default via 192.168.15.5
done
echo 1 > /proc/sys/net/ipv4/ip_forward
iptables -t nat -A POSTROUTING -s 192.168.15.0/24 ! -o v-net-0 -j MASQUERADE
iptables -t nat -A PREROUTING -p tcp -m addrtype --dst-type LOCAL -m tcp --dport 8080 -j DNAT --to-destination 192.168.15.2:80
