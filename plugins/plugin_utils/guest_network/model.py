# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guest networks and guests as immutable values, and what each mode is.

Subnets and addresses are netaddr's IPNetwork (an address keeps its host bits), or None. ``path`` is where in the
variables an object stands, for messages.
"""

from __future__ import annotations

from typing import Any, Dict, Mapping, NamedTuple, Optional, Tuple

KINDS = ("namespace", "container", "vm")


class GuestNetworkError(ValueError):
    """The variables can't be right; the text has one line for each thing that is wrong."""


class Mode(NamedTuple):
    """What the networks of one mode have in common.

    ``policy``: what the switch refuses and lets in, as in ``bridges[].guests``. ``leads_out``: guests reach the LAN.
    ``publishes``: ports of the host may lead to guests. ``serves``: a DHCP and DNS server of ours may answer there.
    ``gateway``: which address of the subnet is the router, counted from the network's own. ``subnet``: the default.
    """

    policy: Mapping[str, bool]
    leads_out: bool = False
    publishes: bool = False
    serves: bool = True
    gateway: int = 1
    subnet: Optional[str] = None


NAT = "nat"
NAT_NETWORK = "nat_network"
BRIDGED = "bridged"
INTERNAL = "internal"
HOST_ONLY = "host_only"
ROUTED = "routed"
CLOSED = {"to_host": False, "from_host": False, "outside": False}  # a switch that only joins what is plugged into it

MODES: Dict[str, Mode] = {
    NAT: Mode({"among": False, "from_host": False}, True, True, True, 2, "10.0.2.0/24"),
    NAT_NETWORK: Mode({"from_host": False}, True, True, True, 1, "10.0.2.0/24"),
    BRIDGED: Mode({}, True, serves=False),
    INTERNAL: Mode(CLOSED, subnet="192.168.57.0/24"),
    HOST_ONLY: Mode({"outside": False}, subnet="192.168.56.0/24"),
    ROUTED: Mode({"from_others": True}, True),
}

# The one guest behind a router of its own: 10.0.2.15, and fd00:2::15 as it is written.
NAT_GUEST = {4: 15, 6: 0x15}
SMALLEST = {4: 30, 6: 126}  # longest prefix with room for the router and a guest
SMALLEST_NAT = {4: 27, 6: 122}  # and with room for NAT_GUEST
TRANSFER = "100.64.0.0/24"  # RFC 6598: addresses between a provider's routers, which no LAN has
TRANSFER6 = "fd64::/64"


class Dhcp(NamedTuple):
    """What the DHCP server hands out. ``range`` and ``range6`` are (first, last) as text; ``slaac``: guests make their
    own IPv6 addresses out of router advertisements. ``lease_time`` as dnsmasq writes it; None is the mode's default."""

    enabled: bool = False
    range: Optional[Tuple[str, str]] = None
    range6: Optional[Tuple[str, str]] = None
    slaac: bool = False
    lease_time: Optional[str] = None
    sequential: bool = False


class Dns(NamedTuple):
    """What the DNS server answers: names below ``domain``, and for other names what ``upstream`` says.

    ``rebind_ok``: the domains whose names it may say to have private addresses.
    """

    enabled: bool = False
    domain: Optional[str] = None
    upstream: Tuple[str, ...] = ()
    rebind_ok: Tuple[str, ...] = ()


class Network(NamedTuple):
    """One network. ``transfer`` and ``transfer6`` only in mode nat."""

    path: str
    name: str
    mode: str
    present: bool = True
    subnet: Any = None
    subnet6: Any = None
    uplink: Optional[str] = None
    host_access: bool = True
    transfer: Any = None
    transfer6: Any = None
    dhcp: Dhcp = Dhcp()
    dns: Dns = Dns()
    mtu: Optional[int] = None

    @property
    def its(self) -> Mode:
        """What its mode is."""
        return MODES[self.mode]

    @property
    def policy(self) -> Dict[str, bool]:
        """What its switch refuses."""
        return {**self.its.policy, **({} if self.host_access else {"to_host": False})}

    @property
    def subnets(self) -> Tuple[Any, ...]:
        """The subnets that guests have addresses of."""
        return tuple(subnet for subnet in (self.subnet, self.subnet6) if subnet is not None)


class Port(NamedTuple):
    """Ports ``first`` to ``last`` of the host's ``address`` that lead to a guest's, from ``to_port`` on."""

    path: str
    protocol: str
    first: int
    last: int
    to_port: int
    address: str
    sources: Tuple[str, ...] = ()

    def sources_of(self, family: int) -> Tuple[str, ...]:
        """Those of one family."""
        return tuple(source for source in self.sources if (":" in source) == (family == 6))

    def is_of(self, family: int) -> bool:
        """Whether packets of this family may come here: they keep theirs on the way to a guest."""
        own = self.address == "any" or (":" in self.address) == (family == 6)
        return own and (not self.sources or bool(self.sources_of(family)))


class Nic(NamedTuple):
    """A guest's place in a network. ``name``: the interface in the guest. ``default_route`` None: by order.

    ``gateway`` and ``gateway6``: in mode bridged, whom the LAN has as its router.
    """

    path: str
    network: str
    name: str
    address: Any = None
    address6: Any = None
    mac: Optional[str] = None
    default_route: Optional[bool] = None
    gateway: Optional[str] = None
    gateway6: Optional[str] = None
    tap: Optional[str] = None
    ports: Tuple[Port, ...] = ()


class Guest(NamedTuple):
    """A guest; ``name`` is that of its namespace or container, or any for a virtual machine."""

    path: str
    name: str
    kind: str
    owner: Optional[str]
    nics: Tuple[Nic, ...]


class Plugged(NamedTuple):
    """A guest's NIC on a network, with ``default``: whether the guest's default route leads there."""

    guest: Guest
    nic: Nic
    default: bool


class Setup(NamedTuple):
    """Everything that was read: the networks in their order, and who is plugged into each, by its name."""

    networks: Tuple[Network, ...]
    guests: Tuple[Guest, ...]
    plugged: Mapping[str, Tuple[Plugged, ...]]


def on_host(network: Network) -> bool:
    """Whether a server of the network runs on the host itself, and in no namespace."""
    return network.its.serves and network.mode not in (NAT, INTERNAL)


def offset(subnet: Any, number: int, length: bool = True) -> str:
    """The ``number``-th address of a subnet, with its prefix length or without."""
    address = str(subnet[number])
    return f"{address}/{subnet.prefixlen}" if length else address


def gateway(network: Network, family: int) -> Optional[str]:
    """The router of a network, as the guests know it; None where it has no subnet of that family."""
    subnet = network.subnet if family == 4 else network.subnet6
    return None if subnet is None else offset(subnet, network.its.gateway, length=False)
