#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Machines A and B on 192.168.1.0/24, C and D on 192.168.2.0/24, a Linux router between them, and an "internet"
# (203.0.113.0/24) behind the router. Every machine is a namespace; every LAN is a switch of its own.
# shellcheck disable=SC2086  # plain commands, as people write them; no word here has a blank in it
set -e
for m in A B C D router internet; do ip netns add $m; ip -n $m link set lo up; done
for s in lan1 lan2 wan; do ip link add $s type bridge; ip link set $s up; done
plug() { # machine, its interface, switch, address
  ip link add $1-$2 type veth peer name $2 netns $1
  ip link set $1-$2 master $3 up
  ip -n $1 addr add $4 dev $2
  ip -n $1 link set $2 up
}
plug A eth0 lan1 192.168.1.10/24
plug B eth0 lan1 192.168.1.11/24
plug C eth0 lan2 192.168.2.10/24
plug D eth0 lan2 192.168.2.11/24
plug router eth0 lan1 192.168.1.1/24
plug router eth1 lan2 192.168.2.1/24
plug router eth2 wan 203.0.113.1/24
plug internet eth0 wan 203.0.113.174/24
ip -n A route add 192.168.2.0/24 via 192.168.1.1
ip -n A route add 203.0.113.0/24 via 192.168.1.1
ip -n B route add default via 192.168.1.1
ip -n C route add default via 192.168.2.1
ip -n D route add 192.168.1.0/24 via 192.168.2.1
ip -n internet route add default via 203.0.113.1
ip netns exec router sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'
