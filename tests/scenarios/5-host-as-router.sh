#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A - B - C: B has a leg in each network and must forward. Without forwarding on B, A's ping gets no answer.
set -e
for m in A B C; do ip netns add $m; ip -n $m link set lo up; done
ip link add eth0 netns A type veth peer name eth0 netns B
ip link add eth1 netns B type veth peer name eth0 netns C
ip -n A addr add 192.168.1.5/24 dev eth0
ip -n B addr add 192.168.1.6/24 dev eth0
ip -n B addr add 192.168.2.6/24 dev eth1
ip -n C addr add 192.168.2.5/24 dev eth0
ip -n A link set eth0 up; ip -n B link set eth0 up; ip -n B link set eth1 up; ip -n C link set eth0 up
ip -n A route add 192.168.2.0/24 via 192.168.1.6
ip -n C route add 192.168.1.0/24 via 192.168.2.6
ip netns exec B sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'
