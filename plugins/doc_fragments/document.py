# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a document says of a host's network."""

from __future__ import annotations

from ansible_collections.hostwire.linux.plugins.doc_fragments.objects import ModuleDocFragment as Objects
from ansible_collections.hostwire.linux.plugins.doc_fragments.objects import entries


class ModuleDocFragment:
    """``hostwire.linux.document``: the document's lists of objects."""

    DOCUMENTATION: str


# Not in the class, where ansible-test takes everything for plain text.
ModuleDocFragment.DOCUMENTATION = rf"""
options:
  namespaces:
    description: Named network namespaces. The loopback interface is up in each.
    type: list
    elements: dict
    suboptions:
{entries(Objects.NETNS)}
  bridges:
    description: Virtual switches.
    type: list
    elements: dict
    suboptions:
{entries(Objects.BRIDGE)}
  veths:
    description: Virtual cables, each with its two ends.
    type: list
    elements: dict
    suboptions:
{entries(Objects.VETH)}
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
        description: MAC address of the interface in the container; one derived from its name if left out.
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
{entries(Objects.INTERFACE)}
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
{entries(Objects.ROUTE)}
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
{entries(Objects.MASQUERADE)}
  published_ports:
    description: Ports that lead to an address behind the host.
    type: list
    elements: dict
    suboptions:
{entries(Objects.PUBLISHED_PORT)}
  sysctls:
    description:
      - Settings of the kernel, of the host itself, by name. One that is no longer named gets the value back that it
        had before.
      - What the collection sets itself on its links (C(accept_ra), C(arp_ignore), C(rp_filter)) is as a document says
        here, this one or another of the host. What a document needs, like C(route_localnet) for a port at 127.0.0.1 and
        C(disable_ipv6) 0 for an IPv6 address, is refused to any other value before anything changes, and so is a
        setting of an interface that there isn't.
    type: dict
"""
