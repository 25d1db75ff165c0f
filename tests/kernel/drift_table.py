# SPDX-License-Identifier: GPL-3.0-or-later
"""Kinds of drift: what somebody does on a router whose document is drift_world.py's, and what is said of it."""

from __future__ import annotations

from typing import Dict, Tuple

Case = Tuple[str, str]  # somebody's commands on the router, and a part of what is said of it
_SYSCTL = "sysctl -qw"

# Of ours: put right. R is where the router is, as a plan names it.
MENDED: Dict[str, Case] = {
    "the switch is down": ("ip link set sw0 down", "R: sw0: up"),
    "a port is down": ("ip link set v-g down", "R: v-g: up"),
    "a cable is down": ("ip link set v-p down", "R: v-p: up"),
    "a guest's end is down": ("ip -n g link set e0 down", "g: e0: up"),
    "a guest's loopback is down": ("ip -n g link set lo down", "g: lo: up"),
    "a port's MTU": ("ip link set v-g mtu 1300", "R: v-g: mtu 1300 -> 1500"),
    "a guest's MTU": ("ip -n g link set e0 mtu 1300", "g: e0: mtu 1300 -> 1500"),
    "an MTU too small for IPv6": ("ip link set v-p mtu 1200", "R: v-p: address fd06::1/64: add"),
    "a guest's MAC": ("ip -n g link set e0 address 02:de:ad:00:00:02", "g: e0: mac 02:de:ad:00:00:02 -> 02:00"),
    "a port with a guest's MAC": ("ip link set v-h address 02:00:00:05:00:02", "R: v-h: mac 02:00:00:05:00:02 -> "),
    "one MAC on both ends": ("ip -n p link set e1 address $(ip -br link show v-p | awk '{print $3}')", "p: e1: mac "),
    "no ARP on the switch": ("ip link set sw0 arp off", "R: sw0: arp on"),
    "no ARP on a cable": ("ip link set v-p arp off", "R: v-p: arp on"),
    "no ARP at a guest": ("ip -n g link set e0 arp off", "g: e0: arp on"),
    "a guest's loopback address": ("ip -n g addr del 127.0.0.1/8 dev lo", "g: lo: address 127.0.0.1/8: add"),
    "another alias": ("ip link set v-g alias something", "R: v-g: mark as ours"),
    "no alias": ("ip link set v-g alias ''", "R: v-g: mark as ours"),
    "no alias on the switch": ("ip link set sw0 alias ''", "R: sw0: mark as ours"),
    "no alias on a guest's loopback": ("ip -n g link set lo alias ''", "g: lo: up"),
    "a cable of another name": (
        "ip link set v-p down; ip link set v-p name x-p; ip link set x-p up",
        "veth R/v-p = p/e1: create",
    ),
    "a guest's end of another name": ("ip -n g link set e0 down; ip -n g link set e0 name x0", "R/v-g = g/e0: create"),
    "a cable that is gone": ("ip link del v-p", "veth R/v-p = p/e1: create"),
    "the switch is gone": ("ip link del sw0", "R: bridge sw0: create"),
    "a guest's end elsewhere": ("ip -n g link set e0 netns h name x0", "R/v-g = g/e0: create"),
    "a cable's end elsewhere": ("ip link set v-p netns lan", "R/v-p = p/e1: create"),
    "an unplugged port": ("ip link set v-g nomaster", "R: v-g: onto bridge sw0"),
    "another link group": ("ip link set sw0 group 7", "R: sw0: link group: put right"),
    "a spanning tree": ("ip link set sw0 type bridge stp_state 1", "R: bridge sw0: stp off"),
    "a port that is disabled": ("bridge link set dev v-g state 0", "R: v-g: let the bridge pass what comes through it"),
    "a port that only listens": ("bridge link set dev v-g state 1", "R: v-g: let the bridge pass what comes through"),
    "a port that only learns": ("bridge link set dev v-g state 2", "R: v-g: let the bridge pass what comes through it"),
    "a port without hairpin": ("bridge link set dev v-g hairpin off", "R: v-g: hairpin"),
    "a port that doesn't learn": ("bridge link set dev v-g learning off", "R: v-g: learning on"),
    "a port without flooding": ("bridge link set dev v-g flood off", "R: v-g: flood on"),
    "no multicast through a port": ("bridge link set dev v-g mcast_flood off", "R: v-g: mcast_flood on"),
    "no broadcast through a port": ("bridge link set dev v-g bcast_flood off", "R: v-g: bcast_flood on"),
    "a port that answers for others": ("ip link set v-g type bridge_slave proxy_arp on", "R: v-g: proxy_arp off"),
    "a locked port": ("bridge link set dev v-g locked on", "R: v-g: locked off"),
    "the switch's address is gone": ("ip addr del 10.5.0.1/24 dev sw0", "R: sw0: address 10.5.0.1/24: add"),
    "its IPv6 address is gone": ("ip addr del fd05::1/64 dev sw0", "R: sw0: address fd05::1/64: add"),
    "all its addresses are gone": ("ip addr flush dev sw0", "R: sw0: address fd05::1/64: add"),
    "a guest's address is gone": ("ip -n g addr del 10.5.0.2/24 dev e0", "g: route default via 10.5.0.1: add"),
    "another prefix length": (
        "ip addr del 10.5.0.1/24 dev sw0; ip addr add 10.5.0.1/25 dev sw0",
        "R: sw0: address 10.5.0.1/25: remove",
    ),
    "another IPv6 prefix length": (
        "ip addr del fd05::1/64 dev sw0; ip addr add fd05::1/96 dev sw0 nodad",
        "R: sw0: address fd05::1/96: remove",
    ),
    "one more address": ("ip addr add 10.55.0.1/24 dev sw0", "R: sw0: address 10.55.0.1/24: remove"),
    "a rival on a cable": ("ip addr add 10.5.0.99/24 dev v-p", "R: v-p: address 10.5.0.99/24: remove"),
    "a deprecated address": ("ip addr change 10.5.0.1/24 dev sw0 preferred_lft 0", "10.5.0.1/24: not deprecated"),
    "a deprecated IPv6 address": ("ip addr change fd05::1/64 dev sw0 preferred_lft 0", "fd05::1/64: not deprecated"),
    "an address that ends": (
        "ip addr change 10.5.0.1/24 dev sw0 valid_lft 99 preferred_lft 99",
        "10.5.0.1/24: for good",
    ),
    "an IPv6 address that ends": (
        "ip addr change fd05::1/64 dev sw0 valid_lft 99 preferred_lft 99",
        "R: sw0: address fd05::1/64: for good",
    ),
    "an IPv6 address without its route": ("ip addr change fd05::1/64 dev sw0 noprefixroute", "with the route to its"),
    "the route to the switch": ("ip route del 10.5.0.0/24 dev sw0", "R: sw0: the route to 10.5.0.0/24: add"),
    "the IPv6 route to the switch": ("ip -6 route del fd05::/64 dev sw0", "R: sw0: the route to fd05::/64: add"),
    "the route to a cable": ("ip route del 10.6.0.0/30 dev v-p", "R: v-p: the route to 10.6.0.0/30: add"),
    "a guest's route to its network": ("ip -n g route del 10.5.0.0/24", "g: e0: the route to 10.5.0.0/24: add"),
    "all routes of a guest": ("ip -n g route flush table main", "g: route default via 10.5.0.1: add"),
    "all IPv6 routes of a guest": ("ip -n g -6 route flush table main", "g: route default via fd05::1: add"),
    "a guest's default route": ("ip -n g route del default", "g: route default via 10.5.0.1: add"),
    "a route of the router": ("ip route del 10.7.0.0/24", "R: route 10.7.0.0/24 via 10.6.0.2: add"),
    "no IPv4 forwarding": (f"{_SYSCTL} net.ipv4.ip_forward=0", "R: IPv4 forwarding: 0 -> 1"),
    "no IPv6 forwarding": (f"{_SYSCTL} net.ipv6.conf.all.forwarding=0", "R: IPv6 forwarding: 0 -> 1"),
    "no IPv4 forwarding of the switch": (
        f"{_SYSCTL} net.ipv4.conf.sw0.forwarding=0",
        "R: sw0: IPv4 forwarding off -> on",
    ),
    "no IPv6 forwarding of the switch": (
        f"{_SYSCTL} net.ipv6.conf.sw0.forwarding=0",
        "R: sw0: IPv6 forwarding off -> on",
    ),
    "no IPv6 on the switch": (f"{_SYSCTL} net.ipv6.conf.sw0.disable_ipv6=1", "R: sw0: disable_ipv6 1 -> 0"),
    "no IPv6 at a guest": (f"ip netns exec g {_SYSCTL} net.ipv6.conf.e0.disable_ipv6=1", "g: e0: disable_ipv6 1 -> 0"),
    "router advertisements": (f"{_SYSCTL} net.ipv6.conf.v-p.accept_ra=2", "R: v-p: accept_ra 2 -> 0"),
    "router advertisements at a guest": (f"ip netns exec g {_SYSCTL} net.ipv6.conf.e0.accept_ra=2", "accept_ra 2 -> 0"),
    "no way from 127.0.0.1": (f"{_SYSCTL} net.ipv4.conf.sw0.route_localnet=0", "sw0/route_localnet: 0 -> 1"),
    "a chain of ours without its rules": ("iptables -t nat -F HOSTWIRE-PORTS", "publish tcp any:8080"),
    "a rule of ours is gone": ("iptables -t nat -D HOSTWIRE-LEAVE 1", "put right"),
    "a jump to ours is gone": ("iptables -t nat -D POSTROUTING 1", "put right"),
    "a jump to ours twice": (
        "iptables -t raw -S PREROUTING | sed -n 's/^-A/iptables -t raw -A/p' | sh",
        "put right",
    ),
    "a table without rules": ("iptables -t nat -F", "publish tcp any:8080"),
    "an IPv6 table without rules": ("ip6tables -t mangle -F", ""),
    "a namespace that is gone": (
        "ip netns del g; while ip link show v-g >/dev/null 2>&1; do sleep 0.02; done",
        "namespace g: create",
    ),
    "a tap off its switch": ("ip link set tap0 nomaster; ip link set tap0 down", "R: tap0: up, onto bridge sw0"),
    "a guest's hosts": ("echo x >/etc/netns/g/hosts", "file /etc/netns/g/hosts: change"),
    "a guest's hosts are gone": ("rm /etc/netns/g/hosts", "file /etc/netns/g/hosts: create"),
    "a guest's nameservers": ("echo x >/etc/netns/g/resolv.conf", "file /etc/netns/g/resolv.conf: change"),
}
# The same, but what somebody made beside, or had instead, stays or is lost.
MENDED_BESIDE: Dict[str, Case] = {
    # An IPv4 address keeps that flag for as long as it is there.
    "an address without its route": (
        "ip addr del 10.5.0.1/24 dev sw0; ip addr add 10.5.0.1/24 dev sw0 noprefixroute",
        "R: sw0: the route to 10.5.0.0/24: add",
    ),
    "a port of another bridge": (
        "ip link add br9 type bridge; ip link set br9 up; ip link set v-g master br9",
        "R: v-g: onto bridge sw0",
    ),
    "a cable on a bridge": (
        "ip link add br9 type bridge; ip link set br9 up; ip link set v-p master br9",
        "R: v-p: off bridge br9",
    ),
    "no IPv6 in all of a guest": (
        f"ip netns exec g {_SYSCTL} net.ipv6.conf.all.disable_ipv6=1",
        "e0: disable_ipv6 1 -> 0",
    ),
    "a tap that is gone": ("ip link del tap0", "R: tap tap0: create"),
    "an ACCEPT before ours in raw": ("iptables -t raw -I PREROUTING -j ACCEPT", "put right"),
    "a RETURN before ours in raw": ("iptables -t raw -I PREROUTING -j RETURN", "put right"),
    "an ACCEPT before ours in mangle": ("iptables -t mangle -I FORWARD -j ACCEPT", "put right"),
    "an IPv6 ACCEPT before ours in raw": ("ip6tables -t raw -I PREROUTING -j ACCEPT", "put right"),
}
# Somebody else's: said, and left to them.
_NFT = (
    "nft add table inet theirs; nft add chain inet theirs c '{{ type filter hook {} priority {}; policy accept; }}';"
    " nft add rule inet theirs c ip saddr 10.5.0.0/24 drop"
).format
WARNED: Dict[str, Case] = {
    "isolated ports": (
        "bridge link set dev v-g isolated on; bridge link set dev v-h isolated on",
        "R: bridge sw0: somebody isolated v-g, v-h",
    ),
    "a guest's neighbour entry": (
        "ip neigh replace 10.5.0.2 lladdr 02:bb:00:00:00:99 dev sw0",
        "R: 10.5.0.2 is written",
    ),
    "a guest's IPv6 neighbour entry": (
        "ip neigh replace fd05::3 lladdr 02:bb:00:00:00:99 dev sw0 nud noarp",
        "R: fd05::3 is written down as 02:bb",
    ),
    "a cable's neighbour entry": ("ip neigh replace 10.6.0.2 lladdr 02:bb:00:00:00:99 dev v-p", "10.6.0.2 is written"),
    "nothing forwarded from outside": (f"{_SYSCTL} net.ipv4.conf.eth0.forwarding=0", "comes by eth0 is forwarded"),
    "a guest's address on the loopback link": ("ip addr add 10.5.0.2/32 dev lo", "R: address 10.5.0.2/32 is on lo"),
    "its gateway's address on a guest's loopback link": (
        "ip -n g addr add 10.5.0.1/32 dev lo",
        "g: address 10.5.0.1/32 is on lo, and in the document's network 10.5.0.0/24",
    ),
    "a rule that drops a guest's packets": ("ip -n g rule add pref 10 blackhole", "g: the policy rule 10 of IPv4"),
    "one for its IPv6 packets": ("ip -n g -6 rule add pref 10 blackhole", "g: the policy rule 10 of IPv6"),
    "a rule against guests": ("ip rule add pref 10 from 10.5.0.0/24 prohibit", "R: the policy rule 10 of IPv4"),
    "a rule against IPv6 guests": (
        "ip -6 rule add pref 10 from fd05::/64 unreachable",
        "R: the policy rule 10 of IPv6",
    ),
    "a rule that leads guests elsewhere": (
        "ip route add default via 10.5.0.3 table 77; ip rule add pref 10 from 10.5.0.0/24 lookup 77",
        "from 10.5.0.0/24 lookup 77",
    ),
    "a rule that leads from guests": (
        "ip route add 10.5.0.0/24 via 192.168.1.3 table 77; ip rule add pref 10 lookup 77",
        "takes packets to 10.5.0.0/24",
    ),
    "the main table isn't asked": (
        "ip -n g rule del pref 32766",
        "no policy rule leads IPv4 packets to the table main",
    ),
    "a rival IPv6 default route": ("ip -n g -6 route add default via fd05::3 metric 1", "default via fd05::3 dev e0"),
    "a guest's more specific route": ("ip -n g route add 192.168.1.0/24 via 10.5.0.3", "the document's route default"),
    "a guest's two halves": ("ip -n g route add 128.0.0.0/1 via 10.5.0.3", "128.0.0.0/1 via 10.5.0.3"),
    "a guest's blackhole": ("ip -n g route add blackhole 192.168.1.0/24", "blackhole 192.168.1.0/24"),
    "a more specific route": ("ip route add 10.7.0.9/32 via 192.168.1.3", "the document's route 10.7.0.0/24"),
    "a blackhole for a guest": ("ip route add blackhole 10.5.0.2/32", "the document's network 10.5.0.0/24"),
    "no route for a guest": ("ip -6 route add unreachable fd05::2/128", "the document's network fd05::/64"),
    "a guest thrown on": ("ip route add throw 10.5.0.2/32", "throw 10.5.0.2/32"),
    "a DNAT before ours": (
        "iptables -t nat -I PREROUTING -p tcp --dport 8080 -j DNAT --to 192.168.1.3:7000",
        "led elsewhere",
    ),
    "an ACCEPT before ours in nat": ("iptables -t nat -I PREROUTING -j ACCEPT", "callers aren't led there"),
    "a RETURN before ours in nat": (
        "iptables -t nat -I PREROUTING -p tcp --dport 8080 -j RETURN",
        "callers aren't led",
    ),
    "an ACCEPT before ours for the host itself": ("iptables -t nat -I OUTPUT -j ACCEPT", "in chain OUTPUT"),
    "no masquerading before ours": ("iptables -t nat -I POSTROUTING -j ACCEPT", "leaves with another source"),
    "another source before ours": (
        "iptables -t nat -I POSTROUTING -s 10.5.0.0/24 -j SNAT --to 10.5.0.77",
        "leaves with another source",
    ),
    "packets that aren't tracked": ("iptables -t raw -I PREROUTING -j CT --notrack", "CT --notrack"),
    "guests dropped in raw": ("iptables -t raw -I PREROUTING -s 10.5.0.0/24 -j DROP", "(iptables, raw PREROUTING)"),
    "callers dropped in raw": (
        "iptables -t raw -I PREROUTING -p tcp --dport 8080 -j DROP",
        "published port tcp any:8080",
    ),
    "guests dropped in mangle": ("iptables -t mangle -I FORWARD -s 10.5.0.0/24 -j DROP", "(iptables, mangle FORWARD)"),
    "guests dropped as they come": ("iptables -t mangle -I PREROUTING -s 10.5.0.0/24 -j DROP", "mangle PREROUTING)"),
    "guests dropped as they go": ("iptables -t mangle -I POSTROUTING -s 10.5.0.0/24 -j DROP", "mangle POSTROUTING)"),
    "guests dropped in filter": ("iptables -I FORWARD -s 10.5.0.0/24 -j DROP", "(iptables, FORWARD)"),
    "a policy of raw": ("iptables -t raw -P PREROUTING DROP", "the policy drop in chain PREROUTING (iptables, raw PRE"),
    "a policy of mangle": (
        "iptables -t mangle -P FORWARD DROP",
        "the policy drop in chain FORWARD (iptables, mangle F",
    ),
    "an IPv6 policy of mangle": ("ip6tables -t mangle -P POSTROUTING DROP", "the policy drop in chain POSTROUTING (ip"),
    "guests dropped in a chain": (
        "iptables -N THEIRS; iptables -A THEIRS -s 10.5.0.0/24 -j DROP; iptables -I FORWARD -j THEIRS",
        "in chain THEIRS",
    ),
    "guests dropped by nftables": (_NFT("forward", -200), "(nftables, hook forward)"),
    "guests dropped early by nftables": (_NFT("prerouting", -400), "(nftables, hook prerouting)"),
    "guests dropped late by nftables": (_NFT("postrouting", -400), "(nftables, hook postrouting)"),
}
REFUSED: Dict[str, Case] = {
    "a rival address": ("ip addr add 10.5.0.99/24 dev eth0", "10.5.0.1/24 overlaps 10.5.0.99/24, which eth0 has"),
    "a guest's address": ("ip addr add 10.5.0.2/32 dev eth0", "10.5.0.1/24 overlaps 10.5.0.2/32, which eth0 has"),
    "a guest's IPv6 address": ("ip addr add fd05::2/128 dev lo", "overlaps the route to fd05::2/128 dev lo"),
    "a route to a guest": ("ip route add 10.5.0.2/32 via 192.168.1.3", "overlaps the route to 10.5.0.2/32 via"),
    "an IPv6 route to a guest": ("ip route add fd05::2/128 via 2001:db8:1::3", "overlaps the route to fd05::2/128 via"),
    "a guest's other gateway": ("ip -n g route replace default via 10.5.0.3", "metric already that isn't ours"),
    "a route that somebody made anew": (
        "ip -n g route replace default via 10.5.0.1 proto static",
        "metric already that isn't ours (protocol 4)",
    ),
    "a tap of somebody else's": ("ip link del tap0; ip tuntap add tap0 mode tap user 1", "and it isn't ours"),
}
# What breaks no promise stays as somebody wants it, and why it breaks none.
LEFT: Dict[str, Case] = {
    "a name beside": ("ip link property add dev sw0 altname other-name", "links go by their names"),
    "a queue's length": ("ip link set sw0 txqueuelen 5", "of links without a queue nothing is asked"),
    "all multicast": ("ip link set sw0 allmulticast on", "more is heard, not less"),
    "promiscuous": ("ip link set sw0 promisc on", "more is heard, not less"),
    "no multicast flag": ("ip link set sw0 multicast off", "neighbours are found all the same"),
    "the switch's MAC": ("ip link set sw0 address 02:de:ad:00:00:01", "the document says none, and it is asked for"),
    "a port's MAC": ("ip link set v-g address 02:de:ad:00:00:07", "nobody sends to a port"),
    "the switch's MTU": ("ip link set sw0 mtu 1300", "the document leaves it to the kernel"),
    "no ageing": ("ip link set sw0 type bridge ageing_time 0", "what isn't known is flooded"),
    "a guard against BPDUs": ("bridge link set dev v-g guard on", "without a spanning tree nothing asks for it"),
    "a protected root": ("bridge link set dev v-g root_block on", "without a spanning tree nothing asks for it"),
    "answers kept from ports": ("bridge link set dev v-g neigh_suppress on", "only what the bridge itself knows"),
    "a port to fall back on": ("bridge link set dev v-g backup_port v-h", "only where there is no carrier"),
    "groups that are forwarded": ("ip link set sw0 type bridge group_fwd_mask 8", "of protocols of the link itself"),
    "no snooping": ("ip link set sw0 type bridge mcast_snooping 0", "multicast is flooded"),
    "a querier": ("ip link set sw0 type bridge mcast_querier 1", "guests' machines answer it"),
    "a port's cost": ("bridge link set dev v-g cost 1000", "without a spanning tree nothing asks for it"),
    "another broadcast address": (
        "ip addr del 10.5.0.1/24 dev sw0; ip addr add 10.5.0.1/24 brd 10.5.0.254 dev sw0",
        "the document promises none",
    ),
    "a scope": ("ip addr del 10.5.0.1/24 dev sw0; ip addr add 10.5.0.1/24 dev sw0 scope link", "packets go as before"),
    "a guest's own neighbour entry": (
        "ip neigh replace 10.5.0.2 lladdr 02:00:00:05:00:02 dev sw0 nud permanent",
        "it says what is so",
    ),
    "an address answered for": ("ip neigh add proxy 10.5.0.3 dev sw0", "not on the link where it is"),
    "a strict reverse path": (f"{_SYSCTL} net.ipv4.conf.sw0.rp_filter=1", "packets come by where answers go"),
    "broadcasts forwarded": (f"{_SYSCTL} net.ipv4.conf.all.bc_forwarding=1", "more passes, not less"),
    "how ARP asks": (f"{_SYSCTL} net.ipv4.conf.all.arp_announce=2", "it asks all the same"),
    "redirects sent": (f"{_SYSCTL} net.ipv4.conf.all.send_redirects=1", "guests of ours don't need them"),
    "proxy ARP": (f"{_SYSCTL} net.ipv4.conf.sw0.proxy_arp=1", "only for what is elsewhere"),
    "a rule for others": ("ip rule add pref 10 from 203.0.113.0/24 blackhole", "none of the document's packets"),
    "a rule for marked packets": ("ip rule add pref 10 fwmark 5 blackhole", "whose they are isn't known"),
    "a rule to an empty table": ("ip rule add pref 10 lookup 78", "the next rule is asked"),
    "an ACCEPT before ours in filter": ("iptables -I FORWARD -j ACCEPT", "what we close is closed in mangle"),
    "a FORWARD policy": ("iptables -P FORWARD DROP", "our rules accept what is promised"),
    "a tap's group": (
        """python3 -c "import fcntl, struct; f = open('/dev/net/tun', 'r+b', buffering=0)
fcntl.ioctl(f, 0x400454ca, struct.pack('16sH22x', b'tap0', 0x1002)); fcntl.ioctl(f, 0x400454ce, 7)\"""",
        "the document says none",
    ),
}
# Of the host alone: what is made of a namespace's name, and what only hosts have.
ON_THE_HOST: Dict[str, Case] = {
    "a port that was isolated": ("bridge link set dev v-k isolated off", "R: v-k: isolated"),
    "a namespace's plain file": (
        "umount /run/netns/g; while ip link show v-g >/dev/null 2>&1; do sleep 0.02; done",
        "namespace g: create",
    ),
    "ARP for addresses elsewhere": (f"{_SYSCTL} net.ipv4.conf.sw1.arp_ignore=0", "sw1/arp_ignore: 0 -> 1"),
}
