# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of one object: by the module for it, and where lists of them are."""

from __future__ import annotations

from textwrap import indent


def entries(fragment: str) -> str:
    """The options of an object as those of the entries of a list, for the text of a document's options."""
    return indent(fragment.partition("options:\n")[2].rstrip("\n"), "    ")


class ModuleDocFragment:
    """``hostwire.linux.objects.KIND``: the options of an object, as its module and the document have them.

    ``.hosts_entries``: the option ``entries``; each module describes it itself.
    """

    NETNS = r"""
notes:
  - What identifies a namespace is O(name). With O(state=absent), every namespace of the same O(owner) goes that fits
    those of them that are given.
  - With O(state=present), another value of anything else changes the namespace that is there.
options:
  name:
    description:
      - Its name, a file below C(/run/netns).
      - Letters, digits and C(_.-), beginning with a letter or digit; not all digits, which other programs take for a
        process ID.
    type: str
    required: true
  forwarding:
    description: Whether packets are forwarded from one interface of the namespace to another.
    type: dict
    suboptions:
      ipv4:
        description: Forwarding of IPv4.
        type: bool
        default: false
      ipv6:
        description: Forwarding of IPv6.
        type: bool
        default: false
  sysctls:
    description:
      - Settings of the kernel in this namespace, by name. In a name with an interface that has dots of its own, write
        slashes instead of dots, as in V(net/ipv4/conf/eth0.100/rp_filter).
      - One that is no longer named gets back what it had before. What a document can't do with is refused beforehand.
    type: dict
  nameservers:
    description:
      - Addresses of up to three name servers, for C(/etc/netns/NAME/resolv.conf). Programs started with C(ip netns
        exec) see it as C(/etc/resolv.conf).
    type: list
    elements: str
  hosts:
    description: Names and the address of each, for C(/etc/netns/NAME/hosts).
    type: dict
"""

    BRIDGE = r"""
notes:
  - What identifies a bridge is O(netns) and O(name). With O(state=absent), every bridge of the same O(owner) goes
    that fits those of them that are given.
  - With O(state=present), another value of anything else changes the bridge that is there.
  - O(netns) left out is the host itself, not every namespace.
options:
  name:
    description: Its name, at most 15 characters.
    type: str
    required: true
  netns:
    description: Namespace that it is in; the host itself if left out.
    type: str
  addresses:
    description: Addresses with their prefix length, IPv4 and IPv6. Exactly these are set, others are taken away.
    type: list
    elements: str
  mac:
    description: MAC address; one derived from its name if left out.
    type: str
  mtu:
    description:
      - Largest packet in bytes; at least 1280 where there is an IPv6 address. By default that of the smallest port.
    type: int
  up:
    description: Whether it is up.
    type: bool
    default: true
  stp:
    description: The spanning tree protocol. A port is silent for its first 30 seconds then, and a task waits for that.
    type: bool
    default: false
  vlan_filtering:
    description: Whether ports filter by VLAN.
    type: bool
    default: false
  uplink:
    description:
      - An interface, in the same namespace, that exists already and isn't ours. It becomes a port of the bridge, which
        takes over its addresses, with their lifetimes, and its routes in one step; its MAC address and MTU, too, unless
        told otherwise. So guests on the bridge are on the same LAN as the host.
      - All of it, and what has come meanwhile, goes back to the interface when this is left out or the bridge removed.
    type: str
  guests:
    description:
      - Says that guests live on this switch, and which new connections there may be between them and others, IPv4
        and IPv6. Answers always pass, and so do ARP and IPv6's neighbour discovery and router advertisements.
      - Given, also as V({}), it lets traffic within the switch through where the host filters bridged packets
        (C(net.bridge.bridge-nf-call-iptables) is 1) and drops what it isn't told to forward, as a Docker engine has
        it. It needs C(iptables) on the host. The host answers ARP there for the addresses only that the switch has, and
        for none where C(to_host) is V(false) and it has none (C(net.ipv4.conf.NAME.arp_ignore)), unless the document's
        own C(sysctls) say otherwise.
      - Only for a switch of the host itself, not for one in a namespace.
    type: dict
    suboptions:
      to_host:
        description: Whether guests may connect to the host, at any of its addresses.
        type: bool
        default: true
      from_host:
        description:
          - Whether the host may connect to guests.
          - With V(false), a published port still leads to them, and a DHCP server on the host still serves them.
        type: bool
        default: true
      among:
        description:
          - Whether guests may connect to each other.
          - With V(false), the port of each cable and tap that the same document or owner plugs into the switch is
            isolated, and no way leads through the host and back but by a published port. Where the host filters bridged
            packets, that way is closed too.
        type: bool
        default: true
      outside:
        description:
          - Whether packets may be forwarded between this switch and the other interfaces of the host.
          - With V(false), nothing is, in either direction, whatever another document says; no published port leads
            there from outside.
        type: bool
        default: true
      from_others:
        description:
          - Whether guests of this host's other networks may open connections to the guests on this switch, if their
            networks lead out. Networks of one host are apart from each other otherwise.
          - Not where C(outside) is V(false).
        type: bool
        default: false
      services:
        description:
          - Servers of yours on the host that the guests on this switch use, whatever else the host's packet filter
            refuses. Nobody but these guests comes in by that.
          - Not where C(to_host) is V(false).
        type: list
        elements: str
        choices: [dhcp, dns]
"""

    VETH = r"""
notes:
  - What identifies a cable is O(netns) and O(name). With O(state=absent), every cable of the same O(owner) goes that
    fits those of them that are given.
  - With O(state=present), another value of anything else changes the cable that is there.
  - Those of either end will do. O(netns) left out is the host itself, not every namespace.
options:
  name:
    description: Name of the first end, at most 15 characters.
    type: str
    required: true
  netns:
    description: Namespace that the first end is in; the host itself if left out.
    type: str
  bridge:
    description: Bridge, in the same namespace, that the first end is a port of.
    type: str
  addresses:
    description:
      - Addresses with their prefix length, IPv4 and IPv6, of the first end. Exactly these are set, others are taken
        away.
    type: list
    elements: str
  mac:
    description: MAC address of the first end; if left out, one derived from its name, the same whenever it is made.
    type: str
  mtu:
    description:
      - Largest packet in bytes; at least 1280 where there is an IPv6 address. Left out it is that of the other end, or
        1500. A warning names what differs on a cable or a bridge, for what is too large for one is lost there.
    type: int
  up:
    description: Whether the first end is up.
    type: bool
    default: true
  leased:
    description: Whether somebody in its namespace, like a DHCP client, gives it addresses. Those are left alone.
    type: bool
    default: false
  peer:
    description: The other end.
    type: dict
    required: true
    suboptions:
      name:
        description: Name of the other end.
        type: str
        required: true
      netns:
        description: Namespace that the other end is in; the host itself if left out.
        type: str
      bridge:
        description: Bridge, in the same namespace, that the other end is a port of.
        type: str
      addresses:
        description: Addresses with their prefix length, of the other end.
        type: list
        elements: str
      mac:
        description: MAC address of the other end; likewise.
        type: str
      mtu:
        description: Largest packet in bytes; that of the first end if left out.
        type: int
      up:
        description: Whether the other end is up.
        type: bool
        default: true
      leased:
        description:
          - Whether somebody in its namespace, like a DHCP client, gives it addresses. Those are left alone, and in
            a namespace router advertisements are heeded, also where it forwards.
        type: bool
        default: false
"""

    INTERFACE = r"""
notes:
  - What identifies an interface is O(netns) and O(name). With O(state=absent), every interface of the same O(owner)
    goes that fits those of them that are given.
  - With O(state=present), another value of anything else changes the interface that is there.
  - O(netns) left out is the host itself, not every namespace.
options:
  name:
    description: Its name.
    type: str
    required: true
  netns:
    description: Namespace that it is in; the host itself if left out.
    type: str
  addresses:
    description: Addresses with their prefix length that it shall have, beside those it has from elsewhere.
    type: list
    elements: str
  mtu:
    description: Largest packet in bytes; at least 1280 where there is an IPv6 address.
    type: int
  up:
    description: Whether it is up; left alone if left out.
    type: bool
  bridge:
    description: Bridge, in the same namespace, that it is a port of.
    type: str
"""

    ROUTE = r"""
notes:
  - What identifies a route is O(netns), O(to), O(table) and O(metric). With O(state=absent), every route of the same
    O(owner) goes that fits those of them that are given.
  - With O(state=present), another value of anything else changes the route that is there.
  - With O(state=absent), a table or metric that is left out is each one, and V(default) without a gateway is that of
    both families. O(netns) left out is the host itself, not every namespace.
options:
  to:
    description:
      - Network that the route leads to, without host bits, or V(default), which is of the same family as the gateway.
    type: str
    required: true
  via:
    description: Address of the gateway. A network of an interface in the same namespace must reach it.
    type: str
  dev:
    description: Interface that packets leave through; found out from the gateway if left out.
    type: str
  metric:
    description:
      - The route with the lowest is taken, among those to the same network. Left out it is 0 for IPv4 and 1024 for
        IPv6.
    type: int
  table:
    description: Routing table, V(main) or a number.
    type: str
    default: main
  type:
    description:
      - What happens to the packets. V(unicast) sends them on, V(blackhole) drops them silently, V(unreachable) and
        V(prohibit) drop them and tell the sender.
    type: str
    choices: [unicast, blackhole, unreachable, prohibit]
    default: unicast
  nexthops:
    description: Several ways that share the packets, instead of a single gateway.
    type: list
    elements: dict
    suboptions:
      via:
        description: Address of the gateway.
        type: str
      dev:
        description: Interface that packets leave through.
        type: str
      weight:
        description: Share of this way, 1 to 256.
        type: int
        default: 1
"""

    MASQUERADE = r"""
notes:
  - What identifies a translation is O(netns) and O(source). With O(state=absent), every translation of the same
    O(owner) goes that fits those of them that are given.
  - With O(state=present), another value of anything else changes the translation that is there.
  - O(netns) left out is the host itself, not every namespace.
options:
  source:
    description: The network whose packets are translated, IPv4 or IPv6.
    type: str
    required: true
  except_to:
    description:
      - Interface, or a list of interfaces, through which packets are not translated when they leave. It is usually the
        bridge of the network itself, so that neighbours see each other's own addresses even where bridged packets go
        through iptables; with the bridge of another network too, guests there see them as well.
    type: list
    elements: str
  to_source:
    description: The address to leave with; that of the interface if left out.
    type: str
  netns:
    description: Namespace that translates; the host itself if left out.
    type: str
"""

    PUBLISHED_PORT = r"""
notes:
  - What identifies a published port is O(netns), O(protocol), O(port) and O(address). With O(state=absent), every
    published port of the same O(owner) goes that fits those of them that are given.
  - With O(state=present), another value of anything else changes the published port that is there.
  - A range of ports goes by its first one. V(any) of IPv4 and V(any) of IPv6 are two; each takes the place of a
    single address of its family, and the other way round.
  - With O(state=absent), a protocol or address that is left out is each one, whatever its default. O(netns) left out
    is the host itself, not every namespace.
options:
  protocol:
    description: The protocol.
    type: str
    choices: [tcp, udp]
    default: tcp
  port:
    description: The port, or a range such as V(8000-8010), from 1 to 65535.
    type: str
    required: true
  to:
    description:
      - Where it leads, as V(192.168.15.2:80) or V([fd00:15::2]:80).
      - A range leads to a range as long, as V(192.168.15.2:8000-8010).
    type: str
    required: true
  address:
    description: The local address on which it is published; V(any) is every local address.
    type: str
    default: 127.0.0.1
  sources:
    description: Networks that may use it; everybody if left out.
    type: list
    elements: str
  netns:
    description: Namespace whose port it is; the host itself if left out.
    type: str
"""

    HOSTS_ENTRIES = r"""
options:
  entries:
    type: list
    elements: dict
    default: []
    suboptions:
      address:
        description: IPv4 or IPv6 address, without prefix length.
        type: str
        required: true
      names:
        description: The names of the address, the canonical one first.
        type: list
        elements: str
        required: true
"""
