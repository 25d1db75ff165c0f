# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host's network can be, as immutable values.

Addresses are text in the kernel's canonical form (``192.168.15.1/24``, ``fd00:15::5/64``, as inet_ntop writes them), so
that a wanted and an observed one compare equal as they stand, print as they stand and go to JSON as they stand.
``netns`` is the name of a namespace, ``container:NAME``, or None for the host itself. Every value here is a NamedTuple:
cheap to make by the thousand, hashable, and equal by content.
"""

from __future__ import annotations

from typing import Dict, Optional, Set, Tuple

from .rows import NamedTuple

LinkKey = Tuple[Optional[str], str]  # namespace, link
CONTAINER = "container:"  # with a container's name behind it: its namespace; no named namespace has a ":" in its name
TABLE_MAIN = 254  # RT_TABLE_MAIN, linux/rtnetlink.h


class Forwarding(NamedTuple):
    """Whether packets are forwarded, per family; None leaves the setting alone.

    ``networks``: prefixes between which a router lets new connections through though no document names an interface.
    """

    ipv4: Optional[bool] = None
    ipv6: Optional[bool] = None
    networks: Tuple[str, ...] = ()


class Namespace(NamedTuple):
    """A network namespace that the document makes. ``sysctls`` maps slash paths (net/ipv4/...) to values."""

    name: str
    forwarding: Forwarding = Forwarding(False, False)
    sysctls: Tuple[Tuple[str, str], ...] = ()
    nameservers: Tuple[str, ...] = ()
    hosts: Tuple[Tuple[str, str], ...] = ()  # (name, address)


class GuestPolicy(NamedTuple):
    """Which new connections there may be where guests live on a switch: from them to the host's own addresses, from the
    host to them, from one to another, and between them and everything beyond the host's other interfaces.

    ``services``: the servers of the host that they use ("dhcp", "dns"), sorted. ``from_others``: from guests of other
    networks of the host that lead out.
    """

    to_host: bool = True
    from_host: bool = True
    among: bool = True
    outside: bool = True
    services: Tuple[str, ...] = ()
    from_others: bool = False


class Bridge(NamedTuple):
    """A switch. ``mtu`` None is the kernel's choice; ``mac`` None is a pinned one that the engine derives.

    ``guests`` None: nothing is said of who may reach whom. ``uplink`` is an interface that isn't ours, in the same
    namespace: it becomes a port, and the bridge takes over its addresses and routes; ``mac`` and ``mtu`` None are then
    the uplink's.
    """

    name: str
    netns: Optional[str] = None
    addresses: Tuple[str, ...] = ()
    mac: Optional[str] = None
    mtu: Optional[int] = None
    up: bool = True
    stp: bool = False
    vlan_filtering: bool = False
    guests: Optional[GuestPolicy] = None
    uplink: Optional[str] = None


class End(NamedTuple):
    """One end of a cable. ``leased``: somebody there gets addresses for it, which are left alone."""

    name: str
    netns: Optional[str] = None
    bridge: Optional[str] = None
    addresses: Tuple[str, ...] = ()
    mac: Optional[str] = None
    mtu: Optional[int] = None
    up: bool = True
    leased: bool = False


class Veth(NamedTuple):
    """A cable: ``a`` is the end that the document names first, ``b`` its peer."""

    a: End
    b: End


class Interface(NamedTuple):
    """An interface that exists already and isn't ours; None (or no address) leaves that property alone."""

    name: str
    netns: Optional[str] = None
    addresses: Tuple[str, ...] = ()
    mtu: Optional[int] = None
    up: Optional[bool] = None
    bridge: Optional[str] = None


class Tap(NamedTuple):
    """A socket for a virtual machine, with the properties of an End. ``owner`` is the user, by name or number, who may
    open it; None is root alone."""

    name: str
    netns: Optional[str] = None
    bridge: Optional[str] = None
    mac: Optional[str] = None
    mtu: Optional[int] = None
    up: bool = True
    owner: Optional[str] = None


class Life(NamedTuple):
    """One life of a container (hazard 15): all three are used again by others, one after the other, never together.

    ``pid`` is its first process, ``started`` what the engine says of when, ``inode`` its network namespace.
    """

    pid: int
    started: str
    inode: int


class Container(NamedTuple):
    """One more cable from a bridge of the host into a running container; all but ``bridge`` is of the end in there."""

    container: str
    name: str
    bridge: Optional[str] = None
    addresses: Tuple[str, ...] = ()
    mac: Optional[str] = None
    mtu: Optional[int] = None
    leased: bool = False

    @property
    def netns(self) -> str:
        """What stands for the container's namespace."""
        return CONTAINER + self.container


class Nexthop(NamedTuple):
    """One way of a multipath route; ``weight`` counts from 1."""

    via: Optional[str]
    dev: Optional[str]
    weight: int = 1


class Route(NamedTuple):
    """A route. ``to`` is always a prefix (a default route is 0.0.0.0/0 or ::/0).

    ``type``: unicast, blackhole, unreachable or prohibit. ``metric`` None is the kernel's default (0 for IPv4, 1024 for
    IPv6). With ``nexthops``, ``via`` and ``dev`` are None.
    """

    netns: Optional[str]
    to: str
    via: Optional[str] = None
    dev: Optional[str] = None
    metric: Optional[int] = None
    table: int = TABLE_MAIN
    type: str = "unicast"
    nexthops: Tuple[Nexthop, ...] = ()


class Masquerade(NamedTuple):
    """Packets from ``source`` leave with the host's address, or with ``to_source``, save out of ``except_to``: names of
    interfaces, sorted."""

    netns: Optional[str]
    source: str
    except_to: Tuple[str, ...] = ()
    to_source: Optional[str] = None


class PublishedPort(NamedTuple):
    """Local ports ``port``..``port_last`` of ``address`` lead to ``to_address`` from ``to_port`` on.

    ``address`` is "any" (every local address) or one address. ``sources`` empty admits everybody.
    """

    netns: Optional[str]
    protocol: str
    port: int
    port_last: int
    address: str
    to_address: str
    to_port: int
    sources: Tuple[str, ...] = ()


class Probe(NamedTuple):
    """A claim about reachability. ``source`` is a namespace, ``container:NAME``, or None for the host.

    ``protocol``: icmp, tcp, udp or dns; ``port`` only for the last three.
    """

    source: Optional[str]
    to: str
    protocol: str = "icmp"
    port: Optional[int] = None
    reachable: bool = True


class Topology(NamedTuple):
    """A whole document. ``present`` False means that everything ``name`` owns is to go."""

    name: str = "main"
    present: bool = True
    namespaces: Tuple[Namespace, ...] = ()
    bridges: Tuple[Bridge, ...] = ()
    veths: Tuple[Veth, ...] = ()
    interfaces: Tuple[Interface, ...] = ()
    taps: Tuple[Tap, ...] = ()
    containers: Tuple[Container, ...] = ()
    routes: Tuple[Route, ...] = ()
    forwarding: Forwarding = Forwarding()
    masquerade: Tuple[Masquerade, ...] = ()
    published_ports: Tuple[PublishedPort, ...] = ()
    sysctls: Tuple[Tuple[str, str], ...] = ()
    probes: Tuple[Probe, ...] = ()


class Link(NamedTuple):
    """An interface as the kernel shows it.

    ``kind`` is the rtnl kind ("veth", "bridge", ...), None for hardware. ``peer_index`` and ``peer_netnsid`` are
    IFLA_LINK and IFLA_LINK_NETNSID. ``running`` is IFF_RUNNING. ``accept_ra`` is the IPv6 setting, None without IPv6.
    ``owner`` is the user id that may open a tap. ``isolated``: whether it is a port that hands no frames to other
    isolated ports, and ``hairpin``: whether it is given back the frames that came through it; None if it is no bridge's
    port. ``group`` is IFLA_GROUP; see firewall.groups for ours. ``checking``: whether the kernel has
    begun to check its IPv6 addresses for duplicates, which it does from the first carrier since the link went up
    (IF_READY), and goes on with although the carrier is lost again. ``silent``: it neither asks nor answers for
    addresses (IFF_NOARP). ``state``: of a bridge's port, BR_STATE_* of linux/if_bridge.h; ``odd``: what else of it
    isn't as it is of a new port (see rtnetlink.links.PORT_FLAGS).
    """

    index: int  # type: ignore[assignment]
    name: str
    kind: Optional[str]
    up: bool
    running: bool
    mtu: int
    mac: str
    master: Optional[int]
    alias: str
    altnames: Tuple[str, ...]
    peer_index: Optional[int]
    peer_netnsid: Optional[int]
    accept_ra: Optional[int]
    stp: Optional[bool] = None
    vlan_filtering: Optional[bool] = None
    owner: Optional[int] = None
    isolated: Optional[bool] = None
    hairpin: Optional[bool] = None
    group: int = 0
    checking: bool = False
    silent: bool = False
    state: Optional[int] = None
    odd: Tuple[str, ...] = ()


class Address(NamedTuple):
    """An address as the kernel shows it; ``scope`` and ``flags`` are the numbers of linux/if_addr.h.

    ``lifetimes``: the seconds for which one that doesn't last is preferred, and valid.
    """

    index: int  # type: ignore[assignment]
    address: str
    scope: int
    flags: int
    peer: Optional[str] = None
    lifetimes: Optional[Tuple[int, int]] = None


class KernelRoute(NamedTuple):
    """A route as the kernel shows it, with the number of the protocol that made it (linux/rtnetlink.h, RTPROT_*)."""

    to: str
    via: Optional[str]
    dev: Optional[int]
    metric: int
    table: int
    type: int
    protocol: int
    nexthops: Tuple[Tuple[Optional[str], Optional[int], int], ...] = ()
    prefsrc: Optional[str] = None
    scope: int = 0
    flags: int = 0


class PolicyRule(NamedTuple):
    """A rule that says where a packet's route is looked for: ``action`` is FR_ACT_*, of linux/fib_rules.h.

    ``suppressed``: routes of no longer prefixes are passed over in that table. ``partly``: it asks for more than
    is told here.
    """

    family: int
    priority: int
    action: int = 1
    table: int = 0
    source: Optional[str] = None
    destination: Optional[str] = None
    iif: Optional[str] = None
    oif: Optional[str] = None
    mark: int = 0
    inverted: bool = False
    suppressed: Optional[int] = None
    partly: bool = False


class Baggage(NamedTuple):
    """What would move with the work of a link when another takes it over.

    ``addresses`` without IPv6 link-local ones, which each link has; ``leases`` are those of them that end one day.
    ``routes`` are (prefix, table, metric) in every table, without those that the kernel makes. ``neighbours``: how many
    were written down. ``obstacles``: what can't move, in words. ``notes``: all of it, to be remembered (uplink_record).
    ``settings``: how the host behaves there, where that is about to be another link's (uplink_settings).
    """

    addresses: Tuple[str, ...]
    leases: Tuple[str, ...]
    routes: Tuple[Tuple[str, int, int], ...]
    neighbours: int
    obstacles: Tuple[str, ...]
    notes: Tuple[str, ...] = ()
    settings: Tuple[Tuple[str, Optional[str]], ...] = ()


class NamespaceView(NamedTuple):
    """One namespace as it was read: links by name, addresses by link index, routes in each table that was asked for.

    ``baggage``: of the links that are, were or are to be uplinks or their bridges. ``beyond``: the routes in all other
    tables, where something may go that they need; there, ``fixed`` are the neighbours that somebody wrote down, each as
    rtnetlink.replay tells it, and None elsewhere. ``rules``: the policy rules, None if they are those that the kernel
    makes.
    """

    netns: Optional[str]
    inode: int
    links: Dict[str, Link]
    addresses: Dict[int, Tuple[Address, ...]]
    routes: Tuple[KernelRoute, ...]
    forwarding_ipv4: Optional[bool]
    forwarding_ipv6: Optional[bool]
    sysctls: Dict[str, Optional[str]]
    baggage: Dict[str, Baggage] = {}
    beyond: Tuple[KernelRoute, ...] = ()
    rules: Optional[Tuple[PolicyRule, ...]] = None
    fixed: Optional[Tuple[Tuple[Tuple[int, ...], Dict[int, bytes]], ...]] = None


class HostView(NamedTuple):
    """The host as far as the engine looked: ``names`` are all named namespaces, ``views`` the ones it read.

    ``files`` maps the paths it looked at to their text, None where there is no file. ``peers`` tells for each end of a
    cable the other one. ``users``: the ids of the users whom it asked about, None for one that there isn't.
    """

    names: Tuple[str, ...]
    views: Dict[Optional[str], NamespaceView]
    files: Dict[str, Optional[str]]
    peers: Dict[LinkKey, LinkKey]
    users: Dict[str, Optional[int]] = {}


class Guests(NamedTuple):
    """What was found of the containers that a run has to do with, each by its ``container:NAME``.

    ``lives``: of those that run. ``ended``: those without a life, or without a namespace that is theirs alone among
    these. ``problems``: why one can't have a cable, in words.
    """

    lives: Dict[str, Life]
    ended: Set[str]
    problems: Dict[str, str]
