#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# server.sh NAME: the process of the network's DHCP server, then its leases without the times that they end; fails while
# the server doesn't run.
unit=hostwire-dnsmasq-guest-$1.service
systemctl is-active --quiet "$unit" || exit
systemctl show --property=MainPID --value "$unit"
cut -d' ' -f2- "/var/lib/hostwire-dnsmasq-guest-$1/leases"
