#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A virtual switch inside the host; the host itself has an address on it.
set -e
ip link add v-net-0 type bridge
ip link set dev v-net-0 up
n=1
for room in red blue green; do
  ip netns add $room
  ip link add veth-$room type veth peer name veth-$room-br
  ip link set veth-$room netns $room
  ip link set veth-$room-br master v-net-0
  ip -n $room addr add 192.168.15.$n/24 dev veth-$room
  ip -n $room link set lo up
  ip -n $room link set veth-$room up
  ip link set veth-$room-br up
  n=$((n + 1))
done
ip addr add 192.168.15.5/24 dev v-net-0
