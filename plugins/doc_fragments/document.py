# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a document says of a host's network."""

from __future__ import annotations


class ModuleDocFragment:
    """``hostwire.linux.document``: the document's lists of objects."""

    DOCUMENTATION = r"""
options:
  namespaces:
    description: Named network namespaces. The loopback interface is up in each.
    type: list
    elements: dict
    suboptions:
      name:
        description: Its name; letters, digits and C(_.-), beginning with a letter or digit, not all digits.
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
        description: Settings of the kernel in this namespace, by name.
        type: dict
      nameservers:
        description: Addresses of up to three name servers, for C(/etc/netns/NAME/resolv.conf).
        type: list
        elements: str
      hosts:
        description: Names and the address of each, for C(/etc/netns/NAME/hosts).
        type: dict
  bridges:
    description: Virtual switches.
    type: list
    elements: dict
    suboptions:
      name:
        description: Its name, at most 15 characters.
        type: str
        required: true
      netns:
        description: Namespace that it is in; the host itself if left out.
        type: str
      addresses:
        description: Addresses with their prefix length, IPv4 and IPv6.
        type: list
        elements: str
      mac:
        description: MAC address; one derived from its name if left out.
        type: str
      mtu:
        description: Largest packet in bytes; at least 1280 where there is an IPv6 address.
        type: int
      up:
        description: Whether it is up.
        type: bool
        default: true
      stp:
        description: The spanning tree protocol. With it on, each port is silent for about 30 seconds at first, and a
          task that plugs one in waits for it.
        type: bool
        default: false
      vlan_filtering:
        description: Whether ports filter by VLAN.
        type: bool
        default: false
      uplink:
        description:
          - An interface, in the same namespace, that exists already and isn't ours. It becomes a port of the bridge,
            which takes over its addresses, with their lifetimes, and its routes in one step; its MAC address and MTU,
            too, unless told otherwise. So guests on the bridge are on the same LAN as the host.
          - All of it, and what has come meanwhile, goes back to the interface when this is left out again or the
            bridge is removed.
        type: str
      guests:
        description:
          - Says that guests live on this switch, and which new connections there may be between them and others, IPv4
            and IPv6. Answers always pass, and so do ARP and IPv6's neighbour discovery and router advertisements.
          - Given, also as V({}), it lets traffic within the switch through where the host filters bridged packets
            (C(net.bridge.bridge-nf-call-iptables) is 1) and drops what it isn't told to forward, as a Docker engine has
            it. It needs C(iptables) on the host.
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
              - With V(false), the port of each cable and tap that this document plugs into the switch is isolated, and
                no way leads through the host and back but by a published port. Where the host filters bridged packets,
                that way is closed too.
            type: bool
            default: true
          outside:
            description:
              - Whether packets may be forwarded between this switch and the other interfaces of the host.
              - With V(false), nothing is, in either direction, whatever another document says; no published port leads
                there from outside.
            type: bool
            default: true
  veths:
    description: Virtual cables, each with its two ends.
    type: list
    elements: dict
    suboptions:
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
        description: Addresses with their prefix length, IPv4 and IPv6, of the first end.
        type: list
        elements: str
      mac:
        description: MAC address of the first end; the kernel chooses one if left out.
        type: str
      mtu:
        description: Largest packet in bytes; at least 1280 where there is an IPv6 address.
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
            description: MAC address of the other end.
            type: str
          mtu:
            description: Largest packet in bytes.
            type: int
          up:
            description: Whether the other end is up.
            type: bool
            default: true
          leased:
            description:
              - Whether somebody in its namespace, like a DHCP client, gives it addresses. Those are left alone, and in
                a namespace router advertisements are heeded.
            type: bool
            default: false
  taps:
    description:
      - Sockets for virtual machines, each a link on this side and a file that a program like qemu opens on the other
        (C(-netdev tap,id=net0,ifname=NAME,script=no,downscript=no)).
      - A tap is there before its machine starts and stays when it ends; it has a carrier only while one has it open.
    type: list
    elements: dict
    suboptions:
      name:
        description: Name of the tap, at most 15 characters.
        type: str
        required: true
      netns:
        description: Namespace that it is in; the host itself if left out.
        type: str
      bridge:
        description: Bridge, in the same namespace, that it is a port of.
        type: str
      owner:
        description: The user, by name or number, who may open it beside root.
        type: str
      mac:
        description: MAC address of this side; the machine's network card has its own.
        type: str
      mtu:
        description: Largest packet in bytes.
        type: int
      up:
        description: Whether it is up.
        type: bool
        default: true
  containers:
    description:
      - One more cable each into a running Docker container, beside those that Docker gave it. It needs a Docker engine
        that answers at C(/var/run/docker.sock), and works for every kind of network but the host's own.
      - A container loses the cable when it stops. The next run after its restart plugs it again, and fails before.
      - The end on the host is called C(ct-) and twelve characters that the container and the name stand for.
    type: list
    elements: dict
    suboptions:
      container:
        description: Name of the container. Where several share one network namespace, always the same one of them.
        type: str
        required: true
      name:
        description:
          - Name of the interface in the container, at most 15 characters.
          - Docker counts its own from C(eth0); a name of another kind, like V(lan0), never gets in its way.
        type: str
        required: true
      bridge:
        description: Bridge of the host that the cable comes from.
        type: str
        required: true
      addresses:
        description: Addresses with their prefix length, IPv4 and IPv6, of the interface in the container.
        type: list
        elements: str
      mac:
        description: MAC address of the interface in the container; the kernel chooses one if left out.
        type: str
      mtu:
        description: Largest packet in bytes, of both ends; at least 1280 where there is an IPv6 address.
        type: int
      leased:
        description: As C(leased) of a cable's peer.
        type: bool
        default: false
  interfaces:
    description: Interfaces that exist already and are not made by a document. What is left out is left alone.
    type: list
    elements: dict
    suboptions:
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
        description: Largest packet in bytes.
        type: int
      up:
        description: Whether it is up.
        type: bool
      bridge:
        description: Bridge, in the same namespace, that it is a port of.
        type: str
  routes:
    description: Routes of the host and of namespaces.
    type: list
    elements: dict
    suboptions:
      netns:
        description:
          - Namespace that has the route; the host itself if left out.
          - V(container:NAME) is a container of O(containers). In a network of Docker's it has a default route already.
        type: str
      to:
        description: Network that it leads to, without host bits, or V(default).
        type: str
        required: true
      via:
        description: Address of the gateway.
        type: str
      dev:
        description: Interface that packets leave through; found out from the gateway if left out.
        type: str
      metric:
        description: The route with the lowest is taken, among those to the same network.
        type: int
      table:
        description: Routing table, V(main) or a number.
        type: str
        default: main
      type:
        description: What happens to the packets.
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
  forwarding:
    description:
      - Forwarding of the host itself. What is left out is left alone.
      - Where it was this document that turned it on, packets between interfaces that no document names are dropped,
        so that the host doesn't become a router for everybody.
    type: dict
    suboptions:
      ipv4:
        description: Forwarding of IPv4.
        type: bool
      ipv6:
        description: Forwarding of IPv6.
        type: bool
      networks:
        description: Networks between which new connections are let through though no document names their interfaces.
        type: list
        elements: str
  masquerade:
    description: Networks whose packets leave with another source address.
    type: list
    elements: dict
    suboptions:
      source:
        description: The network, IPv4 or IPv6.
        type: str
        required: true
      except_to:
        description: Interface through which packets leave as they are, usually the bridge of the network itself.
        type: str
      to_source:
        description: The address to leave with; that of the interface if left out.
        type: str
      netns:
        description: Namespace that translates; the host itself if left out.
        type: str
  published_ports:
    description: Ports that lead to an address behind the host.
    type: list
    elements: dict
    suboptions:
      protocol:
        description: The protocol.
        type: str
        choices: [tcp, udp]
        default: tcp
      port:
        description: The port, or a range such as V(8000-8010).
        type: str
        required: true
      to:
        description: Where it leads, as V(192.168.15.2:80) or V([fd00:15::2]:80).
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
  sysctls:
    description:
      - Settings of the kernel, of the host itself, by name. One that is no longer named gets the value back that it
        had before.
    type: dict
"""
